// The agent's page: draws the seat, takes keys and clicks, tells the engine.

import { callTools } from "./call.js";
import { Drafts } from "./draft.js";
import { editing } from "./editing.js";
import { Health } from "./health.js";
import { Link } from "./link.js";
import { moveOn, wasReady } from "./moving.js";
import { noteList } from "./notes.js";
import { ownTools } from "./own.js";
import { Phone } from "./phone.js";
import { label, missing, resultTools } from "./results.js";
import { scriptTools } from "./script.js";
import * as seat from "./seat.js";
import { clock, has, language, moment, number, sameClock, t, time } from "./text.js";

const $ = (id) => document.getElementById(id);
const NOTES_AFTER_MS = 700; // after the last keystroke
const TYPED_MS = 1500; // after the last keystroke somebody is still typing
const ARMED_MS = 2500; // within which X must be pressed again
const MESSAGE_MS = 6000;
const LABELS = `labels:${language}`; // of results, as they were last seen: the day's figures name them
const labels = JSON.parse(localStorage.getItem(LABELS) ?? "{}");
const TITLE_MS = 300; // a browser draws its own window anew for it: not while a customer's card is
const LAST_S = 3; // of wrap-up, in which what is there is saved
const AGAIN_MS = 60_000; // in which a seat that was at work is so again by itself: later, nobody may be there
const LEAVE_MS = 2000; // for what is still to be saved, before the agent is logged out
const FRAMES = new Set(JSON.parse(document.body.dataset.frames)); // origins that the site lets be shown here

const model = seat.empty();
let drafts = {}; // of the call on the screen: { notes, chosen, dnc, barred, callback, zone, owner, dialed, pausing }
let shownCall = "";
let armed = { key: "", until: 0 }; // a key that ends the call and waits to be pressed again
let lastCall = "";
let sending = false; // a result is on its way
let taking = false; // a log-in is on its way
let firstState = true;
let lastEpoch = "";
let againUntil = wasReady() ? performance.now() + AGAIN_MS : 0; // it is ready once it has the seat
let toldDraft = null; // what the server kept
let savedWork = ""; // notes and answers as they are on record
let judged = false; // the call on the screen has its result, and with it its tick
let rest = null; // what is to be saved of a call that is not on the screen any more
let savedBefore = 0; // the end of wrap-up before which what had been typed was saved
let typedAt = -Infinity; // into the notes, as in performance.now()
let deafUntil = -Infinity; // keys belong to a field that has left the screen
let notesTimer;
let messageTimer;
let drawing = 0; // the frame in which the page is drawn next
let titleTimer;

// --- drafts: what was typed or chosen but is not the server's yet; survives a reload ----------------------------------

function loadDraft(callId) {
  const { notes, answers } = model;
  drafts = { notes, answers: { ...answers }, path: [], chosen: "", dnc: false, barred: false, callback: "", zone: "", owner: null, dialed: false, pausing: false, ...kept.of(callId, toldDraft) };
  if (model.disposed) Object.assign(drafts, { notes, answers: { ...answers } }); // with its result, by another window perhaps
  savedWork = work(notes, answers);
  judged = model.disposed;
}

const work = (notes, answers) => JSON.stringify([notes, Object.entries(answers ?? {}).sort()]);
const unsaved = () => Boolean(model.pop) && work(drafts.notes, drafts.answers) !== savedWork;

function keepDraft() {
  const { path, pausing } = drafts;
  if (model.pop) kept.keep(model.pop.call_id, seat.isAsked(model) ? { path, pausing } : drafts); // what is a colleague's to write down is not kept
}

const phone = new Phone({ request: (command) => link.request(command), model, changed: () => draw(), say });

// --- the link ---------------------------------------------------------------------------------------------------------

