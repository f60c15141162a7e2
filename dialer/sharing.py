"""Tells and hears, once a second, what the parts of campaigns on several switches have counted, and shares out what is
left of their abandons.

Campaigns on one switch are never asked about. While the database is away nobody is told and nothing more may be spent
than was held; no call is permitted then either.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import TypeVar

import structlog

from campaigns.parts import Figures, PartStore
from dialer.core.campaign import Campaign
from dialer.core.sharing import Sharing
from dialer.engine import Engine
from dialer.outage import Outage

log = structlog.get_logger(__name__)

T = TypeVar("T")

EXCHANGE_S = 1.0
RECORD_LIMIT_S = 3.0
# Past the ring limit of a call: what a switch may add to it, detection, and the wait for a seat.
SETTLED_S = 20.0


class Exchange:
    """What one engine's daemon tells and hears. Call :meth:`close` at the end."""

    def __init__(self, stored: PartStore, engine: Engine) -> None:
        self._stored = stored
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, "parts")

    async def run(self) -> None:
        """Exchange until cancelled."""
        away = Outage("parts of campaigns hear nothing of each other for the moment")
        while True:
            await asyncio.sleep(EXCHANGE_S)
            with away.told():
                for campaign in list(self._engine.core.campaigns.values()):
                    if campaign.sharing is not None:
                        await self.turn(campaign, campaign.sharing)

    async def turn(self, campaign: Campaign, sharing: Sharing) -> None:
        """One exchange of one campaign."""
        seats = {
            part.switch: part.pacer.working if part.switch in campaign.config.switches else 0
            for part in campaign.parts
            if self._engine.core.has(part.switch)
        }
        if not seats:
            return
        campaign.ledger.expire(monotonic())
        calls = Counter(
            call.switch
            for call in self._engine.core.calls.by_id.values()
            if call.campaign == campaign.name and call.connected_at is None and call.outcome is None
        )
        offer = sharing.offer(monotonic(), seats, calls)
        parts, held = await self._in_thread(partial(self._stored.exchange, campaign.id, seats, offer.agree))
        now = monotonic()
        sharing.heard(now, parts, seats)
        sharing.take(now, offer, held, campaign.config.ring_limit_s + SETTLED_S)
        sharing.others = tuple(each for each in parts if each.switch not in seats)
        self._engine.core.touched.add(campaign.name)

    async def read(self, campaign: Campaign, sharing: Sharing, length: timedelta, now: datetime) -> None:
        """Begin the ledger anew from the books; what our parts counted since what they surely have is added.

        While older records wait for a database that was away, the books lag, and what we know goes on.
        """
        core, journal = self._engine.core, self._engine.journal
        ours = {
            part.switch: sharing.ledger_of(part.switch) for part in campaign.parts if core.has(part.switch)
        }
        before = {switch: ledger.counted for switch, ledger in ours.items()}
        hearing = core.hearing(campaign.name)
        # Also because what was counted before the campaign had parts is in the books alone.
        on_record = await journal.on_record(RECORD_LIMIT_S)
        machines = [d.code for d in campaign.config.dispositions if d.machine]
        window, recorded = await self._in_thread(
            partial(self._stored.window, campaign.id, length, now, machines)
        )
        unrecorded: dict[str, Figures] = {}
        if on_record:
            unrecorded = {
                switch: ledger.counted - before[switch] + Figures(abandoned=hearing[switch])
                for switch, ledger in ours.items()
            }
        campaign.seed(monotonic(), *window, recorded, unrecorded)

    async def learned(self, campaign: Campaign) -> Mapping[str, str]:
        """What pacing kept of a campaign's parts, by switch."""
        return await self._in_thread(partial(self._stored.learned, campaign.id))

    async def keep_learned(self, campaign: Campaign, switch: str, learned: str) -> None:
        """Keep what pacing has learned with its part."""
        await self._in_thread(partial(self._stored.keep_learned, campaign.id, switch, learned))

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
