"""How long a screen-pop takes from the bus to a seat's socket: `python -m benchmarks.push [--scale S] [--json FILE]`.

One process runs the door (bus, gateway, uvicorn) as the daemon does; another holds all the seats' and watchers'
sockets. Pops are due at fixed instants, 100 a second, to seats drawn at random; latency is counted from the instant
a pop was due to the instant the other process has read it. Every call also brings the five status events that a real
one has. Then the same with watchers who get ten snapshots a second each, once through the door's own outboxes and
once, as the alternative, with the loop most servers use: `for socket in sockets: await socket.send(...)`.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from benchmarks import report
from benchmarks.report import Result, percentile
from campaigns.users import User
from cti.app import create_app
from cti.bus import Bus
from cti.figures import CampaignSnapshot
from cti.messages import CallStatus, DispositionChoice, ScreenPop, SeatMessage, SeatStatus
from cti.server import serve
from cti.settings import WebSettings
from dialer import garbage, open_files

SEATS = 1_000
WATCHERS = 200
POPS_PER_S = 100
SNAPSHOTS_PER_S = 10
PHASE_S = 10.0
PING_EVERY_S = 3.0  # cti/static/link.js
BUDGET_MS = 20.0  # answer to pop, p99; the door is a part of that way
LIMIT_S = 120.0


class OpenAccounts:
    """Accounts whose cookie is the user's id: the benchmark is about sockets, not passwords."""

    async def verify(self, login: str, password: str, source: str = "") -> User | None:
        return None

    async def open_session(
        self, user: User, source: str, browser: str = "", waits_for: str = "", id_token: str = ""
    ) -> str:
        return str(user.user_id)

    async def session(self, token: str) -> User | None:
        role = "supervisor" if int(token) > SEATS * 100 else "agent"
        return User(int(token), token, token, role, f"seat{token}", ("demo",))

    async def token(self, token: str, source: str) -> User | None:
        return None

    async def close_session(self, token: str, source: str = "") -> str:
        return ""


def pop(user_id: int, number: int) -> ScreenPop:
    return ScreenPop(
        user_id=user_id,
        call_id=f"{number:032x}",
        campaign="demo",
        number="+8613812345678",
        customer="王小明",
        attributes={"套餐": "融合 129 元", "到期": "2026-12-31"},
        answered_at=time.time(),
        dispositions=(
            DispositionChoice("sold", {"en": "Sold", "zh": "成交"}, "1"),
            DispositionChoice("not_interested", {"en": "Not interested", "zh": "无意向"}, "2"),
        ),
    )


def rest_of_call(user_id: int, number: int) -> list[SeatMessage]:
    call_id, now = f"{number:032x}", time.time()
    return [
        SeatStatus(user_id=user_id, state="talking", since=now, call_id=call_id),
        CallStatus(user_id=user_id, call_id=call_id, state="connected", at=now),
        CallStatus(user_id=user_id, call_id=call_id, state="ended", at=now, cause="customer"),
        SeatStatus(user_id=user_id, state="wrap_up", since=now, call_id=call_id, until=now + 30),
        SeatStatus(user_id=user_id, state="ready", since=now),
    ]


def snapshot(number: int) -> CampaignSnapshot:
    return CampaignSnapshot(
        campaign="demo",
        at=time.time(),
        mode="ratio",
        running=True,
        seats={"ready": 20, "talking": 700, "wrap_up": 200, "paused": 80},
        lines={"dialing": 80, "ringing": 300, "waiting": 1, "connected": 700, "harbour": 0},
        dials=number,
        answered_humans=2731,
        connected=2689,
        abandoned=31,
        abandon_rate=0.0114,
        target=0.03,
        idle_s_per_call=11.4,
        occupancy=0.83,
        decision={"dial": 3, "bound": "abandon_budget", "why": {"wanted": 5}},
    )


# --- the pages' process -------------------------------------------------------------------------------------


async def read_all(port: int, seats: int, watchers: int, out: Connection) -> None:
    """Hold all sockets; note for each pop when it was read. Ends when told to."""
    read: dict[str, float] = {}
    opened = 0
    pings: list[asyncio.Task[None]] = []
    gate = asyncio.Semaphore(50)

    async def ping(socket: ClientConnection) -> None:
        """As a page does; not all in the same instant."""
        await asyncio.sleep(random.uniform(0, PING_EVERY_S))
        while True:
            await socket.send(f'{{"type":"ping","at":{time.time()}}}')
            await asyncio.sleep(PING_EVERY_S)

    async def one(user_id: int, path: str) -> None:
        nonlocal opened
        async with gate:
            socket = await connect(
                f"ws://127.0.0.1:{port}{path}",
                additional_headers={"Cookie": f"zd_session={user_id}"},
                compression=None,
                ping_interval=None,
            )
            if path == "/ws":
                await socket.send('{"type":"hello"}')
                await socket.recv()
            opened += 1
            if path == "/ws":
                pings.append(asyncio.create_task(ping(socket)))
        async for message in socket:
            if isinstance(message, bytes):
                continue
            if '"screen_pop"' in message:
                at = time.monotonic()
                mark = message.index('"call_id":"') + 11
                read[message[mark : mark + 32]] = at

    tasks = [asyncio.create_task(one(user, "/ws")) for user in range(1, seats + 1)]
    tasks += [asyncio.create_task(one(SEATS * 100 + n, "/ws/status")) for n in range(1, watchers + 1)]
    while opened < len(tasks):
        await asyncio.sleep(0.02)
    out.send("open")
    while not out.poll():
        await asyncio.sleep(0.02)
    out.send(read)
    for task in [*tasks, *pings]:
        task.cancel()
    await asyncio.gather(*tasks, *pings, return_exceptions=True)