const link = new Link("/ws", {
  up() {
    hide($("banner"));
    draw();
    kept.send();
    sendRest();
    settle(); // a result that was marked while there was no line
    if (unsaved()) saveNotesSoon();
  },
  down() {
    banner(t("banner.lost"));
    draw();
    if (link.tries > 1) move();
  },
  end(why) {
    if (why === "no_session") return location.assign("/login");
    phone.stop();
    banner(t(`banner.${why}`), ["taken_over", "elsewhere"].includes(why) ? t("banner.use_here") : "");
    draw();
  },
  frame(frame) {
    if (frame.type === "state") {
      const { seat: status, pop, call, notes, answers, disposed } = frame;
      const atWork = seat.atWork(model);
      Object.assign(model, { seat: status, pop, call, notes, answers, disposed });
      const restarted = lastEpoch && lastEpoch !== frame.epoch;
      if (restarted && seat.stateOf(model) === "offline") againUntil = atWork ? performance.now() + AGAIN_MS : againUntil;
      else if (seat.atWork(model)) againUntil = 0; // it has the seat, and a pause from now on is meant
      lastEpoch = frame.epoch;
      toldDraft = frame.draft;
      notesIn.state(frame.unread, frame.epoch);
      // A customer who left while the line was down; of one whom another window had since, that one has said all.
      const unknown = restarted && seat.stateOf(model) === "offline"; // an engine may be about to find them
      if (shownCall !== pop?.call_id && !unknown && !link.taking) saveRest();
      if (shownCall && pop && shownCall !== pop.call_id) kept.drop(shownCall); // without one, an engine may be about to find it
      changed(true); // another window may have typed since
      // A fresh page takes its seat by itself, and so does one whose daemon was restarted under it.
      if ((firstState || restarted) && seat.stateOf(model) === "offline" && phone.chosen) setTimeout(takeSeat);
      firstState = false;
    } else if (frame.type === "event") {
      const before = model.pop;
      const takesOver = frame.event.type === "screen_pop" && seat.isAsked(model) && before?.call_id === frame.event.call_id;
      if (frame.event.type === "screen_pop") health.pop();
      if (frame.event.type === "script") script.told(frame.event);
      if (frame.event.type === "note") notesIn.take(frame.event);
      if (frame.event.type === "written") takeWritten(frame.event);
      seat.apply(model, frame.event);
      if (seat.atWork(model)) againUntil = 0;
      else if (again() && seat.stateOf(model) === "paused") ready();
      if (frame.event.type === "callback_soon") say(callbackSoon(frame.event));
      if (before && before.call_id !== model.pop?.call_id) noteLast(before, frame.event.code || (sending ? drafts.chosen : ""));
      if (frame.event.type === "call_status" && frame.event.state === "ended" && !seat.owesResult(model)) say(causeText(frame.event.cause));
      changed(takesOver); // what the colleague has written down is gone on with
    } else if (frame.type === "error") {
      say(problem(frame), true);
    }
  },
  trip: (seconds) => health.trip(seconds),
  drop: (how) => health.drop(how),
  slept: (seconds) => health.stall(seconds),
});
const kept = new Drafts(link);
const notesIn = noteList({ list: $("notes-in"), read: (note) => link.send({ type: "read", note }) });
const health = new Health((frame) => link.send(frame));

// The seat may be at another engine; a voice in this page is not cut off for that.
const again = () => performance.now() < againUntil;
const move = () => moveOn(() => phone.used && seat.inCall(model), again() || seat.atWork(model));

async function ask(command) {
  if (["transfer", "complete"].includes(command.type)) saveNotes(); // they go with the customer
  const reply = await link.request(command);
  if (reply.code === "elsewhere") move();
  // Notes on a customer who was handed on go with the result.
  const unsaid = command.type === "save_notes" ? ["lost", "not_your_call"] : ["lost"];
  if (reply.code !== "ok" && !unsaid.includes(reply.code)) say(problem(reply), true);
  return reply.ok;
}

// A rule that did not permit a call, and from when on it may.
function ruleText(rule, until) {
  const why = has(`refusal.${rule}`) ? t(`refusal.${rule}`) : t("cause.other");
  return until ? t("refused.until", { why, time: moment(Number(until)) }) : t("refused.why", { why });
}

const problem = ({ code, detail }) =>
  code.startsWith("rule_") ? ruleText(code.slice(5), detail) : (has(`problem.${code}`) ? t(`problem.${code}`, { detail: detail ?? "" }) : t("problem.other", { code, detail: detail ?? "" }));
const callbackSoon = ({ customer, number: called, due_at }) => t("callback.soon", { name: customer || number(called), time: time(due_at) });
const causeText = (cause) =>
  cause.startsWith("rule_") ? ruleText(cause.slice(5)) : (has(`cause.${cause}`) ? t(`cause.${cause}`) : t("cause.other"));

