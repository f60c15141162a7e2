"""EasyCallCenter365's batches: seats free now or soon, times the dials that one answer takes, then 15 s of nothing.

The law as read in BatchTaskManager.java (01a1bc0). As it is, calls in the air are multiplied with the dials for one
answer where the chance of an answer is meant, and the wrap-up is subtracted from the time to free; `corrected` puts
both right and leaves the rest.
"""

from __future__ import annotations

from pacing.contract import Decision, Event, PacingConfig, Room, SeatState
from simulator.policies.board import Board, Orders

SLEEPS_AFTER_BATCH_S = 15.0
SLEEPS_WITHOUT_SEAT_S = 3.0
SLEEPS_WITHOUT_LINE_S = 7.0
LEARNS_AFTER_S = 420.0
LEARNS_EVERY_S = 31.0
SHORTEST_TALK_S = 5.0
FIRST_RATE = 2.0  # the operator's multiple
QUEUE_WEIGHT = 0.9
MOST_LINES = 1000


class EasyCallCenter365:
    """One campaign under EasyCallCenter365's law."""

    def __init__(self, config: PacingConfig, corrected: bool = False) -> None:
        self._config = config
        self._corrected = corrected
        self._board = Board()
        self._orders = Orders()
        self._rate = FIRST_RATE
        self._ring_s = self._talk_s = self._wrap_s = 0.0
        self._wakes_at, self._learns_at = 0.0, LEARNS_AFTER_S

    def observe(self, event: Event) -> None:
        self._board.observe(event)

    def configure(self, config: PacingConfig) -> None:
        self._config = config

    def decide(self, now: float, room: Room) -> Decision:
        if now >= self._learns_at:
            self._learns_at = now + LEARNS_EVERY_S
            self._learn()
        if now >= self._wakes_at:
            self._orders.left, sleeps_s = self._batch(now, room)
            self._wakes_at = now + sleeps_s
        return Decision(self._orders.place(room), "batch", {"rate": self._rate})

    def _batch(self, now: float, room: Room) -> tuple[int, float]:
        """How many to dial, and how long to sleep after it."""
        board = self._board
        connects = board.ringing / self._rate if self._corrected else board.ringing * self._rate
        seats = board.idle - int(connects) + self._soon(now) - int(QUEUE_WEIGHT * board.waiting)
        if seats <= 0:
            return 0, SLEEPS_WITHOUT_SEAT_S
        lines = min(room.free_lines, MOST_LINES - len(board.calls))
        if lines <= 0:
            return 0, SLEEPS_WITHOUT_LINE_S
        return min(int(seats * self._rate), lines), SLEEPS_AFTER_BATCH_S

    def _learn(self) -> None:
        board = self._board
        if not board.answered:
            return
        self._rate = board.finished / board.answered
        self._ring_s = sum(board.answer_times_s) / len(board.answer_times_s)
        self._talk_s = max(SHORTEST_TALK_S, board.talk_mean_s)
        self._wrap_s = board.wrap_mean_s

    def _soon(self, now: float) -> int:
        if not self._talk_s:
            return 0
        works_s = self._talk_s + (self._wrap_s if self._corrected else -self._wrap_s)
        return sum(
            self._ring_s - (works_s - (now - seat.matched_at)) > 0
            for seat in self._board.seats.values()
            if seat.state in (SeatState.TALK, SeatState.WRAP)
        )
