"""A daemon in the test's own process, on a database of its own, against any switch that speaks AMI on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, text

from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.store import CampaignStore
from cti.messages import CallStatus, LogIn, Ready, SeatMessage, SeatStatus
from dialer.config import (
    AgiSection,
    CampaignsSection,
    Config,
    DatabaseSection,
    MetricsSection,
    SwitchSection,
    WebSection,
)
from dialer.daemon import Addresses, Daemon
from dialer.engine import Engine as Runtime
from tests.contract.house import OPEN_ALL_DAY
from tests.database import fresh_url
from tests.loopback import http_client

LIMIT_S = 20.0
SEAT = 1
CAMPAIGN = f'name = "spring"\nswitch = "main"\nrunning = true\ntarget = 1.0\n[rules.windows]\n{OPEN_ALL_DAY}'


def config(host: str, port: int, user: str, secret: str, url: str = "", folder: str = "") -> Config:
    """A configuration for one switch, everything else on free ports."""
    return Config(
        switch=(
            SwitchSection(name="main", host=host, port=port, user=user, secret=secret, calls_per_s=50.0),
        ),
        database=DatabaseSection(url=url or fresh_url()),
        web=WebSection(port=0),
        metrics=MetricsSection(port=0),
        agi=AgiSection(port=0),
        campaigns=CampaignsSection(folder=folder),
    )


@dataclass
class Running:
    """A daemon that is at work, and where it is reached. `told` is what it said to seats."""

    daemon: Daemon
    at: Addresses
    task: asyncio.Task[None]
    told: list[SeatMessage]

    @property
    def engine(self) -> Runtime:
        assert self.daemon.engine is not None
        return self.daemon.engine

    @property
    def db(self) -> Engine:
        assert self.daemon.database is not None
        return self.daemon.database

    def campaign(self, source: str, *numbers: str) -> None:
        """Apply a campaign and bring in customers."""
        now = datetime.now(UTC)
        applied = CampaignStore(self.db).apply(source, "test", "test", now)
        rows = [Row(n, (e164,), "王小明", {}, ("Asia/Shanghai",)) for n, e164 in enumerate(numbers, 2)]
        store_rows(self.db, applied.campaign_id, "list", "test", now, rows)

    async def seat(self) -> None:
        """An agent takes a seat and is ready."""
        login = LogIn(user_id=SEAT, name="李娜", phone="seat001", campaigns=("spring",))
        assert (await self.daemon.bus.command(login)).ok
        await self.until(lambda: any(isinstance(m, SeatStatus) and m.state == "paused" for m in self.told))
        assert (await self.daemon.bus.command(Ready(user_id=SEAT))).ok

    async def connected(self) -> None:
        await self.until(lambda: any(isinstance(m, CallStatus) and m.state == "connected" for m in self.told))

    async def metrics(self) -> dict[str, float]:
        """What Prometheus would read."""
        async with http_client() as client:
            said = (await client.get(f"http://127.0.0.1:{self.at.metrics}/metrics")).text
        lines = (line.rpartition(" ") for line in said.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    async def until_metrics(self, so: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        """Wait until the metrics say so; returns them."""
        async with asyncio.timeout(LIMIT_S):
            while not so(found := await self.metrics()):
                await asyncio.sleep(0.05)
        return found

    async def until(self, so: Callable[[], object]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not so():
                assert not self.task.done(), "the daemon has ended"
                await asyncio.sleep(0.01)

    async def ended(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            await self.task

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with self.db.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]


@asynccontextmanager
async def running(config: Config, data: Path) -> AsyncIterator[Running]:
    """The daemon from ready to end; what is still on at the end is cut short."""
    daemon = Daemon(config, data)
    told: list[SeatMessage] = []
    daemon.bus.on_seat(told.append)
    ready: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(daemon.run(ready.set_result))
    async with asyncio.timeout(LIMIT_S):
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        await task
    try:
        yield Running(daemon, ready.result(), task, told)
    finally:
        daemon.stop(0.0)
        async with asyncio.timeout(LIMIT_S):
            await task
