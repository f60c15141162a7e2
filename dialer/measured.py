"""What a day's attempts and seat log measure: how dials end, how long people ring, talk, wait and are wrapped up.

Times that were cut off, by the day's end or the engine's, count for what lasted longer: simulator/floor/estimate.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from campaigns.config import CampaignConfig
from campaigns.day import DialedCall, SeatInterval
from simulator.floor.distribution import Empirical
from simulator.floor.estimate import empirical, weights
from simulator.floor.scenario import Amd, Campaign, Course

FEW_DIALS = 30  # in an hour: too few to say what share is answered; it is taken as the whole day's
FOREVER_S = 3600.0  # a patience that nobody's wait for a seat comes near
PATIENCES = 200

# How a dial ends, as the floor has it. A customer who declines ends it early, as a busy line does.
KINDS = {
    "connected": "person",
    "abandoned": "person",
    "hung_up": "person",
    "machine": "machine",
    "busy": "busy",
    "rejected": "busy",
    "congestion": "failed",
    "invalid": "failed",
    "failed": "failed",
    "no_answer": "no_answer",
}
SHARES = ("person", "machine", "busy", "failed")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a dial ended and after how long, which hour of the day it fell into, and how many dials it stands for.

    `kind` empty: it was cut off, and nobody knows.
    """

    call: DialedCall
    kind: str
    lasted_s: float
    hour: int
    weight: float = 0.0

    @property
    def setup_s(self) -> float | None:
        """From the dial to the first ring; None when it never rang."""
        return None if self.call.ring_s is None else max(0.0, self.lasted_s - self.call.ring_s)


@dataclass(frozen=True, slots=True)
class Stint:
    """A seat with one customer, and its wrap-up. The times are those up to the end of the day where one was cut off."""

    start: datetime
    talk_s: float
    wrap_s: float
    talk_whole: bool
    wrap_whole: bool


