"""An agent at a page: logs in over HTTP, works over the seat's socket, and comes back when the line is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.loopback import http_client

Json = dict[str, Any]


class Agent:
    """What an agent sees and does. `seat`, `pop` and `call` are the newest of their kind on the page."""

    def __init__(self, web_port: int, login: str, password: str) -> None:
        self._port = web_port
        self._login = {"login": login, "password": password}
        self._cookies: dict[str, str] = {}
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._replies: dict[int, asyncio.Future[Json]] = {}
        self._asked = 0
        self.name = login
        self.epoch, self.seq = "", 0
        self.seat: Json = {}
        self.pop: Json | None = None
        self.call: Json | None = None
        self.pops: list[Json] = []
        self.states: list[str] = []
        self.order: list[str] = []  # kinds of what came, in order

    async def __aenter__(self) -> Self:
        await self.sign_in()
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def sign_in(self) -> None:
        """Name and password; the page is not open yet."""
        async with http_client(base_url=f"http://127.0.0.1:{self._port}", timeout=60.0) as browser:
            answer = await browser.post("/login", data=self._login)
            assert answer.status_code == 303, answer.text
            self._cookies = dict(browser.cookies)

    async def open(self) -> None:
        """Open the page, or open it again."""
        cookie = "; ".join(f"{k}={v}" for k, v in self._cookies.items())
        self._socket = await connect(
            f"ws://127.0.0.1:{self._port}/ws", additional_headers={"Cookie": cookie}, compression=None
        )
        await self._socket.send(json.dumps({"type": "hello", "epoch": self.epoch, "resume": self.seq}))
        self._take(json.loads(await self._socket.recv()))
        self._reading = asyncio.create_task(self._read(self._socket))

    async def move(self, web_port: int) -> None:
        """Open the page at another engine."""
        self._port = web_port
        await self.open()

    async def goes_on_at(self, web_port: int, call_id: str) -> None:
        """Its page is closed and opened at another engine, where the same customer is in the call."""
        await self.close()
        await self.move(web_port)
        await self.until(
            "the same customer",
            lambda: self.state == "talking" and self.pop is not None and self.pop["call_id"] == call_id,
            60.0,
        )

    async def close(self) -> None:
        """The page is gone."""
        if self._socket is not None:
            await self._socket.close()
        if self._reading is not None:
            await self._reading

    async def work(self, mode: str = "nailed") -> None:
        """Take the seat, wait for the phone, and be ready."""
        await self.do("log_in", mode=mode)
        await self.until("the phone is up", lambda: self.state == "paused")
        await self.do("ready")

    async def do(self, kind: str, **fields: Any) -> None:
        """Give a command that must be taken."""
        reply = await self.ask(kind, **fields)
        assert reply["ok"], f"{kind}: {reply}"

    async def ask(self, kind: str, **fields: Any) -> Json:
        """Give a command; returns the reply."""
        assert self._socket is not None
        self._asked += 1
        waiting = self._replies[self._asked] = asyncio.get_running_loop().create_future()
        await self._socket.send(
            json.dumps({"type": "request", "id": self._asked, "command": {"type": kind, **fields}})
        )
        async with asyncio.timeout(10.0):
            return await waiting

    async def dispose(self, code: str = "sold", notes: str = "") -> None:
        """Give the verdict on the customer on the screen."""
        assert self.pop is not None
        await self.do("dispose", call_id=self.pop["call_id"], code=code, notes=notes)

    async def connected(self, limit_s: float = 15.0) -> Json:
        """Wait until a customer is in the call; returns the screen-pop."""
        await self.until(
            "a customer is connected",
            lambda: self.call is not None and self.call["state"] == "connected" and self.state == "talking",
            limit_s,
        )
        assert self.pop is not None
        return self.pop

    async def until(self, what: str, so: Callable[[], bool], limit_s: float = 15.0) -> None:
        """Wait until the page shows it."""
        try:
            async with asyncio.timeout(limit_s):
                while not so():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{self.name} waited {limit_s} s for: {what}. {self}") from None

    @property
    def state(self) -> str:
        return self.seat.get("state", "")

    def __str__(self) -> str:
        return f"seat {self.seat}, call {self.call}, states {self.states}"

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
        kind = event["type"]
        if kind == "screen_pop":
            self.pop = event
            self.pops.append(event)
            self.order.append("pop")
        elif kind == "call_status":
            self.call = event
            self.order.append(event["state"])
        elif kind == "seat_status":
            self.seat = event
            self.states.append(event["state"])
