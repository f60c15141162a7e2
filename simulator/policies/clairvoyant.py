"""The bound: a law that knows how each dial ends and when each seat is free, and dials as early as nobody is dropped.

It keeps to the order of the list, to the lines there are and to the people's own patience. Dials that reach nobody
are placed at once. One that reaches a person is placed at the first moment from which on everybody in the air still
finds a seat within their limit. No law that has to guess does better without dropping people.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping
from heapq import heapify, heappop, heappush
from math import inf
from typing import NamedTuple

from pacing.contract import Decision, Event, Room
from simulator.floor import model
from simulator.floor.building import Building
from simulator.floor.model import NONE, ROW

ASKS_EVERY_S = 0.25
MARGIN_S = 0.3  # of a person's patience that is not counted on; more than a look comes late
CALLERS_AHEAD_S = 60.0  # how far people who will call in are looked for
MOST_AT_ONCE = 200  # dials; the rest comes with the next look


class Person(NamedTuple):
    """Somebody who will want a seat: when, for how long, how long they wait for it, and of which campaign's seats."""

    at: float
    works_s: float
    waits_s: float
    campaign: int


class Clairvoyant:
    """A floor law that looks into the floor itself."""

    ask_every_s = ASKS_EVERY_S

    def __init__(self) -> None:
        self._coming: list[Person] = []  # dialed, not yet there
        self._due: dict[int, tuple[int, float]] = {}  # campaign: its next lead, and when to dial it

    def foresee(self, building: Building) -> None:
        """Take the floor to look into."""
        self._building = building
        self._n, self._x = building.n, building.x
        self._serving = {
            campaign: [group for group in building.groups if campaign in building.served_by(group)]
            for campaign in building.campaigns
        }

    def observe(self, campaign: str, event: Event) -> None:
        """Nothing it did not know."""

    def decide(self, now: float, rooms: Mapping[str, Room]) -> Mapping[str, Decision]:
        decisions = {}
        for campaign in self._building.order:
            room = rooms.get(self._building.name_of(campaign))
            if room is not None:
                most = min(room.free_lines, room.rate_allowance, room.leads, MOST_AT_ONCE)
                dial = self._dials(campaign, now, most)
                decisions[self._building.name_of(campaign)] = Decision(dial, "foresight")
        return decisions

    def _dials(self, campaign: int, now: float, most: int) -> int:
        n, dials = self._n, 0
        if n[campaign + model.NEXT_LEAD] == n[campaign + model.BLOCK_END] and most:
            self._building.draw(campaign)
        lead, end = n[campaign + model.NEXT_LEAD], n[campaign + model.BLOCK_END]
        while dials < most and lead < end:
            person, delay_s = self._fate(campaign, lead, now)
            if person is not None:
                number = n[campaign + model.DIALED] + dials
                known, due = self._due.get(campaign, (NONE, 0.0))
                if known == number and now < due:
                    break
                due = self._earliest(person, now) - delay_s
                if due <= now and not self._holds(person, now):
                    due = now + ASKS_EVERY_S
                if due > now:
                    self._due[campaign] = (number, due)
                    break
                insort(self._coming, person)
            dials += 1
            lead += model.LEAD_ROW
        return dials

    def _fate(self, campaign: int, lead: int, now: float) -> tuple[Person | None, float]:
        """Who will want a seat if the lead is dialed now, and after how long; see `model.dial`."""
        n, x = self._n, self._x
        minute = n[campaign + model.MINUTES] + int(now / 60) * model.MINUTE_ROW
        at_home = x[minute + model.SHARE_PERSON] * x[lead + model.FACTOR]
        limit_s = x[campaign + model.CONNECT_LIMIT_S]
        if x[lead + model.FATE] < at_home:
            rings_s, works_s = (
                x[lead + model.FATE_RING],
                x[lead + model.FATE_TALK] + x[lead + model.FATE_WRAP],
            )
            waits_s = min(limit_s, x[lead + model.FATE_PATIENCE])
            wanted = x[lead + model.FATE_VERDICT] >= x[campaign + model.PERSON_WRONG]
        elif x[lead + model.FATE] >= 1.0 - x[minute + model.SHARE_MACHINE]:
            rings_s, works_s = x[lead + model.FATE_MACHINE_RING], x[lead + model.FATE_MACHINE_TALK]
            waits_s = min(limit_s, works_s)
            wanted = x[lead + model.FATE_VERDICT] < x[campaign + model.MACHINE_WRONG]
        else:
            return None, 0.0
        if not wanted or rings_s > x[campaign + model.RING_LIMIT_S]:
            return None, 0.0
        delay_s = x[lead + model.FATE_SETUP] + rings_s
        if n[campaign + model.LISTENS]:
            delay_s += x[lead + model.FATE_DETECTION]
        return Person(now + delay_s, works_s, max(0.0, waits_s - MARGIN_S), campaign), delay_s

    def _earliest(self, person: Person, now: float) -> float:
        """The first time, not before `person.at`, at which one more can come and nobody waits too long for it.

        As if any seat would do for anybody; where that is not so, it may be too early, and `_holds` has the last word.
        """
        people = self._people(now)
        free = [release for releases in self._releases(now).values() for release in releases]
        heapify(free)
        taken = []  # the release that each in turn gets; one more at the end
        for one in people:
            taken.append(heappop(free) if free else inf)
            heappush(free, max(one.at, taken[-1]) + one.works_s)
        taken.append(free[0] if free else inf)
        place = len(people)  # the earliest place in the queue at which one more leaves all behind it in time
        while place and taken[place] <= people[place - 1].at + people[place - 1].waits_s:
            place -= 1
        at = max(person.at, people[place - 1].at if place else 0.0)
        while True:
            while place < len(people) and people[place].at <= at:
                place += 1
            needed = taken[place] - person.waits_s
            if needed <= at:
                return at
            at = needed

    def _holds(self, person: Person, now: float) -> bool:
        """Whether everybody still finds a seat that serves them if `person` comes as well."""
        if len(self._building.groups) == 1:
            return True
        free = self._releases(now)
        for releases in free.values():
            heapify(releases)
        for one in sorted([*self._people(now), person]):
            groups = [group for group in self._serving[one.campaign] if free[group]]
            if not groups:
                return False
            group = min(groups, key=lambda each: free[each][0])
            begins = max(one.at, heappop(free[group]))
            if begins > one.at + one.waits_s:
                return False
            heappush(free[group], begins + one.works_s)
        return True

    def _people(self, now: float) -> list[Person]:
        """All who want a seat or will: those who wait, those in the air, those about to call in; by time."""
        del self._coming[: bisect_right(self._coming, (now,))]
        return sorted([*self._waiting(now), *self._coming, *self._callers(now)])

    def _waiting(self, now: float) -> Iterator[Person]:
        n, x = self._n, self._x
        for campaign in self._building.campaigns:
            call = n[campaign + model.WAIT_FIRST]
            while call != NONE:
                works_s = x[call + model.TALK_S] + x[call + model.THEN_WRAP_S]
                waits_s = inf if n[call + model.INBOUND] else x[call + model.LEAVES_AT] - now
                yield Person(now, works_s, waits_s, campaign)
                call = n[call + model.NEXT]

    def _callers(self, now: float) -> Iterator[Person]:
        n, x = self._n, self._x
        for campaign in self._building.campaigns:
            caller = n[campaign + model.NEXT_CALLER]
            while caller < n[campaign + model.CALLERS_END] and x[caller] < now + CALLERS_AHEAD_S:
                works_s = x[caller + model.CALLER_TALK] + x[caller + model.CALLER_WRAP]
                yield Person(x[caller], works_s, inf, campaign)
                caller += model.CALLER_ROW

    def _releases(self, now: float) -> dict[int, list[float]]:
        """When each seat that will come back is free, by group of seats."""
        n, x = self._n, self._x
        found: dict[int, list[float]] = {group: [] for group in self._building.groups}
        for seat in range(n[model.SEATS], n[model.SEATS_END], ROW):
            state, turn = n[seat + model.STATE], n[seat + model.TURN_AT]
            turns_at = x[turn] if turn < n[seat + model.TURNS_END] else inf
            if state == model.AWAY:
                free = turns_at
            elif n[seat + model.LEAVING]:
                continue
            elif state == model.IDLE:
                free = now
            elif state == model.WRAP:
                free = x[seat + model.SINCE] + x[seat + model.WRAP_S]
            else:
                free = x[n[seat + model.CUSTOMER] + model.ENDS_AT] + x[seat + model.WRAP_S]
            if free < turns_at or state == model.AWAY:
                found[n[seat + model.GROUP]].append(free)
        return found
