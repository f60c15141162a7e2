"""Agents who go on working whatever happens, as people do: they reload the page, redial the phone, try again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic

from websockets.exceptions import WebSocketException

from campaigns.accounts import Verdict
from tests.contract.agent import Agent

AGAIN_S = 0.5  # what did not help is tried again after that
GOES_S = 0.2  # between two looks when nothing is heard


class Tireless(Agent):
    """One agent. `promised` are the verdicts of which the page was told that they are saved."""

    def __init__(self, web_port: int, login: str, password: str) -> None:
        super().__init__(web_port, login, password)
        self.promised: dict[str, Verdict] = {}
        self._did: tuple[str, float] = "", 0.0

    async def toil(self) -> None:
        """Work until cancelled; signed in already."""
        while True:
            with suppress(OSError, TimeoutError, WebSocketException):
                await self.open()
                await self._shift()
            await asyncio.sleep(GOES_S)

    async def _shift(self) -> None:
        assert self._reading is not None
        while not self._reading.done():
            self._changed.clear()
            await self._next()
            with suppress(TimeoutError):
                async with asyncio.timeout(GOES_S):
                    await self._changed.wait()

    async def _next(self) -> None:
        """Do what brings the seat on from where it is."""
        state, at = self._did
        if state == self.state and monotonic() < at + AGAIN_S:
            return
        self._did = self.state, monotonic()
        match self.state:
            case "" | "offline":
                await self.ask("log_in", mode="nailed")
            case "paused":
                await self.ask("ready")
            case "no_phone":
                await self.ask("redial_phone")
            case "wrap_up" if self.pop is not None:
                call_id = self.pop["call_id"]
                verdict = Verdict("sold", f"said of {call_id} by {self.name}")
                reply = await self.ask("dispose", call_id=call_id, code=verdict.code, notes=verdict.notes)
                if reply["ok"]:
                    self.promised[call_id] = verdict
            case "wrap_up":
                await self.ask("ready")
