"""What may stand under `[messages]` in a campaign's file: the steps that are not calls, and what holds for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from campaigns.codes import check_code
from campaigns.messages.writing import fault_of_text, fields_of
from campaigns.rules.keys import DAY_S, NO_CAPS, Caps, Part, Rules, Windows
from campaigns.rules.terms import Check, check_rules
from campaigns.values import Outcome

Channel = Literal["email", "sms", "gateway"]
CHANNELS: tuple[Channel, ...] = ("email", "sms", "gateway")
MOST_STEPS = 20
LONGEST_DELAY_S = 31 * DAY_S
MOST_HELD_OUT = 0.5
MOST_CHARACTERS = 10_000
UNSUBSCRIBE = "unsubscribe"  # the field that becomes the link
BEFORE = "before"  # what a step that announces calls is due by
LEAST_BEFORE_S = 60.0
MOST_AHEAD = 100_000


class MessageStep(Part, frozen=True):
    """A message `delay_s` after a call of one of the `outcomes`, or with one of the `dispositions`; once to each lead.

    Or one that announces the first call, which then comes `before_call_s` after it, not earlier; `ahead` customers at
    most are told of a call that has not come yet.

    `text`, and the `subject` of an e-mail, by language, with `{name}` for an attribute of the customer. It goes to the
    number that was called, or to the attribute `to`. A `service` message, such as what confirms an order, needs no
    consent. The share `hold_out` of the customers gets none, so that what it does can be told.
    """

    code: str
    channel: Channel
    text: dict[str, str]
    subject: dict[str, str] = msgspec.field(default_factory=dict)
    outcomes: tuple[str, ...] = ()
    dispositions: tuple[str, ...] = ()
    delay_s: float = 0.0
    before_call_s: float = 0.0
    ahead: int = 0
    to: str = ""
    sender: str = ""
    purpose: Literal["marketing", "service"] = "marketing"
    hold_out: float = 0.0


class Messages(Part, frozen=True):
    """The steps, and what holds for all of them. `language` is the attribute that has the customer's language; who has
    none gets the first text. `windows` are those of messages, where they are other than those of calls; `caps` by
    channel, over all campaigns of the company; `consent`: the channels that need one on record, beside the profile's.
    """

    language: str = ""
    windows: Windows | None = None
    caps: dict[Channel, Caps] = msgspec.field(default_factory=dict)
    consent: tuple[Channel, ...] = ()
    steps: tuple[MessageStep, ...] = ()


def events_of(step: MessageStep) -> list[str]:
    """After what it is due, as the tables name it."""
    if step.before_call_s:
        return [BEFORE]
    return [f"outcome {each}" for each in step.outcomes] + [
        f"disposition {each}" for each in step.dispositions
    ]


def rules_of(messages: Messages, rules: Rules, channel: Channel) -> Rules:
    """A campaign's rules for calls, made those for messages by one channel."""
    caps = messages.caps.get(channel, NO_CAPS)
    return msgspec.structs.replace(
        rules,
        windows=messages.windows if messages.windows is not None else rules.windows,
        number=caps,
        customer=caps,
        number_here=NO_CAPS,
        customer_here=NO_CAPS,
    )


def check_messages(messages: Messages, rules: Rules, dispositions: Collection[str], check: Check) -> None:
    """Tell `check` of what makes no sense; `rules` are the campaign's, which are checked already."""
    for channel in CHANNELS:
        moved = {"rules.windows": "messages.windows"} if messages.windows is not None else {}
        if channel in messages.caps:
            moved |= {f"rules.{name}": f"messages.caps.{channel}" for name in ("number", "customer")}
        if moved:
            check_rules(rules_of(messages, rules, channel), _moved(check, moved))
    check(len(messages.steps) <= MOST_STEPS, "messages.steps", f"must be at most {MOST_STEPS}")
    announcing = sum(bool(step.before_call_s) for step in messages.steps)
    check(announcing <= 1, "messages.steps", "only one may have before_call_s")
    seen: set[str] = set()
    for index, step in enumerate(messages.steps):
        at = f"messages.steps[{index}]"
        check_code(step.code, seen, at, check)
        seen.add(step.code)
        _check_step(step, at, dispositions, check)


def _check_step(step: MessageStep, at: str, dispositions: Collection[str], check: Check) -> None:
    if step.before_call_s or step.ahead:
        _check_announcing(step, at, check)
    else:
        check(
            bool(step.outcomes or step.dispositions), f"{at}.outcomes", "needs an outcome, or a disposition"
        )
    for outcome in step.outcomes:
        check(outcome in set(Outcome), f"{at}.outcomes", f"{outcome!r} is no outcome")
    for code in step.dispositions:
        check(code in dispositions, f"{at}.dispositions", f"there is no disposition {code!r}")
    check(
        0 <= step.delay_s <= LONGEST_DELAY_S,
        f"{at}.delay_s",
        f"must be between 0 and {LONGEST_DELAY_S:.0f} (31 days)",
    )
    check(0 <= step.hold_out <= MOST_HELD_OUT, f"{at}.hold_out", f"must be between 0 and {MOST_HELD_OUT}")
    check(step.sender.isprintable() and len(step.sender) <= 100, f"{at}.sender", "must be one short line")
    mail = step.channel == "email"
    check(not mail or bool(step.to), f"{at}.to", "must name the attribute that has the e-mail address")
    check(mail is bool(step.subject), f"{at}.subject", "belongs to e-mail, and each e-mail has one")
    check(bool(step.text), f"{at}.text", "needs a text")
    check(
        not mail or set(step.subject) == set(step.text),
        f"{at}.subject",
        "needs the languages that the text has",
    )
    for key, texts in (("text", step.text), ("subject", step.subject)):
        for language, words in texts.items():
            _check_words(words, f"{at}.{key}.{language}", step, key == "text", check)


def _check_announcing(step: MessageStep, at: str, check: Check) -> None:
    check(
        LEAST_BEFORE_S <= step.before_call_s <= LONGEST_DELAY_S,
        f"{at}.before_call_s",
        f"must be between {LEAST_BEFORE_S:.0f} and {LONGEST_DELAY_S:.0f} (31 days)",
    )
    check(
        1 <= step.ahead <= MOST_AHEAD,
        f"{at}.ahead",
        f"must be between 1 and {MOST_AHEAD}: so many are told of calls that have not come yet",
    )
    after = bool(step.outcomes or step.dispositions or step.delay_s)
    check(not after, f"{at}.before_call_s", "is of a step that comes after no call")


def _check_words(words: str, at: str, step: MessageStep, body: bool, check: Check) -> None:
    check(
        bool(words.strip()) and len(words) <= MOST_CHARACTERS,
        at,
        f"must have 1 to {MOST_CHARACTERS} characters",
    )
    fault = fault_of_text(words)
    check(not fault, at, fault)
    linked = not fault and UNSUBSCRIBE in fields_of(words)
    mail = step.channel == "email"
    # 15 U.S.C. 7704(a)(3) and (5): a mail that sells something says how to have no more, and can be answered so
    check(
        not (mail and body and step.purpose == "marketing") or linked or bool(fault),
        at,
        "must hold {unsubscribe}, as it is no service message",
    )
    check(not linked or (mail and body), at, "{unsubscribe} belongs into the text of an e-mail")


def _moved(check: Check, moved: Mapping[str, str]) -> Check:
    """Check of what stands elsewhere than in `[rules]`; what does not is not told again."""

    def told(right: bool, key: str, reason: str) -> None:
        for old, new in moved.items():
            if key == old or key.startswith(f"{old}."):
                check(right, new + key[len(old) :], reason)

    return told
