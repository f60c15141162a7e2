// What a supervisor does with a seat: listen in, take over, pause, log out, write; and notes to a campaign or to all.

import { seats } from "./roster.js";
import { has, t } from "./text.js";

const $ = (id) => document.getElementById(id);

async function ask(path, body) {
  try {
    const response = await fetch(path, { method: "POST", body: JSON.stringify(body) });
    return { status: response.status, ...(await response.json()) };
  } catch {
    return { status: 0, error: "lost" };
  }
}

const TOLD = { take: "taken", log_out: "logged_out" }; // of what is not told as the others are
const problem = ({ error, detail }) => (has(`oversight.${error}`) ? t(`oversight.${error}`) : has(`problem.${error}`) ? t(`problem.${error}`) : [error, detail].filter(Boolean).join(": "));

// `campaigns` gives the names there are. `open(userId)` is about one seat; `write(campaign)` about a note to a campaign's seats, or, empty, to all.
export function oversight(campaigns) {
  const dialog = $("oversight");
  let seat = 0;
  let campaign = "";
  let armed = null;

  function say(text, wrong = false) {
    $("oversight-said").textContent = text;
    $("oversight-said").className = wrong ? "problem" : "done";
    $("oversight-said").hidden = !text;
  }

  function disarm() {
    armed?.classList.remove("armed");
    armed = null;
  }

  function show(title, single) {
    $("oversight-title").textContent = title;
    for (const part of dialog.querySelectorAll("[data-single]")) part.hidden = !single;
    $("note-text").value = "";
    disarm();
    say("");
    dialog.showModal();
  }

  for (const button of dialog.querySelectorAll("[data-how], [data-state]")) {
    button.addEventListener("click", async () => {
      const { how, state } = button.dataset;
      if (button.classList.contains("danger") && armed !== button) {
        disarm();
        armed = button;
        say(state === "log_out" ? t("oversight.log_out_again") : "", true);
        return button.classList.add("armed");
      }
      disarm();
      const answer = how ? await ask("/api/seats/listen", { seat, how, phone: $("listen-phone").value.trim() }) : await ask("/api/seats/state", { seat, state });
      if (answer.status === 200) say(t(`oversight.${TOLD[how ?? state] ?? (how ? "rings" : "done")}`));
      else say(problem(answer), true);
    });
  }
  function choices(serves) {
    $("assign-campaigns")?.replaceChildren(
      ...campaigns().map((name) => {
        const label = document.createElement("label");
        const box = document.createElement("input");
        box.type = "checkbox";
        box.value = name;
        box.checked = serves.includes(name);
        label.className = "switch";
        label.append(box, ` ${name}`);
        return label;
      }),
    );
  }
  $("assign-form")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const chosen = [...$("assign-campaigns").querySelectorAll(":checked")].map((box) => box.value);
    const answer = await ask("/api/seats/assign", { seat, campaigns: chosen });
    if (answer.status === 200) say(t("oversight.assigned"));
    else say(problem(answer), true);
  });
  $("note-form")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const to = seat ? { seat } : campaign ? { campaign } : {};
    const answer = await ask("/api/notes", { text: $("note-text").value, ...to });
    if (answer.status === 200) {
      $("note-text").value = "";
      say(t("oversight.sent", { n: answer.seats }));
    } else say(problem(answer), true);
  });
  dialog.addEventListener("submit", disarm); // whatever else is done in between
  $("oversight-close").addEventListener("click", () => dialog.close());

  return {
    open(userId) {
      seat = userId;
      campaign = "";
      choices(seats.get(userId)?.serves ?? []);
      show(seats.get(userId)?.name ?? "", true);
    },
    write(name) {
      seat = 0;
      campaign = name;
      show(name ? t("oversight.to_campaign", { campaign: name }) : t("oversight.to_all"), false);
    },
  };
}
