"""The server inside the daemon's loop: signals stay the daemon's, a taken port is one clear line."""

from __future__ import annotations

import asyncio
import signal
import socket

import pytest

from cti.server import CannotListen, serve
from tests.cti.client import page
from tests.cti.running import AGENT, open_door


async def test_it_installs_no_signal_handlers() -> None:
    before = [signal.getsignal(sig) for sig in (signal.SIGINT, signal.SIGTERM)]
    async with open_door():
        assert [signal.getsignal(sig) for sig in (signal.SIGINT, signal.SIGTERM)] == before


async def test_a_port_that_is_taken_is_named() -> None:
    async with open_door() as door:
        with pytest.raises(CannotListen, match=f"127.0.0.1:{door.port}"):
            await serve(door.app, "127.0.0.1", door.port)


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