// --- commands -----------------------------------------------------------------------------------------------------------

async function takeSeat() {
  if (taking) return;
  taking = true;
  draw();
  const { choice } = phone;
  const name = await phone.take($("seat-phone").value.trim());
  if (choice && phone.choice !== choice) againUntil = 0; // whoever picks another one is there, and says when
  if (name && (await ask({ type: "log_in", phone: name }))) {
    if (!phone.used) document.body.dataset.phone = name;
    $("phone-name").textContent = phone.used ? t("phone.browser") : name;
  } else if (!phone.owes) againUntil = 0;
  taking = false;
  draw();
}

async function ready() {
  againUntil = 0;
  if (!(await ask({ type: "ready" }))) return;
  drafts.pausing = false;
  keepDraft();
  draw();
}

async function pause(reason) {
  closeReasons();
  const later = seat.pausesLater(model);
  if ((await ask({ type: "pause", reason })) && later) {
    drafts.pausing = true;
    keepDraft();
    draw();
  }
}

const redial = () => (phone.used ? phone.retry() : ask({ type: "redial_phone" }));
const hold = () => ask({ type: "hold", call_id: model.pop.call_id, on: !seat.held(model) && !seat.withParty(model) });

const isArmed = (key) => armed.key === key && performance.now() < armed.until;

// A stray key must not cut a customer off: true once it is pressed again.
function twice(key) {
  if (isArmed(key)) return true;
  armed = { key, until: performance.now() + ARMED_MS };
  setTimeout(draw, ARMED_MS + 20);
  draw();
  return false;
}

function hangUp() {
  armed = { key: "", until: 0 };
  return ask({ type: "hang_up", call_id: model.pop.call_id });
}

async function dial(skip) {
  if (skip) saveRest();
  const ok = await ask({ type: "dial_previewed", call_id: model.pop.call_id, skip });
  if (ok && !skip) {
    drafts.dialed = true;
    keepDraft();
    draw();
  }
}

// One key: in a call it marks the result (again: unmarks it), after the call it saves it.
function choose(code) {
  if (!seat.owesResult(model) || sending) return;
  if (model.pop.dispositions.find((each) => each.code === code)?.other_number && seat.inCall(model)) {
    drafts.chosen = code;
    return save(true);
  }
  drafts.chosen = drafts.chosen === code && seat.inCall(model) ? "" : code;
  keepDraft();
  if (drafts.chosen && wanting().length) sayWhatIsMissing();
  settle();
  draw();
}

// Notes are not cut off while they are typed, nor those that a result asks for before they are left, as long as there is time.
function stillTypes() {
  const { id } = document.activeElement;
  const left = (model.seat?.until ?? Infinity) - link.now();
  const typing = id === "notes" && performance.now() - typedAt < TYPED_MS;
  return left > LAST_S && (typing || (results.of(drafts.chosen)?.required ?? []).includes(id));
}

const wanting = () => missing(results.of(drafts.chosen), drafts);

// A result that wants something first: say what, and go there.
function sayWhatIsMissing() {
  const [first] = wanting();
  const known = ["notes", "callback"].includes(first);
  say(known ? t(`needs.${first}`) : script.wants(first), true);
  if (known && !seat.inCall(model)) $(first).focus();
}

// Save the marked result once the call is over.
async function settle() {
  const over = model.seat && !seat.inCall(model) && seat.stateOf(model) !== "preview";
  const complete = drafts.chosen && !wanting().length && !stillTypes();
  if (over && !sending && seat.owesResult(model) && complete && link.up) await save(false);
}

async function save(hang_up) {
  saveNotes(); // also an answer that was taken back
  sending = true;
  const { call_id } = model.pop;
  const { chosen, notes, answers, dnc, callback, zone, owner } = drafts;
  const and_ready = hang_up || seat.stateOf(model) === "wrap_up";
  const ok = await ask({
    type: "dispose", call_id, code: chosen, notes, answers, do_not_call: dnc, and_ready, hang_up,
    ...(callback && zone === "mine" ? { callback_at: Date.parse(callback) / 1000 } : { callback_local: callback }),
    callback_for: owner?.id ?? null,
  });
  sending = false;
  if (ok) {
    const pop = model.pop;
    if (pop?.call_id === call_id) {
      noteLast(pop, chosen);
      savedWork = work(notes, answers);
      judged = true;
    }
    kept.drop(call_id);
    seat.disposed(model, call_id);
  } else if (link.up) {
    drafts.chosen = ""; // said why; let the agent choose again
  }
  changed();
}

