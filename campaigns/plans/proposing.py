"""What an evaluation says of the next plan: when to call, with which script, how many seats, and what to expect. Pure.

An expectation is a forecast of a count: it is off by chance even when the share is known, and the share itself is known
from so many customers only. Both are in its bounds (W. Q. Meeker, G. J. Hahn and L. A. Escobar, "Statistical
Intervals", 2nd ed., 2017, section 6.7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from math import ceil, sqrt
from typing import Any

import tomlkit

from campaigns.config import CampaignConfig, CampaignsError, parse
from campaigns.drafting import alike
from campaigns.evaluation.arms import ArmResult
from campaigns.evaluation.evaluating import Row
from campaigns.evaluation.intervals import Interval, Z
from campaigns.rules.keys import DAYS, WEEKDAYS, Window, spans
from campaigns.rules.terms import terms_of

PRIOR_CALLS = (
    100.0  # of the campaign as a whole, that an hour begins with: one with few calls is as the others
)
FEWEST_HOURS = 4
LONGEST = timedelta(days=366)
FEWEST = 30  # customers called, before it is said that a plan goes otherwise than expected


class CanNotPlan(CampaignsError):
    """What was asked for makes no sense. The text says what."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Customers of a campaign: called, talked to, converted; the calls, the seats' hours and what they brought in."""

    customers: int
    talked: int
    converted: int
    calls: int
    seat_hours: float
    revenue: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is expected of so many customers; `seats` is how many are needed through all hours to be done in time.

    `known_from` is the number of customers that the share of converts is known from.
    """

    customers: int
    calls: float
    talked: float
    conversions: Interval
    revenue: float
    seat_hours: float
    open_hours: float
    seats: int
    known_from: float


def best_hours(rows: Sequence[Row]) -> tuple[int, ...]:
    """The hours of the customer's day whose calls convert no less than all do on average; empty: nothing is known."""
    calls, hits = sum(row.calls for row in rows), sum(row.conversions for row in rows)
    if len(rows) <= FEWEST_HOURS or not hits:
        return ()
    usual = hits / calls
    worth = {int(r.key): (r.conversions + PRIOR_CALLS * usual) / (r.calls + PRIOR_CALLS) for r in rows}
    best = sorted(worth, key=lambda hour: -worth[hour])
    good = [hour for hour in best if worth[hour] >= usual]
    return tuple(sorted(good if len(good) >= FEWEST_HOURS else best[:FEWEST_HOURS]))


def best_arm(arms: Sequence[ArmResult]) -> tuple[str, bool]:
    """The arm that converted most of those talked to, and whether it surely is no worse than the first one.

    An arm that is surely worse is never it. Empty without a trial.
    """
    fit = [each for each in arms if each.rate is not None and (each.gained is None or each.gained.high >= 0)]
    if not fit:
        return "", False
    best = max(fit, key=lambda each: (each.converts + 1) / (each.customers + 2))
    return best.arm, best.gained is not None and best.gained.low > 0


def narrowed(config: CampaignConfig, hours: Sequence[int]) -> dict[str, list[Window]]:
    """The campaign's windows, as its profile has them too, as far as they lie in these hours of the day."""
    windows = terms_of(config.rules, running=True).hours.windows
    found: dict[str, list[Window]] = {}
    for day in DAYS:
        parts: list[Window] = []
        for window in spans(windows, day):
            for hour in sorted(set(hours)) or range(24):
                start = max(window.start, time(hour))
                end = min(window.end, time(hour + 1) if hour < 23 else time.max)
                if start < end:
                    if parts and parts[-1].end == start:
                        parts[-1] = Window(start=parts[-1].start, end=end)
                    else:
                        parts.append(Window(start=start, end=end))
        if parts:
            found[day] = parts
    return found


def open_hours(windows: Mapping[str, Sequence[Window]], since: date, until: date) -> float:
    """How long calls are allowed from one day to another, both included; public holidays are not looked at."""
    of_day = {
        day: sum(_hour(each.end) - _hour(each.start) for each in windows.get(day, ())) for day in WEEKDAYS
    }
    days = (until - since).days + 1
    return sum(of_day[WEEKDAYS[(since + timedelta(days=n)).weekday()]] for n in range(days))


def outlook(seen: Seen, arm: ArmResult | None, customers: int, hours: float) -> Outlook:
    """What to expect of so many customers, called like those seen, with an arm's script. Raises :class:`CanNotPlan`."""
    if not seen.talked or not seen.calls:
        raise CanNotPlan("nobody was talked to in this time, so nothing can be expected of others")
    if hours <= 0:
        raise CanNotPlan("no call is allowed in these hours until then")
    reached = seen.talked / seen.customers
    hits, talked = (seen.converted, seen.talked) if arm is None else (arm.converts, arm.customers)
    share, known_from = reached * hits / talked, talked / reached
    expected = share * customers
    # A hit and a miss more: of a share that was never seen, or always, nobody is sure.
    careful = (share * known_from + 1) / (known_from + 2)
    off = Z * sqrt(customers * careful * (1 - careful) * (1 + customers / known_from))
    per_convert = seen.revenue / seen.converted if seen.converted else 0.0
    seat_hours = seen.seat_hours / seen.customers * customers
    return Outlook(
        customers=customers,
        calls=seen.calls / seen.customers * customers,
        talked=reached * customers,
        conversions=Interval(expected, max(0.0, expected - off), min(float(customers), expected + off)),
        revenue=per_convert * expected,
        seat_hours=seat_hours,
        open_hours=hours,
        seats=max(1, ceil(seat_hours / hours)),
        known_from=known_from,
    )


def verdict(share: float, known_from: float, seen: Seen) -> str:
    """Whether it went as expected so far: `early`, `better`, `worse` or `expected`, by the share who converted."""
    if seen.customers < FEWEST:
        return "early"
    careful = (share * known_from + 1) / (known_from + 2)
    off = Z * sqrt(careful * (1 - careful) * (1 / seen.customers + 1 / known_from))
    went = seen.converted / seen.customers
    return "better" if went > share + off else "worse" if went < share - off else "expected"


def text_of(base: str, name: str, unit: str, hours: Sequence[int], arm: str) -> str:
    """The text of a campaign like the one planned from, in these hours and with the script of the arm."""
    config = parse(base, "campaign")
    document = tomlkit.parse(alike(base, name, unit))
    if hours:
        rules = document.setdefault("rules", tomlkit.table())
        rules["windows"] = {
            day: [{"from": each.start, "to": each.end} for each in parts]
            for day, parts in narrowed(config, hours).items()
        }
    if arm:
        chosen = next((each for each in config.trial.arms if each.code == arm), None)
        if chosen is None:
            raise CanNotPlan(f"{arm!r} is no arm of this campaign's trial")
        told: dict[str, Any] = document.unwrap()
        script = next(each.get("script") for each in told["trial"]["arms"] if each["code"] == arm)
        document.pop("trial")
        if script:
            document["script"] = script
    return tomlkit.dumps(document)


def _hour(at: time) -> float:
    return 24.0 if at == time.max else at.hour + at.minute / 60 + at.second / 3600
