"""`dialer demo-pair`: two engines and two switches, processes that may be killed, and the books squared in the end.

The engines share a PostgreSQL and are configured for both switches; each of these has a campaign. Agents are programs
at the engines' pages (:mod:`dialer.page_agents`). What is killed is started again, late enough to see what happens
without it. In the end the books are compared with both switches' own logs, whatever was killed how often.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import httpx2
from rich.console import Console
from rich.live import Live
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from campaigns import database
from campaigns.accounts import Accounts
from campaigns.config import parse
from campaigns.demo_data import PASSWORD, config_on, set_up_pair
from campaigns.store import CampaignStore
from dialer import logs
from dialer.accounting import Balance, Witnessed, balance, connected_since, summary, witnessed
from dialer.cli import new_loop
from dialer.demo_folder import DemoFailed, demo_folder
from dialer.page_agents import PageAgent
from dialer.pair_view import EngineSeen, PairView, report
from dialer.parts import Part
from dialer.seat_page import NO_CERTIFICATES
from dialer.top import read
from dialer.virtual_seats import Manner
from simulator.switch.log import LogReader
from simulator.switch.server import SECRET, USER

ENGINES = ("one", "two")
SWITCHES = ("north", "south")
BACK_S = 8.0  # a lease's length, and time to see the other one at work
PEOPLE = ("--answers", "0.55", "--talk", "100", "--ring", "10", "--patience", "40", "--time-factor", "0.3")
MANNER = Manner(wrap_s=4.0, talk_s=30.0, hangs_up=0.3)
LOOK_S = 0.5
ANSWER_LIMIT_S = 2.0
START_LIMIT_S = 120.0  # a busy machine takes its time over two engines
FINISH_LIMIT_S = 180.0  # what was killed last comes back first, and what it left is taken up
END_LIMIT_S = 60.0
AFTER = 3  # customers with a seat: a fault is over
ASKED_TO = {0, -signal.SIGTERM}  # the second signal may come when it is done and listens to none
AT_WORK = ("talking", "wrap_up")
BREACHES = "zhudong_invariant_breaches_total"


@dataclass(frozen=True, slots=True)
class PairOptions:
    """What the command line chose. `data` None: a temporary folder that is removed at the end."""

    duration_s: float | None = None
    seats: int = 12
    leads: int = 5_000
    data: Path | None = None


def run_pair(options: PairOptions, summary_file: Path | None) -> int:
    """Run it; returns the exit code: 0 when every promise was kept and all is accounted for."""
    if summary_file is not None and not summary_file.parent.is_dir():  # told now, not after the run
        print(f"dialer: {summary_file}: can't be written: there is no such folder", file=sys.stderr)
        return 2
    console = Console()
    try:
        with (
            demo_folder(options.data, "zhudong-pair-") as folder,
            (folder / "demo.log").open("a", encoding="utf-8") as log_file,
        ):
            logs.configure(log_file, people=True)
            told, found = new_loop(
                Pair(options, folder, console, summary_file is None and console.is_terminal).run()
            )
    except DemoFailed as fault:
        print(f"dialer: {fault}", file=sys.stderr)
        return 1
    if summary_file is not None:
        summary_file.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    report(console, told, found)
    wrong = (told["invariant_breaches"], *told["unaccounted"].values())
    return 0 if not any(wrong) and ASKED_TO.issuperset(told["ended_with"].values()) else 1


class Pair:
    """One run."""

    def __init__(self, options: PairOptions, folder: Path, console: Console, live: bool) -> None:
        self._options = options
        self._folder = folder
        self._console = console
        self._began = datetime.now(UTC)
        self._ports = free_ports()
        self._web = {name: next(self._ports) for name in ENGINES}
        self._metrics = {name: next(self._ports) for name in ENGINES}
        self._ami = {name: next(self._ports) for name in SWITCHES}
        self._view = PairView(self._links(), None if live else console)
        self._live = live
        self.engines = {name: self._part(f"engine {name}", self._engine(name)) for name in ENGINES}
        self.switches = {name: self._part(f"switch {name}", self._switch(name)) for name in SWITCHES}
        self._parts = (*self.engines.values(), *self.switches.values())
        self._logs = {name: LogReader(self._log_of(name)) for name in SWITCHES}
        self._seen: dict[str, EngineSeen] = {}
        # by engine: its process, and what it had
        self._told: dict[str, tuple[int | None, tuple[str, ...]]] = {}
        self._breaches: dict[tuple[str, int | None], float] = {}  # by engine and process
        self._unheard: list[tuple[float, float]] = []
        self._broken_since: float | None = None
        self._whole_since: float | None = None
        self._interrupts = 0
        self._asked = asyncio.Event()

    async def run(self) -> tuple[dict[str, Any], Balance]:
        """Run to the end of the duration, or until interrupted; returns the summary, and what does not add up."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt)
        url = await asyncio.to_thread(database.start_embedded, self._folder / "postgresql")
        self._books = database.connect(url, pool_size=2)
        keeping: list[asyncio.Task[None]] = []
        toiling: list[asyncio.Task[None]] = []
        try:
            agents = await asyncio.to_thread(self._prepare, self._books, url)
            keeping += [asyncio.create_task(part.keep()) for part in self.switches.values()]
            # The first one has the switches; two at once would only wait for each other's migrations.
            for name in ENGINES:
                keeping.append(asyncio.create_task(self.engines[name].keep()))
                await self._until("the engine is there", lambda name=name: name in self._seen, START_LIMIT_S)
            await self._until("an engine has both switches", self._whole, START_LIMIT_S)
            for agent in agents:  # one after the other: passwords take a machine's time
                await agent.sign_in()
                toiling.append(asyncio.create_task(agent.toil()))
            self._view.begins(agents)
            lasted = await self._work()
            await self._finish(agents)
            codes = await self._end()
            return await asyncio.to_thread(self._account, agents, lasted, codes)
        finally:
            for task in [*toiling, *keeping]:
                task.cancel()
            for part in self._parts:
                part.kill()
            await asyncio.gather(*toiling, *keeping, return_exceptions=True)
            self._books.dispose()

    def _interrupt(self) -> None:
        """Let the calls finish; asked again, don't wait for them."""
        self._interrupts += 1
        self._asked.set()

    # --- what there is ----------------------------------------------------------------------------------------------

    def _part(self, name: str, command: list[str]) -> Part:
        return Part(
            name,
            [sys.executable, "-m", "dialer", *command],
            self._folder / f"{name.replace(' ', '-')}.log",
            BACK_S,
            self._view.tell,
            self._broken,
        )

    def _engine(self, name: str) -> list[str]:
        return [
            "run",
            "--people",
            "--config",
            str(self._folder / f"{name}.toml"),
            "--data",
            str(self._folder / name),
        ]

    def _switch(self, name: str) -> list[str]:
        where = ("--port", str(self._ami[name]), "--log", str(self._log_of(name)), "--until-stdin-closes")
        return ["virtual-switch", "--scenario", "statistical", *PEOPLE, *where]

    def _log_of(self, switch: str) -> Path:
        return self._folder / f"calls-{switch}.jsonl"

    def _prepare(self, books: Engine, url: str) -> list[PageAgent]:
        """The database, the engines' configurations, and the agents."""
        database.migrate(books)
        _, logins = set_up_pair(books, SWITCHES, self._options.seats, self._options.leads, self._began)
        for name in ENGINES:
            (self._folder / f"{name}.toml").write_text(self._config(name, url), "utf-8")
            (self._folder / name).mkdir(exist_ok=True)
        doors = [self._door(name) for name in ENGINES]
        return [PageAgent(doors, login, PASSWORD, MANNER, random.Random(login)) for login in logins]

    def _door(self, engine: str) -> str:
        return f"http://127.0.0.1:{self._web[engine]}"

    def _config(self, name: str, url: str) -> str:
        other = next(each for each in ENGINES if each != name)
        lines = max(20, self._options.seats * 2)
        return (
            f'[engine]\nname = "{name}"\n\n[database]\nurl = "{url}"\n\n'
            f"[web]\nport = {self._web[name]}\n\n[metrics]\nport = {self._metrics[name]}\n\n[agi]\nport = 0\n\n"
            f'[cluster]\naddress = "{self._door(name)}"\nothers = ["{self._door(other)}"]\n'
        ) + "".join(
            f'\n[[switch]]\nname = "{switch}"\nhost = "127.0.0.1"\nport = {self._ami[switch]}\n'
            f'user = "{USER}"\nsecret = "{SECRET}"\nmax_lines = {lines}\ncalls_per_s = 20.0\n'
            for switch in SWITCHES
        )

    def _links(self) -> list[tuple[str, str]]:
        return [
            ("a seat's page", f"{self._door(ENGINES[0])}/   as lina or tom, password {PASSWORD}"),
            ("the console", f"{self._door(ENGINES[0])}/status   as chen, password {PASSWORD}"),
            ("the other engine", f"{self._door(ENGINES[1])}/"),
            ("all logs", str(self._folder)),
        ]

    # --- while it runs ------------------------------------------------------------------------------------------------

    async def _work(self) -> float:
        """Until its time is up, or it is interrupted; returns how long that was."""
        began = monotonic()
        shown = Live(self._view, console=self._console, refresh_per_second=4) if self._live else None
        if shown is not None:
            shown.start()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._options.duration_s):
                    while not self._asked.is_set():
                        await self._look()
                        with suppress(TimeoutError):
                            async with asyncio.timeout(LOOK_S):
                                await self._asked.wait()
        finally:
            if shown is not None:
                shown.stop()
                self._view.plain(self._console)
        return monotonic() - began

    async def _look(self) -> None:
        """What the engines say, what the books say, and whether a fault is over."""
        await asyncio.gather(*(self._ask(name) for name in ENGINES))
        with suppress(SQLAlchemyError):
            outcomes = await asyncio.to_thread(Accounts(self._books, self._began).outcomes)
            self._view.take(self.engines, self.switches, self._seen, outcomes)
        if self._broken_since is None:
            return
        if not self._whole():
            self._whole_since = None
        elif self._whole_since is None:
            self._whole_since = time.time()
        elif connected_since(self._calls(), self._whole_since) >= AFTER:
            self._over()

    async def _ask(self, name: str) -> None:
        """An engine's metrics: what it has, and what it broke."""
        part, found = self.engines[name], None
        with suppress(httpx2.HTTPError, ValueError):
            async with httpx2.AsyncClient(verify=NO_CERTIFICATES, timeout=ANSWER_LIMIT_S) as client:
                said = await client.get(f"http://127.0.0.1:{self._metrics[name]}/metrics")
            if part.runs:
                found = read(said.text, monotonic())
        if found is None:
            self._seen.pop(name, None)
            return
        owned, up = found.by("zhudong_switch_owned", "switch"), found.by("zhudong_switch_up", "switch")
        seen = EngineSeen(
            tuple(switch for switch in SWITCHES if owned.get(switch)),
            tuple(switch for switch in SWITCHES if owned.get(switch) and up.get(switch)),
        )
        self._breaches[name, part.pid] = found.total(BREACHES)
        self._seen[name] = seen
        if self._told.get(name) != (part.pid, seen.has):
            self._told[name] = part.pid, seen.has
            stands_by = any(each.has for each in self._seen.values())
            has = " and ".join(seen.has)
            what = f"has {has}" if has else "stands by" if stands_by else "is there"
            self._view.tell(f"engine {name} {what}")

    def _whole(self) -> bool:
        """Everything runs, and each switch has an engine that is connected to it."""
        up = {switch for seen in self._seen.values() for switch in seen.up}
        return (
            all(part.runs for part in self._parts) and len(self._seen) == len(ENGINES) and up == {*SWITCHES}
        )

    def _calls(self) -> list[Witnessed]:
        return [
            call
            for name, log in self._logs.items()
            for call in witnessed(log.calls(), self.switches[name].deaths)
        ]

    def _broken(self, at: float) -> None:
        """One of them is gone (Unix seconds): until it is back, there may be calls that nobody hears the end of."""
        self._broken_since = self._broken_since or at
        self._whole_since = None

    def _over(self) -> None:
        """The fault is over: who ended since was heard."""
        if self._broken_since is not None:
            self._unheard.append((self._broken_since, time.time()))
            self._broken_since = self._whole_since = None
            self._view.tell("customers have their seats again")

    async def _until(self, what: str, so: Callable[[], bool], limit_s: float) -> None:
        """Look until it is so, or it shall be over at once. Raises TimeoutError."""
        until = monotonic() + limit_s
        while not so():
            if self._interrupts > 1:
                return
            if monotonic() > until:
                raise TimeoutError(f"waited {limit_s:g} s: {what}")
            await self._look()
            await asyncio.sleep(LOOK_S)

    # --- the end ------------------------------------------------------------------------------------------------------

    async def _finish(self, agents: list[PageAgent]) -> None:
        """No new calls; those in progress finish, and what was killed last is back and has told what it knew."""
        self._view.tell("no new calls; those in progress finish, or Ctrl-C ends them")
        await asyncio.to_thread(self._stop_campaigns)
        await self._until("all is there", self._whole, FINISH_LIMIT_S)
        rests = Accounts(self._books, self._began).at_rest
        until = monotonic() + FINISH_LIMIT_S
        while self._interrupts < 2 and monotonic() < until:
            await self._look()
            with suppress(SQLAlchemyError):
                if await asyncio.to_thread(rests) and not any(agent.state in AT_WORK for agent in agents):
                    break
            await asyncio.sleep(LOOK_S)

    def _stop_campaigns(self) -> None:
        for switch in SWITCHES:
            CampaignStore(self._books).apply(
                config_on(switch, running=False), "the demo's campaign", "demo", datetime.now(UTC)
            )

    async def _end(self) -> dict[str, int | None]:
        """The engines end, the one that stands by first; then the switches, when their last channel is gone."""
        at_once = self._interrupts > 1
        for name in sorted(ENGINES, key=lambda name: len(self._seen[name].has) if name in self._seen else 0):
            await self.engines[name].stop(END_LIMIT_S, at_once)
        self._over()
        until = monotonic() + ANSWER_LIMIT_S
        while any(call.ended is None for call in self._calls()) and monotonic() < until:
            await asyncio.sleep(0.05)
        await asyncio.gather(*(part.stop(END_LIMIT_S) for part in self.switches.values()))
        return {part.name: part.code for part in self.engines.values()}

    def _account(
        self, agents: list[PageAgent], lasted: float, codes: dict[str, int | None]
    ) -> tuple[dict[str, Any], Balance]:
        config = parse(config_on(SWITCHES[0]), "the demo's campaign")
        accounts, calls = Accounts(self._books, self._began), self._calls()
        promised = {call_id: verdict for agent in agents for call_id, verdict in agent.promised.items()}
        found = balance(
            accounts,
            calls,
            config.rules.attempts,
            spools=[self._folder / name / "spool" for name in ENGINES],
            promised=promised,
            unheard=self._unheard,
            connect_limit_s=config.connect_limit_s,
        )
        attempts = list(accounts.attempts().values())
        outcomes = accounts.outcomes()
        return {
            "duration_s": round(lasted, 1),
            "killed": {part.name: len(part.deaths) for part in self._parts},
            "leads": len({attempt.lead_id for attempt in attempts}),
            "calls": len(attempts),
            "calls_on_switches": sum(call.is_customer for call in calls),
            "outcomes": _summed(outcomes),
            "seats": len(agents),
            "verdicts": len(promised),
            "unheard": len(found.unheard),
            "invariant_breaches": int(sum(self._breaches.values())),
            "unaccounted": summary(found),
            "ended_with": codes,
        }, found


def free_ports(first: int = 8080) -> Iterator[int]:
    """Ports of this machine that nobody has, from the first one on; well below those of outgoing connections.

    Their UDP ports are held as long as the iterator is, so that another one, in any process, does not find the same.
    """
    with ExitStack() as claims:
        for port in range(first, 20_000):
            claim = claims.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            try:
                claim.bind(("127.0.0.1", port))
                with socket.socket() as sock:
                    sock.bind(("127.0.0.1", port))
            except OSError:
                claim.close()
                continue
            yield port
    raise OSError("this machine has no free port")


def _summed(outcomes: dict[tuple[str, str | None], int]) -> dict[str, int]:
    """Of all campaigns."""
    found: Counter[str] = Counter()
    for (_, outcome), calls in outcomes.items():
        found[outcome or "none"] += calls
    return dict(found)
