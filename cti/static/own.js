// Beside the customer: their other numbers and earlier contacts. And the agent's own day, when they look for it.

import { clock, count, has, moment, number, t } from "./text.js";

const $ = (id) => document.getElementById(id);
const DAY_S = 86_400;

async function get(path) {
  try {
    const response = await fetch(path, { headers: { Accept: "application/json" } });
    return response.ok ? await response.json() : null;
  } catch {
    return null; // the line is down; what it adds is missing for now
  }
}

const row = (cells) => {
  const line = document.createElement("li");
  line.append(
    ...cells.map((text) => {
      const cell = document.createElement("span");
      cell.textContent = text;
      return cell;
    }),
  );
  return line;
};

// `resultOf` gives the words for a disposition's code, `reasonOf` those for a pause's.
export function ownTools({ model, resultOf, reasonOf, editOf, now }) {
  let asked = "";

  const outcome = (contact) => (contact.code ? resultOf(contact.code) : has(`outcome.${contact.outcome}`) ? t(`outcome.${contact.outcome}`) : contact.outcome);

  // Another customer: nothing of the last one stays, and nothing lies over this one.
  async function begin() {
    const { call_id } = model.pop;
    if (asked !== call_id) $("day").close();
    asked = call_id;
    $("contacts").hidden = true;
    const found = await get(`/api/contacts?call_id=${call_id}`);
    if (!found || asked !== call_id || model.pop?.call_id !== call_id) return;
    const others = found.numbers.filter((each) => each.number !== model.pop.number);
    $("other-numbers").textContent = others.length ? t("own.other_numbers", { numbers: others.map((each) => number(each.number)).join("、") }) : "";
    $("contact-list").replaceChildren(
      ...found.contacts.map((each) => {
        const at = Date.parse(each.at) / 1000;
        return row([moment(at), outcome(each), each.agent, each.talk_s ? clock(each.talk_s) : "", each.notes]);
      }),
    );
    $("edit-list").replaceChildren(...found.edits.map((each) => row([moment(Date.parse(each.at) / 1000), editOf(each), each.agent])));
    $("edits-title").hidden = !found.edits.length;
    $("contacts").hidden = !others.length && !found.contacts.length && !found.edits.length;
  }

  async function open() {
    const shown = model.pop?.call_id;
    const midnight = new Date(now() * 1000).setHours(0, 0, 0, 0) / 1000;
    const found = await get(`/api/day?since=${Math.max(midnight, now() - DAY_S)}`);
    if (!found || (model.pop && model.pop.call_id !== shown)) return; // a customer has come meanwhile
    const { calls, seconds, paused, verdicts, callbacks } = found;
    const talk = seconds.talking ?? 0;
    const work = talk + (seconds.wrap_up ?? 0) + (seconds.connecting ?? 0) + (seconds.preview ?? 0) + (seconds.asked ?? 0);
    const there = work + (seconds.ready ?? 0);
    $("day-figures").replaceChildren(
      row([t("own.calls"), count(calls)]),
      row([t("own.talk"), clock(talk)]),
      row([t("own.mean"), calls ? clock(talk / calls) : "–"]),
      row([t("own.wrap"), clock(seconds.wrap_up ?? 0)]),
      row([t("own.ready"), clock(seconds.ready ?? 0)]),
      row([t("own.busy"), there ? `${Math.round((100 * work) / there)} %` : "–"]),
    );
    $("day-paused").replaceChildren(...Object.entries(paused).map(([code, s]) => row([reasonOf(code) || t("state.paused"), clock(s)])));
    $("day-results").replaceChildren(...Object.entries(verdicts).sort((a, b) => b[1] - a[1]).map(([code, n]) => row([resultOf(code), count(n)])));
    $("day-callbacks").replaceChildren(
      ...callbacks.map((each) => row([moment(Date.parse(each.at) / 1000), each.customer || number(each.number), each.campaign])),
    );
    for (const id of ["day-paused", "day-results", "day-callbacks"]) $(id).previousElementSibling.hidden = !$(id).children.length;
    $("day").showModal();
  }

  $("day-open").addEventListener("click", open);
  $("day-close").addEventListener("click", () => $("day").close());
  return { begin };
}
