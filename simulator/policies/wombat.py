"""WombatDialer's boost: so many attempts for each available seat, none while too many callers wait.

As its manual describes queue end-points; how its adaptive boost moves is not published, so the boost stands still. It
is taken to look once a second.
"""

from __future__ import annotations

from math import floor

from pacing.contract import Decision, Event, PacingConfig, Room
from simulator.policies.board import Board

BOOST = 1.5
MOST_WAITING = 2
LOOKS_EVERY_S = 1.0


class Wombat:
    """One campaign under Wombat's law."""

    def __init__(self, config: PacingConfig, boost: float = BOOST) -> None:
        self._config = config
        self._boost = boost
        self._board = Board()
        self._looks_at = 0.0

    def observe(self, event: Event) -> None:
        self._board.observe(event)

    def configure(self, config: PacingConfig) -> None:
        self._config = config

    def decide(self, now: float, room: Room) -> Decision:
        board = self._board
        if now < self._looks_at:
            return Decision(0, "between looks")
        self._looks_at = now + LOOKS_EVERY_S
        if board.waiting > MOST_WAITING:
            return Decision(0, "callers wait", {"waiting": board.waiting})
        wanted = floor(board.idle * self._boost + 1e-9) - board.ringing - board.waiting
        return Decision(max(0, min(wanted, room.free_lines, room.rate_allowance, room.leads)), "boost")
