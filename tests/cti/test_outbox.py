"""The outbox of one socket: order, pops before snapshots, coalescing, bounds."""

from __future__ import annotations

import asyncio

from cti.outbox import Outbox


async def written(outbox: Outbox) -> list[str]:
    texts: list[str] = []

    async def send(message: dict[str, str]) -> None:
        texts.append(message["text"])

    outbox.close()
    await outbox.write_to(send)
    return texts


async def test_pops_go_before_snapshots_and_snapshots_coalesce() -> None:
    outbox = Outbox(10)
    outbox.put_latest("north", "north 1")
    outbox.put_latest("south", "south 1")
    outbox.put("pop 1")
    outbox.put_latest("north", "north 2")
    outbox.put("pop 2")
    assert await written(outbox) == ["pop 1", "pop 2", "north 2", "south 1"]


async def test_a_pop_overtakes_snapshots_that_are_already_being_written() -> None:
    outbox = Outbox(10)
    texts: list[str] = []
    for n in range(5):
        outbox.put_latest(f"c{n}", f"snapshot {n}")

    async def send(message: dict[str, str]) -> None:
        texts.append(message["text"])
        if len(texts) == 2:
            outbox.put("pop")
            outbox.close()

    await outbox.write_to(send)
    assert texts.index("pop") == 2


async def test_a_full_outbox_says_so() -> None:
    outbox = Outbox(3)
    assert [outbox.put("event") for _ in range(4)] == [True, True, True, False]


async def test_a_stuck_write_is_seen() -> None:
    outbox = Outbox(3)
    release = asyncio.Event()

    async def send(message: dict[str, str]) -> None:
        await release.wait()

    outbox.put("event")
    writer = asyncio.create_task(outbox.write_to(send))
    await asyncio.sleep(0)
    now = asyncio.get_running_loop().time()
    assert outbox.stuck_s(now + 10) >= 10
    release.set()
    outbox.close()
    await writer
    assert outbox.stuck_s(now + 10) == 0