function noteLast(pop, chosen) {
  const choice = pop.dispositions.find(({ code }) => code === chosen);
  const result = choice ? label(choice) : lastCall && lastCall.id === pop.call_id ? lastCall.result : t("agent.no_result");
  lastCall = { id: pop.call_id, name: pop.customer || number(pop.number), result, at: lastCall?.id === pop.call_id ? lastCall.at : link.now() };
}

// From the company's own system. What is being typed here is newer, and is saved over it: with a result, at once.
function takeWritten({ call_id, notes, answers, code }) {
  if (code && lastCall?.id === call_id) lastCall.result = resultOf(code);
  if (call_id !== shownCall) return;
  const newer = unsaved();
  savedWork = work(notes, answers);
  if (newer) return void (code && saveRest());
  Object.assign(drafts, { notes, answers: { ...answers } });
  keepDraft();
  $("notes").value = notes;
}

// Wrap-up is about to run out: save the result, or at least what has been typed so far.
function saveLast(until) {
  settle();
  if (savedBefore === until) return;
  savedBefore = until;
  saveNotes();
}

function saveNotesSoon() {
  clearTimeout(notesTimer);
  notesTimer = setTimeout(saveNotes, NOTES_AFTER_MS);
}

async function saveNotes() {
  clearTimeout(notesTimer);
  if (!seat.mayWrite(model) || sending || !link.up || !unsaved()) return;
  const { call_id } = model.pop;
  const { notes } = drafts;
  const answers = { ...drafts.answers };
  const ok = await ask({ type: "save_notes", call_id, notes, answers });
  if (ok && model.pop?.call_id === call_id) {
    savedWork = work(notes, answers);
    Object.assign(model, { notes, answers });
    drawNotesState();
  }
}

// What was typed last, or ticked, for a call that leaves the screen: there may have been no pause in which it was saved,
// and a tick goes with the result, which there may have been none of.
async function saveRest() {
  const { notes, answers, dnc, barred } = drafts;
  const bars = Boolean(dnc) && !barred && !judged;
  const call_id = shownCall;
  if (!call_id || sending || (!bars && work(notes, answers) === savedWork)) return;
  rest = { type: "save_notes", call_id, notes, answers, do_not_call: bars };
  if (!(await sendRest()) || shownCall !== call_id) return;
  savedWork = work(notes, answers); // it is there still
  drafts.barred ||= bars; // which nothing takes back
  keepDraft();
  draw();
}

async function sendRest() {
  if (!rest || !link.up) return false;
  const command = rest;
  rest = null;
  return ask(command);
}

// --- drawing --------------------------------------------------------------------------------------------------------------

const hide = (element) => (element.hidden = true);
const shown = (value) =>
  typeof value === "boolean"
    ? t(value ? "agent.yes" : "agent.no")
    : typeof value === "object"
      ? JSON.stringify(value)
      : String(value);
const setText = (element, text) => element.textContent !== text && (element.textContent = text);

// `anew`: what was written down of the customer may be more than what stands here.
function changed(anew = false) {
  const callId = model.pop?.call_id ?? "";
  const another = callId !== shownCall;
  if (another || anew) {
    if (!anew) {
      saveRest();
      if (shownCall && !callId) kept.drop(shownCall);
    }
    shownCall = callId;
    armed = { key: "", until: 0 };
    clearTimeout(notesTimer);
    const typed = typesIn(document.activeElement);
    edits.end();
    if (callId) {
      loadDraft(callId);
      drawCustomer();
    } else {
      drafts = {};
    }
    if (another) leaveField(typed);
    drawNow(); // whole, with its buttons, whose keys may follow at once
  } else draw();
  settle();
  phone.heal();
}

const typesIn = (element) =>
  element.matches("textarea, select, input:not([type=checkbox], [type=radio])") && Boolean(element.closest("main, #edit-form"));

// The card goes in the middle of a sentence, whose rest is neither the next customer's nor a row of commands.
function leaveField(typed) {
  const field = document.activeElement;
  if (typesIn(field)) field.blur();
  else if (!typed) return;
  if (!model.pop?.dialing) deafUntil = performance.now() + TYPED_MS; // else they have just dialed this one's number
}

