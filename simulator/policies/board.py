"""What a dialer's own tables would show at any moment: seats, calls and counts, kept up from the contract's events."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

from pacing.contract import CallEvent, CallStage, Event, Room, SeatEvent, SeatState

RINGING = frozenset({CallStage.DIALED, CallStage.RINGING})
UNANSWERED = frozenset({CallStage.NO_ANSWER, CallStage.BUSY, CallStage.FAILED})
OVER = UNANSWERED | {CallStage.MACHINE, CallStage.HUNG_UP, CallStage.ABANDONED, CallStage.ENDED}


@dataclass(slots=True)
class Seat:
    """What a seat does, since when, and since when it has had its customer."""

    state: SeatState
    since: float
    matched_at: float


@dataclass(slots=True)
class Call:
    """How far a call is."""

    stage: CallStage
    dialed_at: float


@dataclass(frozen=True, slots=True)
class Finished:
    """How a dial went, once that is known."""

    at: float
    answered: bool  # by a person or a machine
    human: bool
    dropped: bool


class Board:
    """The present, and the past as far back as `keeps_s`."""

    def __init__(self, keeps_s: float = 3600.0) -> None:
        self.seats: dict[Hashable, Seat] = {}
        self.calls: dict[Hashable, Call] = {}
        self.idle = 0
        self.ringing = 0  # in the air, not answered
        self.waiting = 0  # people without a seat
        self.dials = 0
        self.finished = 0  # dials of which it is known how they went
        self.answered = 0  # of those, by a person or a machine
        self.humans = 0  # people who were connected, dropped, or gone
        self.dropped = 0
        self.recent: deque[Finished] = deque()
        self.answer_times_s: deque[float] = deque(maxlen=20)
        self.talks = 0
        self.talk_s = 0.0
        self.wraps = 0
        self.wrap_s = 0.0
        self._keeps_s = keeps_s

    @property
    def talk_mean_s(self) -> float:
        return self.talk_s / self.talks if self.talks else 0.0

    @property
    def wrap_mean_s(self) -> float:
        return self.wrap_s / self.wraps if self.wraps else 0.0

    def observe(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, SeatEvent):
            self._seat(event)
        elif isinstance(event, CallEvent):
            self._call(event)

    def _seat(self, event: SeatEvent) -> None:
        seat = self.seats.setdefault(event.seat, Seat(SeatState.AWAY, event.at, event.at))
        if seat.state is not event.state:
            lasted_s = event.at - seat.since
            if seat.state is SeatState.IDLE:
                self.idle -= 1
            elif seat.state is SeatState.TALK:
                self.talks, self.talk_s = self.talks + 1, self.talk_s + lasted_s
            elif seat.state is SeatState.WRAP:
                self.wraps, self.wrap_s = self.wraps + 1, self.wrap_s + lasted_s
            if event.state is SeatState.IDLE:
                self.idle += 1
            elif event.state is SeatState.TALK:
                seat.matched_at = event.at
            seat.state, seat.since = event.state, event.at
        if event.gone:
            del self.seats[event.seat]

    def _call(self, event: CallEvent) -> None:
        stage = event.stage
        if stage is CallStage.DIALED:
            self.calls[event.call] = Call(stage, event.at)
            self.dials += 1
            self.ringing += 1
            return
        call = self.calls.get(event.call)
        if call is None:
            return  # an inbound one
        if call.stage in RINGING and stage not in RINGING:
            self.ringing -= 1
            if stage not in UNANSWERED:
                self.answer_times_s.append(event.at - call.dialed_at)
        if call.stage is CallStage.HUMAN:
            self.waiting -= 1
        if stage is CallStage.HUMAN:
            self.waiting += 1
        elif stage is CallStage.CONNECTED:
            self._is_known(event, answered=True)
        elif stage is not CallStage.ENDED and stage in OVER:
            self._is_known(event, answered=stage not in UNANSWERED)
        if stage in OVER:
            del self.calls[event.call]
        else:
            call.stage = stage

    def _is_known(self, event: CallEvent, answered: bool) -> None:
        dropped = event.stage is CallStage.ABANDONED
        human = answered and event.stage is not CallStage.MACHINE
        self.finished += 1
        self.answered += answered
        self.dropped += dropped
        self.humans += human
        self.recent.append(Finished(event.at, answered, human, dropped))
        while self.recent[0].at < event.at - self._keeps_s:
            self.recent.popleft()


class Orders:
    """What a law that looks every so often has asked for and not yet had: it is placed as the limits let it."""

    def __init__(self) -> None:
        self.left = 0

    def place(self, room: Room) -> int:
        """As many as there is room for now."""
        placed = max(0, min(self.left, room.free_lines, room.rate_allowance, room.leads))
        self.left -= placed
        return placed
