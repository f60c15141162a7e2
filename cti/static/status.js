// The console: one card a campaign, redrawn in place at most once a frame, with its seats, its last hours, and alarms.

import { alarmList } from "./alarms.js";
import { charts } from "./charts.js";
import { Link } from "./link.js";
import { moveOn } from "./moving.js";
import { oversight } from "./oversight.js";
import * as floor from "./roster.js";
import { steering } from "./steer.js";
import { clock, count, decimal, has, language, moment, percent, t } from "./text.js";

const $ = (id) => document.getElementById(id);
const SEATS = ["ready", "preview", "connecting", "talking", "asked", "wrap_up", "paused", "phone", "no_phone", "offline"];
const LINES = ["reserved", "offered", "dialing", "ringing", "screening", "waiting", "connecting", "connected", "held", "consulting", "conference", "sent", "outside", "harbour", "closing"];
const ALWAYS = new Set(["ready", "talking", "wrap_up", "paused", "dialing", "ringing", "waiting", "connected"]); // shown at 0, too
const SHARES = new Set(["risk", "risk_limit", "answer_share"]);
const SHOWN_ELSEWHERE = new Set(["abandon_rate"]); // large, at the top of the card
const UNLIMITED = 1e9;
const STALE_S = 5;
const DAY_S = 86_400;

const snapshots = new Map();
const cards = new Map();
const curves = new Map(); // campaign -> frames that came before its card
const held = new Map();
let asked = false;
let newest = 0;

const link = new Link(
  "/ws/status",
  {
    up() {
      floor.forget();
      $("banner").hidden = true;
    },
    down() {
      show(t("banner.lost_status"));
      if (link.tries > 1) moveOn();
    },
    end(why) {
      if (why === "no_session") location.assign("/login");
      else if (why === "sees_less") location.reload();
      else show(t(`banner.${why}`));
    },
    frame(frame) {
      if (frame.type === "floor") floor.take(frame);
      else if (frame.type === "alarms") alarms.take(frame);
      else if (frame.type === "held") held.set(frame.campaign, frame.found);
      else if (frame.type === "curves") {
        const card = cards.get(frame.campaign);
        if (card) card.charts.take(frame);
        else curves.set(frame.campaign, [...(curves.get(frame.campaign) ?? []), frame]);
        return;
      } else if (frame.type === "campaign_snapshot") {
        snapshots.set(frame.campaign, frame);
        newest = Math.max(newest, frame.at);
      } else return;
      if (!asked) requestAnimationFrame(draw);
      asked = true;
    },
  },
  false,
);

async function acknowledge(alarm) {
  try {
    const answer = await fetch("/api/alarms/acknowledge", { method: "POST", body: JSON.stringify({ alarm }) });
    return answer.ok || answer.status === 404; // it is over: the next frame says so
  } catch {
    return false;
  }
}

const alarms = alarmList({
  list: $("alarms"),
  status: $("news"),
  now: () => link.now(),
  acknowledge: document.body.dataset.alarms ? acknowledge : null,
});

const steer = $("steer") && steering();
const over = $("oversight") && oversight(() => [...snapshots.keys()].sort());
$("write")?.addEventListener("click", () => over.write(""));
const ARMED_MS = 4000; // within which a second click is meant

// What calls start or end by is meant at the second click. What it returns has the first one forgotten.
function atSecondClick(button, note, act) {
  let armed;
  const disarm = () => {
    clearTimeout(armed);
    button.classList.remove("armed");
  };
  button.addEventListener("click", async () => {
    if (!button.classList.contains("armed")) {
      button.classList.add("armed");
      armed = setTimeout(disarm, ARMED_MS);
      return;
    }
    disarm();
    button.disabled = true;
    put(note, await act());
    button.disabled = false;
  });
  return disarm;
}

function steerButtons(card, name) {
  card.disarm = atSecondClick(card.run, card.note, () => steer.run(name, card.starts));
  atSecondClick(card.hang_up, card.note, () => steer.hangUp(name));
  card.steer.addEventListener("click", () => steer.open(name));
}

const byName = ([a], [b]) => a.localeCompare(b);

function show(text) {
  $("banner-text").textContent = text;
  $("banner").hidden = false;
}

function draw() {
  asked = false;
  let unsorted = false;
  for (const [name, snapshot] of snapshots) {
    let card = cards.get(name);
    if (!card) {
      const article = $("campaign-template").content.firstElementChild.cloneNode(true);
      card = Object.fromEntries([...article.querySelectorAll("[data-f]")].map((element) => [element.dataset.f, element]));
      card.article = article;
      furnish(card, name);
      cards.set(name, card);
      $("campaigns").append(article);
      unsorted = true;
    }
    fill(card, snapshot);
  }
  if (unsorted) $("campaigns").append(...[...cards].sort(byName).map(([, card]) => card.article));
  $("empty").hidden = cards.size > 0;
}

