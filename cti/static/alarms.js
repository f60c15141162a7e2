// What a supervisor should look at: a line an alarm, which stays, quieter, once somebody has seen it.

import { clock, count, decimal, has, percent, t } from "./text.js";

const FIGURES = {
  abandon: (a) => ({ value: percent(a.value, 2), limit: percent(a.limit, 1) }),
  idle: (a) => ({ value: decimal(a.value, 0), limit: decimal(a.limit, 0) }),
  trunk: (a) => ({ value: percent(a.value, 0), switch: a.subject }),
  list: (a) => ({ value: decimal(a.value / 60, 0) }),
  held: (a) => ({ value: count(a.value) }),
  seat: (a) => ({ name: a.name, state: has(`seat.${a.subject}`) ? t(`seat.${a.subject}`) : a.subject, value: clock(a.value) }),
};

function words(alarm) {
  const key = alarm.kind === "trunk" && alarm.value === 1 ? "alarm.trunk_down" : alarm.kind === "list" && alarm.value === 0 ? "alarm.list_empty" : `alarm.${alarm.kind}`;
  return t(key, FIGURES[alarm.kind]?.(alarm) ?? {});
}

// `acknowledge` is given an alarm's id; without it (the right is lacking) no button is shown.
export function alarmList({ list, status, now, acknowledge }) {
  const lines = new Map();
  let known = null; // ids; the first frame is no news

  function line(alarm) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.textContent = t("alarm.acknowledge");
    button.hidden = !acknowledge;
    button.addEventListener("click", async () => {
      button.disabled = true;
      if (!(await acknowledge(alarm.id))) button.disabled = false;
    });
    item.append(...["b", "span", "time", "em"].map((tag) => document.createElement(tag)), button);
    return item;
  }

  function take({ alarms }) {
    const fresh = alarms.filter((alarm) => known && !known.has(alarm.id) && !alarm.acknowledged_by);
    if (fresh.length) status.textContent = fresh.map((alarm) => `${alarm.campaign}: ${words(alarm)}`).join(" ");
    known = new Set(alarms.map((alarm) => alarm.id));
    for (const [id, item] of lines) if (!known.has(id)) lines.delete(id), item.remove();
    for (const alarm of alarms) {
      if (!lines.has(alarm.id)) lines.set(alarm.id, line(alarm));
      const item = lines.get(alarm.id);
      const [campaign, what, , seen, button] = item.children;
      campaign.textContent = alarm.campaign;
      what.textContent = words(alarm);
      item.dataset.since = alarm.since;
      item.dataset.kind = alarm.kind;
      item.classList.toggle("seen", Boolean(alarm.acknowledged_by));
      seen.textContent = alarm.acknowledged_by ? t("alarm.seen_by", { name: alarm.acknowledged_by }) : "";
      if (alarm.acknowledged_by) button.hidden = true;
    }
    const order = [...alarms].sort((a, b) => Number(Boolean(a.acknowledged_by)) - Number(Boolean(b.acknowledged_by)) || b.id - a.id);
    order.forEach((alarm, n) => list.children[n] !== lines.get(alarm.id) && list.insertBefore(lines.get(alarm.id), list.children[n] ?? null));
    list.hidden = alarms.length === 0;
    tick();
  }

  function tick() {
    for (const item of lines.values()) item.children[2].textContent = clock(now() - Number(item.dataset.since));
  }

  return { take, tick };
}
