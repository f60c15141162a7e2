"""Leases are renewed in time, whatever has to be read of the switches that were taken."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from dialer import daemon as room
from dialer.config import Config, SwitchSection
from dialer.daemon import Daemon

CONFIG = Config(switch=(SwitchSection(name="main", host="127.0.0.1", user="z", secret="s"),))


class Books:
    """Of a campaign with years of calls: reading them takes as long as is said, and is broken off as often."""

    def __init__(self, breaks: int) -> None:
        self.breaks = breaks
        self.reading = asyncio.Event()
        self.read = asyncio.Event()
        self.taken: list[Mapping[str, str]] = []

    async def take(self, switches: Mapping[str, str]) -> None:
        self.taken.append(dict(switches))
        self.reading.set()
        await self.read.wait()
        if self.breaks:
            self.breaks -= 1
            raise OperationalError("", {}, Exception("gone"))

    async def load(self) -> None:
        """No drafts."""


class Leases:
    """`main` and then `west` are free."""

    engines = ()

    def __init__(self) -> None:
        self.turns = 0
        self.passed: list[str] = []

    async def turn(self, unreached: Mapping[str, float]) -> Mapping[str, str]:
        self.turns += 1
        return {1: {"main": "a"}, 3: {"west": "a"}}.get(self.turns, {})

    async def pass_on(self, switch: str) -> SimpleNamespace | None:
        """`main` could be another one's."""
        self.passed.append(switch)
        return SimpleNamespace(name="b") if switch == "main" else None


async def until(holds: Any) -> None:
    async with asyncio.timeout(10.0):
        while not holds():
            await asyncio.sleep(0.005)


async def test_leases_are_renewed_while_what_was_taken_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "TURN_S", 0.01)
    here, books, leases = Daemon(CONFIG, tmp_path), Books(1), Leases()
    served: list[str] = []

    async def take(engine: Any, stored: Any, switches: Mapping[str, str]) -> None:
        served.extend(switches)

    monkeypatch.setattr(here, "_take", take)
    asked: Any = books
    tenure: Any = leases
    handover: Any = SimpleNamespace(unreached=lambda apart: {}, look=lambda: None)
    begun, taken = asyncio.Event(), room._Taken()
    tasks = [
        asyncio.create_task(here._keep(tenure, handover, begun, taken)),
        asyncio.create_task(here._serve(asked, asked, asked, begun, asked, tenure, taken)),
    ]
    await until(lambda: leases.turns >= 2)
    assert not books.reading.is_set()  # the engine has not begun
    begun.set()
    await books.reading.wait()
    had = leases.turns
    await until(lambda: leases.turns >= had + 20)
    assert not served
    books.read.set()
    await until(lambda: sorted(served) == ["main", "west"])
    assert books.taken[0].keys() <= books.taken[1].keys()  # broken off once, begun anew
    assert not taken.waiting and not taken.more.is_set()
    for task in tasks:
        task.cancel()


async def test_what_can_not_be_served_for_long_goes_to_another_engine_and_the_rest_is_tried_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "TURN_S", 0.01)
    monkeypatch.setattr(room, "UNSERVED_LIMIT_S", 0.1)
    here, books, leases = Daemon(CONFIG, tmp_path), Books(10_000), Leases()
    books.read.set()
    asked: Any = books
    tenure: Any = leases
    begun, taken = asyncio.Event(), room._Taken()
    begun.set()
    served: list[str] = []

    async def take(engine: Any, stored: Any, switches: Mapping[str, str]) -> None:
        served.extend(switches)

    monkeypatch.setattr(here, "_take", take)
    serving = asyncio.create_task(here._serve(asked, asked, asked, begun, asked, tenure, taken))
    taken.add({"main": "a", "west": "a"})
    await until(lambda: taken.waiting.keys() == {"west"})
    assert len(books.taken) > 1 and not served  # it was tried more than once
    assert leases.passed.count("main") == 1
    had = len(books.taken)
    await until(lambda: leases.passed.count("west") > 1 and len(books.taken) > had)
    books.breaks = 0
    await until(lambda: served == ["west"])
    leases.passed.clear()
    taken.add({"west": "b"})  # it comes again, and is none that was tried for long
    await until(lambda: served == ["west", "west"])
    assert not leases.passed and not taken.more.is_set()
    serving.cancel()


async def test_what_is_taken_while_another_switch_is_passed_on_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "UNSERVED_LIMIT_S", -1.0)
    here, books, begun, taken = Daemon(CONFIG, tmp_path), Books(0), asyncio.Event(), room._Taken()
    books.read.set()
    begun.set()
    served: list[str] = []

    class Busy(Leases):
        async def pass_on(self, switch: str) -> SimpleNamespace | None:
            taken.add({"north": "a"})
            return await super().pass_on(switch)

    async def take(engine: Any, stored: Any, switches: Mapping[str, str]) -> None:
        served.extend(switches)

    monkeypatch.setattr(here, "_take", take)
    asked: Any = books
    tenure: Any = Busy()
    serving = asyncio.create_task(here._serve(asked, asked, asked, begun, asked, tenure, taken))
    taken.add({"main": "a"})
    await until(lambda: served or serving.done())
    assert served == ["north"] and not taken.waiting and not serving.done()
    serving.cancel()
