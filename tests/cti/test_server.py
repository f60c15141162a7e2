"""The server inside the daemon's loop: signals stay the daemon's, a taken port is one clear line."""

from __future__ import annotations

import asyncio
import signal
import socket

import pytest

from cti import server
from cti.app import create_app
from cti.bus import Bus
from cti.gateway import Gateway
from cti.server import CannotListen, serve
from tests.cti.client import cookie, page
from tests.cti.fakes import MemoryAccounts
from tests.cti.running import AGENT, DEADLINE_S, open_door
from tests.loopback import http_client


async def test_it_installs_no_signal_handlers() -> None:
    before = [signal.getsignal(sig) for sig in (signal.SIGINT, signal.SIGTERM)]
    async with open_door():
        assert [signal.getsignal(sig) for sig in (signal.SIGINT, signal.SIGTERM)] == before


async def test_a_port_that_is_taken_is_named() -> None:
    async with open_door() as door:
        with pytest.raises(CannotListen, match=f"127.0.0.1:{door.port}"):
            await serve(door.app, "127.0.0.1", door.port)


async def test_a_part_in_the_background_that_fails_ends_the_pages_and_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails(self: Gateway) -> None:
        raise OSError("no room")

    monkeypatch.setattr(Gateway, "_sweep", fails)
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(ExceptionGroup) as found:
            await serve(create_app(Bus(), MemoryAccounts()), "127.0.0.1", 0)
    assert found.group_contains(OSError, match="no room")


async def test_stopping_closes_open_pages_in_bounded_time() -> None:
    async with asyncio.timeout(5):
        async with open_door() as door:
            context = page(door, AGENT)
            client = await context.__aenter__()
            await client.hello()
        assert await client.closed() in (1001, 1006, 1012)
        await context.__aexit__(None, None, None)


async def test_what_a_dead_peer_does_not_take_is_dropped_by_the_kernel() -> None:
    """Accepted sockets inherit the limit, so that a reader that stopped holds nothing for ever."""
    from cti.server import UNREAD_LIMIT_MS, listen

    listener = listen("127.0.0.1", 0)
    with listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNREAD_LIMIT_MS


@pytest.mark.parametrize("begun", [b"", b"GET", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_connection_that_brings_no_request_is_closed(
    monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.2)
    async with open_door() as door, asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(begun)
        assert await reader.read() == b""
        writer.close()


async def test_a_kept_connection_brings_its_next_request_in_time_or_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.4)
    whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with open_door() as door, asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        for _ in range(4):  # each in its own time, and all of them in more than one has
            writer.write(whole)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            assert head.startswith("http/1.1 200")
            await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r")[0]))
            await asyncio.sleep(0.15)
        writer.write(b"GET")
        assert await reader.read() == b""
        writer.close()


async def test_pages_and_answers_may_take_longer_than_a_requests_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.2)
    async with open_door() as door:
        stream = {"Cookie": (await cookie(door, AGENT))["Cookie"]}
        async with (
            page(door, AGENT) as client,
            http_client(base_url=door.url, headers=stream) as program,
            program.stream("GET", "/api/seat/events") as events,
        ):
            lines = events.aiter_lines()
            assert (await anext(lines)).startswith("id:")
            await client.hello()
            await asyncio.sleep(0.5)
            assert (await client.command(type="log_in"))["ok"]
            async with asyncio.timeout(DEADLINE_S):
                async for line in lines:
                    if line == "event: seat_status":
                        break
