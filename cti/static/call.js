// What an agent does in a call besides talking: mute, telephone keys, the recording.

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

  // Takes a key before the page's own keys do; true when it was for the call.
  function key(pressed) {
    if (!padOpen()) return false;
    if (pressed === "ESCAPE" || pressed === "K") return closePad();
    if (!KEYS.test(pressed)) return false;
    press(pressed);
    return true;
  }

  function draw(state) {
    const talking = state === "talking" || state === "muted";
    const recording = recordingOf();
    show("mute", talking);
    $("mute").setAttribute("aria-pressed", String(state === "muted"));
    setText($("mute-label"), state === "muted" ? t("action.unmute") : t("action.mute"));
    show("keypad", talking);
    if (!talking) closePad();
    show("record", talking && ["on", "paused"].includes(recording));
    setText($("record-label"), recording === "paused" ? t("action.record") : t("action.record_not"));
    $("recording").hidden = !recording;
    $("recording").dataset.recording = recording;
    setText($("recording"), has(`recording.${recording}`) ? t(`recording.${recording}`) : "");
    if (sentIn !== model.pop?.call_id) setText($("pad-sent"), "");
  }

  $("mute").addEventListener("click", mute);
  $("record").addEventListener("click", record);
  $("keypad").addEventListener("click", togglePad);
  $("pad-close").addEventListener("click", closePad);
  for (const button of document.querySelectorAll("[data-press]")) button.addEventListener("click", () => press(button.dataset.press));

  return { draw, key };
}
