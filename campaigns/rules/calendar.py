"""What day and hour it is for the called party: time zones and public holidays of pinned data, days not yet decreed.

Zones come from the `tzdata` package and not from the machine, so that the same version decides the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from importlib import metadata, resources
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from campaigns.rules.keys import HOLIDAY, WEEKDAYS, WORKDAY, Window, Windows, spans

T = TypeVar("T")

HORIZON_DAYS = 366  # how far ahead an opening is looked for
DAY, SIX_HOURS, SECOND = timedelta(days=1), timedelta(hours=6), timedelta(seconds=1)

# Days a decree may make holidays lie at most five days from a statutory one (2008 to 2026); a week leaves room.
UNDECREED_REACH = 7
DECREED = (
    "CN"  # the calendar whose days off and worked weekends are decreed year by year, late in the year before
)


@cache
def zone_names() -> frozenset[str]:
    """The zones of the IANA database."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


def known_zone(name: str) -> bool:
    """Whether this is a time zone of the IANA database."""
    return name in zone_names()


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of that name. Raises KeyError."""
    if not known_zone(name):
        raise KeyError(name)
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


# --- days -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hours:
    """Windows by kind of day, and the calendar that tells the days apart; empty: weekdays only."""

    windows: Windows
    calendar: str = ""
    _known: dict[Any, Any] = field(
        default_factory=dict, compare=False, repr=False
    )  # asked for with every lead

    def on(self, day: date) -> tuple[tuple[Window, ...], ...]:
        """As :meth:`readings`, remembered."""
        return self._remembered(day, lambda: self.readings(day))

    def edges(self, name: str, day: date) -> tuple[datetime, ...]:
        """The instants of a day in UTC at which what is allowed in a zone may change."""
        return self._remembered((name, day), lambda: tuple(self._edges(name, day)))

    def readings(self, day: date) -> tuple[tuple[Window, ...], ...]:
        """The windows of a day; several where the day's kind is not decreed yet: a call must fit each."""
        weekday = spans(self.windows, WEEKDAYS[day.weekday()])
        holiday = spans(self.windows, HOLIDAY)
        kinds = kinds_of(self.calendar, day) if self.calendar else (None,)
        found = {
            None: weekday,
            HOLIDAY: holiday,
            WORKDAY: spans(self.windows, WORKDAY) if WORKDAY in self.windows else weekday,
        }
        return tuple(found[kind] for kind in kinds)

    def spoken(self, day: date) -> str:
        """The windows of a day in words, such as `tue 09:00-20:00`."""
        return self._remembered(("spoken", day), lambda: self._spoken(day))

    def _spoken(self, day: date) -> str:
        texts = {
            "+".join(f"{w.start:%H:%M}-{w.end:%H:%M}" for w in each) or "closed" for each in self.on(day)
        }
        return f"{WEEKDAYS[day.weekday()]} {' and '.join(sorted(texts))}"

    def _edges(self, name: str, day: date) -> Iterator[datetime]:
        here, start = zone(name), datetime.combine(day, time(), UTC)
        for local_day in (day - DAY, day, day + DAY):
            edges = {time()} | {edge for r in self.on(local_day) for w in r for edge in (w.start, w.end)}
            for edge in edges:
                for fold in (0, 1):  # a time that the clock shows twice
                    at = datetime.combine(local_day, edge.replace(fold=fold), here).astimezone(UTC)
                    if start <= at < start + DAY:
                        yield at
        yield from clock_changes(name, start)  # a time that it never shows is passed here

    def _remembered(self, key: Any, find: Callable[[], T]) -> T:
        try:
            return self._known[key]
        except KeyError:
            if len(self._known) > 20_000:
                self._known.clear()  # another thread may be reading: what it wants is found anew
            found = self._known[key] = find()
            return found


def kinds_of(calendar: str, day: date) -> tuple[str | None, ...]:
    """What a day may be in a calendar: HOLIDAY, WORKDAY (a weekend day worked in exchange), None (neither).

    More than one for China's calendar in a year whose days off are not decreed: within a week of a statutory holiday
    any day may turn out to be one, and any weekend day a worked one.
    """
    if calendar != DECREED:
        return (HOLIDAY,) if day in _holidays(calendar, day.year) else (None,)
    if decreed(day.year):
        import chinese_calendar

        if day in chinese_calendar.holidays:
            return (HOLIDAY,)
        return (WORKDAY,) if day in chinese_calendar.workdays and day.weekday() >= 5 else (None,)
    if day in _near_holidays(day.year):
        return (HOLIDAY, None, WORKDAY) if day.weekday() >= 5 else (HOLIDAY, None)
    return (None, WORKDAY) if day.weekday() >= 5 else (None,)


