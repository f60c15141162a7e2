"""A recorded day of a campaign as a scenario, to be lived again under another law, with another target or other seats.

Theory of operation. Everything is taken from the tables as the engine wrote them: who was there, and when, from the
seat log, what became of each dial from the attempts (`dialer/measured.py`). The day is from its first dial to the end
of its last call. What stood still on it, such as a list that ran dry or a switch that was away, is not in the scenario.

The first hour is lived twice, and only the second time counts: so pacing begins the day knowing its team, as it did
then.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from math import ceil, nan

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from campaigns.config import CampaignConfig
from campaigns.day import DialedCall, SeatInterval, dialed_calls, seat_intervals
from campaigns.history.files import Files
from campaigns.history.query import History
from campaigns.store import CampaignStore, Unreadable
from dialer.config import SwitchSection
from dialer.measured import endings, people, stints
from simulator.floor import Figures, Result, Scenario
from simulator.floor.scenario import BUCKET_S, Break, Campaign, Course, Seats, faults
from simulator.floor.summary import Estimate, Summary, summary

WARM_UP_S = 3600.0
SHORT_GAP_S = 2.0  # between two states of a seat: it was there all the time
UNKNOWN = Estimate(nan, nan, nan)


class NoSuchDay(ValueError):
    """There is nothing to rebuild. The message says of what, and why."""


@dataclass(frozen=True, slots=True)
class RecordedDay:
    """What is on record of a campaign's day."""

    config: CampaignConfig
    begin: datetime
    end: datetime
    calls: Sequence[DialedCall]
    seats: Mapping[int, Sequence[SeatInterval]]  # by user, in order, clipped to the day

    @property
    def name(self) -> str:
        return f"{self.config.name} {self.begin:%Y-%m-%d}"

    @property
    def law(self) -> str:
        """The law it was dialed by."""
        return law_of(self.config)

    def at_s(self, when: datetime) -> float:
        """Seconds since the begin of the scenario."""
        return (when - self.begin).total_seconds() + WARM_UP_S


def law_of(config: CampaignConfig) -> str:
    """A campaign's law, as `dialer simulate --policies` names it. A previewed call is dialed one by one."""
    mode = config.mode
    return f"ratio:{config.ratio:g}" if mode == "ratio" else mode.replace("preview", "progressive")


def read(engine: Engine, files: Files, campaign: str, day: date) -> RecordedDay:
    """Read a day, from midnight to midnight of this machine's time zone, also of a month that is in `files`.

    Raises NoSuchDay, and :class:`campaigns.history.files.FileGone` when a file is missing.
    """
    since = datetime.combine(day, time.min).astimezone()
    until = datetime.combine(day + timedelta(days=1), time.min).astimezone()
    return read_span(engine, files, campaign, since, until)


def read_span(engine: Engine, files: Files, campaign: str, since: datetime, until: datetime) -> RecordedDay:
    """Read what is on record from one instant to another, as :func:`read` does a day."""
    found = CampaignStore(engine).find(campaign)
    if found is None:
        raise NoSuchDay(f"there is no campaign {campaign!r}")
    if isinstance(found, Unreadable):
        raise NoSuchDay(found.reason)
    history = History(engine, files)
    calls = dialed_calls(history, found.campaign_id, since, until)
    if not calls:
        raise NoSuchDay(
            f"{campaign} has no attempt between {since:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M}"
        )
    begin = _floor(calls[0].dialed_at.astimezone())
    over = max(call.ended_at or call.dialed_at for call in calls)
    end = min(until, _floor(over.astimezone()) + timedelta(seconds=BUCKET_S))
    seats: defaultdict[int, list[SeatInterval]] = defaultdict(list)
    for each in seat_intervals(history, found.campaign_id, begin, end):
        seats[each.user_id].append(each)
    return RecordedDay(found.config, begin, end, calls, seats)


def _floor(at: datetime) -> datetime:
    return at - timedelta(seconds=at.timestamp() % BUCKET_S)


# --- the day as a scenario ----------------------------------------------------------------------------------


