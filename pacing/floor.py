"""Several campaigns on the same seats: one decision over all of them, by priority and each one's abandon budget.

Theory of operation. Every campaign has its own pacer, which is told of all seats that may take its calls, whoever they
talk to. What a pacer can't know is who else comes for these seats. So before it decides it is told: how many people of
the other campaigns will have taken one of its seats by the time its next call is answered, and how many wait for one
before its own people do: callers whatever the priority, as they are served first. A campaign's people are spread over
its seats, so of a rival's people that part counts which is the rival's share of common seats.

The campaigns decide one after the other, the highest priority first, and what one has decided the next one sees. A
campaign may risk people on common seats only as far as the more important ones there may themselves, or it would fill
the room that their smaller budgets leave. Where a campaign dials by seats and not by risk, each of its calls claims a
common seat. Beside one that dials by risk, it leaves seats for the people whom that one expects, if that one is as
important; beside a lesser one it takes the idle seats as long as it is within its target, and the lesser one sees its
calls.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from pacing.contract import Decision, Event, Room, SeatEvent, SeatState
from pacing.pacer import CampaignPacer
from pacing.predictive import NOBODY_ELSE, Others


@dataclass(slots=True)
class _Member:
    pacer: CampaignPacer
    priority: int
    seats: set[Hashable] = field(default_factory=set)  # at work, that may take its calls
    placed: int = 0  # calls decided on in this round: not in the air yet
    rests: bool = False  # it dials nobody now, and may have callers


class Floor:
    """The campaigns that share seats. The higher `priority` comes first; of equal ones whoever has fewer in the air."""

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}
        self._common: dict[tuple[str, str], int] = {}  # seats at work that take calls of both

    def join(self, campaign: str, pacer: CampaignPacer, priority: int = 0) -> None:
        """A campaign comes in, or takes another priority or pacer; its seats are those it is told of from now on."""
        found = self._members.get(campaign)
        if found is None:
            self._members[campaign] = _Member(pacer, priority)
        else:
            found.pacer, found.priority = pacer, priority

    def rest(self, campaign: str, rests: bool) -> None:
        """Whether it dials nobody now: then what it may risk limits no other, once nothing of it is in the air."""
        self._members[campaign].rests = rests

    def observe(self, campaign: str, event: Event) -> None:
        """Something happened to a campaign. A seat's event is told to each campaign whose calls it takes."""
        member = self._members[campaign]
        if isinstance(event, SeatEvent):
            self._count(campaign, member, event)
        member.pacer.observe(event)

    def decide(self, now: float, rooms: Mapping[str, Room]) -> dict[str, Decision]:
        """How many calls each campaign is to place now. Lines and calls per second in `rooms` are common to all."""
        found: dict[str, Decision] = {}
        for name in self.order(rooms):
            found[name] = self._members[name].pacer.decide(now, rooms[name], self.others(name, now))
            self._members[name].placed = found[name].dial
        for name in found:
            self._members[name].placed = 0
        return found

    def order(self, campaigns: Iterable[str]) -> list[str]:
        """Who decides first."""
        members = self._members
        return sorted(campaigns, key=lambda name: (-members[name].priority, members[name].pacer.in_air))

    def others(self, campaign: str, now: float) -> Others:
        """What the others, as they are now, mean to the decision of one, for those who ask its pacer themselves.

        They ask in the :meth:`order` of the campaigns, and place each one's calls before they ask for the next.
        """
        mine = self._members[campaign]
        if not mine.seats:
            return NOBODY_ELSE
        expected, waiting, claims, limit = None, 0.0, 0, 1.0
        for name, rival in self._members.items():
            common = self._common.get(_pair(campaign, name), 0) if name != campaign else 0
            if not common:
                continue
            share, first = common / len(rival.seats), rival.priority >= mine.priority
            ahead = share * (rival.pacer.waiting if first else rival.pacer.callers)
            waiting += ahead
            if mine.pacer.predictive:
                demand = share * rival.pacer.demand(now, mine.pacer.horizon, rival.placed)
                expected = demand if expected is None else expected + demand
            dials = not rival.rests or rival.pacer.in_air > 0
            if rival.priority > mine.priority and rival.pacer.predictive and dials:
                part = common / len(mine.seats)
                limit = min(limit, part * rival.pacer.risk_limit + (1.0 - part) * mine.pacer.risk_limit)
            taken = 0
            if not rival.pacer.predictive:
                calls = rival.pacer.in_air + rival.placed
                taken = calls if mine.pacer.predictive else calls + rival.pacer.callers
            elif not mine.pacer.predictive:
                yields = first or mine.pacer.over_target
                coming = rival.pacer.demand(now, rival.pacer.horizon[-1:], rival.placed)[0] if yields else 0.0
                taken = math.ceil(ahead + share * coming - 0.05)  # people, as it dials several calls a seat
            if taken:
                claims += min(len(mine.pacer.idle & rival.pacer.idle), taken)
        return Others(expected, waiting, claims, limit) if expected is not None or claims else NOBODY_ELSE

    # --- within ---------------------------------------------------------------------------------------------------

    def _count(self, campaign: str, member: _Member, event: SeatEvent) -> None:
        """Keep the number of common seats."""
        works = not event.gone and event.state is not SeatState.AWAY
        if works == (event.seat in member.seats):
            return
        (member.seats.add if works else member.seats.discard)(event.seat)
        for name, rival in self._members.items():
            if name != campaign and event.seat in rival.seats:
                pair = _pair(campaign, name)
                self._common[pair] = self._common.get(pair, 0) + (1 if works else -1)


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)