// What of a card opens: what was open stays so in this browser.
function furnish(card, name) {
  if (steer) steerButtons(card, name);
  card.charts = charts(card.charts_place);
  for (const frame of curves.get(name) ?? []) card.charts.take(frame);
  curves.delete(name);
  card.roster = floor.roster({ body: card.roster_rows, states: card.roster_states, more: card.roster_more, campaign: name, now: () => link.now(), act: over?.open });
  card.write?.addEventListener("click", () => over.write(name));
  for (const part of [card.hours, card.roster_part]) {
    const key = `open ${part.dataset.f} ${name}`;
    part.addEventListener("toggle", () => {
      localStorage.setItem(key, part.open ? "1" : "");
      if (part.open && part === card.hours) card.charts.look();
      if (part.open && part === card.roster_part) card.roster.draw();
    });
    part.open = Boolean(localStorage.getItem(key));
  }
}

const put = (element, text) => element.textContent !== text && (element.textContent = text);
const named = (kind, key) => (has(`${kind}.${key}`) ? t(`${kind}.${key}`) : key.replaceAll("_", " "));
const sum = (counts) => Object.values(counts).reduce((total, n) => total + n, 0);

function fill(card, s) {
  put(card.campaign, s.campaign);
  put(card.mode, named("mode", s.mode));
  const underWay = sum(s.lines);
  put(card.running, s.running ? t("status.running") : underWay ? t("status.draining", { n: count(underWay) }) : t("status.stopped"));
  if (steer) {
    const ringing = (s.lines.dialing ?? 0) + (s.lines.ringing ?? 0);
    if (card.starts === s.running) card.disarm(); // somebody else was faster: what the button did is done
    card.starts = !s.running;
    put(card.run, t(card.starts ? "steer.start" : "steer.pause"));
    card.hang_up.hidden = s.running || !ringing;
    put(card.hang_up, t("steer.hang_up", { n: count(ringing) }));
  }
  card.running.classList.toggle("on", s.running);
  if (s.note || !steer) put(card.note, s.note);
  put(card.abandon_rate, percent(s.abandon_rate, 2));
  put(card.target, t("status.target", { target: percent(s.target, 1) }));
  put(card.window, budget(s));
  put(card.answer_rate, s.dials ? percent(s.answered_humans / s.dials, 1) : "–");
  put(card.trunk, s.trunk ? t(s.trunk.up ? "status.trunk" : "status.trunk_down", { switch: s.trunk.switch, n: count(s.trunk.in_use), most: count(s.trunk.most) }) : "");
  const gauge = card.article.querySelector(".gauge");
  const scale = Math.max(s.target * 2, s.abandon_rate, 0.001);
  gauge.firstElementChild.style.transform = `scaleX(${s.abandon_rate / scale})`;
  gauge.lastElementChild.style.left = `${(100 * s.target) / scale}%`;
  const close = s.abandon_rate > s.target ? "over" : s.abandon_rate > s.target * 0.8 ? "near" : "under";
  card.article.dataset.abandon = close;
  put(card.occupancy, percent(s.occupancy, 0));
  put(card.idle, t("status.seconds", { n: decimal(s.idle_s_per_call) }));
  put(card.dials, count(s.dials));
  put(card.answered, t("status.answered", { n: count(s.answered_humans) }));
  put(card.connected, count(s.connected));
  put(card.abandoned, t("status.abandoned", { n: count(s.abandoned) }));
  put(card.leads_left, s.leads_left === null || s.leads_left === undefined ? "–" : count(s.leads_left));
  stack(card.seats_bar, card.seats, card.seats_total, s.seats, SEATS, "seat");
  stack(card.lines_bar, card.lines, card.lines_total, s.lines, LINES, "stage");
  decision(card, s.decision ?? {});
  waiting(card, held.get(s.campaign));
  if (card.roster_part.open) card.roster.draw();
  callers(card, s.caller_ids ?? []);
  parts(card, s.parts ?? []);
  const refused = Object.entries(s.refusals ?? {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  put(card.refusals_total, refused.length ? count(sum(s.refusals)) : "");
  list(card.refusals, refused.length ? refused.map(([reason, n]) => [named("refusal", reason), count(n)]) : [[t("status.no_refusals"), ""]]);
}

// Numbers that are answered far less than the others of their pool.
function callers(card, flagged) {
  card.callers_part.hidden = flagged.length === 0;
  const rate = (share) => (share === null ? "–" : percent(share, 1));
  const words = (each) => t(each.out ? "status.caller_id_out" : "status.caller_id_flagged", { number: each.number });
  list(card.callers, flagged.map((each) => [words(each), t("status.caller_id_rates", { rate: rate(each.rate), pool: rate(each.pool_rate) })]));
}

// A campaign on several switches: who has which, and what the parts that are here may spend.
function parts(card, all) {
  card.parts_part.hidden = all.length === 0;
  const where = (each) => (each.here ? t("status.part_here", { engine: each.engine }) : each.engine ? t("status.part_elsewhere", { engine: each.engine }) : t("status.part_nowhere"));
  const left = (n) => (n >= UNLIMITED / 100 ? "∞" : decimal(n));
  const words = (each) => (each.here ? t("status.part_left", { seats: count(each.seats), n: left(each.left) }) : each.engine ? t("status.part_seats", { seats: count(each.seats) }) : "");
  list(card.parts, all.map((each) => [`${each.switch}${language === "zh" ? "：" : ": "}${where(each)}`, words(each)]));
}

// What the legal window has seen, and what it leaves.
function budget(s) {
  const window = s.window_s === null || s.window_s === undefined ? t("status.window_life") : s.window_s >= 2 * DAY_S ? t("status.window_days", { n: count(Math.round(s.window_s / DAY_S)) }) : t("status.window_hours", { n: count(Math.round(s.window_s / 3600)) });
  const counts = t("status.window", { window, abandoned: count(Math.round(s.window_abandoned ?? 0)), answered: count(Math.round(s.window_answered ?? 0)) });
  const left = Math.floor(s.budget ?? 0);
  return `${counts}${language === "zh" ? "" : " "}${left >= 0 ? t("status.budget", { n: count(left) }) : t("status.budget_over", { n: count(-left) })}`;
}

// Of the leads left: how many may be called now, and what holds back the rest.
function waiting(card, found) {
  card.held_part.hidden = !found;
  if (!found) return;
  const rows = Object.entries(found.held).map(([why, n]) => [named("refusal", why), count(n.leads)]);
  const next = found.callable || !found.next_at ? [] : [[t("status.next_at", { time: moment(Date.parse(found.next_at) / 1000) }), ""]];
  list(card.held, [[t("status.callable"), count(found.callable)], ...rows, ...next]);
}

// A bar of parts with a legend that says the same in words.
function stack(bar, legend, total, counts, order, kind) {
  const there = (key) => counts[key] ?? 0;
  const keys = [...order.filter((key) => there(key) || ALWAYS.has(key)), ...Object.keys(counts).filter((key) => !order.includes(key))];
  const all = sum(counts);
  put(total, count(all));
  while (bar.children.length < keys.length) bar.append(document.createElement("i"));
  while (bar.children.length > keys.length) bar.lastChild.remove();
  keys.forEach((key, place) => {
    bar.children[place].className = `c-${key}`;
    bar.children[place].style.flexGrow = there(key);
  });
  bar.classList.toggle("none", all === 0);
  list(legend, keys.map((key) => [named(kind, key), count(there(key)), `c-${key}`, there(key) === 0]));
}

function list(element, rows) {
  while (element.children.length < rows.length) {
    const item = document.createElement("li");
    item.append(document.createElement("i"), document.createElement("span"), document.createElement("b"));
    element.append(item);
  }
  while (element.children.length > rows.length) element.lastChild.remove();
  rows.forEach(([words, figure, mark = "", none = false], place) => {
    const [dot, span, b] = element.children[place].children;
    dot.className = mark;
    put(span, words);
    put(b, figure);
    element.children[place].classList.toggle("none", none);
  });
}

function figure(name, value) {
  if (typeof value !== "number") return String(value);
  if (SHARES.has(name)) return percent(value, value < 0.1 ? 1 : 0);
  if (value >= UNLIMITED) return "∞";
  return Number.isInteger(value) ? count(value) : decimal(value);
}

// What bound the last decision, as a sentence, and the figures behind it: everything that comes beside `dial` and `bound`.
function decision(card, { dial, bound, ...why }) {
  if (bound === undefined) return put(card.decision, t("status.no_decision"));
  const words = has(`bound.${bound}`) ? t(`bound.${bound}`) : t("bound.other", { bound: String(bound).replaceAll("_", " ") });
  const placed = dial ? t(dial === 1 ? "status.dial_one" : "status.dial", { n: count(dial) }) : "";
  put(card.decision, language === "zh" ? words + placed : `${words} ${placed}`.trim());
  const figures = Object.entries(why).filter(([name]) => !SHOWN_ELSEWHERE.has(name));
  list(card.why, figures.map(([name, value]) => [named("why", name), figure(name, value)]));
}

// The wallboard: the same page with large figures and nothing to click, for a screen across the room.
function wall() {
  const on = location.hash === "#wall";
  document.body.classList.toggle("wall", on);
  $("wall").setAttribute("aria-pressed", String(on));
}
addEventListener("hashchange", wall);
$("wall").addEventListener("click", () => {
  location.hash = location.hash === "#wall" ? "" : "wall";
});
wall();

setInterval(() => {
  alarms.tick();
  const age = newest ? link.now() - newest : 0;
  put($("freshness"), newest && age > STALE_S ? t("status.stale", { age: clock(age) }) : "");
}, 1000);
