// The builder of segments: lines and text say the same, and how many customers that is is counted while one writes.

import { count, t } from "./text.js";

const $ = (id) => document.getElementById(id);
const PAUSE_MS = 400; // in typing, before it is counted
const COMPARED = ["=", "!=", "<", "<=", ">", ">="];
const SIGNS = {
  attribute: [...COMPARED, "in", "contains", "begins", "is empty", "is not empty"],
  list: ["=", "!=", "in", "contains", "begins"],
  result: ["="],
  answer: ["="],
  calls: COMPARED,
};
SIGNS.campaign = SIGNS.region = SIGNS.list;
SIGNS.connects = SIGNS.orders = SIGNS.revenue = SIGNS.calls;
const LABELS = {
  what: "segments.what",
  name: "segments.question",
  sign: "segments.sign",
  value: "segments.value",
  days: "segments.days",
  remove: "segments.remove",
};
const HAPPENED = ["calls", "connects", "orders", "revenue", "result", "answer"];
const PLAIN = /^-?\d{1,17}(\.\d+)?$|^\d{4}-\d\d-\d\d$/; // a number or a date

const quote = (text) => `"${text.replace(/[\\"]/g, "\\$&")}"`;
const field = (line, name) => line.querySelector(`[data-f=${name}]`);
const kindOf = (line) => {
  const [kind, ...name] = field(line, "what").value.split(":");
  return [kind, name.join(":")];
};

// --- lines to text ------------------------------------------------------------------------------------------------

function spelled(line) {
  const [kind, name] = kindOf(line);
  const sign = field(line, "sign").value;
  const typed = field(line, "value").value.trim();
  const days = field(line, "days").value;
  const within = HAPPENED.includes(kind) && days ? ` within ${days} days` : "";
  if (kind === "attribute") {
    const about = `\`${name}\``;
    if (sign.startsWith("is ")) return `${about} ${sign}`;
    const one = (value) => (PLAIN.test(value) && sign !== "contains" && sign !== "begins" && line.dataset.quoted !== "1" ? value : quote(value));
    const several = typed.split(/[,，、]/).map((value) => one(value.trim()));
    return sign === "in" ? `${about} in (${several.join(", ")})` : `${about} ${sign} ${one(typed)}`;
  }
  if (kind === "answer") return `answer ${quote(field(line, "name").value.trim())} = ${quote(typed)}${within}`;
  if (kind === "result") return `result = ${quote(typed)}${within}`;
  if (HAPPENED.includes(kind)) return `${kind} ${sign} ${typed || 0}${within}`;
  return sign === "in" ? `${kind} in (${typed.split(/[,，、]/).map((each) => quote(each.trim())).join(", ")})` : `${kind} ${sign} ${quote(typed)}`;
}

function toText() {
  filling = false; // what is in the lines is the text now
  $("text").value = [...$("lines").children].map(spelled).join(` ${$("word").value} `);
  changed();
}

// --- text to lines ------------------------------------------------------------------------------------------------

function dress(line, sign) {
  const [kind] = kindOf(line);
  const signs = field(line, "sign");
  const wanted = sign ?? signs.value;
  signs.replaceChildren(...SIGNS[kind].map((each) => new Option(t(`segments.sign.${each}`), each)));
  signs.value = SIGNS[kind].includes(wanted) ? wanted : SIGNS[kind][0];
  signs.hidden = SIGNS[kind].length === 1;
  field(line, "name").hidden = kind !== "answer";
  field(line, "within").hidden = !HAPPENED.includes(kind);
  field(line, "value").hidden = signs.value.startsWith("is ");
  field(line, "value").placeholder = signs.value === "in" ? t("segments.values_hint") : "";
}

function number() {
  [...$("lines").children].forEach((line, at) => {
    for (const [name, key] of Object.entries(LABELS)) field(line, name).setAttribute("aria-label", t(key, { n: at + 1 }));
  });
}

