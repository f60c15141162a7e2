"""One campaign's pacing, in all modes: it learns from every event whatever the mode, and decides by the mode it is in.

Theory of operation. Events move seats and calls between a few rosters; models learn as calls and talks end. A decision
reads the rosters, lets the models look at the time, and notes the risks of the calls it allowed. Unknown ids, repeats
and late arrivals are harmless: a call that is settled stays so, a seat is in the state heard of last.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Set
from dataclasses import replace
from typing import Any

import numpy as np

from pacing.arrivals import Arrivals
from pacing.contract import (
    CallEvent,
    CallStage,
    Decision,
    Event,
    InboundOffered,
    Mode,
    PacingConfig,
    Room,
    SeatEvent,
    SeatState,
)
from pacing.ledger import AbandonLedger
from pacing.lifetable import Floats
from pacing.predictive import NOBODY_ELSE, Others, Outlook, Predictive
from pacing.roster import Roster

# From these stages on a call asks for no seat any more: it has one, or it is over.
SETTLED = frozenset(
    {
        CallStage.CONNECTED,
        CallStage.MACHINE,
        CallStage.NO_ANSWER,
        CallStage.BUSY,
        CallStage.FAILED,
        CallStage.CANCELLED,
        CallStage.HUNG_UP,
        CallStage.ABANDONED,
        CallStage.ENDED,
    }
)
PERSON = frozenset({CallStage.CONNECTED, CallStage.HUNG_UP, CallStage.ABANDONED})

# Settled calls remembered, so that an event that comes late or twice cannot bring one back into the air, where
# nothing would ever end it. Far more than are settled within the seconds by which an event can be late.
REMEMBERED = 4_096
LATELY = 0.9  # of the last decisions, about ten, bound by its own risk limit
# Times the limit that a more important campaign leaves it. Farther above, its own says nothing and would only rise;
# where two thirds of the seats are common it never is, and is what steers.
FAR_ABOVE = 3.0


class CampaignPacer:
    """See :class:`pacing.contract.Pacer`. A call in the air is one that may still want a seat."""

    def __init__(self, config: PacingConfig, ledger: AbandonLedger | None = None) -> None:
        self._config = config
        self.ledger = ledger or AbandonLedger(config.rule)
        self._model = Predictive(config.target, config.ring_limit_s)
        self._idle: set[Hashable] = set()
        self._talking, self._wrapping = Roster(), Roster()
        self._leaving: dict[Hashable, tuple[SeatState, float]] = {}  # busy, and will take no further customer
        self._air = Roster()  # calls without an answer of a person so far, since they were dialed
        self._waiting: set[Hashable] = set()  # people who wait for a seat
        self._arrivals = Arrivals()
        self._callers: set[Hashable] = set()  # people who called in and wait for a seat
        self._rang: set[Hashable] = set()  # calls that are not over
        self._picked_up: dict[Hashable, float] = {}  # and nobody said yet by whom: when
        self._told_by_answer = False  # people are connected without a word that they are people
        self._ages: dict[Hashable, float] = {}  # of the calls of people, when they answered
        self._lists: dict[Hashable, Hashable | None] = {}
        self._settled: dict[Hashable, None] = {}  # oldest first
        self._binding = 1.0  # how often its own risk limit was what bound, lately

    # --- in -------------------------------------------------------------------------------------------------------

    def observe(self, event: Event) -> None:
        """Take note of an event. Repeats, late arrivals and unknown ids change nothing that they should not."""
        if isinstance(event, SeatEvent):
            self._seat(event)
        elif isinstance(event, InboundOffered):
            self._arrivals.offered(event.at)
            self._callers.add(event.call)
        elif event.call in self._callers:
            self._caller(event)
        else:
            self._call(event)
        self._refresh(event.at)

    def configure(self, config: PacingConfig) -> None:
        """Take a new configuration; seats, calls and what was learned stay."""
        self._config = config
        self._model.limit.aim_at(config.target)
        if config.mode is not Mode.PREDICTIVE:
            self._model.rest()
        self.ledger.take_rule(config.rule)

    # --- out ------------------------------------------------------------------------------------------------------

    def decide(self, now: float, room: Room, others: Others = NOBODY_ELSE) -> Decision:
        """How many calls to place, within the room there is. `others` are after the same seats."""
        config = self._config
        idle, in_air = len(self._idle), self.in_air
        why: dict[str, float | int | str] = {"idle_seats": idle, "in_air": in_air}
        limits = {
            "lines": room.free_lines,
            "max_lines": config.max_lines - in_air,
            "calls_per_s": room.rate_allowance,
            "leads": room.leads,
        }
        tightest = min(limits, key=lambda name: limits[name])
        most = max(0, limits[tightest])
        if config.mode is Mode.PREVIEW:
            return Decision(0, "preview" if room.leads else "leads", why)
        if config.mode is Mode.PREDICTIVE:
            return self._predict(now, most, tightest, why, others)
        self._binding = 0.0  # what becomes of these calls says nothing of the risk limit
        # Progressive wants one line an idle seat. Ratio wants floor(ratio x idle), and at least one line an idle
        # seat; rounding down keeps a single idle seat at one line until the ratio reaches 2.
        ratio = config.ratio if config.mode is Mode.RATIO else 1.0
        idle = max(0, idle - self.callers - others.claims)
        wanted = max(0, max(idle, math.floor(ratio * idle + 1e-9)) - in_air)
        why |= {"ratio": ratio, "wanted": wanted}
        return Decision(min(wanted, most), tightest if most < wanted else "seats", why)

    # --- what others on the same seats want to know ---------------------------------------------------------------

    @property
    def in_air(self) -> int:
        """Calls that may yet want a seat, people who wait for one included."""
        return len(self._air) + len(self._waiting)

    @property
    def idle(self) -> Set[Hashable]:
        """Idle seats that take its calls."""
        return self._idle

    @property
    def working(self) -> int:
        """Seats that take its calls, busy or idle."""
        return len(self._idle) + len(self._talking) + len(self._wrapping) + len(self._leaving)

    @property
    def waiting(self) -> int:
        """People who wait for a seat, called or calling."""
        return len(self._waiting) + self.callers

    @property
    def callers(self) -> int:
        """Of these who called in: any seat that may have them takes them before whom it was dialed for."""
        return len(self._callers)

    @property
    def predictive(self) -> bool:
        """Whether its calls in the air are more than its seats."""
        return self._config.mode is Mode.PREDICTIVE

    @property
    def over_target(self) -> bool:
        """Whether more people were abandoned than its target allows."""
        return self.ledger.surplus(self._config.target) < 0.0

    @property
    def horizon(self) -> Floats:
        """The instants ahead, in seconds, at which a call placed now would be answered."""
        return self._model.answers.times

    @property
    def risk_limit(self) -> float:
        """The greatest risk that a call of it may carry."""
        return self._model.limit.value

    def demand(self, now: float, times_s: Floats, placed: int = 0) -> Floats:
        """People who will want a seat until each of these instants, on average, those of `placed` more calls too."""
        answers = self._model.answers
        level, _ = answers.level()
        ages, factors = self._air.ages(now), self._air.factors()
        found = answers.expected(ages, level * factors, times_s)
        if placed:
            found += placed * answers.rings * answers.expected(np.zeros(1), level, times_s)
        return found + self._arrivals.per_s(now) * times_s

    # --- keeping --------------------------------------------------------------------------------------------------

    def learned(self) -> dict[str, Any]:
        """What was learned, as plain numbers for a store; some tens of kilobytes as JSON."""
        model = self._model
        return {
            "answers": model.answers.learned(),
            "release": model.release.learned(),
            "limit": model.limit.learned(),
        }

    def restore(self, learned: Mapping[str, Any], own: bool = True) -> None:
        """Take what :meth:`learned` gave, of another part of the campaign where it is not `own`.

        Raises ValueError for anything else; then nothing was taken.
        """
        fresh = Predictive(self._config.target, self._config.ring_limit_s)
        try:
            fresh.answers.restore(learned["answers"])
            fresh.release.restore(learned["release"])
            fresh.limit.restore(learned["limit"], own)
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise ValueError(f"what pacing had learned can't be read: {fault}") from fault
        self._model = fresh

    # --- predictive -----------------------------------------------------------------------------------------------

    def _predict(
        self, now: float, most: int, tightest: str, why: dict[str, float | int | str], others: Others
    ) -> Decision:
        seats = self.working
        self.ledger.expire(now)
        self._refresh(now)
        if callers := self._arrivals.per_s(now):
            expected = callers * self.horizon
            others = replace(
                others, expected=expected if others.expected is None else others.expected + expected
            )
        outlook = self._model.decide(
            now,
            len(self._idle) - math.ceil(self.waiting + others.waiting - 1e-9),
            seats,
            most,
            self._air,
            self._talking,
            self._wrapping,
            self.ledger,
            self._config.target,
            others,
        )
        bound = outlook.bound or tightest
        if not seats:
            bound = "no_seats"
        own = bound == "risk" and self.risk_limit <= FAR_ABOVE * outlook.limit
        self._binding += (1.0 - LATELY) * (own - self._binding)
        return Decision(outlook.dial, bound, why | self._explain(outlook))

    def _refresh(self, now: float) -> None:
        config = self._config
        self._model.refresh(
            now, self._air, self._talking, self._wrapping, config.connect_limit_s, config.wrap_limit_s
        )

    def _explain(self, outlook: Outlook) -> dict[str, float | int | str]:
        return {
            "expected_free": round(outlook.expected_free, 2),
            "expected_answers": round(outlook.expected_answers, 2),
            "expected_others": round(outlook.expected_others, 2),
            "risk": round(outlook.risk, 4),
            "risk_limit": round(outlook.limit, 4),
            "earned": round(min(outlook.earned, 1e9), 1),
            "abandon_rate": round(self.ledger.rate, 4),
            "answer_share": round(outlook.answer_share, 3),
        }

    # --- seats ----------------------------------------------------------------------------------------------------

    def _seat(self, event: SeatEvent) -> None:
        seat, state, at = event.seat, event.state, event.at
        counted_on = seat not in self._leaving
        if event.gone or state is SeatState.AWAY:
            # One that is counted out may be at work for others, and of one that was leaving no return was expected.
            if self._end(seat, at, follows=None) is not None and counted_on and not event.gone:
                self._model.release.came_back(False)
            self._idle.discard(seat)
        elif state is SeatState.IDLE:
            if self._end(seat, at, follows=state) is not None and counted_on:
                self._model.release.came_back(True)
            if event.leaving:
                self._idle.discard(seat)
            else:
                self._idle.add(seat)
        else:
            self._idle.discard(seat)
            if self._doing(seat) is not state:
                self._end(seat, at, follows=state)
                self._busy(state).add(seat, at)
            if event.leaving and seat not in self._leaving:
                since = self._busy(state).pop(seat)
                self._leaving[seat] = (state, at if since is None else since)
            elif not event.leaving and seat in self._leaving:  # it stays after all
                doing, since = self._leaving.pop(seat)
                self._busy(doing).add(seat, since)

    def _doing(self, seat: Hashable) -> SeatState | None:
        """Talk or wrap-up, None for neither."""
        if seat in self._leaving:
            return self._leaving[seat][0]
        if seat in self._talking:
            return SeatState.TALK
        return SeatState.WRAP if seat in self._wrapping else None

    def _busy(self, state: SeatState) -> Roster:
        """Who does it: talk or wrap-up."""
        return self._talking if state is SeatState.TALK else self._wrapping

    def _end(self, seat: Hashable, at: float, follows: SeatState | None) -> SeatState | None:
        """The seat is done with what it did: learn how long it took. `follows` None: it was cut off."""
        doing = self._doing(seat)
        if doing is None:
            return None
        if seat in self._leaving:
            _, since = self._leaving.pop(seat)
        else:
            since = self._busy(doing).pop(seat) or 0.0
        lasted, release = max(0.0, at - since), self._model.release
        if doing is SeatState.WRAP:
            release.wrapped(lasted)
        elif follows is None:
            release.talk.observe(lasted, ended=False)
        else:
            release.talked(lasted, wrap_follows=follows is SeatState.WRAP)
        return doing

    # --- calls ----------------------------------------------------------------------------------------------------

    def _call(self, event: CallEvent) -> None:
        call, stage, at = event.call, event.stage, event.at
        if call in self._settled:
            return
        if event.hour is not None:
            self._model.answers.enter_hour(event.hour)
        if stage in SETTLED:
            self._settle(event)
            return
        if call not in self._air and call not in self._waiting:
            level = self._model.answers.list_level(event.list_id)
            self._air.add(call, at, level)
            self._lists[call] = event.list_id
            self._model.dialed(call)
        if stage is not CallStage.DIALED:
            self._rang.add(call)
        if stage is CallStage.ANSWERED and not self._told_by_answer:
            self._picked_up.setdefault(call, at)
        elif stage in (CallStage.HUMAN, CallStage.ANSWERED) and call in self._air:
            self._person(call, at)

    def _caller(self, event: CallEvent) -> None:
        """Somebody who called in has a seat, or has gone."""
        self._callers.discard(event.call)
        self._remember(event.call)
        if event.stage is CallStage.CONNECTED and event.seat in self._idle:
            self._seat(SeatEvent(event.at, event.seat, SeatState.TALK))  # its own event is on the way

    def _person(self, call: Hashable, at: float, waits: bool = True) -> None:
        """A person is on the line."""
        since = self._air.pop(call)
        if since is not None:
            self._ages[call] = at - since
            self._model.answers.ended(at - since, True, self._lists.get(call))
        if waits:
            self._waiting.add(call)

    def _settle(self, event: CallEvent) -> None:
        call, stage, at = event.call, event.stage, event.at
        known = call in self._air or call in self._waiting
        if stage in PERSON:
            if call in self._air:  # nobody said that it was a person: at the latest when it was picked up
                picked_up = self._picked_up.get(call)
                if stage is CallStage.CONNECTED and picked_up is not None:  # else it may have been lost
                    self._told_by_answer = True
                self._person(call, at if picked_up is None else picked_up, waits=False)
            self._count(stage, at)  # also one of whom nothing was told before, whose own seat was kept
        elif call in self._air:
            since = self._air.pop(call) or 0.0
            if stage is CallStage.FAILED and call not in self._rang:
                self._model.answers.failed()
            elif stage is not CallStage.CANCELLED:
                self._model.answers.ended(at - since, False, self._lists.get(call))
        elif call in self._ages:
            self._model.answers.was_no_person(self._ages[call], self._lists.get(call))
        if known:
            lost = stage is CallStage.ABANDONED
            self._model.done(call, stage in PERSON, lost, self._binding > 0.5)
        if stage is CallStage.CONNECTED and event.seat is not None and event.seat in self._idle:
            self._seat(SeatEvent(at, event.seat, SeatState.TALK))  # its own event is on the way
        self._waiting.discard(call)
        self._rang.discard(call)
        self._picked_up.pop(call, None)
        self._ages.pop(call, None)
        self._lists.pop(call, None)
        self._remember(call)

    def _remember(self, call: Hashable) -> None:
        """It is settled; events that come yet are late ones."""
        self._settled[call] = None
        if len(self._settled) > REMEMBERED:
            del self._settled[next(iter(self._settled))]

    def _count(self, stage: CallStage, at: float) -> None:
        if stage is CallStage.CONNECTED:
            self.ledger.connected(at)
        elif stage is CallStage.ABANDONED:
            self.ledger.abandoned(at)
        else:
            self.ledger.hung_up(at)