def scenario(day: RecordedDay, switches: Sequence[SwitchSection] = ()) -> Scenario:
    """The day as it may be lived again, within the limits of those of these switches that the campaign is on.

    Raises NoSuchDay when nobody was connected.
    """
    its = [each for each in switches if each.name in day.config.switches]
    hours = ceil((day.end - day.begin).total_seconds() / 3600)
    served = [
        each for one in day.seats.values() for each in stints(one, day.end) if each.start > day.begin
    ]  # one that began before is known in part only
    found = people(
        endings(day.calls, day.config, day.begin, day.end), served, day.config, hours, day.config.name
    )
    groups = tuple(_presences(day))
    if found is None or not groups:
        raise NoSuchDay(f"on {day.begin:%Y-%m-%d} nobody of {day.config.name} was connected to a seat")
    lived = Scenario(
        name=day.name,
        story=f"{day.config.name} as recorded on {day.begin:%Y-%m-%d}, from {day.begin:%H:%M} to {day.end:%H:%M}",
        hours=round(day.at_s(day.end) / 3600, 5),
        seats=groups,
        campaigns=(_warmed_up(found),),
        warm_up_min=WARM_UP_S / 60,
        lines=sum(each.max_lines for each in its) if its else None,
        calls_per_s=sum(each.calls_per_s for each in its) if its else None,
        start_hour=(day.begin.hour + day.begin.minute / 60 - WARM_UP_S / 3600) % 24,
    )
    if wrong := faults(lived):
        raise NoSuchDay(f"{day.name} makes no scenario: {'; '.join(wrong)}")
    return lived


def changed(of: Scenario, target: float | None, seats: int) -> Scenario:
    """The same day with another target, and so many seats more or fewer. Raises NoSuchDay when no seat is left.

    A seat more does as one that was there; the ones that are doubled or left out lie evenly among those there are.
    """
    groups = list(of.seats)
    if -seats >= len(groups):
        raise NoSuchDay(f"{of.name} had {len(groups)} seats, of which {-seats} can't be left out")
    even = [int((place + 0.5) * len(groups) / abs(seats)) % len(groups) for place in range(abs(seats))]
    if seats > 0:
        groups += [groups[place] for place in even]
    elif seats < 0:
        groups = [group for place, group in enumerate(groups) if place not in even]
    aims = {} if target is None else {"target": target}
    words = [f"target {target:.3g}"] if target is not None else []
    words += [f"{abs(seats)} seats {'more' if seats > 0 else 'fewer'}"] if seats else []
    return msgspec.structs.replace(
        of,
        name=f"{of.name}, {', '.join(words)}",
        story=f"{of.story}; {', '.join(words)}",
        seats=tuple(groups),
        campaigns=tuple(msgspec.structs.replace(campaign, **aims) for campaign in of.campaigns),
    )


def _warmed_up(campaign: Campaign) -> Campaign:
    """Its shares begin an hour later, and are those of the first hour before."""

    def later(course: Course) -> Course:
        points = course if isinstance(course, tuple) else ((0.0, course),)
        return ((0.0, points[0][1]), *((hour + WARM_UP_S / 3600, share) for hour, share in points))

    shares = {name: later(getattr(campaign, name)) for name in ("person", "machine", "busy", "failed")}
    return msgspec.structs.replace(campaign, **shares)


def _presences(day: RecordedDay) -> Iterator[Seats]:
    """Each seat with its log-in, log-out and breaks, and those of the first hour before them."""
    for user, intervals in day.seats.items():
        stays = list(_stays(day, intervals))
        again = [
            (begin - WARM_UP_S, min(end, 2 * WARM_UP_S) - WARM_UP_S)
            for begin, end in stays
            if begin < 2 * WARM_UP_S
        ]
        merged = _joined([*again, *stays])
        if merged:
            yield Seats(
                count=1,
                name=f"seat {user}",
                from_h=round(merged[0][0] / 3600, 5),
                to_h=round(merged[-1][1] / 3600, 5),
                breaks=tuple(
                    Break(at_h=round(out / 3600, 5), minutes=round((back - out) / 60, 3))
                    for (_, out), (back, _) in pairwise(merged)
                ),
            )


