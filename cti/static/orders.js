// What customers bought, as a file: sent as it is, and told what came of its rows.

import { count, t } from "./text.js";

const form = document.getElementById("orders");
const said = document.getElementById("orders-said");
const rejects = document.getElementById("orders-rejects");

function say(text, problem = false) {
  said.textContent = text;
  said.className = problem ? "problem" : "done";
  said.hidden = false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  const asked = new URLSearchParams({ zone: form.dataset.zone });
  if (fields.has("unit")) asked.set("unit", fields.get("unit"));
  const button = form.querySelector("button");
  button.disabled = true;
  rejects.hidden = true;
  say(t("orders.sending"));
  try {
    const response = await fetch(`/api/results?${asked}`, { method: "POST", headers: { "Content-Type": "text/csv" }, body: fields.get("file") });
    const found = await response.json();
    if (!response.ok) return say(`${t("segments.failed")} ${found.detail || found.error}`, true);
    say(t("orders.done", { accepted: count(found.accepted), known: count(found.known), rejected: count(found.rejected) }));
    rejects.replaceChildren(
      ...found.rejects.map((each) => {
        const item = document.createElement("li");
        item.textContent = t("orders.reject", { row: count(each.row), reason: each.reason });
        return item;
      }),
    );
    rejects.hidden = found.rejects.length === 0;
  } catch {
    say(`${t("segments.failed")} ${t("segments.offline")}`, true);
  } finally {
    button.disabled = false;
  }
});
