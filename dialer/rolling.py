"""Roll-ups for reports, kept up to date beside the engine: in a thread of its own, which no call waits for."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import monotonic

import structlog
from sqlalchemy import Engine as DatabaseEngine

from campaigns.reports.rolling import Turn, roll, standing
from dialer.metrics import Metrics
from dialer.outage import Outage

log = structlog.get_logger(__name__)

ROLL_S = 10.0  # between two turns: how old a report's last figures may be
REST = 9  # times as long as a turn took: the database gives reports a tenth of one core at most


class Rolling:
    """The roll-ups of one daemon's database. Call :meth:`close` at the end."""

    def __init__(self, stored: DatabaseEngine, metrics: Metrics) -> None:
        self._stored = stored
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, "roll-ups")

    async def run(self) -> None:
        """Take turns until cancelled. With the database away what is due stays due."""
        away = Outage("reports stand still for the moment")
        while True:
            began, more = monotonic(), False
            with away.told():
                turn = await asyncio.get_running_loop().run_in_executor(self._thread, self._turn)
                more = turn is not None and turn.more
            rest = REST * (monotonic() - began)
            await asyncio.sleep(rest if more else max(ROLL_S, rest))

    def _turn(self) -> Turn | None:
        try:
            return roll(self._stored, datetime.now(UTC))
        finally:  # also of a turn that failed, or was another job's: nobody else tells that counting stands still
            as_of, due = standing(self._stored)
            self._metrics.half_hours_due.set(due)
            self._metrics.reports_counted.set(as_of.timestamp())

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)
