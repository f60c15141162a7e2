"""One engine under a full shift: `python -m benchmarks.engine [--scale S] [--json FILE]`.

Four processes, as in a call centre: the virtual switch, the daemon (with its embedded PostgreSQL), 1,000 agents' pages
on real sockets, and this one. 100 calls a second are placed; a third of the customers answer. Latencies are taken
outside the engine, on the machine's one clock: from the instant the switch's own log says that a customer answered, to
the instant the agent's page has read the screen-pop, and to the instant the switch has both in one bridge. The
engine's own figures stand beside them. The AMI path is then fed the same events as panoramisk's own protocol class.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from msgspec import structs
from websockets.asyncio.client import ClientConnection, connect

from benchmarks import report
from benchmarks.ami_path import compare
from benchmarks.report import Result, percentile
from campaigns.lists.rows import Row
from dialer import garbage

SEATS = 1_000
CALLS_PER_S = 100
WARM_UP_S = 25.0
MEASURED_S = 40.0
WRAP_S = 4.0
LIMIT_S = 240.0
POP_MS, CONNECT_MS, MEMORY_MB = 20.0, 25.0, 300.0

CAMPAIGN = """
name = "spring"
switch = "virtual"
running = true
mode = "ratio"
ratio = 10.0
target = 1.0
ring_limit_s = 15.0
max_lines = 5000
caller_ids = ["+862168880001"]
[rules.windows]
"""
ALL_DAY = "".join(
    f"{day} = {{ from = 00:00:00, to = 23:59:59 }}\n"
    for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
)


@dataclass(frozen=True, slots=True)
class Load:
    """What this run puts on the engine."""

    seats: int
    calls_per_s: int
    warm_up_s: float
    measured_s: float

    @property
    def leads(self) -> int:
        return int(self.calls_per_s * (self.warm_up_s + self.measured_s + 30))


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch at work: `at` has the daemon's settings of it, `pids` its processes by name.

    `endings` are the last two digits of the customers' numbers, one after the other; empty where they say nothing.
    """

    at: dict[str, Any]
    pids: dict[str, int]
    endings: tuple[str, ...] = ()


# --- the daemon's process -----------------------------------------------------------------------------------


async def run_daemon(load: Load, switch: Switch, folder: Path, pipe: Connection) -> None:
    """Run the daemon; obey `mark` (forget the samples so far) and `stop` (drain nothing, give the samples back)."""
    import structlog

    from campaigns.demo_data import customers
    from campaigns.lists.loading import store_rows
    from campaigns.people import People
    from campaigns.store import CampaignStore
    from campaigns.users import UserStore
    from dialer.config import AgiSection, Config, MetricsSection, SwitchSection, WebSection
    from dialer.daemon import Addresses, Daemon

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    section = SwitchSection(name="virtual", max_lines=5_000, calls_per_s=float(load.calls_per_s), **switch.at)
    config = Config(
        switch=(section,), web=WebSection(port=0), metrics=MetricsSection(port=0), agi=AgiSection(port=0)
    )
    tokens: list[str] = []
    owner: Any = None

    def prepare(database: Any) -> None:
        nonlocal owner
        owner = database
        at = datetime.now(UTC)
        applied = CampaignStore(database).apply(
            CAMPAIGN + ALL_DAY, "the benchmark's campaign", "benchmark", at
        )
        rows = ending(customers(load.leads, 1), switch.endings)
        store_rows(database, applied.campaign_id, "list", "made up", at, rows)
        people, users = People(database), UserStore(database)
        for n in range(1, load.seats + 1):
            user = people.add("", f"agent{n}", f"Agent {n}", "agent", "", f"seat{n:03}", ("spring",))
            tokens.append(users.open_session(user, "benchmark"))

    daemon = Daemon(config, folder)
    ready: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(daemon.run(ready.set_result, prepare))
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        await running
    garbage.set_aside()  # as `dialer run` does when it is ready
    pipe.send({"web": ready.result().web, "tokens": tokens})
    assert daemon.engine is not None
    metrics, core = daemon.metrics, daemon.engine.core
    samples = {"pop": metrics.pop_samples, "connect": metrics.connect_samples, "lag": metrics.lag_samples}
    memory: list[tuple[float, float]] = []  # seconds since the mark, MB
    most = cpu = began = server = 0.0
    dials = stored = 0
    while True:
        await asyncio.sleep(0.05)
        most = max(most, len(core.calls.by_id))
        if began and time.monotonic() - began >= len(memory):
            memory.append((time.monotonic() - began, memory_mb(os.getpid(), "VmRSS")))
        if not pipe.poll():
            continue
        if pipe.recv() == "mark":
            for kept in samples.values():
                kept.clear()
            most, cpu, began = 0, time.process_time(), time.monotonic()
            stored, server = database_bytes(owner), database_cpu_s(folder)
            dials = core.campaigns["spring"].counts.dials
            continue
        spent = time.monotonic() - began
        campaign = core.campaigns["spring"]
        pipe.send(
            {name: [s * 1000 for s in kept] for name, kept in samples.items()}
            | {
                "cpu": (time.process_time() - cpu) / spent,
                "database_cpu": (database_cpu_s(folder) - server) / spent,
                "database_bytes": database_bytes(owner) - stored,
                "calls_in_flight": most,
                "calls_per_s": (campaign.counts.dials - dials) / spent,
                "memory_mb": memory_mb(os.getpid(), "VmHWM"),
                "memory": memory,
                "breaches": sum(core.breaches.values()),
                "anomalies": dict(core.anomalies),
                "abandoned": campaign.counts.abandoned,
                "connected": campaign.counts.connected,
            }
        )
        daemon.stop(0.0)
        await running
        return


