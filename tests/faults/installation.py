"""A call centre of real processes that faults are done to: its own database server, a virtual switch behind a proxy
that can do mischief, `dialer run` (or two of it), and agents who work on whatever happens."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
from sqlalchemy.exc import SQLAlchemyError

from campaigns import database
from campaigns.accounts import Accounts, Verdict
from campaigns.store import CampaignStore
from dialer.accounting import Balance, Witnessed, balance, connected_since, witnessed
from dialer.page_agents import PageAgent
from simulator.switch.log import LogReader
from tests.cluster.pair import Pair as Engines
from tests.contract.house import PASSWORD, House
from tests.contract.switches import VirtualSwitchProcess, calls_over
from tests.faults.disks import SmallDisk
from tests.faults.far import PORT, FarMachine
from tests.faults.postgres import Postgres
from tests.faults.proxy import AmiProxy
from tests.faults.standby import Pair

AGENTS = 6
LEADS = 1_500
CAP = 10  # attempts on a number
LONGEST_S = 120.0  # until something that must come has come, on a machine that does other things as well
LONGEST_START_S = 300.0  # of an engine, there
LOOK_S = 0.1
AFTER = 3  # customers with a seat: calls are made again
# People who pick up, talk and lose patience ten times as fast as they do.
PEOPLE = ("--answers", "0.7", "--machines", "0", "--ring", "8", "--patience", "40")
TALK, LONG_TALK = ("--talk", "15"), ("--talk", "150")  # the latter often outlives an engine
CAMPAIGN = 'mode = "ratio"\nratio = 1.5'
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")  # Debian's package libfaketime
FAKED = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_CACHE_DURATION": "1"}
DISKS = (("data", 8), ("database", 320))  # folder, size in MB
RUNNING, STOPPED = "running = true", "running = false"


class Site(Enum):
    """What an installation is like."""

    PLAIN = "plain"
    CLOCK = "with a clock of its own for the daemon"
    DISKS = "with small disks for the daemon's data folder and the database"
    PAIR = "with a database of two servers"
    FAR = "the same, and the first of them on a machine of its own"
    ENGINES = "with two engines, each with a way of its own to the switch"

    @property
    def lacks(self) -> str:
        """What this machine does not have for it; nothing when all is there."""
        if self is Site.CLOCK and not FAKETIME.exists():
            return f"{FAKETIME} is not there (apt-get install libfaketime)"
        if self is Site.DISKS and not _can(lambda folder: SmallDisk(folder / "disk", 1)):
            return "no small disk can be mounted here, which takes Linux and root's rights"
        if self is Site.FAR and not _can(lambda folder: FarMachine(str(folder))):
            return "no network can be made here, which takes Linux, root's rights and ip (Debian's package iproute2)"
        return ""


def _can(make: Callable[[Path], SmallDisk | FarMachine]) -> bool:
    """It is made and taken away again: whether that may be done is not root's alone to say, as in a container."""
    with TemporaryDirectory() as folder:
        try:
            make(Path(folder)).close()
        except (AssertionError, OSError):
            return False
    return True


@dataclass(frozen=True, slots=True)
class Second:
    """Another engine beside the first one: which of them has the switch is theirs to find out."""

    house: House
    proxy: AmiProxy
    engines: Engines  # both


