"""VICIdial's adaptive modes: a level of lines for each seat, raised while seats idle, cut when too many were dropped.

The law as read in AST_VDauto_dial.pl and AST_VDadapt.pl (SVN r3884): every 2.5 s the lines wanted are the level times
the seats that are idle or talking, the talking lines counted in; every 15 s the level is multiplied with one plus the
share of seats that idled more than callers waited.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from pacing.contract import Decision, Event, PacingConfig, Room, SeatState
from simulator.policies.board import Board, Orders

PLACES_EVERY_S = 2.5  # loop_delay of AST_VDauto_dial
ADAPTS_EVERY_S = 15.0
COUNTS_DROPS_EVERY_S = 60.0
SAMPLES = 15  # of one second each
HIGHEST_LEVEL = 3.0  # adaptive_maximum_level
MINUTE_CALLS, MINUTE_DROPS = 20, 0.5  # above both the level is halved
DAY_CALLS = 50  # before that the day's drops are not looked at
LATEST = 2100  # adaptive_latest_server_time, HHMM
OPENS_H = 9.0


class DropRule(StrEnum):
    """What happens while the day's drops are above the limit."""

    HARD = "hard"  # back to one line a seat
    AVERAGE = "average"  # half the level
    TAPERED = "tapered"  # less, the nearer the end of the day


class Vicidial:
    """One campaign under VICIdial's law."""

    def __init__(self, config: PacingConfig, rule: DropRule) -> None:
        self._config = config
        self._rule = rule
        self._board = Board(keeps_s=60.0)
        self._orders = Orders()
        self._level = 1.0
        self._drop_share = 0.0
        self._samples: deque[tuple[int, int, int]] = deque(maxlen=SAMPLES)
        self._samples_at = self._places_at = 0.0
        self._adapts_at, self._counts_drops_at = ADAPTS_EVERY_S, COUNTS_DROPS_EVERY_S

    def observe(self, event: Event) -> None:
        self._board.observe(event)

    def configure(self, config: PacingConfig) -> None:
        self._config = config

    def decide(self, now: float, room: Room) -> Decision:
        board = self._board
        if now >= self._samples_at:
            self._samples_at = now + 1.0
            self._samples.append((board.idle, board.waiting, len(board.seats)))
        if now >= self._counts_drops_at:
            self._counts_drops_at = now + COUNTS_DROPS_EVERY_S
            self._drop_share = board.dropped / board.humans if board.humans else 0.0
        if now >= self._adapts_at:
            self._adapts_at = now + ADAPTS_EVERY_S
            self._level = self._adapted(now)
        if now >= self._places_at:
            self._places_at = now + PLACES_EVERY_S
            count = sum(seat.state in (SeatState.IDLE, SeatState.TALK) for seat in board.seats.values())
            self._orders.left = round(self._level * count) - len(board.calls)
        return Decision(self._orders.place(room), "level", {"level": self._level})

    def _adapted(self, now: float) -> float:
        board, samples = self._board, self._samples
        seats = sum(sample[2] for sample in samples)
        if not seats:
            return self._level
        surplus = sum(idle - waiting for idle, waiting, _ in samples) / seats  # adaptive_intensity 0
        level = max(1.0, min(HIGHEST_LEVEL, self._level * (1 + surplus)))
        minute = [call for call in board.recent if call.at > now - 60]
        if len(minute) > MINUTE_CALLS and sum(call.dropped for call in minute) > MINUTE_DROPS * len(minute):
            level /= 2
        if board.dials > DAY_CALLS and self._drop_share > self._config.target:
            level *= self._cut(now, level)
        return max(1.0, level)

    def _cut(self, now: float, level: float) -> float:
        if self._rule is DropRule.HARD:
            return 1 / level
        if self._rule is DropRule.AVERAGE:
            return 0.5
        minutes = int(OPENS_H * 60 + now / 60)
        left = LATEST - (
            minutes // 60 * 100 + minutes % 60
        )  # as it stands there: a difference of clock figures
        return 1.0 if left > 1000 else max(0, left) / 1000