function addLine(told) {
  const line = $("line").content.firstElementChild.cloneNode(true);
  const what = field(line, "what");
  if (told) {
    const value = told.what === "attribute" ? `attribute:${told.name}` : told.what;
    if (![...what.options].some((each) => each.value === value)) what.firstElementChild.append(new Option(told.name, value));
    what.value = value;
    dress(line, told.sign);
    field(line, "name").value = told.what === "answer" ? told.name : "";
    field(line, "value").value = told.values.join(", ");
    field(line, "days").value = told.days ?? "";
    line.dataset.quoted = told.quoted ? "1" : "";
  } else {
    dress(line);
  }
  line.addEventListener("input", (event) => {
    if (event.target.dataset.f === "value") line.dataset.quoted = "";
    dress(line);
    toText();
  });
  field(line, "remove").addEventListener("click", () => {
    line.remove();
    number();
    toText();
    $("add").focus();
  });
  $("lines").append(line);
  number();
  return line;
}

function show(word, lines) {
  $("builder").hidden = !lines;
  $("nested").hidden = Boolean(lines);
  if (!lines) return;
  $("word").value = word;
  $("lines").replaceChildren();
  lines.forEach(addLine);
}

// --- the server ---------------------------------------------------------------------------------------------------

async function post(path, body) {
  try {
    const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    const answer = await response.json();
    if (response.ok) return [answer, ""];
    return [null, answer.error === "too_far_back" ? t("segments.too_far_back") : answer.detail || answer.error];
  } catch {
    return [null, t("segments.offline")];
  }
}

function tell(problem) {
  $("problem").textContent = problem;
  $("problem").hidden = !problem;
}

let asked = 0;
let timer = 0;
let filling = true; // the lines are made of the text once its answer is there

function changed() {
  $("done").hidden = true;
  $("count").textContent = t("segments.counting");
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
}

async function ask() {
  const turn = ++asked;
  const text = $("text").value;
  const [found, problem] = await post("/api/segments/count", { text, unit: $("unit").value });
  if (turn !== asked) return;
  tell(problem);
  $("count").textContent = !found ? "" : found.customers === null ? t("segments.count_long") : t(found.about ? "segments.count_about" : "segments.count", { customers: count(found.customers) });
  if (found && filling && text === $("text").value) {
    filling = false;
    show(found.word, found.lines);
  }
}

$("text").addEventListener("input", () => {
  filling = true;
  changed();
});
$("word").addEventListener("input", toText);
$("unit").addEventListener("input", changed);
$("add").addEventListener("click", () => {
  field(addLine(), "what").focus();
  toText();
});

$("save").addEventListener("click", async () => {
  const name = $("segment").dataset.name || $("name").value.trim();
  const [found, problem] = await post("/api/segments", { name, text: $("text").value.trim(), unit: $("unit").value });
  tell(found ? "" : `${t("segments.failed")} ${problem}`);
  if (!found) return;
  if ($("segment").dataset.name) {
    $("done").textContent = t("segments.saved_as", { version: found.version });
    $("done").hidden = false;
  } else {
    location.assign(`/segments?name=${encodeURIComponent(found.name)}`);
  }
});

$("take")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const told = $("taken");
  const say = (text, problem = false) => {
    told.textContent = text;
    told.className = problem ? "problem" : "done";
    told.hidden = false;
  };
  const button = event.target.querySelector("button");
  button.disabled = true;
  say(t("segments.taking"));
  const [found, problem] = await post("/api/segments/take", {
    segment: $("segment").dataset.name,
    campaign: form.get("campaign"),
    list: form.get("list").trim(),
    budget: Number(form.get("budget")),
    hold_out: Number(form.get("hold_out")) / 100,
    rest_days: Number(form.get("rest_days")),
  });
  button.disabled = false;
  if (found) say(t("segments.taken", { called: count(found.called), held: count(found.held_out), left: count(found.left_out) }));
  else say(`${t("segments.failed")} ${problem}`, true);
});

ask();