def endings(
    calls: Sequence[DialedCall], config: CampaignConfig, begin: datetime, end: datetime
) -> list[Ending]:
    """What became of the dials. An attempt that no switch took is none."""
    found: defaultdict[int, list[Ending]] = defaultdict(list)
    for call in calls:
        if call.outcome == "cancelled":
            continue
        kind = KINDS.get(call.outcome or "", "")
        if not kind and call.answered_at is not None:  # cut off in its talk, or while it waited
            kind = "person"
        met = call.connected_at is not None or call.outcome == "abandoned"
        if kind == "person" and config.amd and not met and call.amd in (None, "HANGUP"):
            kind = ""  # left during the detection
        over = call.answered_at or call.ended_at or end
        hour = int((call.dialed_at - begin).total_seconds() // 3600)
        found[hour].append(Ending(call, kind, max(0.0, (over - call.dialed_at).total_seconds()), hour))
    return [each for hour in sorted(found) for each in _weighed(found[hour])]


def _weighed(hour: Sequence[Ending]) -> Iterator[Ending]:
    mass = weights([each.lasted_s for each in hour], [bool(each.kind) for each in hour])
    for each, weight in zip(hour, mass, strict=True):
        yield Ending(each.call, each.kind, each.lasted_s, each.hour, float(weight) * len(hour))


def stints(intervals: Sequence[SeatInterval], end: datetime) -> list[Stint]:
    """What a seat did for its customers, one by one."""
    found: list[Stint] = []
    place = 0
    while place < len(intervals):
        each = first = intervals[place]
        place += 1
        if each.does != "talk" or each.state == "preview":
            continue
        while (
            place < len(intervals)
            and intervals[place].does == "talk"
            and intervals[place].call_id == first.call_id
        ):
            each = intervals[place]
            place += 1
        wrap_s, stop = 0.0, each.stop
        if place < len(intervals) and intervals[place].does == "wrap":
            wrap_s = (intervals[place].stop - each.stop).total_seconds()
            stop = intervals[place].stop
            place += 1
        talk_s = (each.stop - first.start).total_seconds()
        found.append(Stint(first.start, talk_s, wrap_s, each.stop < end, stop < end))
    return found


def people(
    found: Sequence[Ending], served: Sequence[Stint], config: CampaignConfig, hours: int, name: str
) -> Campaign | None:
    """The campaign's people, as the day shows them; None when nobody was connected.

    Shares are by the hour from the day's begin. Whose wrap-up follows whose talk is not kept, nor are a detector's
    mistakes, which are on no record.
    """
    talk = times([each.talk_s for each in served], [each.talk_whole for each in served])
    whole = [each for each in served if each.talk_whole]
    wrap = times([each.wrap_s for each in whole], [each.wrap_whole for each in whole])
    ring = _of(found, "person", lambda e: e.call.ring_s)
    if talk is None or wrap is None or ring is None:
        return None
    setup = [setup_s for each in found if (setup_s := each.setup_s) is not None]
    setup_s = float(np.mean(setup))
    amd = _detection(found) if config.amd else None
    detected_s = amd.detection.mean() if amd is not None and config.abandon.clock != "detected" else 0.0
    rang_out = [
        each.call.ring_s for each in found if each.kind == "no_answer" and each.call.ring_s is not None
    ]
    ring_limit_s = float(np.mean(rang_out)) if rang_out else config.ring_limit_s - setup_s
    shares = {kind: course(found, kind, hours) for kind in SHARES}
    return Campaign(
        name=name,
        talk=talk,
        wrap=wrap,
        person=shares["person"],
        machine=shares["machine"],
        busy=shares["busy"],
        failed=shares["failed"],
        setup=empirical(setup, [1.0] * len(setup)),
        ring=ring,
        machine_ring=_of(found, "machine", lambda e: e.call.ring_s),
        busy_after_s=max(0.0, _mean_s(found, "busy") - setup_s),
        failed_after_s=_mean_s(found, "failed"),
        ring_limit_s=max(ring_limit_s, *ring.values_s),
        connect_limit_s=max(0.1, config.connect_limit_s - detected_s),
        patience=_patience(found, config.connect_limit_s),
        amd=amd,
        target=config.target,
    )


def times(lasted_s: Sequence[float], whole: Sequence[bool]) -> Empirical | None:
    """Measured times as a distribution, None without any."""
    return empirical(lasted_s, weights(lasted_s, whole)) if lasted_s else None


def course(found: Sequence[Ending], kind: str, hours: int) -> Course:
    """A share of the dials, in steps of an hour."""
    of, whole = np.zeros(hours), np.zeros(hours)
    for each in found:
        whole[each.hour] += each.weight
        of[each.hour] += each.weight * (each.kind == kind)
    day = of.sum() / whole.sum()
    steps: list[tuple[float, float]] = []
    for hour in range(hours):
        share = of[hour] / whole[hour] if whole[hour] >= FEW_DIALS else day
        steps += [(float(hour), round(float(share), 5)), (float(hour + 1), round(float(share), 5))]
    return tuple(steps)


def _of(found: Sequence[Ending], kind: str, what: Callable[[Ending], float | None]) -> Empirical | None:
    values = [
        (value, each.weight) for each in found if each.kind == kind and (value := what(each)) is not None
    ]
    values = [(value, weight) for value, weight in values if weight > 0]
    return empirical(*zip(*values, strict=True)) if values else None


def _mean_s(found: Sequence[Ending], kind: str) -> float:
    lasted = [each.lasted_s for each in found if each.kind == kind]
    return float(np.mean(lasted)) if lasted else 0.0


def _detection(found: Sequence[Ending]) -> Amd | None:
    def heard_s(each: Ending) -> float | None:
        call = each.call
        if call.ended_at is None or call.answered_at is None:
            return None
        return (call.ended_at - call.answered_at).total_seconds()

    detection = _of(found, "machine", heard_s)
    return None if detection is None else Amd(detection)


def _patience(found: Sequence[Ending], limit_s: float) -> Empirical | None:
    """How long people wait before they hang up; beyond the connect limit nobody was seen to wait."""
    waits = [
        (min(each.call.wait_s or 0.0, limit_s), each.call.outcome == "hung_up")
        for each in found
        if each.kind == "person"
    ]
    if not any(left for _, left in waits):
        return None
    waits.append((limit_s + 1.0, True))  # takes the part of those who waited to the limit
    mass = weights([wait for wait, _ in waits], [left for _, left in waits])
    gone = [(wait, part) for (wait, left), part in zip(waits[:-1], mass[:-1], strict=True) if left]
    few = round(sum(part for _, part in gone) * PATIENCES)
    if not few:
        return None
    values = empirical(*zip(*gone, strict=True)).values_s
    some = [values[int((place + 0.5) * len(values) / few)] for place in range(few)]
    return Empirical((*some, *[FOREVER_S] * (PATIENCES - few)))
