"""When a supervisor should look: the five alarms of a campaign, raised and ended with patience. No I/O, no clock.

Theory of operation. Twice a second each campaign's newest snapshot and its seats are looked at, which gives the things
that are wrong now. What stays wrong for its kind's patience becomes an alarm; an alarm whose thing is not wrong for
:data:`CALM_S` is over, and a next time is a new one. An acknowledged alarm stays until it is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cti.figures import CampaignSnapshot, SeatRow
from cti.wire import Frame

CALM_S = 20.0
LOOK_BACK_S = (
    300.0  # over which idle time and failures are taken: what a supervisor can still do something about
)
STEP_S = 10.0  # between two figures kept for that

NEAR = 0.8  # of the abandon target: from here on the page's gauge is amber, too
ENOUGH_ANSWERED = 50  # people; a rate of fewer says little
IDLE_S = 60.0  # between two calls of a seat, on average
FAILING = 0.3  # of the dials that ended in the last minutes
ENOUGH_DIALS = 20
FAILED = ("congestion", "failed", "lost")
DRY_S = 3_600.0  # the list lasts less than this at the pace of the last minutes

# Seconds after which a seat has not come out of this state by itself: the engine's own limits are far shorter, or it
# waits for its agent.
STUCK_S = {
    "connecting": 20.0,
    "asked": 60.0,
    "phone": 60.0,
    "no_phone": 120.0,
    "wrap_up": 600.0,
    "talking": 3_600.0,
}
OVERDUE_S = 60.0  # a pause past its limit

PATIENCE_S = {"abandon": 5.0, "idle": 30.0, "trunk": 10.0, "list": 30.0, "held": 120.0, "seat": 0.0}

Key = tuple[str, str, str, int]  # campaign, kind, subject, user


class Alarm(msgspec.Struct, frozen=True):
    """Something that is wrong since `since` (POSIX). `value` is the figure then, `limit` the one it passed.

    `subject` is the switch, or the seat's state; `user_id` and `name` whose seat it is.
    """

    id: int
    campaign: str
    kind: str
    subject: str
    since: float
    value: float
    limit: float
    user_id: int = 0
    name: str = ""
    acknowledged_by: str = ""
    acknowledged_at: float = 0.0


class AlarmsFrame(Frame, frozen=True, tag="alarms"):
    """All alarms of the campaigns that the watcher sees, the newest first."""

    alarms: tuple[Alarm, ...]


@dataclass(frozen=True, slots=True)
class Wrong:
    """A thing that is wrong now."""

    value: float
    limit: float
    name: str = ""


class Alarms:
    """The alarms of all campaigns."""

    def __init__(self) -> None:
        self._next = 1
        self._raised: dict[Key, Alarm] = {}
        self._wrong_since: dict[Key, float] = {}
        self._right_since: dict[Key, float] = {}
        self._past: dict[str, deque[tuple[float, CampaignSnapshot]]] = {}

    def of(self, sees: Any) -> tuple[Alarm, ...]:
        """The alarms of the campaigns for which `sees` says yes, the newest first."""
        seen = [alarm for alarm in self._raised.values() if sees(alarm.campaign)]
        return tuple(sorted(seen, key=lambda alarm: -alarm.id))

    def find(self, alarm_id: int) -> Alarm | None:
        return next((alarm for alarm in self._raised.values() if alarm.id == alarm_id), None)

    def acknowledge(self, alarm_id: int, who: str, at: float) -> Alarm | None:
        """Somebody has seen it; who was first stands. None: it is over, or never was."""
        key = next((key for key, alarm in self._raised.items() if alarm.id == alarm_id), None)
        if key is None:
            return None
        if not self._raised[key].acknowledged_by:
            seen = msgspec.structs.replace(self._raised[key], acknowledged_by=who, acknowledged_at=at)
            self._raised[key] = seen
        return self._raised[key]

    def look(self, snapshots: Mapping[str, CampaignSnapshot], seats: Collection[SeatRow], now: float) -> bool:
        """Look at everything; whether an alarm was raised or is over. `now` is POSIX seconds."""
        wrong = dict(_of_seats(seats, snapshots, now))
        for name, snapshot in snapshots.items():
            for kind, subject, found in self._of_campaign(snapshot):
                wrong[name, kind, subject, 0] = found
        changed = False
        for key, found in wrong.items():
            self._right_since.pop(key, None)
            since = self._wrong_since.setdefault(key, now)
            if key not in self._raised and now - since >= PATIENCE_S[key[1]]:
                campaign, kind, subject, user_id = key
                self._raised[key] = Alarm(
                    self._next, campaign, kind, subject, since, found.value, found.limit, user_id, found.name
                )
                self._next += 1
                changed = True
        for key in [key for key in self._wrong_since if key not in wrong]:
            if key not in self._raised:
                del self._wrong_since[key]
            elif now - self._right_since.setdefault(key, now) >= CALM_S:
                del self._raised[key], self._wrong_since[key], self._right_since[key]
                changed = True
        return changed

    def _of_campaign(self, s: CampaignSnapshot) -> Iterator[tuple[str, str, Wrong]]:
        past = self._past.setdefault(s.campaign, deque())
        if not past or s.at - past[-1][0] >= STEP_S:
            past.append((s.at, s))
        while s.at - past[0][0] > LOOK_BACK_S:
            past.popleft()
        if not s.running or s.decision.get("bound") == "elsewhere":  # the engine that has it knows, and tells
            return
        before = past[0][1]
        if s.window_answered >= ENOUGH_ANSWERED and s.abandon_rate >= NEAR * s.target:
            yield "abandon", "", Wrong(s.abandon_rate, s.target)
        calls = s.connected - before.connected
        if s.seats.get("ready") and s.at - before.at >= IDLE_S:
            idle_s = (s.idle_s - before.idle_s) / max(1, calls)
            if idle_s > IDLE_S and s.idle_s - before.idle_s > IDLE_S * s.seats["ready"]:
                yield "idle", "", Wrong(idle_s, IDLE_S)
        yield from _of_trunk(s, before)
        yield from _of_list(s, before)


def _of_trunk(s: CampaignSnapshot, before: CampaignSnapshot) -> Iterator[tuple[str, str, Wrong]]:
    if s.trunk is not None and not s.trunk.up:
        yield "trunk", s.trunk.switch, Wrong(1.0, FAILING)
        return
    ended = sum(s.outcomes.values()) - sum(before.outcomes.values())
    failed = sum(s.outcomes.get(each, 0) - before.outcomes.get(each, 0) for each in FAILED)
    if ended >= ENOUGH_DIALS and failed / ended > FAILING:
        yield "trunk", s.trunk.switch if s.trunk is not None else "", Wrong(failed / ended, FAILING)


def _of_list(s: CampaignSnapshot, before: CampaignSnapshot) -> Iterator[tuple[str, str, Wrong]]:
    spent_s, used = s.at - before.at, (before.leads_left or 0) - (s.leads_left or 0)
    if s.leads_left == 0:
        yield "list", "", Wrong(0.0, DRY_S)
    elif s.leads_left is not None and used > 0 and spent_s >= IDLE_S:
        lasts_s = s.leads_left * spent_s / used
        if lasts_s < DRY_S:
            yield "list", "", Wrong(lasts_s, DRY_S)
    if s.leads_left != 0 and s.decision.get("bound") == "leads" and s.seats.get("ready"):
        yield "held", "", Wrong(s.leads_left or 0, 0.0)


def _of_seats(
    seats: Iterable[SeatRow], snapshots: Mapping[str, CampaignSnapshot], now: float
) -> Iterator[tuple[Key, Wrong]]:
    for seat in seats:
        if seat.state == "paused":
            if seat.until is None or now < seat.until + OVERDUE_S:
                continue
            limit_s = seat.until - seat.since
        elif seat.state in STUCK_S:
            limit_s = STUCK_S[seat.state]
            if seat.state == "wrap_up" and seat.until is not None:
                limit_s = max(limit_s, seat.until - seat.since)
        else:
            continue
        if now - seat.since > limit_s:
            campaign = seat.campaign or next((name for name in seat.serves if name in snapshots), "")
            yield (campaign, "seat", seat.state, seat.user_id), Wrong(now - seat.since, limit_s, seat.name)
