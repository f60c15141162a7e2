// How a campaign dials, changed live: what the change would have come to, every version with who and why, the way back.

import { count, decimal, has, moment, percent, t } from "./text.js";

const $ = (id) => document.getElementById(id);
const SHARES = new Set(["target"]); // written as per cent
const FIGURES = {
  abandon: (v) => percent(v, 2),
  occupancy: (v) => percent(v, 1),
  idle_s_per_call: (v) => t("status.seconds", { n: decimal(v, 1) }),
  connects_per_seat_hour: (v) => decimal(v, 1),
};

async function ask(path, body) {
  try {
    const response = await fetch(path, body && { method: "POST", body: JSON.stringify(body) });
    return { status: response.status, ...(await response.json()) };
  } catch {
    return { status: 0, error: "lost" };
  }
}

const problem = ({ error, detail }) => [has(`steer.${error}`) ? t(`steer.${error}`) : error, detail].filter(Boolean).join("\n");

// One dialog for all campaigns; `open(name)` fills it.
export function steering() {
  const dialog = $("steer");
  const form = $("steer-form");
  let name = "";
  let live = { version: 0, settings: {} };
  let opening = 0; // counts them

  const inputs = () => [...form.querySelectorAll("[data-setting]")];
  const shown = (key, value) => (SHARES.has(key) ? Number((value * 100).toFixed(3)) : value);

  function wanted() {
    const changes = {};
    for (const input of inputs()) {
      const key = input.dataset.setting;
      if (input.value === "") continue;
      const value = input.tagName === "SELECT" ? input.value : Number(input.value) / (SHARES.has(key) ? 100 : 1);
      if (value !== live.settings[key] && !(typeof value === "number" && Math.abs(value - live.settings[key]) < 1e-9)) changes[key] = value;
    }
    return changes;
  }

  function say(text, wrong = false) {
    $("steer-said").textContent = text;
    $("steer-said").className = wrong ? "problem" : "done";
    $("steer-said").hidden = !text;
  }

  // The answer, or null when the dialog has been opened anew since: for another campaign, perhaps.
  async function still(asking) {
    const here = opening;
    const answer = await asking;
    return here === opening ? answer : null;
  }

  function usable(on) {
    for (const each of form.elements) each.disabled = !on;
  }

  // Nothing of the campaign that it was opened for before.
  function clear() {
    opening += 1;
    form.reset();
    usable(false);
    $("steer-version").textContent = "";
    $("steer-versions").replaceChildren();
    $("steer-effect").hidden = true;
    say("");
  }

  async function load() {
    const found = await still(ask(`/api/campaign?campaign=${encodeURIComponent(name)}`));
    if (!found) return;
    if (found.status !== 200) return say(problem(found), true);
    live = found;
    for (const input of inputs()) input.value = shown(input.dataset.setting, live.settings[input.dataset.setting]);
    $("steer-version").textContent = t("steer.version", { n: live.version });
    $("steer-versions").replaceChildren(...live.versions.map(version));
    $("steer-effect").hidden = true;
    usable(true);
  }

  function version(each) {
    const item = document.createElement("li");
    const head = document.createElement("p");
    head.textContent = t(each.made_in === "console" ? "steer.made" : "steer.made_file", { n: each.version, name: each.who, time: moment(each.at) });
    const why = document.createElement("q");
    why.textContent = each.why;
    why.hidden = !each.why;
    item.append(head, why);
    if (each.difference) {
      const more = document.createElement("details");
      const summary = document.createElement("summary");
      summary.textContent = t("steer.difference");
      const text = document.createElement("pre");
      text.textContent = each.difference.split("\n").slice(2).join("\n");
      more.append(summary, text);
      item.append(more);
    }
    if (each.version !== live.version) {
      const button = document.createElement("button");
      button.textContent = t("steer.back");
      button.addEventListener("click", async () => {
        if (!form.reportValidity()) return;
        await made(ask("/api/campaign/back", { campaign: name, version: live.version, to: each.version, why: $("steer-why").value }));
      });
      item.append(button);
    }
    return item;
  }

  async function made(asking) {
    const answer = await still(asking);
    if (!answer) return;
    if (answer.status !== 200) return say(problem(answer), true);
    $("steer-why").value = "";
    if (await still(load().then(() => true))) say(t("steer.done", { n: answer.version }));
  }

  function effect(found) {
    const rows = Object.entries(FIGURES).map(([key, write]) => [t(`effect.${key}`), ...[found.live[key], found.then[key]].map(([value]) => (value === null ? "–" : write(value)))]);
    for (const key of ["dials", "connected", "abandoned"]) rows.push([t(`effect.${key}`), ...[found.live[key], found.then[key]].map((n) => count(Math.round(n)))]);
    $("steer-rows").replaceChildren(
      ...rows.map((cells) => {
        const row = document.createElement("tr");
        cells.forEach((text, n) => {
          const cell = document.createElement(n ? "td" : "th");
          if (!n) cell.scope = "row";
          cell.textContent = text;
          row.append(cell);
        });
        return row;
      }),
    );
    const unseen = found.unseen.length ? t("steer.unseen", { names: found.unseen.map((key) => t(`setting.${key}`)).join(", ") }) : "";
    $("steer-basis").textContent = [t("steer.basis", { from: moment(found.from), to: moment(found.to), seats: count(found.seats) }), unseen].join(" ");
    $("steer-effect").hidden = false;
  }

  $("steer-preview").addEventListener("click", async () => {
    $("steer-preview").disabled = true;
    say(t("steer.previewing"));
    const found = await still(ask("/api/campaign/preview", { campaign: name, settings: wanted() }));
    if (!found) return;
    $("steer-preview").disabled = false;
    say("");
    if (found.status === 200) effect(found);
    else say(problem(found), true);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const settings = wanted();
    if (Object.keys(settings).length === 0) return say(t("steer.nothing"), true);
    await made(ask("/api/campaign/change", { campaign: name, version: live.version, settings, why: $("steer-why").value }));
  });
  $("steer-close").addEventListener("click", () => dialog.close());

  return {
    async open(campaign) {
      name = campaign;
      $("steer-name").textContent = name;
      clear();
      dialog.showModal();
      await load();
    },
    // End what still rings of a paused campaign.
    async hangUp(campaign) {
      const answer = await ask("/api/campaign/hang-up", { campaign });
      return answer.status === 200 ? t("steer.hung_up", { n: count(answer.calls) }) : problem(answer);
    },
    // Start or pause at once: the second click within a few seconds is meant.
    async run(campaign, running) {
      const found = await ask(`/api/campaign?campaign=${encodeURIComponent(campaign)}`);
      if (found.status !== 200) return problem(found);
      const why = t(running ? "steer.started" : "steer.paused");
      const answer = await ask("/api/campaign/change", { campaign, version: found.version, settings: { running }, why });
      return answer.status === 200 ? "" : problem(answer);
    },
  };
}
