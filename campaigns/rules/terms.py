"""The terms that hold for a campaign: its profile's figures, made stricter by its own; looser ones are a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import time
from typing import Any

from campaigns.patterns import DESTINATION, fits
from campaigns.rules import calendar
from campaigns.rules.calendar import Hours, Opening, opening
from campaigns.rules.keys import (
    DAYS,
    HOLIDAY,
    LONGEST_S,
    WEEKDAYS,
    Caps,
    Recycle,
    Rules,
    Window,
    Windows,
    spans,
)
from campaigns.rules.profiles import PROFILES, Profile
from campaigns.values import Outcome

Check = Callable[[bool, str, str], None]

DEFAULT_WINDOWS: Windows = {day: Window(start=time(9), end=time(20)) for day in WEEKDAYS}
DELAY = f"must be between 0 and {LONGEST_S:.0f} (a hundred years)"
MOST_CALLS = 1_000
LONGEST_GAP_S = 30 * 86_400.0  # calls are remembered that long
CAPS = ("number", "customer", "number_here", "customer_here")


@dataclass(frozen=True, slots=True)
class RegionTerms:
    """What a part of a country asks; `hours` None: nothing of its own."""

    code: str
    prefixes: tuple[str, ...]
    hours: Hours | None
    number: Caps


@dataclass(frozen=True, slots=True)
class Terms:
    """All figures that hold for a campaign."""

    profile: str
    version: int
    running: bool
    hours: Hours
    regions: tuple[RegionTerms, ...]
    number: Caps
    customer: Caps
    number_here: Caps
    customer_here: Caps
    consent: bool
    attempts: int
    destinations: tuple[str, ...] = ()
    _openings: dict[Any, tuple[Any, Opening]] = field(default_factory=dict, compare=False, repr=False)

    def regions_of(self, region: str, number: str) -> tuple[RegionTerms, ...]:
        """Those whose terms hold for a lead: that of its address (ISO 3166-2), else those of its number."""
        if region:
            return tuple(r for r in self.regions if r.code == region)
        return tuple(r for r in self.regions if r.prefixes and number.startswith(r.prefixes))

    def reach(self, number: str) -> bool:
        """Whether the campaign may call this number (E.164) at all."""
        return not self.destinations or fits(self.destinations, number)

    def laws(self, regions: tuple[RegionTerms, ...]) -> tuple[Hours, ...]:
        """The hours that hold in these regions, all at once."""
        return (self.hours, *(r.hours for r in regions if r.hours is not None))

    def opening(self, regions: tuple[RegionTerms, ...], zones: tuple[str, ...], now: Any) -> Opening:
        """Whether the hours allow a call at `now`, and until when. Remembered: most leads ask the same."""
        # Not by their codes: a code may have two regions, for prefixes of their own.
        key = (tuple(map(id, regions)), zones)
        known = self._openings.get(key)
        if known is not None and known[0] <= now and (known[1].until is None or now < known[1].until):
            return known[1]
        if len(self._openings) > 10_000:
            self._openings.clear()
        found = opening(self.laws(regions), zones, now)
        if found.until is not None:
            self._openings[key] = (now, found)
        return found

    def open_among(self, zones: Iterable[str], now: Any) -> list[str]:
        """Those of these zones in which the hours allow calls at `now`, whatever a region may add."""
        return [zone for zone in zones if self.opening((), (zone,), now).open]


def terms_of(rules: Rules, running: bool = True) -> Terms:
    """The terms of checked rules: where the campaign says nothing the profile's figure holds, else the default."""
    profile = PROFILES[rules.profile]
    windows = rules.windows if rules.windows is not None else profile.windows
    return Terms(
        profile=profile.name,
        version=profile.version,
        running=running,
        hours=Hours(windows if windows is not None else DEFAULT_WINDOWS, rules.holidays or profile.holidays),
        regions=tuple(
            RegionTerms(
                r.code,
                r.prefixes,
                Hours(r.windows, r.holidays) if r.windows is not None else None,
                r.number,
            )
            for r in (*profile.regions, *rules.regions)
        ),
        consent=bool(rules.consent or profile.consent),
        attempts=rules.attempts,
        destinations=rules.destinations,
        number=_merged(rules.number, profile.number),
        customer=_merged(rules.customer, profile.customer),
        number_here=_merged(rules.number_here, profile.number_here),
        customer_here=_merged(rules.customer_here, profile.customer_here),
    )


def refusal_lock_s(rules: Rules) -> float:
    """How long a number is barred after a refusal, 0: not at all."""
    return (
        rules.refusal_lock_s if rules.refusal_lock_s is not None else PROFILES[rules.profile].refusal_lock_s
    )


def _merged(own: Caps, law: Caps) -> Caps:
    def first(name: str) -> Any:
        value = getattr(own, name)
        return getattr(law, name) if value is None else value

    return Caps(**{name: first(name) for name in Caps.__struct_fields__})


# --- what a campaign may say ------------------------------------------------------------------------------------


