"""Agents who are programs: they work as people at pages do, the same way each time for one seed, and go quietly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from cti.bus import Bus
from cti.messages import (
    CallStatus,
    Command,
    Dispose,
    DispositionChoice,
    HangUp,
    LogIn,
    Ready,
    RedialPhone,
    Reply,
    ScreenPop,
    SeatStatus,
)
from dialer import virtual_seats
from dialer.virtual_seats import Manner, VirtualSeats

LIMIT_S = 20.0
CODES = ("sold", "interested", "not_interested")
QUICK = Manner(wrap_s=0.01, talk_s=0.01, hangs_up=1.0)


class Office:
    """The engine's side of the bus: it keeps the commands, and says what a test wants said."""

    def __init__(self, seats: int, manner: Manner = QUICK, seed: int = 1) -> None:
        self.bus = Bus()
        self.bus.serve(self._take)
        self.commands: list[Command] = []
        self.reply = Reply(ok=True)
        logins = [
            LogIn(user_id=n, name=f"agent {n}", phone=f"seat{n:03d}", campaigns=("spring",))
            for n in range(1, seats + 1)
        ]
        self.seats = VirtualSeats(self.bus, logins, manner, seed)

    async def _take(self, command: Command) -> Reply:
        self.commands.append(command)
        return self.reply

    def status(self, state: str, user: int = 1) -> None:
        self.bus.to_seat(SeatStatus(user_id=user, state=state, since=0.0))

    def pop(self, call_id: str, user: int = 1) -> None:
        choices = tuple(DispositionChoice(code=code, label={"en": code}) for code in CODES)
        self.bus.to_seat(
            ScreenPop(
                user_id=user, call_id=call_id, campaign="spring", number="+8613800138000", customer="王小明",
                attributes={}, answered_at=0.0, dispositions=choices,
            )
        )  # fmt: skip

    def call(self, call_id: str, state: str, user: int = 1) -> None:
        self.bus.to_seat(CallStatus(user_id=user, call_id=call_id, state=state, at=0.0))

    def of(self, kind: type[Command]) -> list[Command]:
        return [command for command in self.commands if isinstance(command, kind)]


async def until(so: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not so():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def at_work(office: Office) -> AsyncIterator[Office]:
    task = asyncio.create_task(office.seats.run())
    await until(lambda: office.of(LogIn))
    try:
        yield office
    finally:
        office.seats.leave()
        task.cancel()
        [ended] = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended


async def test_everyone_logs_in_and_is_ready_when_the_phone_is_up() -> None:
    async with at_work(Office(5)) as office:
        await until(lambda: len(office.of(LogIn)) == 5)
        assert office.of(Ready) == []
        for user in range(1, 6):
            office.status("paused", user)
        await until(lambda: len(office.of(Ready)) == 5)
        assert {command.user_id for command in office.of(Ready)} == {1, 2, 3, 4, 5}


async def test_after_a_call_the_verdict_is_one_of_those_on_the_screen() -> None:
    async with at_work(Office(1)) as office:
        office.pop("a" * 32)
        office.call("a" * 32, "connected")
        await until(lambda: office.of(HangUp))
        office.status("wrap_up")
        await until(lambda: office.of(Dispose))
        [verdict] = office.of(Dispose)
        assert isinstance(verdict, Dispose)
        assert verdict.call_id == "a" * 32 and verdict.code in CODES


async def test_who_leaves_the_talking_to_the_customer_never_hangs_up() -> None:
    async with at_work(Office(1, Manner(wrap_s=0.01, talk_s=0.01, hangs_up=0.0))) as office:
        for n in range(20):
            office.pop(f"{n:032x}")
            office.call(f"{n:032x}", "connected")
            office.status("wrap_up")
        await until(lambda: len(office.of(Dispose)) == 20)
        assert office.of(HangUp) == []


async def test_a_lost_phone_is_rung_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_seats, "REDIAL_S", 0.01)
    async with at_work(Office(1)) as office:
        office.status("no_phone")
        await until(lambda: office.of(RedialPhone))


async def test_a_wrap_up_without_a_customer_on_the_screen_just_ends() -> None:
    async with at_work(Office(1)) as office:
        office.status("wrap_up")
        await until(lambda: office.of(Ready))
        assert office.of(Dispose) == []


async def test_one_seed_is_one_behaviour_whoever_else_is_there() -> None:
    async def verdicts(office: Office, user: int) -> list[str]:
        async with at_work(office):
            for n in range(12):
                office.pop(f"{n:032x}", user)
                office.status("wrap_up", user)
                await until(lambda n=n: len(office.of(Dispose)) == n + 1)
            return [command.code for command in office.of(Dispose) if isinstance(command, Dispose)]

    alone, again = await verdicts(Office(1), 1), await verdicts(Office(9), 1)
    assert alone == again and len(set(alone)) > 1
    assert await verdicts(Office(1, seed=2), 1) != alone


async def test_a_refused_command_is_told_unless_the_customer_hung_up_first() -> None:
    async with at_work(Office(1)) as office:
        office.reply = Reply(ok=False, code="not_now")
        with capture_logs() as said:
            office.pop("a" * 32)
            office.call("a" * 32, "connected")
            await until(lambda: office.of(HangUp))
            office.status("paused")
            await until(lambda: said)
        assert [(line["command"], line["code"]) for line in said] == [("Ready", "not_now")]


async def test_messages_for_other_people_are_not_theirs() -> None:
    async with at_work(Office(1)) as office:
        office.status("paused", user=2)  # a person at a page
        office.status("paused", user=1)
        await until(lambda: office.of(Ready))
        assert {command.user_id for command in office.of(Ready)} == {1}


async def test_who_leaves_begins_nothing_new() -> None:
    async with at_work(Office(1, Manner(wrap_s=0.05, talk_s=0.05, hangs_up=1.0))) as office:
        office.pop("a" * 32)
        office.call("a" * 32, "connected")
        office.seats.leave()
        office.status("paused")
        office.status("wrap_up")
        await asyncio.sleep(0.2)  # nothing to wait for: it must not come
        assert [type(command) for command in office.commands] == [LogIn]