def ending(rows: Iterable[Row], endings: Sequence[str]) -> Iterator[Row]:
    """The customers with numbers that end so, one after the other."""
    if not endings:
        yield from rows
        return
    for index, row in enumerate(rows):
        yield structs.replace(row, numbers=(f"+86138{index:06}{endings[index % len(endings)]}",))


def daemon_process(load: Load, switch: Switch, folder: Path, pipe: Connection) -> None:
    report.run_async(lambda: run_daemon(load, switch, folder, pipe))


# --- the pages' process -------------------------------------------------------------------------------------


class Page:
    """One agent's page: takes the seat, reads, and disposes of each customer after a while."""

    def __init__(self, socket: ClientConnection, read: dict[str, float], ready: asyncio.Event) -> None:
        self._socket = socket
        self._read = read
        self._ready = ready
        self._asked = 0
        self._call = ""
        self._chance = random.Random(id(self))

    async def run(self) -> None:
        await self._socket.send('{"type":"hello"}')
        await self._ask(type="log_in")
        async for text in self._socket:
            at = time.time()
            if not isinstance(text, str) or '"type":"event"' not in text:
                continue
            event = json.loads(text)["event"]
            if event["type"] == "screen_pop":
                self._call = event["call_id"]
                self._read[self._call] = at
            elif event["type"] == "seat_status":
                await self._moved(event["state"])

    async def _moved(self, state: str) -> None:
        if state == "paused":
            await self._ask(type="ready")
        elif state == "ready":
            self._ready.set()
        elif state == "wrap_up":
            wrap = WRAP_S * self._chance.uniform(0.5, 1.5)
            asyncio.get_running_loop().call_later(wrap, self._dispose, self._call)

    def _dispose(self, call: str) -> None:
        task = asyncio.ensure_future(self._ask(type="dispose", call_id=call, code="not_interested"))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _ask(self, **command: Any) -> None:
        self._asked += 1
        await self._socket.send(json.dumps({"type": "request", "id": self._asked, "command": command}))


