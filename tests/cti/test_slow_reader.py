"""A page that stops reading is closed; no other page waits for it."""

from __future__ import annotations

import asyncio
import base64
import os
import socket

from cti.settings import WebSettings
from tests.cti.client import cookie, page
from tests.cti.fakes import identity
from tests.cti.running import AGENT, OTHER, SUPERVISOR, Door, open_door, until
from tests.cti.test_status import snapshot


async def deaf(door: Door, path: str, headers: dict[str, str], hello: bool = True) -> socket.socket:
    """A socket that shakes hands, says hello and then reads nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", door.port))
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{door.port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in headers.items()),
        "",
        "",
    ]
    await loop.sock_sendall(sock, "\r\n".join(lines).encode())
    assert (await loop.sock_recv(sock, 12)).startswith(b"HTTP/1.1 101")
    if hello:
        text = b'{"type":"hello"}'
        await loop.sock_sendall(sock, bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)  # masked with zeros
    return sock


async def test_a_page_that_stops_reading_is_closed_and_the_others_are_not_delayed() -> None:
    async with open_door(WebSettings(lag_limit_s=2.0, outbox_limit=100_000)) as door:
        stuck = await deaf(door, "/ws", await cookie(door, AGENT))
        await until(lambda: door.gateway.pages == 1)
        [reader] = door.gateway._pages.values()
        async with page(door, OTHER) as client:
            await client.hello()
            meanwhile = (
                0  # customers shown to the other one while a write to this one waited, and went on waiting
            )
            heavy = {"text": "x" * 30_000}
            async with asyncio.timeout(20):
                while not door.gateway.counters["pages_lagging"]:
                    door.engine.pop(AGENT.user_id, attributes=heavy)
                    waits_since = reader.outbox._writing_since
                    door.engine.pop(OTHER.user_id)
                    await client.next()
                    await client.next()
                    meanwhile += waits_since is not None and waits_since == reader.outbox._writing_since
            assert meanwhile
            await until(lambda: door.gateway.pages == 1)
        stuck.close()


async def test_a_reader_that_falls_behind_by_more_than_its_outbox_is_closed_at_once() -> None:
    async with open_door(WebSettings(outbox_limit=8)) as door:
        async with page(door, AGENT) as client:
            await client.hello()
            for _ in range(20):  # all within one turn of the loop: no writer could keep up
                door.engine.seat(AGENT.user_id, "talking")
            assert await client.closed() == 4008
            assert door.gateway.counters["pages_lagging"] == 1
        async with page(door, AGENT) as again:  # it comes back to the whole truth
            assert (await again.hello())["seat"]["state"] == "talking"


async def test_a_watcher_that_stops_reading_is_closed_and_the_others_get_their_snapshots() -> None:
    settings = WebSettings(status_interval_s=0.02, lag_limit_s=0.3)
    async with open_door(settings) as door:
        stuck = await deaf(door, "/ws/status", await cookie(door, SUPERVISOR), hello=False)
        board = door.app.state.board
        await until(lambda: board.watchers == 1)
        async with page(door, identity(10, role="supervisor"), path="/ws/status") as client:
            async with asyncio.timeout(20):
                dials = 0
                while not board.counters["watchers_lagging"]:
                    dials += 1
                    door.bus.snapshot(snapshot("demo", dials=dials, note="x" * 60_000))
                    while (told := await client.next()).get("dials") is None:
                        pass  # the console is told of alarms, too
                    assert told["dials"] == dials
        stuck.close()