// A customer's card does not wait for the disk when the results are those of the one before.
function keepLabels() {
  const fresh = model.pop.dispositions.filter((each) => labels[each.code] !== label(each));
  if (!fresh.length) return;
  for (const each of fresh) labels[each.code] = label(each);
  localStorage.setItem(LABELS, JSON.stringify(labels));
}

function drawData() {
  const { customer, attributes, fields } = model.pop;
  setText($("customer-name"), customer || t("agent.no_name"));
  const named = new Map((fields ?? []).map((field) => [field.name, field.label]));
  const order = [...named.keys(), ...Object.keys(attributes ?? {}).filter((name) => !named.has(name))];
  const rows = order
    .map((name) => [named.get(name)?.[language] ?? name, attributes?.[name]])
    .filter(([, value]) => value !== undefined && value !== null && value !== "");
  $("attributes").replaceChildren(
    ...rows.map(([name, value]) => {
      const row = document.createElement("div");
      row.append(document.createElement("dt"), document.createElement("dd"));
      row.firstChild.textContent = name;
      row.lastChild.textContent = shown(value);
      return row;
    }),
  );
}

function drawCustomer() {
  keepLabels();
  const { campaign, number: called, crm, inbound } = model.pop;
  setText($("campaign"), campaign);
  show("inbound", inbound);
  setText($("number"), called ? number(called) : t("agent.number_withheld"));
  drawData();
  edits.show();
  $("crm").hidden = !crm;
  $("crm-frame").hidden = !crm || !crm.frame || !FRAMES.has(new URL(crm.url).origin);
  if (crm) $("crm").href = crm.url;
  if (!$("crm-frame").hidden) $("crm-frame").src = crm.url;
  else $("crm-frame").removeAttribute("src");
  script.begin();
  results.begin();
  own.begin();
  $("notes").value = drafts.notes;
  $("callback").value = drafts.callback;
  $("notes").scrollTop = 0;
}

// What changed is drawn once, in the next frame. A hidden page has none, and its title is all that is seen of it.
function draw() {
  if (document.hidden) drawNow();
  else drawing ||= requestAnimationFrame(drawNow);
}

function drawTitle(text) {
  clearTimeout(titleTimer);
  if (document.hidden) document.title = text;
  else if (document.title !== text) titleTimer = setTimeout(() => (document.title = text), TITLE_MS);
}

function drawNow() {
  cancelAnimationFrame(drawing);
  drawing = 0;
  const state = link.over ? "elsewhere" : link.up || !firstState ? seat.shownState(model) : "starting";
  const inCall = seat.inCall(model);
  const owes = seat.owesResult(model);
  const usable = link.up;
  const body = document.body;
  body.dataset.state = state;
  body.dataset.link = usable ? "up" : "down";

  setText($("state-name"), stateName(state));
  setText($("state-next"), whatNext(state, owes));
  show("ready", (state === "paused" && !owes) || (seat.pausesLater(model) && drafts.pausing));
  $("ready").classList.toggle("primary", state === "paused");
  show("pause", ["ready", "wrap_up", "talking", "muted", "held", "asking", "consulting", "conference", "asked", "preview"].includes(state) && !drafts.pausing);
  setText($("pause-label"), seat.pausesLater(model) ? t("action.pause_later") : t("action.pause"));
  show("redial", state === "no_phone");
  show("more", state === "wrap_up" && model.seat.more > 0);
  if ($("pause").hidden) closeReasons();
  phone.draw();

  const customer = Boolean(model.pop) && !link.over;
  $("customer").hidden = $("work").hidden = !customer;
  $("nobody").hidden = customer;
  $("seat-form").hidden = (state !== "offline" && !phone.choosing) || taking;
  $("take-seat").disabled = !usable;
  setText($("nobody-text"), has(`nobody.${state}`) ? t(`nobody.${state}`) : "");
  setText($("last-call"), lastCall ? t("agent.last_call", { name: lastCall.name, result: lastCall.result, time: time(lastCall.at) }) : "");
  drawTitle(customer ? `● ${model.pop.customer || number(model.pop.number)} – ${stateName(state)}` : `${stateName(state)} – ${t("brand")}`);
  drawByHand(state, owes);
  if (!customer) return drawClock();

  const waits = state === "preview" && !dialed();
  show("dial", waits);
  show("skip", waits);
  tools.draw(state);
  show("hold", ["talking", "muted", "held", "asking", "consulting", "conference"].includes(state));
  $("hold").setAttribute("aria-pressed", String(state === "held"));
  const onHold = state === "held" || seat.withParty(model);
  setText($("hold-label"), onHold ? t(state === "conference" ? "action.let_go" : "action.resume", { party: partyOf() }) : t("action.hold"));
  show("hang-up", inCall || (state === "preview" && dialed()));
  $("hang-up").classList.toggle("armed", isArmed("X"));
  setText($("hang-up-label"), isArmed("X") ? t("action.hang_up_again") : t(state === "asked" ? "action.leave" : "action.hang_up"));
  setText($("call-line"), callLine(state));

  script.draw();
  results.draw(drafts, !owes || sending || (!usable && !inCall));
  setText($("result-hint"), resultHint(inCall, owes));
  $("dnc").checked = Boolean(drafts.dnc);
  drawOwners();
  for (const id of ["dnc", "notes", "callback", "callback-zone", "callback-for"]) $(id).disabled = !seat.mayWrite(model);
  $("dnc").disabled ||= drafts.barred;
  drawNotesState();
  drawClock();
}

