// Texts of the page's language, and how numbers and times are written.

const texts = JSON.parse(document.getElementById("texts").textContent);
export const language = document.body.dataset.language;
const locale = language === "zh" ? "zh-CN" : "en-GB";

export const has = (key) => key in texts;

export function t(key, values = {}) {
  let text = texts[key] ?? key;
  for (const [name, value] of Object.entries(values)) text = text.replaceAll(`{${name}}`, value);
  return text;
}

// 75 -> "1:15", 3675 -> "1:01:15"
export function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(s / 3600);
  return hours ? `${hours}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

export const time = (posix) =>
  new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hour12: false }).format(posix * 1000);

// With the day, where it is another one than today.
export function moment(posix) {
  const at = new Date(posix * 1000);
  if (at.toDateString() === new Date().toDateString()) return time(posix);
  return `${new Intl.DateTimeFormat(locale, { month: "long", day: "numeric" }).format(at)} ${time(posix)}`;
}

// Whether the clock there shows what this one does.
export function sameClock(zone) {
  const shown = (timeZone) => new Intl.DateTimeFormat("en", { dateStyle: "short", timeStyle: "short", timeZone }).format();
  return shown(zone) === shown(undefined);
}

export const count = (n) => new Intl.NumberFormat(locale).format(n);

export const percent = (share, digits = 1) =>
  new Intl.NumberFormat(locale, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits }).format(share);

export const decimal = (n, digits = 1) =>
  new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(n);

// Country codes of one and two digits (ITU E.164); all others have three.
const COUNTRY = /^\+(1|7|2[07]|3[0-4]|36|39|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{3})(\d{5,})$/;

// A telephone number in groups that an eye can hold: +8613812345678 -> +86 138 1234 5678
export function number(e164) {
  const parts = COUNTRY.exec(e164);
  if (!parts) return e164;
  const [, country, rest] = parts;
  const wellKnown = /^(\d{3})(\d{4})(\d{4})$/.exec(rest) ?? /^(\d{4})(\d{4})$/.exec(rest);
  const groups = wellKnown?.slice(1) ?? rest.match(/\d{3}(?=\d{2})|\d{2,4}$/g);
  return `+${country} ${groups.join(" ")}`;
}
