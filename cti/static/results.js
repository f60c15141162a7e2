// The results a campaign offers: one level of their tree at a time, or what a search finds, and what one still wants.

import * as seat from "./seat.js";
import { language, t } from "./text.js";

const $ = (id) => document.getElementById(id);
const FEW = 9; // as many as there are digits: more of them can be searched

export const label = (choice) => choice.label[language] ?? choice.label.en ?? choice.label.zh ?? choice.code;

// What this result wants first and the agent has not given: "notes", "callback", or codes of questions.
export function missing(choice, drafts) {
  const there = { notes: drafts.notes?.trim(), callback: drafts.callback };
  return (choice?.required ?? []).filter((name) => !(name in there ? there[name] : drafts.answers?.[name]));
}

// `choose` is called with the code of a result; `armed` tells whether a key waits to be pressed again.
export function resultTools({ model, choose, armed, setText }) {
  let heading = ""; // whose kinds are shown
  let drawn = "";

  const all = () => model.pop?.dispositions ?? [];
  const isHeading = (code) => all().some((each) => each.within === code);
  const of = (code) => all().find((each) => each.code === code);

  function shown() {
    const wanted = $("find").value.trim().toLocaleLowerCase();
    if (!wanted) return all().filter((each) => (each.within ?? "") === heading);
    const words = (each) => [...Object.values(each.label), each.code].join(" ").toLocaleLowerCase();
    const path = (each) => (each ? `${path(of(each.within))} ${words(each)}` : "");
    return all().filter((each) => !isHeading(each.code) && path(each).includes(wanted));
  }

  function open(code) {
    heading = code;
    $("find").value = "";
    list();
  }

  function list() {
    const choices = shown();
    const keys = seat.keysFor(choices);
    drawn = JSON.stringify([model.pop?.call_id, choices.map((each) => each.code)]);
    $("results").replaceChildren(
      ...choices.map((choice) => {
        const button = document.createElement("button");
        const key = document.createElement("kbd");
        key.textContent = keys.get(choice.code);
        const text = document.createElement("span");
        text.textContent = label(choice);
        button.append(key, text);
        button.dataset.code = choice.code;
        button.dataset.key = keys.get(choice.code);
        button.toggleAttribute("data-ends", choice.other_number);
        button.toggleAttribute("data-heading", isHeading(choice.code));
        button.addEventListener("click", () => (isHeading(choice.code) ? open(choice.code) : choose(choice.code)));
        return button;
      }),
    );
    $("find-line").hidden = all().length <= FEW && !all().some((each) => each.within);
    $("up").hidden = !heading || Boolean($("find").value);
    setText($("result-title"), heading ? label(of(heading)) : t("agent.result"));
    setText($("find-none"), choices.length ? "" : t("agent.find_none"));
  }

  // Another customer: from the top.
  function begin() {
    open("");
  }

  function draw(drafts, disabled) {
    if (drawn !== JSON.stringify([model.pop?.call_id, shown().map((each) => each.code)])) list();
    const within = (code, top) => Boolean(code) && (code === top || within(of(code)?.within, top));
    for (const button of $("results").children) {
      const { key, code } = button.dataset;
      button.setAttribute("aria-pressed", String(within(drafts.chosen, code)));
      button.disabled = disabled;
      button.classList.toggle("armed", armed(key));
      setText(button.lastChild, armed(key) ? t("action.end_again", { key }) : label(of(code)));
    }
  }

  // Takes a key before the page's own keys do; true when it was for the results.
  function key(pressed) {
    if ($("work").hidden) return false;
    if (pressed === "/" && !$("find-line").hidden) {
      $("find").focus();
      return true;
    }
    if (["ESCAPE", "BACKSPACE"].includes(pressed) && heading) {
      open(of(heading)?.within ?? "");
      return true;
    }
    return false;
  }

  $("up").addEventListener("click", () => open(of(heading)?.within ?? ""));
  $("find").addEventListener("input", list);
  $("find").addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter") {
      event.preventDefault();
      const [first] = $("results").children;
      $("find").blur();
      if (first && !first.disabled) first.click();
    } else if (event.key === "Escape") {
      open(heading);
    }
  });

  return { begin, draw, key, of };
}