@cache
def last_decreed() -> int:
    """The last year whose days off in China the installed data knows."""
    import chinese_calendar

    return max(day.year for day in chinese_calendar.holidays)


def decreed(year: int) -> bool:
    """Whether the data has China's days off and worked weekends of this year."""
    import chinese_calendar

    return min(day.year for day in chinese_calendar.holidays) <= year <= last_decreed()


def known_calendar(name: str) -> bool:
    """Whether there are holidays for this ISO 3166 code: a country, or one of its parts."""
    import holidays

    country, _, part = name.partition("-")
    known = holidays.list_supported_countries()
    return country in known and (not part or part in known[country])


def versions() -> dict[str, str]:
    """The versions of the data that decide: zones, holidays, and the last decreed year."""
    import tzdata

    return {
        "tzdata": tzdata.IANA_VERSION,
        "holidays": metadata.version("holidays"),
        "chinesecalendar": metadata.version("chinesecalendar"),
        "decreed_to": str(last_decreed()),
    }


@cache
def versions_spoken() -> str:
    """The versions in words, for the record of an attempt."""
    found = versions()
    return ", ".join(f"{name} {found[name]}" for name in ("tzdata", "holidays", "chinesecalendar"))


@lru_cache(maxsize=1024)
def _holidays(calendar: str, year: int) -> frozenset[date]:
    import holidays

    country, _, part = calendar.partition("-")
    return frozenset(holidays.country_holidays(country, subdiv=part or None, years=year))


@lru_cache(maxsize=64)
def _near_holidays(year: int) -> frozenset[date]:
    """Days of a year not decreed that may be holidays: those near the days that the law itself names."""
    statutory = [day for each in (year - 1, year, year + 1) for day in _holidays(DECREED, each)]
    near = range(-UNDECREED_REACH, UNDECREED_REACH + 1)
    return frozenset(
        found for day in statutory for off in near if (found := day + timedelta(days=off)).year == year
    )


# --- hours ----------------------------------------------------------------------------------------------------


def is_open(hours: Hours, name: str, now: datetime) -> bool:
    """Whether calls are allowed at `now` (aware) in the zone of that name."""
    local = now.astimezone(zone(name))
    at = local.time()
    return all(any(w.start <= at < w.end for w in reading) for reading in hours.on(local.date()))


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether calls are allowed at an instant, and when that changes; `until` None: not within a year."""

    open: bool
    until: datetime | None


def opening(laws: Sequence[Hours], zones: Sequence[str], now: datetime) -> Opening:
    """Whether all `laws` allow a call at `now` in all `zones`, and the first instant after it when that is otherwise.

    A call is allowed or not by what the clock shows in each zone. That changes at the edges of windows and days only,
    and where a clock is set: those instants are looked at one by one.
    """

    def allowed(at: datetime) -> bool:
        return all(is_open(law, name, at) for law in laws for name in zones)

    begun = allowed(now)
    day = now.astimezone(UTC).date()
    for offset in range(HORIZON_DAYS):
        edges = {edge for law in laws for name in zones for edge in law.edges(name, day + offset * DAY)}
        for edge in sorted(edges):
            if edge > now and allowed(edge) is not begun:
                return Opening(begun, edge)
    return Opening(begun, None)


@lru_cache(maxsize=65_536)
def clock_changes(name: str, start: datetime) -> tuple[datetime, ...]:
    """The instants of the day from `start` on at which the zone's offset changes."""
    here = zone(name)
    found = []
    for step in range(4):
        low, high = start + step * SIX_HOURS, start + (step + 1) * SIX_HOURS
        if low.astimezone(here).utcoffset() == high.astimezone(here).utcoffset():
            continue
        while high - low > SECOND:
            middle = low + (high - low) // SECOND // 2 * SECOND
            same = middle.astimezone(here).utcoffset() == low.astimezone(here).utcoffset()
            low, high = (middle, high) if same else (low, middle)
        found.append(high)
    return tuple(found)