async def hold_pages(port: int, tokens: list[str], pipe: Connection) -> None:
    """Open all pages, have every agent ready, and note when each pop was read, until told to stop."""
    read: dict[str, float] = {}
    gate = asyncio.Semaphore(50)
    readies = [asyncio.Event() for _ in tokens]

    async def one(token: str, ready: asyncio.Event) -> None:
        async with gate:
            socket = await connect(
                f"ws://127.0.0.1:{port}/ws",
                additional_headers={"Cookie": f"zd_session={token}"},
                compression=None,
                ping_interval=None,
            )
        with contextlib.suppress(Exception):  # the daemon closes it at the end
            await Page(socket, read, ready).run()

    tasks = [asyncio.create_task(one(token, ready)) for token, ready in zip(tokens, readies, strict=True)]
    await asyncio.gather(*(ready.wait() for ready in readies))
    pipe.send("ready")
    while not pipe.poll():
        await asyncio.sleep(0.05)
    pipe.send(read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def pages_process(port: int, tokens: list[str], pipe: Connection) -> None:
    garbage.set_aside()  # agents have machines of their own: no page waits for the garbage of others
    report.run_async(lambda: hold_pages(port, tokens, pipe))


# --- the run ------------------------------------------------------------------------------------------------


def memory_mb(pid: int, which: str) -> float:
    """The memory that a process holds: VmRSS now, VmHWM at most ever."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(which):
            return int(line.split()[1]) / 1024
    return float("nan")


def _cpu_s(pid: int, ended_children: bool = False) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if ended_children else 13])) / os.sysconf("SC_CLK_TCK")


def database_cpu_s(folder: Path) -> float:
    """What all processes of the embedded server below `folder` have worked, those that ended too."""
    [pid_file] = folder.rglob("postmaster.pid")
    server = int(pid_file.read_text().split("\n", 1)[0])
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    spent = _cpu_s(server, ended_children=True)
    for child in children:
        with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
            spent += _cpu_s(int(child))
    return spent


def database_bytes(engine: Any) -> int:
    """What the database takes on disk, without its log."""
    from sqlalchemy import text

    with engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


@contextlib.contextmanager
def virtual_switch(log: Path) -> Iterator[Switch]:
    """The virtual switch in its own process; its log is whole at the end."""
    from simulator.switch.server import SECRET

    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--scenario", "statistical", "--log", str(log), "--until-stdin-closes",
         "--answers", "0.35", "--talk", "18", "--ring", "6"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    try:
        said = json.loads(process.stdout.readline())
        at = {key: said[key] for key in ("host", "port", "user")} | {"secret": SECRET}
        yield Switch(at, {"switch": process.pid})
        process.stdin.close()
        process.wait(10)
    finally:
        process.kill()


@dataclass(frozen=True, slots=True)
class Shift:
    """What a shift left: the virtual switch's log, what its pages and its daemon say of it, and when it was measured.

    `switch_cpu` are the shares of a core that the switch's processes had, by name.
    """

    log: Path
    began: float
    ended: float
    pages: dict[str, float]
    daemon: dict[str, Any]
    switch_cpu: dict[str, float]


def shift(
    load: Load,
    folder: Path,
    pages_process: Callable[..., None],
    *given: object,
    on: Callable[[Path], AbstractContextManager[Switch]] = virtual_switch,
) -> Shift:
    """One shift; everything that was started is ended, whatever happens.

    `pages_process` is called in a process of its own with the door's port, the sessions' tokens, `given`, and a pipe:
    it says "ready", and when it is told to stop, what its pages saw of each call.
    """
    spawn = multiprocessing.get_context("spawn")
    log = folder / "switch.jsonl"
    with contextlib.ExitStack() as stack:
        switch = stack.enter_context(on(log))
        here, there = multiprocessing.Pipe()
        daemon = spawn.Process(target=daemon_process, args=(load, switch, folder, there))
        daemon.start()
        stack.callback(_end, daemon)
        started = _receive(here, daemon)
        page_here, page_there = multiprocessing.Pipe()
        door = (started["web"], started["tokens"])
        pages = spawn.Process(target=pages_process, args=(*door, *given, page_there))
        pages.start()
        stack.callback(_end, pages)
        _receive(page_here, pages)
        time.sleep(load.warm_up_s)
        here.send("mark")
        began, before = time.time(), {name: _cpu_s(pid) for name, pid in switch.pids.items()}
        time.sleep(load.measured_s)
        ended = time.time()
        shares = {name: (_cpu_s(pid) - before[name]) / load.measured_s for name, pid in switch.pids.items()}
        page_here.send("stop")
        seen: dict[str, float] = _receive(page_here, pages)
        here.send("stop")
        found = _receive(here, daemon)
        daemon.join(30)
    return Shift(log, began, ended, seen, found, shares)


def run(load: Load, folder: Path) -> dict[str, Any]:
    """One shift, in figures."""
    had = shift(load, folder, pages_process)
    outside = outside_latencies(had.log, had.pages, had.began, had.ended)
    return had.daemon | outside | had.switch_cpu


def outside_latencies(
    log: Path, read: dict[str, float], began: float, ended: float
) -> dict[str, list[float]]:
    """From the switch's own log and the pages' own clock, in milliseconds, for customers who answered meanwhile."""
    from simulator.switch.log import read_log

    pops, joins = [], []
    for record in read_log(log):
        if (
            not record.uid.startswith("zdc-")
            or record.answered is None
            or not began <= record.answered < ended
        ):
            continue
        seen = read.get(record.uid.removeprefix("zdc-"))
        if seen is not None and seen < ended:
            pops.append((seen - record.answered) * 1000)
        if record.bridged_with:
            joins.append((record.bridged_with[0].entered - record.answered) * 1000)
    return {"answer_to_page": sorted(pops), "answer_to_bridge": sorted(joins)}


def _receive(pipe: Connection, process: Any) -> Any:
    deadline = time.monotonic() + LIMIT_S
    while not pipe.poll(0.2):
        if not process.is_alive():
            raise RuntimeError(f"{process.name} ended with {process.exitcode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{process.name} said nothing for {LIMIT_S:g} s")
    return pipe.recv()


def _end(process: Any) -> None:
    if process.is_alive():
        process.terminate()
        process.join(10)


def main() -> int:
    chosen = report.options("One engine under a full shift: latency, loop lag, CPU, memory, AMI events.")
    load = Load(
        seats=max(1, round(SEATS * chosen.scale)),
        calls_per_s=max(1, round(CALLS_PER_S * chosen.scale)),
        warm_up_s=WARM_UP_S if chosen.scale >= 1 else WARM_UP_S / 2,
        measured_s=MEASURED_S if chosen.scale >= 1 else MEASURED_S / 4,
    )
    with report.scratch("engine") as folder:
        found = run(load, folder)
    results = [
        Result("seats", load.seats, ""),
        Result("calls placed", found["calls_per_s"], "calls/s", 0.9 * load.calls_per_s, "at_least"),
        Result("calls in flight, most", found["calls_in_flight"], "calls"),
        Result("customers connected", found["connected"], "calls"),
        Result("abandoned", found["abandoned"], "calls"),
    ]
    for name, what, budget in (
        ("answer_to_page", "answer to pop read by the page", POP_MS),
        ("answer_to_bridge", "answer to both in one bridge", CONNECT_MS),
        ("pop", "answer read to pop sent (engine's own clock)", POP_MS),
        ("connect", "answer read to connect sent (engine's own clock)", CONNECT_MS),
        ("lag", "event loop lag", None),
    ):
        values = sorted(found[name])
        results += [
            Result(f"{what}, p50", percentile(values, 0.5), "ms"),
            Result(f"{what}, p99", percentile(values, 0.99), "ms", budget),
        ]
    results += [
        Result("engine process, share of a core", found["cpu"] * 100, "%"),
        Result("switch process, share of a core", found["switch"] * 100, "%"),
        Result("engine memory, most", found["memory_mb"], "MB", MEMORY_MB),
        Result("invariant breaches", found["breaches"], "", 0),
        *compare(chosen.scale),
    ]
    if found["anomalies"]:
        print(f"events that no state expected: {found['anomalies']}")
    return report.report("engine", chosen, results)


if __name__ == "__main__":
    sys.exit(main())
