// The seats of a campaign, those first that have been longest in their state; redrawn while somebody looks.

import { clock, count, has, t } from "./text.js";

const MOST = 200; // rows; a floor of thousands is looked at by state

export const seats = new Map(); // user id -> row, of everyone that this watcher sees

const named = (state) => (has(`seat.${state}`) ? t(`seat.${state}`) : state);
const pauses = new Map([...document.querySelectorAll("#pauses option")].map((option) => [option.value, option.textContent]));
const reason = ({ reason: code }) => pauses.get(code) ?? (has(`reason.${code}`) ? t(`reason.${code}`) : code);
const put = (element, text) => element.textContent !== text && (element.textContent = text);

export function take(frame) {
  for (const seat of frame.seats) seats.set(seat.user_id, seat);
  for (const userId of frame.gone) seats.delete(userId);
}

export const forget = () => seats.clear();

// `body` is a table's body, `states` where one state can be chosen, `more` says how many rows are not shown; `act` is
// given the user of a row whose button was pressed.
export function roster({ body, states, more, campaign, now, act }) {
  let chosen = "";

  const mine = () => [...seats.values()].filter((seat) => seat.campaign === campaign || (!seat.campaign && seat.serves.includes(campaign)));

  function choices(found) {
    const counts = new Map([["", found.length]]);
    for (const seat of found) counts.set(seat.state, (counts.get(seat.state) ?? 0) + 1);
    if (!counts.has(chosen)) chosen = "";
    const kept = new Map([...states.children].map((button) => [button.dataset.state, button]));
    for (const [state, button] of kept) if (!counts.has(state)) button.remove();
    for (const [state, n] of counts) {
      let button = kept.get(state);
      if (!button) {
        button = document.createElement("button");
        button.dataset.state = state;
        button.addEventListener("click", () => {
          chosen = state;
          draw();
        });
        states.append(button);
      }
      put(button, `${state ? named(state) : t("roster.all")} ${count(n)}`);
      button.setAttribute("aria-pressed", String(state === chosen));
    }
  }

  function draw() {
    const found = mine();
    choices(found);
    const shown = found.filter((seat) => !chosen || seat.state === chosen).sort((a, b) => a.since - b.since || a.user_id - b.user_id);
    const rows = shown.slice(0, MOST);
    while (body.children.length < rows.length) {
      const row = document.createElement("tr");
      for (let n = 0; n < 4; n++) row.append(document.createElement(n ? "td" : "th"));
      row.firstChild.scope = "row";
      if (act) {
        const button = document.createElement("button");
        button.textContent = t("roster.act");
        button.setAttribute("aria-haspopup", "dialog");
        button.addEventListener("click", () => act(Number(row.dataset.user)));
        const cell = document.createElement("td");
        cell.append(button);
        row.append(cell);
      }
      body.append(row);
    }
    while (body.children.length > rows.length) body.lastChild.remove();
    rows.forEach((seat, n) => {
      const [name, state, spent, why] = body.children[n].children;
      body.children[n].dataset.user = seat.user_id;
      put(name, seat.name);
      put(state, named(seat.state));
      state.dataset.state = seat.state;
      put(spent, clock(now() - seat.since));
      const over = seat.state === "paused" && seat.until && now() > seat.until ? t("roster.over", { time: clock(now() - seat.until) }) : "";
      put(why, [reason(seat), over].filter(Boolean).join(" · "));
    });
    put(more, shown.length > MOST ? t("roster.more", { n: count(shown.length - MOST) }) : "");
  }

  return { draw };
}
