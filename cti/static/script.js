// The campaign's script beside the customer: one step at a time, with their own data in its words, branching by answers.

import { mayWrite } from "./seat.js";
import { language, number, t } from "./text.js";

const $ = (id) => document.getElementById(id);
const END = "end";
const PLACE = /\{\{|\}\}|\{([^{}]+)\}/g;

const inWords = (texts) => texts?.[language] ?? texts?.en ?? texts?.zh ?? "";

// `draftsOf` gives what the agent has written for this call, `keep` is called when an answer changed.
// `left` when they turn from the script to something else.
export function scriptTools({ model, link, ask, draftsOf, keep, left, setText }) {
  const known = new Map(); // fingerprint -> steps
  let asked = "";
  let inside = false; // digits and Enter are the script's
  let drawn = "";

  const steps = () => known.get(model.pop?.script) ?? [];
  const answers = () => (draftsOf().answers ??= {});
  const path = () => (draftsOf().path ??= []);
  const at = () => steps().find((step) => step.code === path().at(-1)) ?? (path().at(-1) === END ? null : steps()[0]);

  function fill(words) {
    const { attributes, customer, number: called, campaign } = model.pop;
    const agent = document.body.dataset.agent;
    const values = { ...attributes, customer, campaign, agent, number: number(called) };
    return words.replace(PLACE, (found, name) => (found === "{{" ? "{" : found === "}}" ? "}" : String(values[name] ?? "")));
  }

  function choices(step) {
    if (step.ask === "yes_no") return ["yes", "no"].map((code) => ({ code, text: t(`agent.${code}`), then: "" }));
    return (step.choices ?? []).map((choice) => ({ code: choice.code, text: inWords(choice.label), then: choice.then }));
  }

  function following(step) {
    const chosen = choices(step).find(({ code }) => code === answers()[step.code]);
    return chosen?.then || step.then || steps()[steps().indexOf(step) + 1]?.code || END;
  }

  function answer(step, value) {
    if (value) answers()[step.code] = value;
    else delete answers()[step.code];
    keep();
  }

  function go(forward) {
    const step = at();
    if (!forward) path().pop();
    else if (step) {
      if (!path().length) path().push(step.code);
      path().push(following(step));
    }
    keep();
    draw();
    if (inside) enter();
  }

  function pick(step, code) {
    answer(step, answers()[step.code] === code ? "" : code);
    if (answers()[step.code]) go(true);
    else draw();
    if (!inside) left();
  }

  function enter() {
    inside = true;
    const field = $("script-answers").querySelector("input, textarea");
    if (field) field.focus();
    draw();
  }

  function leave() {
    inside = false;
    if ($("script").contains(document.activeElement)) document.activeElement.blur();
    draw();
    left();
  }

  function field(step) {
    const input = document.createElement("input");
    input.type = step.ask === "date" ? "date" : "text";
    if (step.ask === "number") input.inputMode = "decimal";
    input.maxLength = 2000;
    input.value = answers()[step.code] ?? "";
    input.setAttribute("aria-labelledby", "script-text");
    input.autocomplete = "off";
    const fits = () => step.ask !== "number" || input.value.trim() === "" || /^-?\d+(\.\d+)?$/.test(input.value.trim());
    input.addEventListener("input", () => {
      input.setAttribute("aria-invalid", String(!fits()));
      answer(step, fits() ? input.value.trim() : "");
    });
    input.addEventListener("focus", () => (inside = true));
    input.addEventListener("keydown", (event) => {
      if (event.isComposing || event.key !== "Enter") return;
      event.preventDefault();
      if (fits()) go(true);
    });
    return input;
  }

  function button(step, { code, text }, index) {
    const element = document.createElement("button");
    const key = document.createElement("kbd");
    key.textContent = String(index + 1);
    element.append(text, " ", key);
    element.dataset.code = code;
    element.addEventListener("click", () => pick(step, code));
    return element;
  }

  function draw() {
    const wanted = model.pop?.script;
    $("script").hidden = !wanted || !steps().length;
    if (wanted && !steps().length && link.up && asked !== model.pop.call_id) {
      asked = model.pop.call_id;
      ask({ type: "read_script", call_id: model.pop.call_id });
    }
    if ($("script").hidden) return;
    const step = at();
    const disabled = model.disposed;
    $("script").classList.toggle("inside", inside);
    setText($("script-text"), step ? fill(inWords(step.text)) : t("script.end"));
    $("script-text").classList.toggle("muted", !step);
    const writes = mayWrite(model);
    const shape = JSON.stringify([model.pop.call_id, step?.code, writes]);
    if (shape !== drawn) {
      drawn = shape;
      const parts = !step?.ask ? [] : choices(step).length ? choices(step).map((c, i) => button(step, c, i)) : [field(step)];
      $("script-answers").replaceChildren(...parts);
      for (const each of parts) each.disabled = !writes;
    }
    for (const each of $("script-answers").querySelectorAll("button")) {
      each.setAttribute("aria-pressed", String(answers()[step.code] === each.dataset.code));
    }
    $("script-back").disabled = disabled || !path().length;
    $("script-next").hidden = !step;
    $("script-next").disabled = disabled;
    const done = steps().filter((each) => each.ask && answers()[each.code]).length;
    const asks = steps().filter((each) => each.ask).length;
    setText($("script-place"), asks ? t("script.answered", { n: done, of: asks }) : "");
  }

  // Takes a key before the page's own keys do; true when it was for the script.
  function key(pressed) {
    if ($("script").hidden || model.disposed) return false;
    if (!inside) {
      if (pressed !== "Q") return false;
      enter();
      return true;
    }
    const step = at();
    if (pressed === "ESCAPE" || pressed === "Q") leave();
    else if (pressed === "ENTER" && step) go(true);
    else if (pressed === "BACKSPACE" && path().length) go(false);
    else if (/^[1-9]$/.test(pressed) && step) choices(step)[pressed - 1] && mayWrite(model) && pick(step, choices(step)[pressed - 1].code);
    else return false;
    return true;
  }

  // The question's words, for a result that still wants its answer; the script goes there.
  function wants(code) {
    if (!steps().some((step) => step.code === code)) return code;
    path().push(code);
    draw();
    return t("script.question", { text: fill(inWords(at().text)) });
  }

  $("script-next").addEventListener("click", () => go(true));
  $("script-back").addEventListener("click", () => go(false));
  $("script-enter").addEventListener("click", () => (inside ? leave() : enter()));
  document.addEventListener("focusin", (event) => {
    if (inside && !$("script").contains(event.target)) {
      inside = false;
      draw();
      left();
    }
  });

  return {
    draw,
    key,
    wants,
    begin: () => (inside = false),
    told: ({ script, steps: said }) => {
      known.set(script, said);
      draw();
    },
  };
}
