"""Issabel's predictor: free seats and seats about to be free, divided by the share of dials that are answered.

The law as read in CampaignProcess and Predictor.class.php (861d284), with its option to overcommit. Its test for
"about to be free" is the unconditional exponential law at 97 %: a call counts only after 3.5 mean talk times.
"""

from __future__ import annotations

from math import exp

from pacing.contract import Decision, Event, PacingConfig, Room, SeatState
from simulator.policies.board import Board, Orders

REVIEWS_EVERY_S = 3.0
FEWEST_CALLS = 10  # MIN_MUESTRAS, and for the answer rate
ABOUT_TO_BE_FREE = 0.97  # qos
ANSWERS_AFTER_S, ANSWERS_KEPT = 8.0, 20  # the mean of the last 20, filled up with 8 s
ANSWER_RATE_OVER_S = 1800.0
LOWEST_ANSWER_RATE = 0.20


class Issabel:
    """One campaign under Issabel's law."""

    def __init__(self, config: PacingConfig) -> None:
        self._config = config
        self._board = Board(keeps_s=ANSWER_RATE_OVER_S)
        self._orders = Orders()
        self._reviews_at = 0.0

    def observe(self, event: Event) -> None:
        self._board.observe(event)

    def configure(self, config: PacingConfig) -> None:
        self._config = config

    def decide(self, now: float, room: Room) -> Decision:
        if now >= self._reviews_at:
            self._reviews_at = now + REVIEWS_EVERY_S
            self._orders.left = self._wanted(now)
        return Decision(self._orders.place(room), "seats")

    def _wanted(self, now: float) -> int:
        board, recent = self._board, self._board.recent
        soon = self._soon(now) if board.talks >= FEWEST_CALLS else 0
        wanted = max(0, board.idle + soon - board.waiting)
        if len(recent) >= FEWEST_CALLS:
            rate = sum(call.human for call in recent) / len(recent)
            wanted = round(wanted / max(rate, LOWEST_ANSWER_RATE))
        return wanted - board.ringing

    def _soon(self, now: float) -> int:
        board = self._board
        times = board.answer_times_s
        answers_s = (sum(times) + ANSWERS_AFTER_S * (ANSWERS_KEPT - len(times))) / ANSWERS_KEPT
        return sum(
            1 - exp(-(now - seat.since + answers_s) / board.talk_mean_s) >= ABOUT_TO_BE_FREE
            for seat in board.seats.values()
            if seat.state is SeatState.TALK
        )
