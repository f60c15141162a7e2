// What an agent does in a call besides talking: mute, telephone keys, the recording, and sending the customer on.

import * as seat from "./seat.js";
import { has, t } from "./text.js";

const $ = (id) => document.getElementById(id);
const KEYS = /^[0-9*#]$/;

// `page` is the agent's page: its model, its way to ask the engine, its way to write a text.
export function callTools({ model, ask, setText, show }) {
  const callId = () => model.pop.call_id;
  let sent = ""; // telephone keys, as they are shown
  let sentIn = ""; // the call they were sent in

  const recordingOf = () => (seat.inCall(model) ? (model.call?.recording ?? "") : "");
  const mute = () => ask({ type: "mute", call_id: callId(), on: !seat.muted(model) });
  const record = () => ask({ type: "record", call_id: callId(), on: recordingOf() !== "on" });

  const padOpen = () => !$("pad").hidden;
  const togglePad = () => (padOpen() ? closePad() : openPad());

  function openPad() {
    $("pad").hidden = false;
    $("keypad").setAttribute("aria-expanded", "true");
    $("pad").querySelector("button").focus();
  }

  function closePad() {
    if (!padOpen()) return false;
    $("pad").hidden = true;
    $("keypad").setAttribute("aria-expanded", "false");
    if ($("pad").contains(document.activeElement)) document.activeElement.blur();
    return true;
  }

  async function press(key) {
    if (sentIn !== callId()) [sent, sentIn] = ["", callId()];
    if (await ask({ type: "send_keys", call_id: callId(), keys: key })) {
      sent += key;
      setText($("pad-sent"), sent.slice(-24));
    }
  }

  // --- sending the customer on --------------------------------------------------------------------------------------------

  const targetsOpen = () => !$("targets").hidden;

  async function openTargets() {
    model.targets = null;
    drawTargets();
    $("targets").hidden = false;
    $("transfer").setAttribute("aria-expanded", "true");
    await ask({ type: "who_is_there", call_id: callId() });
  }

  function closeTargets() {
    if (!targetsOpen()) return false;
    $("targets").hidden = true;
    $("transfer").setAttribute("aria-expanded", "false");
    if ($("targets").contains(document.activeElement)) document.activeElement.blur();
    return true;
  }

  async function transfer(to) {
    if (await ask({ type: "transfer", call_id: callId(), ask_first: $("ask-first").checked, ...to })) closeTargets();
  }

  function target(text, to, enabled = true) {
    const button = document.createElement("button");
    const key = document.createElement("kbd");
    button.append(text, " ", key);
    button.disabled = !enabled;
    button.addEventListener("click", () => transfer(to));
    return button;
  }

  let drawn; // what the targets on the page were made of
  function drawTargets() {
    if (drawn === model.targets && drawn !== undefined) return;
    drawn = model.targets;
    const { seats = [], queues = [], numbers = false } = model.targets ?? {};
    const buttons = [
      ...seats.map(({ user_id, name }) => target(name, { to_user: user_id })),
      ...queues.map(({ campaign, ready }) => target(t("agent.queue", { campaign, n: ready }), { to_campaign: campaign })),
    ];
    buttons.forEach((button, index) => (button.lastChild.textContent = String(index + 1)));
    $("target-list").replaceChildren(...buttons);
    $("target-form").hidden = !numbers;
    setText($("targets-none"), model.targets && !seats.length ? t("agent.no_colleague") : "");
  }

  function targetKey(pressed) {
    if (pressed === "ESCAPE" || pressed === "T") return closeTargets();
    if (pressed === "A") $("ask-first").click();
    else if (pressed === "0" && !$("target-form").hidden) $("target-number").focus();
    else if (/^[1-9]$/.test(pressed)) $("target-list").children[Number(pressed) - 1]?.click();
    else return false;
    return true;
  }

  // Takes a key before the page's own keys do; true when it was for the call.
  function key(pressed) {
    if (targetsOpen()) return targetKey(pressed);
    if (!padOpen()) return false;
    if (pressed === "ESCAPE" || pressed === "K") return closePad();
    if (!KEYS.test(pressed)) return false;
    press(pressed);
    return true;
  }

  function draw(state) {
    const talking = state === "talking" || state === "muted";
    const recording = recordingOf();
    const muted = seat.muted(model);
    show("mute", talking || state === "conference");
    $("mute").setAttribute("aria-pressed", String(muted));
    setText($("mute-label"), muted ? t("action.unmute") : t("action.mute"));
    show("keypad", talking);
    if (!talking) closePad();
    const consulting = state === "consulting";
    show("transfer", talking || state === "held");
    show("complete", consulting || state === "conference");
    show("confer", consulting);
    if ($("transfer").hidden) closeTargets();
    drawTargets();
    show("record", talking && ["on", "paused"].includes(recording));
    setText($("record-label"), recording === "paused" ? t("action.record") : t("action.record_not"));
    $("recording").hidden = !recording;
    $("recording").dataset.recording = recording;
    setText($("recording"), has(`recording.${recording}`) ? t(`recording.${recording}`) : "");
    if (sentIn !== model.pop?.call_id) setText($("pad-sent"), "");
  }

  $("transfer").addEventListener("click", () => targetsOpen() ? closeTargets() : openTargets());
  $("targets-close").addEventListener("click", closeTargets);
  $("target-form").addEventListener("submit", (event) => {
    event.preventDefault();
    transfer({ to_number: $("target-number").value });
  });
  $("target-number").addEventListener("keydown", (event) => event.key === "Escape" && closeTargets());
  $("complete").addEventListener("click", () => ask({ type: "complete", call_id: callId() }));
  $("confer").addEventListener("click", () => ask({ type: "confer", call_id: callId() }));
  $("mute").addEventListener("click", mute);
  $("record").addEventListener("click", record);
  $("keypad").addEventListener("click", togglePad);
  $("pad-close").addEventListener("click", closePad);
  for (const button of document.querySelectorAll("[data-press]")) button.addEventListener("click", () => press(button.dataset.press));

  return { draw, key };
}