// By whom the customer shall be called back: anyone, oneself, or a colleague, who are asked for when it comes to that.
function drawOwners() {
  const me = { id: model.seat?.user_id, name: t("agent.callback_mine") };
  const known = [me, ...model.team.map(({ user_id, name }) => ({ id: user_id, name }))];
  const { owner } = drafts;
  if (owner && !known.some(({ id }) => id === owner.id)) known.push(owner);
  const options = [{ id: "", name: t("agent.callback_anyone") }, ...known].map(({ id, name }) => new Option(name, id));
  const line = options.map(({ value, text }) => `${value} ${text}`).join("\n");
  const select = $("callback-for");
  if (select.dataset.drawn !== line) {
    select.replaceChildren(...options);
    select.dataset.drawn = line;
  }
  select.value = owner?.id ?? "";
  const { zone } = model.pop;
  $("callback-zone").hidden = sameClock(zone || "UTC");
  $("callback-zone").value = drafts.zone;
}

// A number that the agent types, for a campaign that lets them.
function drawByHand(state, owes) {
  const able = model.seat?.dials ?? [];
  $("by-hand").hidden = !able.length || owes || !["ready", "paused"].includes(state);
  const chosen = $("by-hand-campaign").value;
  if (able.join() !== [...$("by-hand-campaign").options].map((each) => each.value).join()) {
    $("by-hand-campaign").replaceChildren(...able.map((name) => new Option(name, name, false, name === chosen)));
  }
  $("by-hand-campaign").hidden = able.length < 2;
  $("by-hand-call").disabled = !link.up;
}

async function dialByHand(event) {
  event.preventDefault();
  $("by-hand-call").disabled = true;
  const ok = await ask({ type: "dial_number", campaign: $("by-hand-campaign").value, number: $("by-hand-number").value });
  if (ok) $("by-hand-number").value = "";
  $("by-hand-call").disabled = !link.up; // at once: a frame later the next Enter would be lost
}

// Of a pause: as the site calls it, else as the page calls one of the engine's own.
const reasonText = (code) =>
  [...document.querySelectorAll("[data-reason]")].find(({ dataset }) => dataset.reason === code)?.dataset.label ??
  (code && has(`reason.${code}`) ? t(`reason.${code}`) : "");

const dialed = () => drafts.dialed || model.pop?.dialing;
const partyOf = () => model.call?.party ?? "";

function stateName(state) {
  const reason = state === "paused" ? reasonText(model.seat?.reason) : "";
  if (reason) return t("state.paused_for", { reason });
  return t(`state.${state}`, { party: partyOf() });
}

function whatNext(state, owes) {
  if (!link.up && !["starting", "elsewhere"].includes(state)) return t("next.lost");
  const ofPhone = phone.next(state);
  if (ofPhone) return ofPhone;
  if (taking) return t("next.taking");
  const reason = model.seat?.reason;
  if (state === "paused" && owes) return t("next.paused_owes");
  if (state === "no_phone" && reason === "phone_no_answer") return t("next.phone_no_answer");
  if (state === "no_phone" && reason === "switch_down") return t("next.phone_switch_down");
  if (drafts.pausing && seat.pausesLater(model)) return t("next.pausing");
  if (state === "preview" && dialed()) return t("next.preview_dialed");
  if (state === "wrap_up" && drafts.chosen) return t("next.saving");
  return t(`next.${state}`, { phone: document.body.dataset.phone, party: partyOf() });
}