def _stays(day: RecordedDay, intervals: Sequence[SeatInterval]) -> Iterator[tuple[float, float]]:
    """From when to when a seat could be counted on.

    One that leaves after a call had decided so before its end, and a seat of the floor ends its call, too, before it
    leaves. So it leaves in the middle of the call.
    """
    there = [each for each in intervals if each.does != "away"]
    calls = stints(intervals, day.end)
    for begin, end in _joined([(day.at_s(each.start), day.at_s(each.stop)) for each in there]):
        last = next((each for each in reversed(calls) if begin <= day.at_s(each.start) < end), None)
        if last is not None and end < day.at_s(day.end):
            busy_s = last.talk_s + last.wrap_s
            if abs(day.at_s(last.start) + busy_s - end) <= SHORT_GAP_S:
                yield begin, end - busy_s / 2
                continue
        yield begin, end


def _joined(stays: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for begin, end in stays:
        if found and begin - found[-1][1] <= SHORT_GAP_S:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif end > begin:
            found.append((begin, end))
    return found


# --- the day's own figures ----------------------------------------------------------------------------------


def recorded(day: RecordedDay, of: Scenario) -> Summary:
    """The day's figures as a line beside those of simulated ones; what it reached of the bound is not known."""
    result = figures(day, of)
    return replace(summary("recorded", [result], [result]), bound_share=UNKNOWN)


def figures(day: RecordedDay, of: Scenario) -> Result:
    """What the day came to, in the form of a simulated one's result."""
    buckets = ceil(of.end_s / BUCKET_S)
    spent = {does: np.zeros(buckets) for does in ("idle", "talk", "wrap", "away")}
    for each in (interval for one in day.seats.values() for interval in one):
        _book(spent[each.does], day.at_s(each.start), day.at_s(each.stop))
    found = endings(day.calls, day.config, day.begin, day.end)
    answered, abandoned = np.zeros((1, buckets)), np.zeros((1, buckets))
    outcomes: Counter[str] = Counter()
    waited_s = 0.0
    for each in found:
        call = each.call
        if each.kind == "person" and call.answered_at is not None:
            outcome = "connected" if call.connected_at is not None else call.outcome or "lost"
            outcomes[outcome] += 1
            place = min(int(day.at_s(call.answered_at) / BUCKET_S), buckets - 1)
            answered[0, place] += outcome in ("connected", "abandoned", "hung_up")
            abandoned[0, place] += outcome == "abandoned"
            waited_s += (call.wait_s or 0.0) if outcome == "connected" else 0.0
    total = Figures(
        dials=len(found),
        connected=outcomes["connected"],
        abandoned=outcomes["abandoned"],
        hung_up=outcomes["hung_up"],
        misjudged=0,
        machines_seated=0,
        offered=0,
        served=0,
        left=0,
        queued=0,
        turned_away=0,
        waited_s=waited_s,
        inbound_waited_s=0.0,
    )
    return Result(
        scenario=of.name,
        seed=0,
        events=0,
        hours=of.hours - WARM_UP_S / 3600,
        idle_s=float(spent["idle"].sum()),
        talk_s=float(spent["talk"].sum()),
        wrap_s=float(spent["wrap"].sum()),
        total=total,
        campaigns={day.config.name: total},
        first=round(WARM_UP_S / BUCKET_S),
        idle_by=spent["idle"],
        busy_by=spent["talk"] + spent["wrap"],
        answered_by=answered,
        abandoned_by=abandoned,
    )


def _book(buckets: NDArray[np.float64], begin: float, end: float) -> None:
    """Book a span to the buckets it lies in."""
    while begin < end:
        place = int(begin / BUCKET_S)
        edge = min(end, (place + 1) * BUCKET_S)
        buckets[min(place, len(buckets) - 1)] += edge - begin
        begin = edge