@dataclass(slots=True)
class Installation:
    """It runs within :func:`installed`."""

    house: House
    server: Postgres
    switch: VirtualSwitchProcess
    proxy: AmiProxy
    second: Second | None  # engine, where there are two
    log: LogReader  # the switch's own
    agents: list[PageAgent]
    pair: Pair | None  # the server as it was installed, and its standby; None where it has none
    far: FarMachine | None  # of the primary, where it has one
    disk: SmallDisk | None  # of the daemon's data folder and log; None where they are on the machine's own
    database_disk: SmallDisk | None
    deaths: list[float] = field(default_factory=list)  # when the switch was killed, Unix seconds
    faults: list[tuple[float, float]] = field(default_factory=list)  # from when to when there was one

    # --- what is done to it ---------------------------------------------------------------------------------------

    def kill_switch(self) -> None:
        """It and its channels are gone at once."""
        self.switch.stop()
        self.deaths.append(time.time())

    def leave_descriptors(self, more: int) -> tuple[int, int]:
        """The daemon may open so many more files and sockets than it has now; returns the limits it had."""
        pid = self.house.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        has = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (has + more, limits[1]))
        return limits

    # --- what is seen ---------------------------------------------------------------------------------------------

    @property
    def houses(self) -> tuple[House, ...]:
        """Of all engines."""
        return (self.house,) if self.second is None else (self.house, self.second.house)

    def seen(self, since: float) -> list[Witnessed]:
        """The calls that the switch made since then (Unix seconds); its death was their end."""
        calls = (call for call in self.log.calls() if call.created >= since or call.uid.startswith("zds-"))
        return witnessed(calls, self.deaths)

    def connected(self, since: float) -> int:
        """Customers whom the switch has brought together with a seat since then."""
        return connected_since(self.seen(since), since)

    def told(self) -> int:
        """How long the daemon's log is."""
        return self.house.log.stat().st_size

    def has_met(self, what: str, since: int) -> bool:
        """Whether the daemon's log says this, from there on."""
        return what.encode() in self.house.log.read_bytes()[since:]

    def has_unsaved(self) -> bool:
        """Whether the daemon has records that are neither in the database nor in its spool."""
        spooled = sum(len(file.read_bytes().splitlines()) for file in self._spooled())
        return asyncio.run(self.house.metrics())["zhudong_journal_depth"] > spooled

    async def until(self, what: str, so: Callable[[], object]) -> None:
        """Wait until it is so; while what it asks is away it is not."""
        try:
            async with asyncio.timeout(LONGEST_S):
                while True:
                    try:
                        if await asyncio.to_thread(so):
                            return
                    except (SQLAlchemyError, httpx2.TransportError):
                        pass
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            seats = "; ".join(f"{agent.name} {agent.seat}, call {agent.call}" for agent in self.agents)
            logs = "\n".join(house.log.read_text("utf-8", "replace")[-3000:] for house in self.houses)
            raise AssertionError(f"waited {LONGEST_S} s for: {what}. {seats}\n{logs}") from None

    # --- a run ----------------------------------------------------------------------------------------------------

    async def work(self, calls: int) -> None:
        """Go on until so many more customers have a seat."""
        now = time.time()
        await self.until(f"{calls} customers with a seat", lambda: self.connected(now) >= calls)

    def dial(self, on: bool) -> None:
        """A supervisor starts or stops the campaign."""
        text = self.house.applied.replace(*((STOPPED, RUNNING) if on else (RUNNING, STOPPED)))
        CampaignStore(self.house.db).apply(text, "the test's campaign", "supervisor", datetime.now(UTC))

    async def settle(self) -> None:
        """Stop dialing, until no call is up, every one has its outcome, and every seat waits for the next."""
        await self.until("the campaign is stopped", lambda: self.dial(False) is None)
        await self.until("no lead is in anyone's hands", Accounts(self.house.db, self.house.began).at_rest)
        await calls_over(self.switch, LONGEST_S)
        await self.until("all seats wait", lambda: all(agent.state == "ready" for agent in self.agents))
        await self.until("the journal is empty", lambda: not self._spooled())

    @property
    def clock(self) -> Path:
        """What libfaketime adds to the daemon's clock, in seconds, where it was installed with that."""
        return self.house.folder / "clock"

    @property
    def spools(self) -> list[Path]:
        return [house.folder / "data" / "spool" for house in self.houses]

    def _spooled(self) -> list[Path]:
        return [file for folder in self.spools for file in folder.glob("*/journal.spool")]

    @property
    def promised(self) -> dict[str, Verdict]:
        """What agents were told is saved, since they began."""
        return {call_id: verdict for agent in self.agents for call_id, verdict in agent.promised.items()}

    def square(self, since: float, *, at_work: bool) -> Balance:
        """The books since then, compared with all there is; while a fault was on, nobody may have heard the switch."""
        accounts = Accounts(self.house.db, datetime.fromtimestamp(since, UTC))
        return balance(
            accounts,
            self.seen(since),
            CAP,
            spools=self.spools,
            promised=self.promised,
            unheard=self.faults,
            connect_limit_s=2.0,
            at_work=at_work,
        )


