"""Agents at pages who work on whatever happens, as people do: they reload, redial, and go where an engine is.

Programs, for demonstrations and for the fault suite. What an agent was told is saved is kept, for the account.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

import httpx2
from websockets.exceptions import ConnectionClosed, WebSocketException

from campaigns.accounts import Verdict
from cti.wire import NO_SESSION
from dialer.seat_page import NO_CERTIFICATES, SeatPage
from dialer.virtual_seats import Manner

AGAIN_S = 0.5  # what did not help is tried again after that
GOES_S = 0.2  # between two looks when nothing is heard
ANSWER_LIMIT_S = 2.0  # as long as the page's script waits for another engine
# An engine that says nothing is left after as long as the page's script waits for it.
IMPATIENT_S = 3.0, 4.0
AT_ONCE = Manner(wrap_s=0.0, hangs_up=0.0)


class PageAgent(SeatPage):
    """One agent, at the first of the doors that serves. `promised` are the verdicts that they were told are saved."""

    def __init__(
        self,
        doors: Sequence[str],
        login: str,
        password: str,
        manner: Manner = AT_ONCE,
        chance: random.Random | None = None,
    ) -> None:
        super().__init__(doors[0], login, password)
        self.promised: dict[str, Verdict] = {}
        self._doors = tuple(doors)
        self._ping_every_s, self._pong_limit_s = IMPATIENT_S
        self._manner = manner
        self._chance = chance or random.Random(login)
        self._in: str = ""  # the state that something is done about, and when that is
        self._does_at = 0.0

    async def toil(self) -> None:
        """Work until cancelled; signed in already, and again when a log-in is over."""
        while True:
            try:
                if await self._served():
                    await self.open()
                    await self._shift()
            except ConnectionClosed as closed:
                if closed.rcvd is not None and closed.rcvd.code == NO_SESSION:
                    await self._sign_in_again()
            except (OSError, TimeoutError, WebSocketException):
                pass
            await asyncio.sleep(GOES_S)

    async def _sign_in_again(self) -> None:
        with suppress(httpx2.HTTPError, RuntimeError):  # the door is not there yet, or not ready
            await self.sign_in()
            return
        await asyncio.sleep(AGAIN_S)

    async def _served(self) -> bool:
        """Whether there is a door to go to; where there are several, only one whose engine says that it calls."""
        if len(self._doors) == 1:
            return True
        async with httpx2.AsyncClient(verify=NO_CERTIFICATES, timeout=ANSWER_LIMIT_S) as browser:
            for door in sorted(self._doors, key=lambda door: door != self.door):
                with suppress(httpx2.HTTPError):
                    if (await browser.get(f"{door}/readyz")).is_success:
                        self.door = door
                        return True
        return False

    async def _shift(self) -> None:
        assert self._reading is not None
        self._in = ""
        while not self._reading.done():
            self._changed.clear()
            await self._next()
            with suppress(TimeoutError):
                async with asyncio.timeout(GOES_S):
                    await self._changed.wait()

    async def _next(self) -> None:
        """Do what brings the seat on from where it is, when it is time for that."""
        now, state = monotonic(), self.state or "offline"
        if state != self._in:
            self._in, self._does_at = state, now + self._after_s(state)
        if now < self._does_at:
            return
        self._does_at = now + AGAIN_S
        match state:
            case "offline":
                await self.ask("log_in", mode="nailed")
            case "paused":
                await self.ask("ready")
            case "no_phone":
                await self.ask("redial_phone")
            case "talking" if self.pop is not None:
                await self.ask("hang_up", call_id=self.pop["call_id"])
            case "wrap_up" if self.pop is not None:
                await self._dispose(self.pop["call_id"])
            case "wrap_up":
                await self.ask("ready")

    def _after_s(self, state: str) -> float:
        """How long this agent is in a state before they do something about it."""
        manner, chance = self._manner, self._chance
        if state == "wrap_up":
            return chance.uniform(0.5, 1.5) * manner.wrap_s
        if state == "talking":
            return (
                chance.expovariate(1.0 / manner.talk_s) if chance.random() < manner.hangs_up else float("inf")
            )
        return 0.0

    async def _dispose(self, call_id: str) -> None:
        verdict = Verdict("sold", f"said of {call_id} by {self.name}")
        reply = await self.ask("dispose", call_id=call_id, code=verdict.code, notes=verdict.notes)
        if reply["ok"]:
            self.promised[call_id] = verdict
