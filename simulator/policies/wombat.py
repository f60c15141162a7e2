"""WombatDialer's boost: so many attempts for each available seat, none while too many callers wait.

As its manual describes queue end-points; how its adaptive boost moves is not published, so the boost stands still. It
is taken to look once a second.
"""

from __future__ import annotations

from math import floor

from pacing.contract import Decision, Event, PacingConfig, Room
from simulator.policies.board import Board, Orders

BOOST = 1.5
MOST_WAITING = 2
LOOKS_EVERY_S = 1.0


class Wombat:
    """One campaign under Wombat's law."""

    def __init__(self, config: PacingConfig, boost: float = BOOST) -> None:
        self._config = config
        self._boost = boost
        self._board = Board()
        self._orders = Orders()
        self._looks_at = 0.0

    def observe(self, event: Event) -> None:
        self._board.observe(event)

    def configure(self, config: PacingConfig) -> None:
        self._config = config

    def decide(self, now: float, room: Room) -> Decision:
        if now >= self._looks_at:
            self._looks_at = now + LOOKS_EVERY_S
            self._orders.left = self._wanted()
        return Decision(self._orders.place(room), "boost")

    def _wanted(self) -> int:
        board = self._board
        if board.waiting > MOST_WAITING:
            return 0
        return floor(board.idle * self._boost + 1e-9) - board.ringing - board.waiting
