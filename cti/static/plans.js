// The next plan becomes a campaign with one click; what was reckoned is reckoned again by the server.

import { count, t } from "./text.js";

const $ = (id) => document.getElementById(id);

$("make")?.addEventListener("click", async () => {
  const form = $("plan");
  const told = $("told");
  for (const id of ["name", "why"]) $(id).required = true;
  if (!form.reportValidity()) return;
  const say = (text, problem = false) => {
    told.textContent = text;
    told.className = problem ? "problem" : "done";
    told.hidden = false;
  };
  const fields = new FormData(form);
  $("make").disabled = true;
  say(t("plan.making"));
  try {
    const response = await fetch("/api/plans", {
      method: "POST",
      body: JSON.stringify({
        campaign: fields.get("campaign"),
        days: Number(fields.get("days")),
        segment: fields.get("segment"),
        customers: Number(fields.get("customers")),
        until: fields.get("until"),
        arm: fields.get("arm") ?? "",
        hours: fields.getAll("hours").map(Number),
        name: $("name").value.trim(),
        unit: $("unit").value,
        hold_out: Number($("hold_out").value) / 100,
        rest_days: Number($("rest_days").value),
        why: $("why").value.trim(),
      }),
    });
    const found = await response.json();
    if (!response.ok) {
      $("make").disabled = false;
      return say(`${t("segments.failed")} ${found.detail || found.error}`, true);
    }
    say(t("plan.done", { name: found.name, called: count(found.called), held: count(found.held_out) }));
    const link = document.createElement("a");
    link.href = `/campaigns?name=${encodeURIComponent(found.name)}`;
    link.textContent = t("plan.look");
    told.append(" ", link);
  } catch {
    $("make").disabled = false;
    say(`${t("segments.failed")} ${t("segments.offline")}`, true);
  }
});
