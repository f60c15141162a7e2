"""A whole installation around one switch: database, list, people, and `dialer run` as a process that can be killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import Engine, text

from campaigns import database
from campaigns.accounts import Accounts
from campaigns.lists.importing import Request, import_list
from campaigns.people import People
from campaigns.store import CampaignStore
from dialer.switch.asterisk import log_in
from dialer.switch.port import Channel
from dialer.switch.protocol import open_link
from tests.contract.agent import Agent
from tests.contract.switches import SwitchUnderTest, channels
from tests.database import fresh_url
from tests.loopback import http_client

PASSWORD = "correct horse"
START_LIMIT_S = 60.0  # a busy machine takes its time over a new database
PORTS = range(10_000, 20_000)
DIALER = Path(sys.executable).with_name("dialer")
OPEN_ALL_DAY = "".join(
    f"{day} = {{ from = 00:00:00, to = 23:59:59 }}\n"
    for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
)
ATTEMPTS = """
SELECT a.outcome, a.cause, a.tech_cause, a.answered_at, a.connected_at, a.ended_at, a.user_id, a.harbour_played,
    a.amd, a.talk_s, n.e164, d.code, d.notes
FROM attempt a JOIN number n ON n.id = a.number_id LEFT JOIN disposition d ON d.call_id = a.call_id
ORDER BY a.dialed_at
"""


class House:
    """One installation, in a new database unless it is given one. Nothing runs until :meth:`start`."""

    def __init__(
        self,
        switch: SwitchUnderTest,
        folder: Path,
        url: str = "",
        engine: str = "engine-1",
        host: str = "127.0.0.1",
        within: Sequence[str] = (),
    ) -> None:
        """`within` is the command that runs the daemon on another host, at whose address `host` it listens."""
        self.switch = switch
        self.folder = folder
        self.engine = engine
        self.host = host
        self._within = within
        self.began = datetime.now(UTC)
        self.url = url or fresh_url()
        self.db: Engine = database.connect(self.url, pool_size=2)
        self._claims, (self.web, self.metrics_port) = _free_ports(2)
        self.log = folder / "dialer.log"
        self.applied = ""
        self.start_limit_s = START_LIMIT_S
        self.environment: dict[str, str] = {}  # of the daemon, on top of ours
        self._process: asyncio.subprocess.Process | None = None
        self._open = AsyncExitStack()
        (folder / "dialer.toml").write_text(self._config(), "utf-8")

    # --- what is set up -----------------------------------------------------------------------------------------

    def campaign(self, tails: Sequence[str], extra: str = "", rules: str = "") -> None:
        """Apply a running campaign and bring in one customer for each of the two-digit tails, in that order."""
        base = {"mode": '"progressive"', "ring_limit_s": "15.0", "wrap_up_s": "60.0", "target": "1.0"}
        given = dict(line.split(" = ", 1) for line in extra.splitlines() if line)
        keys = "".join(f"{key} = {value}\n" for key, value in (base | given).items())
        config = (
            f'name = "spring"\nswitch = "{self.switch.name}"\nrunning = true\n{keys}'
            f"\n[rules]\n{rules}\n[rules.windows]\n{OPEN_ALL_DAY}"
        )
        self.applied = config
        applied = CampaignStore(self.db).apply(config, "the test's campaign", "test", self.began)
        list_file = self.folder / "list.csv"
        lines = [f"{number(n, tail)},客户{n},plan {n},Asia/Shanghai" for n, tail in enumerate(tails, 1)]
        list_file.write_text("\n".join(["电话,姓名,plan,时区", *lines]) + "\n", "utf-8")
        result = import_list(self.db, Request(str(list_file), "list", applied.campaign_id), self.began)
        assert (result.accepted, result.rejected) == (len(tails), 0)

    def further_number(self, n: int, tail: str) -> None:
        """The n-th customer has another number."""
        insert = (
            "INSERT INTO number (lead_id, campaign_id, e164, ordinal) SELECT lead_id, campaign_id, :e164, 2 "
            "FROM number WHERE e164 LIKE :first"
        )
        values = {"e164": number(n + 1, tail), "first": f"+8613800{n:04d}__"}
        with self.db.begin() as connection:
            connection.execute(text(insert), values)

    def supervisor_changes(self, old: str, new: str) -> None:
        """A changed campaign file is applied while the daemon runs."""
        assert self.applied.count(old) == 1, self.applied
        self.applied = self.applied.replace(old, new)
        CampaignStore(self.db).apply(self.applied, "the test's campaign", "supervisor", datetime.now(UTC))

    def person(self, login: str, phone: str) -> None:
        """Add an agent."""
        users = People(self.db)
        users.add("", login, login.title(), "agent", PASSWORD, phone, ("spring",))

    # --- what runs ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the daemon and wait until it serves its pages and the switch is up."""
        await self.spawn()
        up = f'zhudong_switch_up{{switch="{self.switch.name}"}}'
        await self.until("the switch is up", lambda metrics: metrics.get(up) == 1, self.start_limit_s)

    async def spawn(self) -> None:
        """Start the daemon."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._within, str(DIALER), "run",
                "--config", str(self.folder / "dialer.toml"), "--data", str(self.folder / "data"),
                stderr=log, env=os.environ | {"PYTHONDEVMODE": ""} | self.environment,
            )  # fmt: skip

    async def agent(self, login: str) -> Agent:
        """An agent's open page; it closes with the house."""
        return await self._open.enter_async_context(Agent(self.door, login, PASSWORD))

    async def working(self, login: str, phone: str, mode: str = "nailed") -> Agent:
        """A new agent who is ready for customers."""
        self.person(login, phone)
        agent = await self.agent(login)
        await agent.work(mode)
        return agent

    @property
    def door(self) -> str:
        """Where its pages are."""
        return f"http://{self.host}:{self.web}"

    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send the daemon a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        """`kill -9`."""
        assert self._process is not None
        self.send(signal.SIGKILL)
        await self._process.wait()

    async def terminate(self) -> None:
        """SIGTERM, without waiting for the end."""
        assert self._process is not None
        self._process.terminate()

    async def ended(self, limit_s: float = 20.0) -> int:
        """Wait for the daemon's end; returns its exit code."""
        assert self._process is not None
        async with asyncio.timeout(limit_s):
            return await self._process.wait()

    async def close(self) -> None:
        """Let the pages go, then the daemon, at once."""
        await self._open.aclose()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            self._process.terminate()  # a second one cuts the drain short
            try:
                await self.ended()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self.db.dispose()
        for claim in self._claims:
            claim.close()

    # --- what is seen -------------------------------------------------------------------------------------------

    def attempts(self) -> list[Any]:
        """Every attempt, in the order of dialing."""
        with self.db.connect() as connection:
            return list(connection.execute(text(ATTEMPTS)))

    def outcomes(self) -> dict[str, str | None]:
        """Outcome by the number's last two digits."""
        return {row.e164[-2:]: row.outcome for row in self.attempts()}

    def scalar(self, query: str) -> Any:
        with self.db.connect() as connection:
            return connection.execute(text(query)).scalar_one()

    def each(self, query: str) -> list[Any]:
        """The first column of every row."""
        with self.db.connect() as connection:
            return list(connection.execute(text(query)).scalars())

    async def together(self, count: int, who: str, limit_s: float = START_LIMIT_S) -> None:
        """Wait until so many channels are in one bridge, and no others in any."""
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    live = [c.bridge_id for c in (await channels(self.switch)).values() if c.bridge_id]
                    if len(live) == count and len(set(live)) == 1:
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            now = await channels(self.switch)
            raise AssertionError(f"waited {limit_s} s for one bridge of {who}: {now}") from None

    async def hang_up(self, uid: str) -> None:
        """Somebody whose channel this is hangs up."""
        link = await open_link(self.switch.host, self.switch.port, lambda name, message, at: None)
        try:
            await log_in(link, self.switch.user, self.switch.secret)
            await link.ask("Hangup", (("Channel", uid), ("Cause", "16")))
        finally:
            link.close()

    async def until_so(self, what: str, query: str, limit_s: float = START_LIMIT_S) -> None:
        """Wait until the database says so."""
        try:
            async with asyncio.timeout(limit_s):
                while not self.scalar(query):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"waited {limit_s} s for: {what}") from None

    async def metrics(self) -> dict[str, float]:
        """What Prometheus would read."""
        async with http_client() as client:
            said = (await client.get(f"http://{self.host}:{self.metrics_port}/metrics")).text
        lines = (line.rpartition(" ") for line in said.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    async def until(
        self, what: str, so: Callable[[dict[str, float]], bool], limit_s: float = START_LIMIT_S
    ) -> None:
        """Wait until the metrics say so."""
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    if self._process is not None and self._process.returncode is not None:
                        raise AssertionError(f"the daemon ended: {self.log.read_text()}")
                    try:
                        if so(await self.metrics()):
                            return
                    except httpx2.TransportError:
                        pass  # not yet there
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"waited {limit_s} s for: {what}. {self.log.read_text()}") from None

    async def until_all_channels(
        self, what: str, so: Callable[[Channel], bool], limit_s: float = 10.0
    ) -> None:
        """Wait until every channel of the switch is so: what the daemon tells may be a moment ahead of it."""
        try:
            async with asyncio.timeout(limit_s):
                while not all(so(channel) for channel in (await channels(self.switch)).values()):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"waited {limit_s} s for: {what}") from None

    async def recorded(self, count: int, limit_s: float = 20.0) -> list[Any]:
        """Wait until so many attempts have an outcome; returns them all."""
        async with asyncio.timeout(limit_s):
            while sum(1 for row in self.attempts() if row.outcome is not None) < count:
                await asyncio.sleep(0.05)
        return self.attempts()

    async def has_logged(self, what: str, limit_s: float = START_LIMIT_S) -> None:
        """Wait until the daemon's log says this."""
        await self.until(f"the log says: {what}", lambda _: what in self.log.read_text(), limit_s)

    async def books_are_square(self) -> None:
        """Every attempt has its outcome, no lead is in anyone's hands, none was called twice at once; no breach."""
        assert [row for row in self.attempts() if row.outcome is None] == []
        accounts = Accounts(self.db, self.began)
        assert accounts.called_at_once() == 0
        breaches = {
            n: v
            for n, v in (await self.metrics()).items()
            if n.startswith("zhudong_invariant_breaches_total")
        }
        assert not any(breaches.values()), breaches

    def _config(self) -> str:
        switch = self.switch
        return (
            f'[database]\nurl = "{self.url}"\n[web]\nhost = "{self.host}"\nport = {self.web}\n'
            f'[metrics]\nhost = "{self.host}"\nport = {self.metrics_port}\n[agi]\nhost = "{self.host}"\nport = 0\n'
            f'[engine]\nname = "{self.engine}"\ndrain_limit_s = 20.0\n'
            f'[[switch]]\nname = "{switch.name}"\nhost = "{switch.host}"\nport = {switch.port}\n'
            f'user = "{switch.user}"\nsecret = "{switch.secret}"\nmax_lines = 20\ncalls_per_s = 50.0\n'
            f'softphone = "{switch.softphone}"\n'
        )


def number(n: int, tail: str) -> str:
    """A mobile number that ends in `tail`, a different one for each n."""
    return f"+8613800{n:04d}{tail}"


def _free_ports(count: int) -> tuple[list[socket.socket], list[int]]:
    """TCP ports that stay free until the daemon takes them: below those the system gives to outgoing connections.

    Who holds the UDP port of the same number has the TCP port for the next start of its daemon, too.
    """
    claims: list[socket.socket] = []
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as sock, suppress(OSError):
            claims.append(socket.socket(type=socket.SOCK_DGRAM))
            claims[-1].bind(("127.0.0.1", port))
            sock.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return claims, found
    raise AssertionError("no free port on this machine")