def pages(port: int, seats: int, watchers: int, out: Connection) -> None:
    garbage.set_aside()  # agents have machines of their own: no page waits for the garbage of others
    report.run_async(lambda: read_all(port, seats, watchers, out))


# --- the door's process -------------------------------------------------------------------------------------


async def phase(
    name: str,
    port: int,
    bus: Bus,
    seats: int,
    watchers: int,
    broadcast: Callable[[int], Awaitable[None]] | None,
) -> dict[str, Any]:
    """Open the sockets, send pops for a while, and return the latencies in milliseconds."""
    garbage.set_aside()  # as `dialer run` does when it is ready
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=pages, args=(port, seats, watchers, there))
    process.start()
    try:
        async with asyncio.timeout(LIMIT_S):
            while not here.poll():
                await asyncio.sleep(0.05)
            here.recv()
            draw = random.Random(7)
            due: dict[str, float] = {}
            stop = asyncio.Event()

            async def send_snapshots() -> None:
                number = 0
                while not stop.is_set() and broadcast is not None:
                    number += 1
                    await asyncio.gather(broadcast(number), asyncio.sleep(1 / SNAPSHOTS_PER_S))

            snapshots = asyncio.create_task(send_snapshots())
            cpu = time.process_time()
            began = time.monotonic()
            for number in range(int(PHASE_S * POPS_PER_S)):
                at = began + number / POPS_PER_S
                while (wait := at - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                message = pop(draw.randint(1, seats), number)
                due[message.call_id] = at
                bus.to_seat(message)
                for event in rest_of_call(message.user_id, number):
                    bus.to_seat(event)
            cpu = (time.process_time() - cpu) / (time.monotonic() - began)
            stop.set()
            await snapshots
            await asyncio.sleep(0.5)
            here.send("stop")
            while not here.poll():
                await asyncio.sleep(0.05)
            read = here.recv()
    finally:
        process.join(10)
        if process.is_alive():
            process.terminate()
    late = sorted(1000 * (read[call] - at) for call, at in due.items() if call in read)
    return {
        "name": name,
        "p50": percentile(late, 0.5),
        "p99": percentile(late, 0.99),
        "max": late[-1],
        "lost": len(due) - len(late),
        "cpu": cpu,
    }


async def run(scale: float) -> list[dict[str, Any]]:
    seats, watchers = max(10, int(SEATS * scale)), max(5, int(WATCHERS * scale))
    bus = Bus()
    app = create_app(bus, OpenAccounts(), WebSettings(status_interval_s=1 / SNAPSHOTS_PER_S))
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(app, "127.0.0.1", 0, port.set_result))
    at = await port
    board = app.state.board

    async def through_outboxes(number: int) -> None:
        bus.snapshot(snapshot(number))

    async def sequential(number: int) -> None:
        text = json.dumps({"type": "campaign_snapshot", "number": number, "pad": "x" * 600})
        for page in list(board._watchers):
            await page.ws.send({"type": "websocket.send", "text": text})

    try:
        return [
            await phase("pops alone", at, bus, seats, 0, None),
            await phase("pops while watchers get snapshots", at, bus, seats, watchers, through_outboxes),
            await phase("the same, sequential awaited broadcast", at, bus, seats, watchers, sequential),
        ]
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)


def main() -> int:
    chosen = report.options(__doc__.splitlines()[0], "1.0 is 1,000 seats and 200 watchers")
    open_files.take_allowed()
    results = []
    for found in report.run_async(lambda: run(chosen.scale)):
        ours = "sequential" not in found["name"]
        for what in ("p50", "p99", "max"):
            budget = BUDGET_MS if what == "p99" and ours else None
            results.append(Result(f"{found['name']}: {what}", round(found[what], 3), "ms", budget))
        results.append(Result(f"{found['name']}: lost", found["lost"], "pops", 0))
        results.append(Result(f"{found['name']}: door's CPU", round(found["cpu"], 3), "cores"))
    return report.report("push", chosen, results)


if __name__ == "__main__":
    sys.exit(main())
