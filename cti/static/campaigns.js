// A campaign's text while it is written: whether it may go live is asked as one types, and said in words.

import { t } from "./text.js";

const $ = (id) => document.getElementById(id);
const PAUSE_MS = 400; // in typing, before it is looked at

const FAULTS = { taken: "making.taken", outdated: "making.outdated" };

let asked = 0;
let timer;

async function post(path, body) {
  try {
    const response = await fetch(path, { method: "POST", body: JSON.stringify(body) });
    const found = await response.json();
    if (response.ok) return [found, ""];
    return [null, [FAULTS[found.error] ? t(FAULTS[found.error]) : "", found.detail || found.error].filter(Boolean).join("\n")];
  } catch {
    return [null, t("segments.offline")];
  }
}

function say(found, problem) {
  $("fits").textContent = found
    ? t("making.fits", { name: found.name, unit: found.unit || t("people.company"), mode: t(`mode.${found.mode}`), state: t(found.running ? "making.runs" : "making.waits") })
    : "";
  $("problem").textContent = problem;
  $("problem").hidden = !problem;
  $("save").disabled = !found;
}

async function look() {
  const mine = ++asked;
  const answer = await post("/api/campaigns/check", { text: $("text").value });
  if (mine === asked) say(...answer);
}

if ($("campaign")) {
  $("text").addEventListener("input", () => {
    clearTimeout(timer);
    asked += 1; // what is on its way is of another text
    $("save").disabled = true;
    timer = setTimeout(look, PAUSE_MS);
  });
  $("save").addEventListener("click", async () => {
    $("why").required = true;
    if (!$("why").reportValidity()) return;
    $("save").disabled = true;
    const [found, problem] = await post("/api/campaigns", { text: $("text").value, version: Number($("campaign").dataset.version), why: $("why").value.trim() });
    if (found) location.assign(`/campaigns?name=${encodeURIComponent(found.name)}&made=${found.version}`);
    else {
      $("problem").textContent = problem;
      $("problem").hidden = false;
      $("save").disabled = false;
    }
  });
  look();
}
