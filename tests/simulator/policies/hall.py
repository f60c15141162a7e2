"""A hall whose seats and calls a test moves by hand, to ask one law what it would do."""

from __future__ import annotations

from itertools import count

from pacing.contract import CallEvent, CallStage, Pacer, Room, SeatEvent, SeatState

PLENTY = Room(free_lines=10_000)


class Hall:
    """Events into one law, with seats and calls numbered as they come."""

    def __init__(self, law: Pacer, idle: int = 0) -> None:
        self.law = law
        self.now = 0.0
        self._calls, self._seats = count(), count()
        self.seats = [self.seat(SeatState.IDLE) for _ in range(idle)]

    def seat(self, state: SeatState, number: int | None = None) -> int:
        """A seat in a state; a new one without a number."""
        number = next(self._seats) if number is None else number
        self.law.observe(SeatEvent(self.now, number, state))
        return number

    def call(self, *stages: CallStage, seat: int | None = None) -> int:
        """A new call that has gone through the stages at once."""
        number = next(self._calls)
        for stage in (CallStage.DIALED, *stages):
            self.law.observe(CallEvent(self.now, number, stage, seat))
        return number

    def talk(self, talk_s: float, ring_s: float = 0.0) -> None:
        """A whole call with a seat of its own, which is idle again after it."""
        seat, number = self.seat(SeatState.IDLE), next(self._calls)
        self.law.observe(CallEvent(self.now, number, CallStage.DIALED))
        self.now += ring_s
        for stage in (CallStage.ANSWERED, CallStage.HUMAN):
            self.law.observe(CallEvent(self.now, number, stage))
        self.seat(SeatState.TALK, seat)
        self.law.observe(CallEvent(self.now, number, CallStage.CONNECTED, seat))
        self.now += talk_s
        self.law.observe(CallEvent(self.now, number, CallStage.ENDED, seat))
        self.law.observe(SeatEvent(self.now, seat, SeatState.AWAY, gone=True))

    def dials(self, room: Room = PLENTY, after_s: float = 0.0) -> int:
        """What the law wants now, or so much later."""
        self.now += after_s
        return self.law.decide(self.now, room).dial
