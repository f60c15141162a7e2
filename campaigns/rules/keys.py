"""What may stand under `[rules]` in a campaign's file. A profile's figures are given in the same shapes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time

import msgspec

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY, WORKDAY = "holiday", "workday"  # days that a calendar sets apart from their weekday
DAYS = (*WEEKDAYS, HOLIDAY, WORKDAY)

DAY_S = 86_400.0
LONGEST_S = 36_500 * DAY_S  # a century: the instant that a delay leads to must still be a date


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all parts of a campaign's configuration."""


class Window(Part, frozen=True):
    """When calls are allowed on one kind of day, in the called party's own time; `to` is not part of it."""

    start: time = msgspec.field(name="from", default=time(9, 0))
    end: time = msgspec.field(name="to", default=time(20, 0))


Windows = Mapping[str, Window | tuple[Window, ...]]  # weekday, or holiday, or workday


def spans(windows: Windows, day: str) -> tuple[Window, ...]:
    """The windows of one kind of day, none when it is closed."""
    found = windows.get(day, ())
    return (found,) if isinstance(found, Window) else found


class Caps(Part, frozen=True):
    """How often a party may be called; None sets no cap. Every originate counts, answered or not.

    `day` counts from midnight in the called party's zone, `hours_24` and `days_30` back from the moment of the call,
    `life` since the first call on record. `gap_s` is the least time between two calls.
    """

    day: int | None = None
    hours_24: int | None = None
    days_30: int | None = None
    life: int | None = None
    gap_s: float | None = None


NO_CAPS = Caps()


class Region(Part, frozen=True):
    """What a part of a country asks on top. `code` is ISO 3166-2; `prefixes` are its numbers, with `+`.

    `windows` and `holidays` hold beside those of the campaign: a call must be lawful under both. `number` caps the
    calls to one number, over all campaigns.
    """

    code: str
    prefixes: tuple[str, ...] = ()
    windows: Windows | None = None
    holidays: str = ""
    number: Caps = NO_CAPS


class Recycle(Part, frozen=True):
    """How it goes on after a result, beside its delay.

    `most`: after so many of it, by the attempts of the last two months at least, it is enough: of an outcome for the
    number, of a disposition for the lead. `other_number_s`: the delay when the customer has another number that was
    tried less often. `other_day_part`: not again in the same part of the customer's day.
    """

    most: int | None = None
    other_number_s: float | None = None
    other_day_part: bool = False


NO_MORE_SAID = Recycle()


class Rules(Part, frozen=True):
    """Who may be called again, and when. What is not given here is as the profile has it.

    `windows` maps a weekday (mon … sun), `holiday` or `workday` to its window or windows; a day without one is closed.
    `holidays` is a calendar (CN, FR, US-AL): its public holidays are closed unless `windows` names `holiday`, and a
    weekend day that is worked in exchange has the windows of `workday`, or its weekday's.
    `number` and `customer` cap the calls to a number and to a customer over all campaigns of the company,
    `number_here` and `customer_here` those of this campaign. `attempts` caps the attempts on one number in this
    campaign, beside the callbacks promised there; a lead ends with the last of its numbers. `retry_s` maps an outcome
    to the delay before the next attempt; after an outcome without one the number is not tried again. `recycle` maps an
    outcome to how it goes on beside that. `lock_out_s` bars a number after an abandoned call, `refusal_lock_s` after a
    disposition that is a refusal. `consent`: a call needs a consent on record. `destinations` are patterns of the
    numbers that may be called at all, all without any.
    """

    profile: str = "own"
    windows: Windows | None = None
    holidays: str = ""
    regions: tuple[Region, ...] = ()
    number: Caps = NO_CAPS
    customer: Caps = NO_CAPS
    number_here: Caps = NO_CAPS
    customer_here: Caps = NO_CAPS
    consent: bool | None = None
    destinations: tuple[str, ...] = ()
    attempts: int = 3
    retry_s: dict[str, float] = msgspec.field(
        default_factory=lambda: {
            "busy": 900.0,
            "no_answer": 4 * 3600.0,
            "machine": DAY_S,
            "congestion": 300.0,
            "failed": 600.0,
            "rejected": DAY_S,
            "hung_up": DAY_S,
            "abandoned": 3 * DAY_S,
            "cancelled": 60.0,
            "lost": 3600.0,
        }
    )
    recycle: dict[str, Recycle] = msgspec.field(default_factory=dict)
    lock_out_s: float = 3 * DAY_S
    refusal_lock_s: float | None = None
