"""What is learned of finished calls beside the engine: which caller-IDs are hardly answered any more, when whom to
call, and which of the scripts that are tried convert.

It runs in a thread of its own and reads counts that the journal keeps; no call waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from sqlalchemy import Engine as DatabaseEngine

from campaigns.best_time.store import BestTimeStore
from campaigns.caller_ids.watch import CallerId, CallerIdWatch
from campaigns.trials.store import Bandits
from cti.figures import FlaggedCallerId
from dialer.engine import Engine
from dialer.metrics import Metrics
from dialer.outage import Outage

log = structlog.get_logger(__name__)

T = TypeVar("T")

LOOK_S = 10.0  # a number that collapses is noticed after some hundred calls: this adds little


class Learning:
    """What one engine's daemon learns. Call :meth:`close` at the end."""

    def __init__(self, stored: DatabaseEngine, engine: Engine, metrics: Metrics) -> None:
        self._watch = CallerIdWatch(stored)
        self._best_time = BestTimeStore(stored)
        self._bandits = Bandits(stored)
        self._engine = engine
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, "learning")

    async def run(self) -> None:
        """Learn until cancelled. With the database away what was learned stays as it is."""
        away = Outage("nothing is learned for the moment")
        while True:
            await asyncio.sleep(LOOK_S)
            if not self._engine.core.owner:
                continue  # whoever has the campaigns learns of them
            with away.told():
                await self.look()
                await self.look_at_times()
                await self._in_thread(lambda: self._bandits.look(datetime.now(UTC)))

    async def look(self) -> None:
        """Weigh the calls that finished since the last look, and show what came of it."""
        for each in await self._in_thread(lambda: self._watch.look(datetime.now(UTC))):
            log.warning(
                "a caller-ID is answered far less than the others of its pool",
                campaign=each.campaign,
                caller_id=each.number,
                rate=each.rate,
                pool_rate=each.pool_rate,
                out=each.out_at is not None,
            )
        found = await self._in_thread(self._watch.report)
        self._metrics.caller_ids(found)
        flagged: dict[str, tuple[FlaggedCallerId, ...]] = {}
        for each in found:
            if each.flagged_at is not None:
                flagged[each.campaign] = (*flagged.get(each.campaign, ()), _shown(each))
        self._engine.flagged = flagged

    async def look_at_times(self) -> None:
        """Take in when people answered, put leads in order by it, and show what that gained."""
        await self._in_thread(lambda: self._best_time.look(datetime.now(UTC)))
        self._metrics.best_times(await self._in_thread(self._best_time.gains))

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _shown(each: CallerId) -> FlaggedCallerId:
    return FlaggedCallerId(each.number, each.rate, each.pool_rate, each.out_at is not None)
