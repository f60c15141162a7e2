"""A seat's page without a browser: logs in over HTTP, and works over the seat's socket as the page's script does."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

Json = dict[str, Any]

REPLY_LIMIT_S = 10.0
LOG_IN_LIMIT_S = 60.0  # passwords take a machine's time
PATIENT_S = 20.0, 20.0  # between two pings, and until one is answered
CLOSE_LIMIT_S = 1.0  # for whoever does not answer
# For addresses without TLS: to read the machine's certificates takes a tenth of a second. It trusts nobody.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class SeatPage:
    """What one agent sees and does. `seat`, `pop` and `call` are the newest of their kind.

    `door` is the engine's address, such as `http://127.0.0.1:8080`.
    """

    def __init__(self, door: str, login: str, password: str) -> None:
        self.door = door
        self.name = login
        self.epoch, self.seq = "", 0
        self.seat: Json = {}
        self.pop: Json | None = None
        self.call: Json | None = None
        self._login = {"login": login, "password": password}
        self._cookies: dict[str, str] = {}
        self._ping_every_s, self._pong_limit_s = PATIENT_S
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._replies: dict[int, asyncio.Future[Json]] = {}
        self._asked = 0

    async def sign_in(self) -> None:
        """Name and password; the page is not open yet. Raises httpx2's errors, and RuntimeError when refused."""
        async with httpx2.AsyncClient(verify=NO_CERTIFICATES, timeout=LOG_IN_LIMIT_S) as browser:
            answer = await browser.post(f"{self.door}/login", data=self._login)
            if answer.status_code != 303:
                raise RuntimeError(f"{self.name} was not let in: {answer.status_code} {answer.text}")
            self._cookies = dict(browser.cookies)

    async def open(self) -> None:
        """Open the page, or open it again. Raises OSError, TimeoutError and WebSocketException."""
        cookie = "; ".join(f"{k}={v}" for k, v in self._cookies.items())
        self._socket = await connect(
            f"ws{self.door.removeprefix('http')}/ws",
            additional_headers={"Cookie": cookie},
            compression=None,
            ping_interval=self._ping_every_s,
            ping_timeout=self._pong_limit_s,
            close_timeout=CLOSE_LIMIT_S,
        )
        await self._socket.send(json.dumps({"type": "hello", "epoch": self.epoch, "resume": self.seq}))
        self._take(json.loads(await self._socket.recv()))
        self._reading = asyncio.create_task(self._read(self._socket))

    async def close(self) -> None:
        """The page is gone."""
        if self._socket is not None:
            await self._socket.close()
        if self._reading is not None:
            await self._reading

    async def ask(self, kind: str, **fields: Any) -> Json:
        """Give a command; returns the reply. Raises as :meth:`open` does."""
        assert self._socket is not None
        self._asked += 1
        waiting = self._replies[self._asked] = asyncio.get_running_loop().create_future()
        await self._socket.send(
            json.dumps({"type": "request", "id": self._asked, "command": {"type": kind, **fields}})
        )
        async with asyncio.timeout(REPLY_LIMIT_S):
            return await waiting

    @property
    def state(self) -> str:
        return self.seat.get("state", "")

    # --- within -----------------------------------------------------------------------------------------------

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for text in socket:
                self._take(json.loads(text))
        except ConnectionClosed:
            pass

    def _take(self, frame: Json) -> None:
        kind = frame["type"]
        if kind == "state":
            self.epoch, self.seq = frame["epoch"], frame["seq"]
            self.seat, self.pop, self.call = frame["seat"] or {}, frame["pop"], frame["call"]
        elif kind == "event":
            self.seq = frame["seq"]
            self._event(frame["event"])
        elif kind == "reply":
            waiting = self._replies.pop(frame["id"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)
        self._changed.set()

    def _event(self, event: Json) -> None:
        match event["type"]:
            case "screen_pop":
                self.pop = event
            case "call_status":
                self.call = event
            case "seat_status":
                self.seat = event
