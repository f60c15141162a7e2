"""`dialer demo`: a whole call centre in one process, shown live, and its books squared at the end."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console
from rich.live import Live

from campaigns.accounts import Accounts
from campaigns.config import ConfigError, parse
from campaigns.demo_data import CONFIG, PASSWORD, DemoData, set_up
from cti.figures import CampaignSnapshot
from cti.messages import LogIn
from dialer import logs
from dialer.accounting import KINDS, Balance, Witnessed, balance, summary, witnessed
from dialer.cli import new_loop
from dialer.config import (
    AgiSection,
    Config,
    EngineSection,
    MetricsSection,
    SwitchSection,
    WebSection,
)
from dialer.daemon import Addresses, Daemon
from dialer.demo_folder import DemoFailed, demo_folder
from dialer.live_view import LiveView
from dialer.metrics import INVARIANTS, percentile
from dialer.virtual_seats import Manner, VirtualSeats
from simulator.scenario import Population, StatisticalScenario
from simulator.switch.server import VirtualSwitch

FASTER = 0.3  # the customers' times: a minute shows what a shift would
DRAIN_S = 20.0
TELL_EVERY_S = 10.0
SHOWN = 5  # differences printed for each kind

PEOPLE = Population(answers=0.55, talk_s=100.0, ring_s=10.0, patience_s=40.0).shorter(FASTER)
MANNER = Manner(wrap_s=4.0, talk_s=30.0, hangs_up=0.3)


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line chose. `data` None: a temporary folder that is removed at the end."""

    duration_s: float | None = None
    seats: int = 20
    leads: int = 5_000
    seed: int = 1
    data: Path | None = None
    web_port: int = 0
    campaign_file: Path | None = None


def run_demo(options: DemoOptions, summary_file: Path | None) -> int:
    """Run it; returns the exit code: 0 when every invariant held and all is accounted for."""
    try:
        campaign = CONFIG if options.campaign_file is None else options.campaign_file.read_text("utf-8")
        parse(campaign, str(options.campaign_file or "the demo's campaign"))
    except (OSError, UnicodeDecodeError, ConfigError) as fault:
        print(f"dialer: {fault}", file=sys.stderr)
        return 2
    if summary_file is not None and not summary_file.parent.is_dir():  # told now, not after the run
        print(f"dialer: {summary_file}: can't be written: there is no such folder", file=sys.stderr)
        return 2
    console = Console(stderr=False)
    live = summary_file is None and console.is_terminal
    try:
        with (
            demo_folder(options.data, "zhudong-demo-") as folder,
            (folder / "dialer.log").open("a", encoding="utf-8") as log_file,
        ):
            logs.configure(log_file, people=True)
            demo = Demo(options, campaign, folder, console, live)
            summary = new_loop(demo.run())
    except DemoFailed as fault:
        print(f"dialer: {fault}", file=sys.stderr)
        return 1
    if summary_file is not None:
        summary_file.write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
    _report(console, summary, demo.balance)
    held = not any(summary["invariant_breaches"].values()) and not any(summary["unaccounted"].values())
    return 0 if held else 1


