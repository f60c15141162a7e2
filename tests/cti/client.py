"""A page without a browser: a session cookie and a socket that speaks the door's frames."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from campaigns.users import User
from tests.cti.running import DEADLINE_S, Door


class SeatClient:
    """One open socket of a page."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[dict[str, Any]] = []
        self._next_id = 0

    async def send(self, **frame: Any) -> None:
        await self.socket.send(json.dumps(frame))

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_S):
            frame = json.loads(await self.socket.recv())
        self.frames.append(frame)
        return frame

    async def next_of(self, kind: str) -> dict[str, Any]:
        """The next frame of this type; those before it are kept in `frames`."""
        while (frame := await self.next())["type"] != kind:
            pass
        return frame

    async def hello(self, epoch: str = "", resume: int = 0) -> dict[str, Any]:
        """Say hello as the one window that a user has, over reloads."""
        await self.send(type="hello", epoch=epoch, resume=resume, window="the one")
        return await self.next()

    async def command(self, **command: Any) -> dict[str, Any]:
        """Give a command and return its reply."""
        self._next_id += 1
        await self.send(type="request", id=self._next_id, command=command)
        reply = await self.next_of("reply")
        assert reply["id"] == self._next_id
        return reply

    async def closed(self) -> int:
        """Wait for the door to close the socket and return its code."""
        async with asyncio.timeout(DEADLINE_S):
            await self.socket.wait_closed()
        return self.socket.close_code or 0


async def cookie(door: Door, user: User) -> dict[str, str]:
    """Headers of a browser in which this user has logged in."""
    return {"Cookie": f"zd_session={await door.accounts.open_session(user, 'test')}"}


@asynccontextmanager
async def page(
    door: Door, user: User, headers: dict[str, str] | None = None, path: str = "/ws"
) -> AsyncIterator[SeatClient]:
    """An open socket for a logged-in user."""
    headers = headers or await cookie(door, user)
    url = f"ws://127.0.0.1:{door.port}{path}"
    async with connect(url, additional_headers=headers, compression=None) as socket:
        yield SeatClient(socket)


async def drop(client: SeatClient) -> None:
    """Lose the connection as a pulled cable would: no closing handshake."""
    client.socket.transport.abort()
    await client.socket.wait_closed()