def check_rules(rules: Rules, check: Check) -> None:
    """Tell `check` of what makes no sense, and of what is looser than the profile."""
    if rules.windows is not None:
        _check_windows(rules.windows, "rules.windows", check)
    _check_calendar(rules.holidays, "rules.holidays", check)
    for index, pattern in enumerate(rules.destinations):
        check(
            bool(DESTINATION.fullmatch(pattern)),
            f"rules.destinations[{index}]",
            f"{pattern!r} must begin with + and a country's code, then digits, `?` and at the end `*`, as in +86*",
        )
    check(1 <= rules.attempts <= 50, "rules.attempts", "must be between 1 and 50")
    for outcome, delay in rules.retry_s.items():
        check(
            outcome in set(Outcome) - {Outcome.CONNECTED},
            f"rules.retry_s.{outcome}",
            "is no outcome that is retried",
        )
        check(0 <= delay <= LONGEST_S, f"rules.retry_s.{outcome}", DELAY)
    for outcome, recycle in rules.recycle.items():
        check(
            outcome in set(Outcome) - {Outcome.CONNECTED, Outcome.INVALID},
            f"rules.recycle.{outcome}",
            "is no outcome that is retried",
        )
        check_recycle(recycle, f"rules.recycle.{outcome}", check)
    check(0 <= rules.lock_out_s <= LONGEST_S, "rules.lock_out_s", DELAY)
    check(0 <= (rules.refusal_lock_s or 0) <= LONGEST_S, "rules.refusal_lock_s", DELAY)
    for name in CAPS:
        _check_caps(getattr(rules, name), f"rules.{name}", check)
    for index, region in enumerate(rules.regions):
        at = f"rules.regions[{index}]"
        check(bool(region.code), f"{at}.code", "must be an ISO 3166-2 code, such as US-FL")
        check(
            all(p[:1] == "+" and p[1:].isdigit() for p in region.prefixes),
            f"{at}.prefixes",
            "must each be + and digits",
        )
        if region.windows is not None:
            _check_windows(region.windows, f"{at}.windows", check)
        _check_calendar(region.holidays, f"{at}.holidays", check)
        check(
            not region.holidays or region.windows is not None,
            f"{at}.holidays",
            "needs windows of this region beside it",
        )
        _check_caps(region.number, f"{at}.number", check)
    check(
        rules.profile in PROFILES,
        "rules.profile",
        f"must be one of {', '.join(PROFILES)}, is {rules.profile!r}",
    )
    if rules.profile in PROFILES:
        _check_stricter(rules, PROFILES[rules.profile], check)


def check_recycle(recycle: Recycle, at: str, check: Check) -> None:
    """Tell `check` of what makes no sense in how it goes on after a result."""
    check(recycle.most is None or 1 <= recycle.most <= 50, f"{at}.most", "must be between 1 and 50")
    check(0 <= (recycle.other_number_s or 0) <= LONGEST_S, f"{at}.other_number_s", DELAY)


def _check_windows(windows: Windows, at: str, check: Check) -> None:
    for day in windows:
        check(day in DAYS, f"{at}.{day}", f"is no weekday; use {', '.join(DAYS)}")
        for window in spans(windows, day):
            check(window.start < window.end, f"{at}.{day}", "must end after it begins")
            check(
                window.start.tzinfo is None and window.end.tzinfo is None,
                f"{at}.{day}",
                "is local time: no offset",
            )


def _check_calendar(name: str, at: str, check: Check) -> None:
    check(
        not name or calendar.known_calendar(name),
        at,
        f"{name!r} is no calendar; use one such as CN, FR or US-AL",
    )


def _check_caps(caps: Caps, at: str, check: Check) -> None:
    for name in ("day", "hours_24", "days_30", "life"):
        value = getattr(caps, name)
        check(
            value is None or 1 <= value <= MOST_CALLS, f"{at}.{name}", f"must be between 1 and {MOST_CALLS}"
        )
    check(
        caps.gap_s is None or 0 <= caps.gap_s <= LONGEST_GAP_S,
        f"{at}.gap_s",
        f"must be between 0 and {LONGEST_GAP_S:.0f} (30 days)",
    )


def _check_stricter(rules: Rules, law: Profile, check: Check) -> None:
    def looser(key: str, value: object, figure: object, bad: bool) -> None:
        check(
            not bad, f"rules.{key}", f"{value} is looser than {figure}, the figure of the profile {law.name}"
        )

    if rules.windows is not None and law.windows is not None:
        for day in rules.windows:
            for allowed in _windows_of_law(law, day):
                for window in spans(rules.windows, day):
                    inside = any(w.start <= window.start and window.end <= w.end for w in allowed)
                    looser(f"windows.{day}", _spoken((window,)), _spoken(allowed), not inside)
    looser(
        "holidays",
        rules.holidays,
        law.holidays,
        bool(law.holidays) and rules.holidays not in ("", law.holidays),
    )
    looser("consent", "false", "true", law.consent and rules.consent is False)
    looser("lock_out_s", rules.lock_out_s, law.lock_out_s, rules.lock_out_s < law.lock_out_s)
    own = rules.refusal_lock_s
    looser("refusal_lock_s", own, law.refusal_lock_s, own is not None and own < law.refusal_lock_s)
    for name in CAPS:
        mine, its = getattr(rules, name), getattr(law, name)
        for key in Caps.__struct_fields__:
            value, figure = getattr(mine, key), getattr(its, key)
            if value is not None and figure is not None:
                looser(f"{name}.{key}", value, figure, value < figure if key == "gap_s" else value > figure)


def _windows_of_law(law: Profile, day: str) -> list[tuple[Window, ...]]:
    """What a law allows on a kind of day; where it does not tell that kind apart, on each weekday it may fall on."""
    assert law.windows is not None
    told_apart = day in law.windows or (day == HOLIDAY and law.holidays) or day in WEEKDAYS
    falls_on = (day,) if told_apart else WEEKDAYS if day == HOLIDAY else WEEKDAYS[5:]
    return [spans(law.windows, each) for each in falls_on]


def _spoken(windows: tuple[Window, ...]) -> str:
    return " and ".join(f"{w.start:%H:%M}-{w.end:%H:%M}" for w in windows) or "closed"