function callLine(state) {
  if (model.call?.state === "ended") return causeText(model.call.cause);
  return has(`line.${state}`) ? t(`line.${state}`) : "";
}

function resultHint(inCall, owes) {
  if (seat.isAsked(model)) return t("hint.asked");
  if (!owes) return model.disposed ? t("hint.saved") : t("hint.preview");
  if (drafts.chosen && wanting().length) return t("hint.wants");
  if (inCall) return drafts.chosen ? t("hint.marked") : t("hint.in_call");
  return seat.stateOf(model) === "wrap_up" ? t("hint.wrap_up") : t("hint.late");
}

function drawNotesState() {
  setText($("notes-state"), unsaved() || savedWork === work("", {}) ? "" : t("agent.notes_saved"));
}

// The clock counts the time in the state, or down to the end of wrap-up.
function drawClock() {
  const { until, state } = model.seat ?? {};
  const since = seat.held(model) || seat.withParty(model) ? model.call.at : model.seat?.since;
  const running = model.seat && state !== "offline";
  $("clock").hidden = $("countdown").hidden = !running;
  if (!running) return;
  const now = link.now();
  const down = until && (state === "wrap_up" || now < until);
  const over = until && !down;
  const left = Math.ceil(until - now); // seconds: the bar moves with the figure, and not between
  setText($("clock-time"), clock(down ? left : over ? now - until : now - since));
  setText($("clock-word"), down ? t("agent.left") : over ? t("agent.over") : seat.held(model) ? t("agent.held") : t("agent.clock"));
  $("countdown").hidden = !down;
  document.body.classList.toggle("urgent", Boolean(over) || (Boolean(down) && until - now < 10));
  if (down && until - now < LAST_S) saveLast(until);
  if (down) $("countdown").firstElementChild.style.transform = `scaleX(${Math.max(0, Math.min(1, left / (until - since)))})`;
}

function banner(text, button = "") {
  setText($("banner-text"), text);
  setText($("banner-button"), button);
  $("banner-button").hidden = !button;
  $("banner").hidden = false;
}

function say(text, wrong = false) {
  setText($("message"), text);
  $("message").className = wrong ? "wrong shown" : "shown";
  clearTimeout(messageTimer);
  messageTimer = setTimeout(() => ($("message").className = ""), MESSAGE_MS);
}

const show = (id, on) => {
  $(id).hidden = !on;
  $(id).disabled = !link.up;
};
const tools = callTools({ model, ask, setText, show });
const results = resultTools({ model, choose, armed: (key) => isArmed(key), setText });
const resultOf = (code) => (results.of(code) ? label(results.of(code)) : (labels[code] ?? code));
const own = ownTools({
  model,
  reasonOf: (code) => reasonText(code),
  editOf: (edit) => edits.words(edit),
  resultOf,
  now: () => link.now(),
});
const edits = editing({
  model,
  say,
  changed: ({ name, attributes }) => {
    model.pop = { ...model.pop, customer: name, attributes };
    drawData();
    own.begin();
    say(t("edit.saved"));
  },
});
const script = scriptTools({
  model,
  link,
  ask,
  setText,
  draftsOf: () => drafts,
  left: () => settle(),
  keep() {
    keepDraft();
    saveNotesSoon();
    drawNotesState();
  },
});

// --- keys and clicks ----------------------------------------------------------------------------------------------------

function openReasons() {
  $("reasons").hidden = false;
  $("pause").setAttribute("aria-expanded", "true");
  $("reasons").querySelector("button").focus();
}

function closeReasons() {
  if ($("reasons").hidden) return;
  $("reasons").hidden = true;
  $("pause").setAttribute("aria-expanded", "false");
  if ($("reasons").contains(document.activeElement)) document.activeElement.blur();
}