class Demo:
    """One run."""

    def __init__(
        self, options: DemoOptions, campaign: str, folder: Path, console: Console, live: bool
    ) -> None:
        self._options = options
        self._campaign = campaign
        self._folder = folder
        self._console = console
        self._show = live
        self._data: DemoData | None = None
        self._last: CampaignSnapshot | None = None
        self._began = datetime.now(UTC)
        self._stopping = False
        self.balance = Balance()

    async def run(self) -> dict[str, Any]:
        """Run to the end of the duration, or until interrupted; returns the summary."""
        options = self._options
        scenario = StatisticalScenario(people=PEOPLE, seed=options.seed, sound_s=3.0)
        async with AsyncExitStack() as stack:
            switch = await stack.enter_async_context(VirtualSwitch(scenario))
            daemon = Daemon(self._config(switch), self._folder)
            daemon.bus.on_snapshot(self._take)
            await self._run(daemon, stack)
            await _settled(switch)
            return await self._square(daemon, witnessed(switch.log.calls))

    async def _run(self, daemon: Daemon, stack: AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            """Let the calls finish; asked again, don't wait for them."""
            daemon.stop(0.0 if self._stopping else DRAIN_S)
            self._stopping = True

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        ready: asyncio.Future[Addresses] = loop.create_future()
        running = asyncio.create_task(daemon.run(ready.set_result, self._prepare))
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await running  # raises why it did not start
        seats = self._seats(daemon)
        working = asyncio.create_task(seats.run())
        self._started = monotonic()
        view = LiveView(self._links(ready.result()))
        daemon.bus.on_snapshot(view.take)
        shown = (
            stack.enter_context(Live(view, console=self._console, refresh_per_second=4))
            if self._show
            else None
        )
        if shown is None:
            for label, address in self._links(ready.result()):
                self._console.print(f"{label}: {address}", soft_wrap=True, highlight=False)
        telling = asyncio.create_task(self._tell()) if shown is None else None
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.duration_s):
                await asyncio.shield(running)
        self._lasted = monotonic() - self._started
        self._snapshot = self._last
        if not self._stopping:
            stop()
        if shown is not None:
            shown.stop()
        self._console.print("the calls in progress finish …")
        await running
        seats.leave()
        for task in (working, telling):
            if task is not None:
                task.cancel()
        await asyncio.gather(working, return_exceptions=True)

    def _config(self, switch: VirtualSwitch) -> Config:
        section = SwitchSection(
            name="virtual",
            host=switch.host,
            port=switch.port,
            user=switch.user,
            secret=switch.secret,
            max_lines=self._options.seats * 4,
            calls_per_s=max(20.0, self._options.seats / 4),
        )
        return Config(
            switch=(section,),
            engine=EngineSection(name="demo"),
            web=WebSection(port=self._options.web_port),
            metrics=MetricsSection(port=0),
            agi=AgiSection(port=0),
        )

    def _prepare(self, database) -> None:  # type: ignore[no-untyped-def]
        options = self._options
        self._data = set_up(database, options.seats, options.leads, self._began, options.seed, self._campaign)

    def _seats(self, daemon: Daemon) -> VirtualSeats:
        assert self._data is not None  # set by _prepare, before the daemon is ready
        names = (self._data.campaign.config.name,)
        logins = [
            LogIn(user_id=s.user_id, name=s.name, phone=s.phone, campaigns=names) for s in self._data.seats
        ]
        return VirtualSeats(daemon.bus, logins, MANNER, self._options.seed)

    def _links(self, at: Addresses) -> list[tuple[str, str]]:
        page = f"http://127.0.0.1:{at.web}"
        return [
            ("a seat's page", f"{page}/   as lina or tom, password {PASSWORD}"),
            ("status page", f"{page}/status   as chen, password {PASSWORD}"),
            ("metrics", f"http://127.0.0.1:{at.metrics}/metrics"),
        ]

    def _take(self, snapshot: CampaignSnapshot) -> None:
        self._last = snapshot

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            s = self._last
            if s is not None:
                self._console.print(
                    f"{monotonic() - self._started:4.0f} s  {s.dials} dialed  {s.answered_humans} people answered  "
                    f"{s.connected} connected  {s.abandoned} abandoned  occupancy {s.occupancy:.0%}",
                    highlight=False,
                )

    async def _square(self, daemon: Daemon, seen: list[Witnessed]) -> dict[str, Any]:
        """The summary, from the engine's figures and from the books."""
        assert daemon.engine is not None and daemon.database is not None and self._data is not None
        config = self._data.campaign.config
        accounts = Accounts(daemon.database, self._began)
        self.balance = await asyncio.to_thread(
            partial(
                balance,
                accounts,
                seen,
                config.rules.attempts,
                spools=[self._folder / "spool"],
                connect_limit_s=None if config.amd else config.connect_limit_s,
            )
        )
        campaign = daemon.engine.core.campaigns[config.name]
        counts, metrics, last = campaign.counts, daemon.metrics, self._snapshot
        breaches = dict.fromkeys(INVARIANTS, 0) | dict(daemon.engine.core.breaches)
        breaches["abandon_target"] = int(campaign.ledger.rate > config.target)
        return {
            "duration_s": round(self._lasted, 1),
            "seats": self._options.seats,
            "dials": counts.dials,
            "answered_humans": counts.humans,
            "connected": counts.connected,
            "abandoned": counts.abandoned,
            "abandon_rate": round(campaign.ledger.rate, 4),
            "occupancy": round(last.occupancy, 3) if last is not None else 0.0,
            "idle_s_per_call": round(last.idle_s_per_call, 2) if last is not None else 0.0,
            "answer_to_pop_ms": _milliseconds(metrics.pop_samples),
            "answer_to_connect_ms": _milliseconds(metrics.connect_samples),
            "invariant_breaches": breaches,
            "unaccounted": summary(self.balance),
        }


async def _settled(switch: VirtualSwitch, limit_s: float = 5.0) -> None:
    """Let the switch carry out the last hang-ups."""
    until = monotonic() + limit_s
    while switch.exchange.by_uid and monotonic() < until:
        await asyncio.sleep(0.02)


def _milliseconds(samples) -> dict[str, float | None]:  # type: ignore[no-untyped-def]
    def at(share: float) -> float | None:
        value = percentile(samples, share)
        return None if value is None else round(value * 1000, 2)

    return {"p50": at(0.5), "p99": at(0.99)}


def _report(console: Console, summary: dict[str, Any], found: Balance) -> None:
    for key, value in summary.items():
        console.print(f"{key}: {json.dumps(value)}", highlight=False, soft_wrap=True)
    for kind in KINDS:
        for difference in getattr(found, kind)[:SHOWN]:
            console.print(f"unaccounted: {difference}", style="red", highlight=False)
