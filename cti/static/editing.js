// The customer's data, changed at the seat: a form of what is known of them, and one more number.

import { has, language, number, t } from "./text.js";

const $ = (id) => document.getElementById(id);

const label = (id, text) => {
  const made = document.createElement("label");
  made.htmlFor = id;
  made.textContent = text;
  return made;
};

const option = (value, text) => new Option(text, value);

// `changed` is told the customer as they are then, if that one is still there; `say` what else there is to say.
export function editing({ model, changed, say }) {
  let callId = ""; // whose data the form has
  let before = {};
  let saving = ""; // of whose call the data are on their way

  const inputs = () => [...$("edit-fields").querySelectorAll("[data-key]")];
  const others = () => inputs().filter((each) => each.value !== before[each.dataset.key]);
  const isThere = (id) => model.pop?.call_id === id;
  const sayGone = () => say(t("edit.customer_gone"), true);

  function field(key, kind, choices, value) {
    const made = choices.length || kind === "boolean" ? document.createElement("select") : document.createElement("input");
    if (choices.length) made.append(option("", "–"), ...choices.map((each) => option(each, each)));
    else if (kind === "boolean") made.append(option("", "–"), option("true", t("agent.yes")), option("false", t("agent.no")));
    else Object.assign(made, { type: kind === "date" ? "date" : "text", maxLength: 1000, autocomplete: "off" });
    made.value = value;
    made.dataset.key = key;
    return made;
  }

  function open() {
    const { call_id, customer, attributes, fields } = model.pop;
    callId = call_id;
    $("edit-save").disabled = saving === callId;
    const named = new Map((fields ?? []).map((each) => [each.name, each]));
    const keys = [...named.keys(), ...Object.keys(attributes ?? {}).filter((key) => !named.has(key))];
    const rows = [[t("edit.name"), field("", "text", [], customer ?? "")]];
    for (const key of keys) {
      const { label: texts = {}, type = "text", choices = [] } = named.get(key) ?? {};
      const value = attributes?.[key];
      rows.push([texts[language] ?? key, field(key, type, choices, value === undefined || value === null ? "" : String(value))]);
    }
    before = Object.fromEntries(rows.map(([, input]) => [input.dataset.key, input.value]));
    $("edit-fields").replaceChildren(
      ...rows.flatMap(([text, input], place) => {
        input.id = `edit-${place}`;
        return [label(input.id, text), input];
      }),
    );
    $("edit-number").value = "";
    $("edit-fault").textContent = "";
    $("edit-form").showModal();
  }

  const words = (fault, named) => (has(`edit.fault.${fault}`) ? t(`edit.fault.${fault}`, { field: named }) : t("problem.failed"));

  async function save(event) {
    event.preventDefault();
    const call_id = callId;
    const body = { call_id, number: $("edit-number").value, attributes: {} };
    for (const each of others()) {
      if (each.dataset.key) body.attributes[each.dataset.key] = each.value;
      else body.name = each.value;
    }
    saving = call_id;
    $("edit-save").disabled = true;
    try {
      const response = await fetch("/api/customer", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
      const said = await response.json();
      if (!isThere(call_id)) {
        if (!response.ok) sayGone();
        return;
      }
      if (!response.ok) {
        const input = inputs().find((each) => each.dataset.key === said.detail) ?? (said.detail === "number" ? $("edit-number") : null);
        const named = input ? document.querySelector(`label[for="${input.id}"]`).textContent : "";
        $("edit-fault").textContent = words(said.error, named);
        input?.focus();
        return;
      }
      $("edit-form").close();
      changed(said);
    } catch {
      if (!isThere(call_id)) return sayGone();
      $("edit-fault").textContent = t("edit.no_line"); // what was typed stays
    } finally {
      if (saving === call_id) saving = "";
      if (callId === call_id) $("edit-save").disabled = false;
    }
  }

  $("edit").addEventListener("click", open);
  $("edit-close").addEventListener("click", () => $("edit-form").close());
  $("edit-form").querySelector("form").addEventListener("submit", save);
  return {
    show: () => ($("edit").hidden = !model.pop?.lead_id),
    // A customer who is gone takes the form along.
    end() {
      if (!$("edit-form").open || isThere(callId)) return;
      $("edit-form").close();
      if (saving !== callId && (others().length || $("edit-number").value)) sayGone();
    },
    words: (edit) => {
      const key = edit.field.startsWith("attribute:") ? edit.field.slice("attribute:".length) : "";
      const known = (model.pop?.fields ?? []).find((each) => each.name === key);
      const what = key ? (known?.label[language] ?? key) : (edit.field === "number" ? t("edit.number") : t("edit.name"));
      return `${what}: ${edit.before || "–"} → ${edit.field === "number" ? number(edit.after) : edit.after || "–"}`;
    },
  };
}
