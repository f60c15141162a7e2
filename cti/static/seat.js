// What the page knows of its seat, and what follows from it. Values only: no socket, no document.

export const IN_CALL = ["connecting", "talking", "asked"];
const WITH_PARTY = ["asking", "consulting", "conference"]; // a third one is rung, spoken with, or there with the customer
export const PAUSED_LIKE = ["paused", "no_phone"];

export function empty() {
  return { seat: null, pop: null, call: null, targets: null, team: [], notes: "", answers: {}, disposed: false };
}

export const stateOf = (model) => model.seat?.state ?? "offline";
export const inCall = (model) => IN_CALL.includes(stateOf(model));
export const pausesLater = (model) => inCall(model) || stateOf(model) === "preview"; // after the call
export const atWork = (model) => inCall(model) || ["ready", "wrap_up"].includes(stateOf(model)); // and not paused
export const held = (model) => inCall(model) && model.call?.state === "held";
export const muted = (model) => stateOf(model) === "talking" && !held(model) && Boolean(model.call?.muted);
export const withParty = (model) => stateOf(model) === "talking" && WITH_PARTY.includes(model.call?.state);
export const isAsked = (model) => stateOf(model) === "asked"; // about a colleague's customer, and writes nothing down of them
export const mayWrite = (model) => !model.disposed && !isAsked(model);
export const owesResult = (model) => Boolean(model.pop) && !model.pop.preview && mayWrite(model);

// What the page calls the state: the seat's own, refined by what its call does.
export function shownState(model) {
  if (held(model)) return "held";
  if (withParty(model)) return model.call.state;
  if (muted(model)) return "muted";
  const state = stateOf(model);
  return state === "offline" && !model.seat ? "offline" : state;
}

// Take an event. The rules for when the customer leaves the screen are the server's (cti/channel.py).
export function apply(model, event) {
  switch (event.type) {
    case "screen_pop": {
      const fresh = model.pop?.call_id !== event.call_id;
      if (fresh) Object.assign(model, { call: null, targets: null, team: [], disposed: false });
      if (fresh || isAsked(model)) Object.assign(model, { notes: event.notes ?? "", answers: event.answers ?? {} });
      model.pop = event;
      break;
    }
    case "call_status":
      if (model.pop?.call_id === event.call_id) model.call = event;
      break;
    case "targets":
      if (event.call_id !== model.pop?.call_id) break;
      model.targets = event;
      model.team = event.team;
      break;
    case "written":
      if (event.call_id !== model.pop?.call_id) break;
      Object.assign(model, { notes: event.notes, answers: event.answers, disposed: model.disposed || Boolean(event.code) });
      forgetIfDone(model);
      break;
    case "seat_status":
      model.seat = event;
      forgetIfDone(model);
      break;
  }
}

export function disposed(model, callId) {
  if (model.pop?.call_id !== callId) return;
  model.disposed = true;
  forgetIfDone(model);
}

function forgetIfDone(model) {
  if (!model.pop || !model.seat) return;
  const { state, call_id, last_call } = model.seat;
  const movedOn = call_id && call_id !== model.pop.call_id;
  const gone = ["ready", "offline"].includes(state) && !call_id;
  const free = ![...IN_CALL, "preview", "wrap_up"].includes(state);
  const owes = [call_id, last_call].includes(model.pop.call_id) && !model.pop.preview && !model.disposed;
  if (movedOn || gone || (free && !owes)) Object.assign(model, { pop: null, call: null, notes: "", answers: {}, disposed: false });
}

// Keys of the results: the campaign's own where it names one that is free, else the next free digit.
const TAKEN = new Set(["R", "P", "B", "L", "H", "X", "N", "D", "S", "C", "M", "K", "O", "T", "J", "Q", "E", "W", "I"]);

export function keysFor(dispositions) {
  const keys = new Map();
  const used = new Set(TAKEN);
  for (const { code, key } of dispositions) {
    const wanted = (key ?? "").toUpperCase();
    if (/^[A-Z0-9]$/.test(wanted) && !used.has(wanted)) {
      used.add(wanted);
      keys.set(code, wanted);
    }
  }
  const free = [..."1234567890"].filter((digit) => !used.has(digit));
  for (const { code } of dispositions) if (!keys.has(code)) keys.set(code, free.shift() ?? "");
  return keys;
}
