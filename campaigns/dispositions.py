"""Dispositions: the verdicts an agent may give on a call, as one level or as a tree."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from campaigns.codes import check_code, check_texts
from campaigns.rules.keys import DAY_S, LONGEST_S, NO_MORE_SAID, Part, Recycle
from campaigns.rules.terms import DELAY, Check, check_recycle

NOTES, CALLBACK = "notes", "callback"  # what may be required beside answers


class Disposition(Part, frozen=True):
    """A verdict an agent may give. `final` ends the lead, `retry_after_s` overrules the outcome's delay, and `recycle`
    says how it goes on beside that.

    `converts`: the customer bought, or did what the campaign is for.
    `machine`: it says that no person was on the line. `refusal`: the customer does not want such calls, which bars
    their numbers for the time that the rules say. `other_number`: the number is not the customer's; it ends the call,
    the number is not called again for this lead, and another one of the lead's is.
    `within` is the code of another disposition, of which this one is a kind: one that has kinds is a heading, and is
    not given itself. `required` is what must be there before it may be given: `notes`, a `callback`, or the codes of
    questions of the script.
    """

    code: str
    label: dict[str, str]
    key: str = ""
    final: bool = False
    retry_after_s: float | None = None
    converts: bool = False
    machine: bool = False
    refusal: bool = False
    recycle: Recycle = NO_MORE_SAID
    other_number: bool = False
    within: str = ""
    required: tuple[str, ...] = ()


DEFAULT_DISPOSITIONS = (
    Disposition(code="sold", label={"en": "Sold", "zh": "成交"}, key="1", final=True, converts=True),
    Disposition(
        code="interested",
        label={"en": "Interested, call back", "zh": "有意向，需回访"},
        key="2",
        retry_after_s=DAY_S,
    ),
    Disposition(
        code="not_interested",
        label={"en": "Not interested", "zh": "无意向"},
        key="3",
        final=True,
        refusal=True,
    ),
    Disposition(
        code="wrong_person", label={"en": "Wrong person", "zh": "非本人"}, key="4", other_number=True
    ),
    Disposition(
        code="machine",
        label={"en": "Answering machine", "zh": "语音信箱"},
        key="5",
        retry_after_s=DAY_S,
        machine=True,
    ),
)


def given(dispositions: Sequence[Disposition]) -> dict[str, Disposition]:
    """Those that may be given, by code: all but the headings."""
    headings = {each.within for each in dispositions}
    return {each.code: each for each in dispositions if each.code not in headings}


def check_dispositions(dispositions: Sequence[Disposition], questions: Collection[str], check: Check) -> None:
    """Call `check` with what is wrong; `questions` are the script's."""
    check(bool(dispositions), "dispositions", "there must be at least one")
    codes: set[str] = set()
    keys: set[tuple[str, str]] = set()
    within = {each.code: each.within for each in dispositions}
    headings = set(within.values())
    for index, each in enumerate(dispositions):
        at = f"dispositions[{index}]"
        check_code(each.code, codes, at, check)
        check_texts(each.label, f"{at}.label", check)
        check(len(each.key) <= 1, f"{at}.key", "must be one character")
        check(
            not each.key or (each.within, each.key) not in keys,
            f"{at}.key",
            f"{each.key!r} is another disposition's key",
        )
        check(
            not (each.other_number and each.final),
            f"{at}.other_number",
            "tries another number, and `final` ends the lead: only one of them can be",
        )
        check(
            each.retry_after_s is None or 0 <= each.retry_after_s <= LONGEST_S,
            f"{at}.retry_after_s",
            DELAY,
        )
        check_recycle(each.recycle, f"{at}.recycle", check)
        check(not each.within or each.within in within, f"{at}.within", f"there is no {each.within!r} here")
        check(not _circular(each.code, within), f"{at}.within", f"{each.code!r} is within itself")
        if each.code in headings:
            plain = Disposition(code=each.code, label=each.label, key=each.key, within=each.within)
            check(each == plain, at, f"{each.code!r} is a heading of others: what it asks stands with them")
        for name in each.required:
            check(
                name in (NOTES, CALLBACK) or name in questions,
                f"{at}.required",
                f"{name!r} is neither {NOTES}, {CALLBACK} nor a question of the script",
            )
        codes.add(each.code)
        keys.add((each.within, each.key))


def _circular(code: str, within: dict[str, str]) -> bool:
    seen: set[str] = set()
    while code and code not in seen:
        seen.add(code)
        code = within.get(code, "")
    return bool(code)
