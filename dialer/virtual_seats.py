"""Agents for the demo and the benchmarks: they log in, talk, wrap up and dispose over the bus, as pages do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from cti.bus import Bus
from cti.messages import (
    CallStatus,
    Command,
    Dispose,
    HangUp,
    LogIn,
    Ready,
    RedialPhone,
    ScreenPop,
    SeatMessage,
    SeatStatus,
)

log = structlog.get_logger(__name__)

REDIAL_S = 1.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How an agent works. `hangs_up` is the share of calls they end themselves, after a talk of `talk_s` on average."""

    wrap_s: float = 3.0
    talk_s: float = 20.0
    hangs_up: float = 0.5


class VirtualSeats:
    """Any number of agents, driven by the bus's events. The same seed gives the same choices for each agent."""

    def __init__(self, bus: Bus, logins: Sequence[LogIn], manner: Manner, seed: int = 1) -> None:
        self._bus = bus
        self._logins = logins
        self._manner = manner
        self._random = {login.user_id: random.Random(f"{seed}:{login.user_id}") for login in logins}
        self._pops: dict[int, ScreenPop] = {}
        self._tasks = asyncio.TaskGroup()
        self._leaving = False
        bus.on_seat(self._hear)

    async def run(self) -> None:
        """Log in and work until cancelled."""
        async with self._tasks as tasks:
            for login in self._logins:
                tasks.create_task(self._do(0.0, login))
            await asyncio.Event().wait()

    def wrap_s(self, pop: ScreenPop | None, chance: random.Random) -> float:
        """How long the agent wraps up after this customer."""
        return chance.uniform(0.5, 1.5) * self._manner.wrap_s

    def leave(self) -> None:
        """Do nothing new: the engine stops."""
        self._leaving = True

    def _hear(self, message: SeatMessage) -> None:
        """Called on the loop, within the engine's own turn: what follows is done in a task."""
        chance = self._random.get(message.user_id)
        if chance is None or self._leaving:
            return
        user = message.user_id
        if isinstance(message, ScreenPop):
            self._pops[user] = message
        elif isinstance(message, CallStatus):
            if message.state == "connected" and chance.random() < self._manner.hangs_up:
                talk = chance.expovariate(1.0 / self._manner.talk_s)
                self._soon(talk, HangUp(user_id=user, call_id=message.call_id))
        elif isinstance(message, SeatStatus):
            self._move(message, chance)

    def _move(self, status: SeatStatus, chance: random.Random) -> None:
        user = status.user_id
        if status.state == "paused":
            self._soon(0.0, Ready(user_id=user))
        elif status.state == "no_phone":
            self._soon(REDIAL_S, RedialPhone(user_id=user))
        elif status.state == "wrap_up":
            pop = self._pops.get(user)
            choices = pop.dispositions if pop is not None else ()
            headings = {choice.within for choice in choices}
            codes = [c.code for c in choices if c.code not in headings and not c.required]
            wrap = self.wrap_s(pop, chance)
            if pop is not None and codes:
                self._soon(wrap, Dispose(user_id=user, call_id=pop.call_id, code=chance.choice(codes)))
            else:
                self._soon(wrap, Ready(user_id=user))

    def _soon(self, delay_s: float, command: Command) -> None:
        self._tasks.create_task(self._do(delay_s, command))

    async def _do(self, delay_s: float, command: Command) -> None:
        await asyncio.sleep(delay_s)
        if self._leaving:
            return
        reply = await self._bus.command(command)
        if not reply.ok and not isinstance(command, HangUp):  # the customer may have hung up first
            log.warning("an agent's command was refused", command=type(command).__name__, code=reply.code)