@asynccontextmanager
async def installed(folder: Path, seed: int, site: Site = Site.PLAIN) -> AsyncIterator[Installation]:
    """An installation at work: its seats are taken and its campaign runs."""
    log = folder / "calls.jsonl"
    talk = LONG_TALK if site is Site.ENGINES else TALK
    options = ("--scenario", "statistical", *PEOPLE, *talk, "--time-factor", "0.1", "--seed", str(seed))
    switch = VirtualSwitchProcess(options=(*options, "--log", str(log)))
    async with AsyncExitStack() as stack:
        disk = database_disk = pair = far = None
        if site is Site.DISKS:
            disk, database_disk = (
                stack.enter_context(closing(SmallDisk(folder / name, size_mb))) for name, size_mb in DISKS
            )
        if site in (Site.PAIR, Site.FAR):
            pair = await asyncio.to_thread(Pair, folder / "pg", folder / "standby")
            stack.callback(pair.end)
            server = pair.primary
            if site is Site.FAR:
                far = stack.enter_context(closing(FarMachine(server.socket)))
            url = pair.url(f"{far.address}:{PORT}" if far else "")
        else:
            server = await asyncio.to_thread(
                Postgres, (folder / "database" if database_disk else folder) / "pg"
            )
            url = server.url
            stack.callback(server.end)
        engine = database.connect(url, pool_size=2)
        await asyncio.to_thread(database.migrate, engine)
        engine.dispose()
        switch.start()
        stack.callback(switch.stop)
        house, proxy = await _engine(stack, folder, url, switch, seed)
        second = None
        if site is Site.ENGINES:
            another = await _engine(stack, folder / "second", url, switch, seed, "engine-2")
            second = Second(*another, Engines(house, another[0], limit_s=LONGEST_START_S))
        house.campaign(["00"] * LEADS, CAMPAIGN, f"attempts = {CAP}")
        doors = [house.door] if second is None else [house.door, second.house.door]
        agents = [PageAgent(doors, f"agent{n}", PASSWORD) for n in range(AGENTS)]
        for n, agent in enumerate(agents):
            house.person(agent.name, f"seat{n:03}")
        if site is Site.CLOCK:
            (folder / "clock").write_text("+0\n")
            house.environment = FAKED | {"FAKETIME_TIMESTAMP_FILE": str(folder / "clock")}
        if site is Site.DISKS:
            house.log = folder / "data" / house.log.name  # where it is lost when the disk is full
        await house.start()
        if second is not None:
            await second.house.spawn()
            await second.engines.stands_by(second.house)
        for agent in agents:  # one after the other: passwords take a machine's time
            await agent.sign_in()
        toiling = [asyncio.create_task(agent.toil()) for agent in agents]
        try:
            yield Installation(
                house, server, switch, proxy, second, LogReader(log), agents, pair, far, disk, database_disk
            )
        finally:
            for task in toiling:
                task.cancel()
            await asyncio.gather(*toiling, return_exceptions=True)


async def _engine(
    stack: AsyncExitStack,
    folder: Path,
    url: str,
    switch: VirtualSwitchProcess,
    seed: int,
    name: str = "engine-1",
) -> tuple[House, AmiProxy]:
    """One that runs in this folder, with its own way to the switch."""
    folder.mkdir(exist_ok=True)
    proxy = await stack.enter_async_context(AmiProxy(switch.host, switch.port, random.Random(seed)))
    house = House(replace(switch, port=proxy.port), folder, url, name)
    house.start_limit_s = LONGEST_START_S
    stack.push_async_callback(house.close)
    return house, proxy