const clicks = {
  "ready": ready,
  "pause": () => ($("reasons").hidden ? openReasons() : closeReasons()),
  "redial": redial,
  "hold": hold,
  "hang-up": hangUp,
  "dial": () => dial(false),
  "skip": () => dial(true),
  "more": () => ask({ type: "more_time" }),
  "reasons-close": closeReasons,
  "banner-button": () => {
    hide($("banner"));
    phone.over = false;
    link.restart();
  },
};
for (const [id, act] of Object.entries(clicks)) $(id).addEventListener("click", act);
for (const button of document.querySelectorAll("[data-reason]")) button.addEventListener("click", () => pause(button.dataset.reason));
$("by-hand").addEventListener("submit", dialByHand);
$("log-out").addEventListener("submit", async (event) => {
  event.preventDefault();
  await Promise.race([saveRest(), new Promise((resolve) => setTimeout(resolve, LEAVE_MS))]);
  $("log-out").submit();
});
$("seat-form").addEventListener("submit", (event) => {
  event.preventDefault();
  takeSeat();
});
for (const [id, name] of [["callback", "callback"], ["callback-zone", "zone"]]) {
  $(id).addEventListener("change", () => {
    drafts[name] = $(id).value;
    keepDraft();
  });
}
$("callback-for").addEventListener("change", () => {
  const [chosen] = $("callback-for").selectedOptions;
  drafts.owner = chosen.value ? { id: Number(chosen.value), name: chosen.text } : null;
  keepDraft();
});
let teamOf = ""; // the call for which colleagues were asked for
$("callback-line").addEventListener("focusin", () => {
  if (!model.pop || teamOf === model.pop.call_id) return;
  teamOf = model.pop.call_id;
  ask({ type: "who_is_there", call_id: teamOf });
});
$("dnc").addEventListener("change", () => {
  drafts.dnc = $("dnc").checked;
  keepDraft();
});
$("notes").addEventListener("input", () => {
  drafts.notes = $("notes").value;
  keepDraft();
  drawNotesState();
  saveNotesSoon();
  typedAt = performance.now();
  setTimeout(settle, TYPED_MS + 20);
});
$("notes").addEventListener("blur", () => {
  saveNotes();
  setTimeout(settle); // once the focus is elsewhere: a result may have waited for these notes
});
$("callback").addEventListener("blur", () => setTimeout(settle));

const KEYS = "keys-off";
$("keys").checked = localStorage.getItem(KEYS) === null;
const drawKeys = () => document.body.classList.toggle("no-keys", !$("keys").checked);
$("keys").addEventListener("change", () => {
  if ($("keys").checked) localStorage.removeItem(KEYS);
  else localStorage.setItem(KEYS, "1");
  drawKeys();
});
drawKeys();

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.repeat) return;
  if (document.querySelector("dialog[open]")) return; // what lies behind it is not clicked, either
  const typing = event.target.matches("textarea, select, input:not([type=checkbox], [type=radio])");
  const key = event.key.toUpperCase();
  if (!typing && $("keys").checked && event.key !== "Escape" && performance.now() < deafUntil) {
    deafUntil = performance.now() + TYPED_MS;
    if (key.length === 1 && key !== " ") event.preventDefault(); // others move about the page, and press its buttons
    return;
  }
  deafUntil = -Infinity; // who presses Esc, or is in another field, has looked up
  if (!typing && $("keys").checked && (tools.key(key) || script.key(key) || results.key(key))) return event.preventDefault();
  if (event.key === "Escape") {
    closeReasons();
    phone.close();
    if (typing) event.target.blur();
    return;
  }
  if (typing || !$("keys").checked) return;
  const scope = $("reasons").hidden ? document : $("reasons");
  if (key === "D" && !$("by-hand").hidden) {
    event.preventDefault();
    return $("by-hand-number").focus();
  }
  if (key === "N" && !$("work").hidden) {
    event.preventDefault();
    return $("notes").focus();
  }
  if (key === "C" && !$("work").hidden) return $("dnc").click();
  const button = [...scope.querySelectorAll("button[data-key]")].find(
    (each) => each.dataset.key === key && !each.disabled && each.offsetParent !== null,
  );
  if (!button) return;
  event.preventDefault();
  const ends = button.id === "hang-up" || (button.hasAttribute("data-ends") && seat.inCall(model));
  if (!ends || twice(key)) button.click();
});

setInterval(drawClock, 250);
document.addEventListener("visibilitychange", () => document.hidden && drawNow());
draw();
