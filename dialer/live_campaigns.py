"""The campaigns as they apply: the newest versions into the engine, their books, what pacing has learned of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from time import monotonic
from typing import TypeVar

import msgspec
import structlog
from sqlalchemy import Engine as DatabaseEngine

from campaigns.partitions import ensure_partitions
from campaigns.store import Applied, CampaignStore, Unreadable
from dialer.campaign_folder import CampaignFolder
from dialer.engine import Engine
from dialer.leads import Hopper
from dialer.metrics import Metrics
from dialer.outage import Outage
from dialer.sharing import RECORD_LIMIT_S, Exchange

T = TypeVar("T")

log = structlog.get_logger(__name__)

WATCH_S = 1.0  # how often applied versions are looked for; live within 2 s
COUNT_EVERY_S = 10.0  # from one count of the leads left to the next
COUNT_SHARE = 0.01  # of the time that counting may take: of ten million leads a count takes a second
LEARNED_EVERY = 60  # watches between two savings of what pacing has learned
WHOLE_LIFE = timedelta(days=36_500)  # of a campaign
LEDGER_EVERY = 600  # watches between two readings of the abandon window
PARTITIONS_EVERY = 3_600  # watches between two looks at the calendar


class LiveCampaigns:
    """Those of one engine; `folder` holds files that are applied when they change, empty for none."""

    def __init__(
        self, stored: DatabaseEngine, engine: Engine, exchange: Exchange, folder: str, metrics: Metrics
    ) -> None:
        self._database = stored
        self._store = CampaignStore(stored)
        self._engine = engine
        self._exchange = exchange
        self._folder = CampaignFolder(folder, self._store, metrics)
        self._metrics = metrics
        self._change = 0
        self._turn = asyncio.Lock()
        self._count_at: dict[str, float] = {}  # campaigns, and when their leads are counted next
        self._unreadable: set[str] = set()  # campaigns whose newest version can't be read
        self._begun: set[str] = set()  # campaigns whose pacing has what it had learned
        self._thread = ThreadPoolExecutor(1, "campaigns")

    async def run(self) -> None:
        """Every second what was applied meanwhile, and now and then the rest. Runs until cancelled.

        What the database breaks off of one of these is not the end of the others.
        """
        look = Outage("the campaigns could not be looked at")
        others = (
            (LEDGER_EVERY, Outage("the abandon windows could not be read"), self._read_ledgers),
            (LEARNED_EVERY, Outage("what pacing learned could not be kept"), self.keep_learned),
            (PARTITIONS_EVERY, Outage("partitions could not be made"), self._make_partitions),
        )
        for turn in count(1):
            await asyncio.sleep(WATCH_S)
            with look.told():
                if self._engine.core.owner:
                    await self._in_store(self._folder.apply_changes)
                await self.configure()
            self._engine.database_answers = not look.away
            for every, away, work in others:
                if turn % every == 0:
                    with away.told():
                        await work()

    async def count_leads(self, hopper: Hopper) -> None:
        """The leads that campaigns of ours have left, now and then. Runs until cancelled.

        A long list takes a second: nothing else waits for it.
        """
        away = Outage("leads could not be counted")
        while True:
            await asyncio.sleep(WATCH_S)
            with away.told():
                for campaign in self._engine.core.ours():
                    await self._count(hopper, campaign.name, campaign.id)

    async def _read_ledgers(self) -> None:
        for name in list(self._engine.core.campaigns):
            await self._read_ledger(name)

    async def _make_partitions(self) -> None:
        await asyncio.to_thread(ensure_partitions, self._database, datetime.now(UTC).date())

    async def _count(self, hopper: Hopper, name: str, campaign_id: int) -> None:
        """The campaign's leads, when it is time: a long list is counted less often than a short one."""
        began = monotonic()
        if began >= self._count_at.get(name, 0.0):
            self._count_at[name] = began + COUNT_EVERY_S  # also where the count is broken off
            self._engine.leads_left[name] = await hopper.left(campaign_id)
            self._count_at[name] = began + max(COUNT_EVERY_S, (monotonic() - began) / COUNT_SHARE)

    async def configure(self) -> None:
        """Take the campaigns' versions that are newer than those we have."""
        async with self._turn:  # or an old version could come after a new one
            for found in await self._in_store(lambda: self._store.newer_than(self._change)):
                if isinstance(found, Unreadable):
                    self._stop_unreadable(found)
                else:
                    await self._configure(found)
                # Not before: what the database breaks off is begun anew, or the campaign would dial on empty books.
                self._change = found.change

    async def _configure(self, found: Applied) -> None:
        name, switches = found.config.name, found.config.switches
        self._engine.configure(found.campaign_id, found.config)
        if name in self._unreadable:
            self._unreadable.remove(name)
            self._metrics.config_ok.labels(name).set(1)
        log.info("a campaign was configured", campaign=name, version=found.version)
        if self._engine.core.switches.keys().isdisjoint(switches):
            log.warning(
                "the campaign's switch is not configured; it does not dial",
                campaign=name,
                switch=", ".join(switches),
            )
        new = name not in self._begun
        if new:
            await self._read_learned(name, switches)
            self._begun.add(name)
        await self._read_ledger(name, anothers=new)

    async def take(self, switches: Collection[str]) -> None:
        """The campaigns on switches that are ours now: what applies, what was learned, and their books."""
        await self.configure()
        for campaign in list(self._engine.core.campaigns.values()):
            taken = [switch for switch in campaign.config.switches if switch in switches]
            if taken:
                await self._read_learned(campaign.name, taken)
                await self._read_ledger(campaign.name, anothers=True)

    async def keep_learned(self) -> None:
        """What pacing has learned of the campaigns that are ours."""
        for campaign in self._engine.core.ours():
            for part in [each for each in campaign.parts if self._engine.core.has(each.switch)]:
                learned = json.dumps(part.pacer.learned(), separators=(",", ":"))
                await self._in_store(partial(self._store.keep_learned, campaign.id, learned))
                if campaign.sharing is not None:
                    await self._exchange.keep_learned(campaign, part.switch, learned)

    def close(self) -> None:
        """What is asked of the database is not waited for."""
        self._thread.shutdown(wait=False)

    # --- within -----------------------------------------------------------------------------------------------

    def _stop_unreadable(self, found: Unreadable) -> None:
        """Nobody knows what its newest version wants; the others go on, and so do its calls in progress."""
        log.error(
            "a campaign's version can't be read; it is stopped", campaign=found.name, reason=found.reason
        )
        self._unreadable.add(found.name)
        self._metrics.config_ok.labels(found.name).set(0)
        campaign = self._engine.core.campaigns.get(found.name)
        if campaign is not None:
            self._engine.configure(campaign.id, msgspec.structs.replace(campaign.config, running=False))

    async def _read_ledger(self, name: str, anothers: bool = False) -> None:
        """Begin the ledger anew from the books; what was counted since what they surely have is added.

        While the books lag, as behind a database that was away, our own ledger goes on.
        `anothers`: the calls on record were another engine's, and we counted none of them.
        """
        campaign, now = self._engine.core.campaigns[name], datetime.now(UTC)
        window_s = campaign.ledger.rule.window_s
        length = timedelta(seconds=window_s) if window_s is not None else WHOLE_LIFE
        if campaign.sharing is not None:
            await self._exchange.read(campaign, campaign.sharing, length, now)
            return
        before, hearing = campaign.ledger.counted, self._engine.core.hearing(name).total()
        if not (anothers or await self._engine.journal.on_record(RECORD_LIMIT_S)):
            return
        machines = [d.code for d in campaign.config.dispositions if d.machine]
        window = await self._in_store(lambda: self._store.window(campaign.id, length, now, machines))
        since = [n - had for n, had in zip(campaign.ledger.counted, before, strict=True)]
        connected, hung_up, abandoned, found = map(sum, zip(window, since, strict=True))
        campaign.seed(monotonic(), connected, hung_up, abandoned + hearing, found)

    async def _read_learned(self, name: str, switches: Iterable[str]) -> None:
        """Give pacing what it had learned before the last stop; without it, it learns anew.

        A part that has learned nothing by itself begins with what another one has, but for its debt.
        """
        campaign = self._engine.core.campaigns[name]
        learned = await self._in_store(lambda: self._store.learned(campaign.id))
        of_parts: Mapping[str, str] = {}
        if campaign.sharing is not None:
            of_parts = await self._exchange.learned(campaign)
        for part in {campaign.part(switch) for switch in switches}:
            found = of_parts.get(part.switch, learned)
            try:
                if found:
                    part.restore(json.loads(found), own=campaign.sharing is None or part.switch in of_parts)
            except ValueError as fault:
                log.warning("pacing learns anew", campaign=name, switch=part.switch, reason=str(fault))

    async def _in_store(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
