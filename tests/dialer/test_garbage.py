"""Full collections of garbage: none by themselves, none while there are calls."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

from dialer import garbage


@pytest.fixture
def full() -> Iterator[list[int]]:
    """Garbage found by each full collection; afterwards the collector is as it was."""
    before, found = gc.get_threshold(), list[int]()

    def heard(phase: str, told: dict[str, int]) -> None:
        if phase == "stop" and told["generation"] == 2:
            found.append(told["collected"])

    gc.callbacks.append(heard)
    yield found
    gc.callbacks.remove(heard)
    gc.set_threshold(*before)
    gc.unfreeze()


def make_garbage() -> None:
    for _ in range(50_000):
        cycle: list[object] = []
        cycle.append(cycle)


def test_what_is_set_aside_is_not_gone_through_and_full_collections_wait_to_be_asked(full: list[int]) -> None:
    garbage.set_aside()
    assert gc.get_freeze_count() > 10_000
    kept = [[n] for n in range(500_000)]
    make_garbage()
    assert full == [] and kept


async def test_they_wait_for_an_hour_without_calls(full: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "IDLE_AFTER_S", 0.0)
    looked, idle = asyncio.Event(), False

    def is_idle() -> bool:
        looked.set()
        return idle

    garbage.set_aside()
    task = asyncio.create_task(garbage.collect(is_idle, 0.001))
    async with asyncio.timeout(20):
        await looked.wait()
        assert full == []
        idle = True
        while not full:
            await asyncio.sleep(0.001)
    task.cancel()


async def test_after_a_day_calls_or_not(full: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "AT_LAST_S", 0.0)
    task = asyncio.create_task(garbage.collect(lambda: False, 0.001))
    async with asyncio.timeout(20):
        while not full:
            await asyncio.sleep(0.001)
    task.cancel()
