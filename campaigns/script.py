"""A campaign's script: what an agent says and asks, step by step, and whether answers are answers to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from string import Formatter

import msgspec

from campaigns.codes import check_code, check_texts
from campaigns.rules.keys import Part
from campaigns.rules.terms import Check

END = "end"  # where no further step is
ASKED = ("choice", "yes_no", "text", "number", "date")
LONGEST_ANSWER = 2_000  # characters
MOST_STEPS = 200


class Choice(Part, frozen=True):
    """One of the answers to choose from; `then` is the step that follows it, the step's own when empty."""

    code: str
    label: dict[str, str]
    then: str = ""


class Step(Part, frozen=True):
    """What is said, and what is asked with it.

    `text` maps a language to the words; `{name}` in them is the customer's attribute of that name, or `{customer}`,
    `{number}`, `{agent}`, `{campaign}`. `ask` is the kind of answer: `choice` (of `choices`), `yes_no`, `text`,
    `number`, `date`; nothing is asked when it is empty. `then` is the step that follows, the next in order when empty,
    or `end`.
    """

    code: str
    text: dict[str, str]
    ask: str = ""
    choices: tuple[Choice, ...] = ()
    then: str = ""


Answers = Mapping[str, str]  # by the code of the step


def questions(script: Sequence[Step]) -> dict[str, Step]:
    """The steps at which something is asked, by code."""
    return {step.code: step for step in script if step.ask}


def fault_of_answers(script: Sequence[Step], answers: Answers) -> str:
    """The code of the first step whose answer is none; empty when all are."""
    asked = questions(script)
    return next((code for code, answer in answers.items() if not _fits(asked.get(code), answer)), "")


def _fits(step: Step | None, answer: str) -> bool:
    if step is None or not 0 < len(answer) <= LONGEST_ANSWER:
        return False
    try:
        match step.ask:
            case "choice":
                return any(choice.code == answer for choice in step.choices)
            case "yes_no":
                return answer in ("yes", "no")
            case "number":
                return Decimal(answer).is_finite()
            case "date":
                return date.fromisoformat(answer).isoformat() == answer
    except (InvalidOperation, ValueError):
        return False
    return True


def as_text(answers: Answers) -> str:
    """As they are kept with the attempt: a JSON object, so that live tables and files say the same to the letter."""
    return msgspec.json.encode(answers, order="sorted").decode() if answers else ""


def check_script(script: Sequence[Step], check: Check) -> None:
    """Call `check` with what is wrong."""
    check(len(script) <= MOST_STEPS, "script", f"has {len(script)} steps, at most {MOST_STEPS} can be")
    codes = {step.code for step in script}
    seen: set[str] = set()
    for index, step in enumerate(script):
        at = f"script[{index}]"
        check_code(step.code, seen, at, check, taken=END)
        seen.add(step.code)
        check_texts(step.text, f"{at}.text", check)
        for language, words in step.text.items():
            check(
                _well_formed(words), f"{at}.text.{language}", "has a brace without its other; {{ is a brace"
            )
        check(step.ask in ("", *ASKED), f"{at}.ask", f"must be one of {', '.join(ASKED)}")
        check(
            (step.ask == "choice") is bool(step.choices), f"{at}.choices", "belong to what asks for a choice"
        )
        _check_next(step.then, codes, f"{at}.then", check)
        of_choices: set[str] = set()
        for place, choice in enumerate(step.choices):
            here = f"{at}.choices[{place}]"
            check_code(choice.code, of_choices, here, check)
            check_texts(choice.label, f"{here}.label", check)
            _check_next(choice.then, codes, f"{here}.then", check)
            of_choices.add(choice.code)


def _check_next(code: str, codes: set[str], at: str, check: Check) -> None:
    check(code in ("", END) or code in codes, at, f"there is no step {code!r}; {END!r} ends the script")


def _well_formed(words: str) -> bool:
    try:
        return all(part[1] is None or part[1].strip() for part in Formatter().parse(words))
    except ValueError:
        return False
