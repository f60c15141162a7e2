"""An agent at a page: logs in over HTTP, works over the seat's socket, and comes back when the line is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

from dialer.seat_page import Json, SeatPage


class Agent(SeatPage):
    """What an agent sees and does, with all that came before it. What is waited for must come."""

    def __init__(self, door: str, login: str, password: str) -> None:
        super().__init__(door, login, password)
        self.pops: list[Json] = []
        self.states: list[str] = []
        self.order: list[str] = []  # kinds of what came, in order

    async def __aenter__(self) -> Self:
        await self.sign_in()
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def move(self, door: str) -> None:
        """Open the page at another engine."""
        self.door = door
        await self.open()

    async def goes_on_at(self, door: str, call_id: str) -> None:
        """Its page is closed and opened at another engine, where the same customer is in the call."""
        await self.close()
        await self.move(door)
        await self.until(
            "the same customer",
            lambda: self.state == "talking" and self.pop is not None and self.pop["call_id"] == call_id,
            60.0,
        )

    async def work(self, mode: str = "nailed") -> None:
        """Take the seat, wait for the phone, and be ready."""
        await self.do("log_in", mode=mode)
        await self.until("the phone is up", lambda: self.state == "paused")
        await self.do("ready")

    async def do(self, kind: str, **fields: Any) -> None:
        """Give a command that must be taken."""
        reply = await self.ask(kind, **fields)
        assert reply["ok"], f"{kind}: {reply}"

    async def dispose(self, code: str = "sold", notes: str = "") -> None:
        """Give the verdict on the customer on the screen."""
        assert self.pop is not None
        await self.do("dispose", call_id=self.pop["call_id"], code=code, notes=notes)

    async def ends(self, call_id: str, code: str = "sold", notes: str = "") -> None:
        """Hang up, give the verdict, and be ready for the next one."""
        await self.do("hang_up", call_id=call_id)
        await self.dispose(code, notes)
        if self.state == "paused":
            await self.do("ready")

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

    def __str__(self) -> str:
        return f"seat {self.seat}, call {self.call}, states {self.states}"

    # --- within -----------------------------------------------------------------------------------------------

    def _event(self, event: Json) -> None:
        super()._event(event)
        match event["type"]:
            case "screen_pop":
                self.pops.append(event)
                self.order.append("pop")
            case "call_status":
                self.order.append(event["state"])
            case "seat_status":
                self.states.append(event["state"])
