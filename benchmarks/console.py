"""What the console costs the engine's loop: `python -m benchmarks.console [--scale S] [--json FILE]`.

2,000 seats in twenty campaigns, a hundred of which change their state each second; the engine draws up everybody's
figures once a second, and the door sends them to twenty consoles that another process reads. Measured is the processor
time of one turn of the figures, how late the loop runs a timer with and without consoles, and what goes to each.
The alternative is what many boards do: all rows, whole, each time.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import sys
import time
from typing import Any

from benchmarks import report
from benchmarks.push import OpenAccounts, pages
from benchmarks.report import Result, percentile
from campaigns.config import parse
from campaigns.users import User
from cti import wire
from cti.app import create_app
from cti.bus import Bus
from cti.messages import LogIn, Pause, Ready
from cti.server import serve
from dialer.core.engine import EngineCore
from dialer.core.lines import SwitchLines
from dialer.snapshots import Snapshots

FLOOR, CAMPAIGNS, CONSOLES = 2_000, 20, 20
CHANGES_PER_S = 100
PHASE_S = 20.0
LAG_STEP_S = 0.002
LIMIT_S = 60.0
TURN_MS = 10.0  # half of what a screen-pop may take: once a second, all figures of the floor
LATE_MS = 20.0  # answer to pop, p99: with consoles, too


class Supervisors(OpenAccounts):
    """Every console sees all campaigns."""

    async def session(self, token: str) -> User | None:
        return User(int(token), token, token, "administrator", "", (), of_unit=None)


def floor(seats: int) -> EngineCore:
    """A core with so many seats, all ready."""
    core = EngineCore({"main": SwitchLines("main", 10_000, 100.0, "", "")}, time.time() - time.monotonic())
    names = [f"campaign{n}" for n in range(CAMPAIGNS)]
    for n, name in enumerate(names, 1):
        core.configure(
            n, parse(f'name = "{name}"\nswitch = "main"\nrunning = true\n', name), time.monotonic()
        )
    for user in range(1, seats + 1):
        mine = (names[user % CAMPAIGNS],)
        core.command(
            LogIn(user_id=user, name=f"李娜 {user}", phone=f"seat{user}", campaigns=mine, mode="ring"), 0.0
        )
        core.command(Ready(user_id=user), time.monotonic())
    core.take()
    return core


async def phase(core: EngineCore, bus: Bus, port: int, consoles: int) -> dict[str, Any]:
    """Figures for a while; the processor time of each turn, and how late timers were, in milliseconds."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=pages, args=(port, 0, consoles, there))
    process.start()
    snapshots, draw = Snapshots(core), random.Random(7)
    turns: list[float] = []
    late: list[float] = []
    seats = len(core.seats.by_user)
    stop = asyncio.Event()

    async def lag() -> None:
        while not stop.is_set():
            due = time.monotonic() + LAG_STEP_S
            await asyncio.sleep(LAG_STEP_S)
            late.append(1000 * (time.monotonic() - due))

    async def work() -> None:
        for user in draw.sample(range(1, seats + 1), max(1, CHANGES_PER_S * seats // FLOOR)):
            seat = core.seats.by_user[user]
            command = Pause(user_id=user) if seat.state.value == "ready" else Ready(user_id=user)
            core.command(command, time.monotonic())
            core.take()
            await asyncio.sleep(0)

    try:
        async with asyncio.timeout(LIMIT_S):
            while not here.poll():
                await asyncio.sleep(0.05)
            here.recv()
        measuring = asyncio.create_task(lag())
        until = time.monotonic() + PHASE_S
        while time.monotonic() < until:
            began = time.thread_time()
            told, change = snapshots.take(time.monotonic(), {}, {})
            if change is not None:
                bus.floor(change)
            for snapshot in told:
                bus.snapshot(snapshot)
            turns.append(1000 * (time.thread_time() - began))
            await asyncio.gather(work(), asyncio.sleep(1.0))
        stop.set()
        await measuring
        here.send("stop")
        await asyncio.to_thread(here.poll, 10)
    finally:
        process.join(10)
        if process.is_alive():
            process.terminate()
    return {"turns": sorted(turns[1:]), "late": sorted(late)}


async def run(scale: float) -> list[Result]:
    seats = max(20, int(FLOOR * scale))
    core, bus = floor(seats), Bus()
    app = create_app(bus, Supervisors())
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(app, "127.0.0.1", 0, port.set_result))
    try:
        alone = await phase(core, bus, await port, 0)
        watched = await phase(core, bus, await port, CONSOLES)
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)
    snapshots, change = Snapshots(core).take(time.monotonic(), {}, {})
    assert change is not None
    rows = [len(wire.encode(row)) for row in change.seats]
    cards = sum(len(wire.encode(each)) for each in snapshots)
    changed, mean = CHANGES_PER_S * seats / FLOOR, sum(rows) / len(rows)
    return [
        Result(
            "processor time of one turn of all figures, p99",
            percentile(watched["turns"], 0.99),
            "ms",
            TURN_MS,
        ),
        Result("a timer's lateness without consoles, p99", percentile(alone["late"], 0.99), "ms"),
        Result(
            f"a timer's lateness with {CONSOLES} consoles, p99",
            percentile(watched["late"], 0.99),
            "ms",
            LATE_MS,
        ),
        Result("to each console, with what changed of the seats", (cards + changed * mean) / 1000, "kB/s"),
        Result("to each console, were all rows sent whole", (cards + sum(rows)) / 1000, "kB/s"),
    ]


def main() -> int:
    chosen = report.options(__doc__ or "")
    return report.report("console", chosen, report.run_async(lambda: run(chosen.scale)))


if __name__ == "__main__":
    sys.exit(main())
