"""Campaigns are taken up whole, also when the database goes in the middle of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from campaigns.store import CampaignStore
from dialer import live_campaigns
from dialer.live_campaigns import LiveCampaigns
from dialer.metrics import Metrics
from pacing.ledger import AbandonLedger, AbandonRule

CONFIG = 'name = "{}"\nswitch = "main"\n'


class Part:
    def __init__(self, switch: str) -> None:
        self.switch = switch

    def restore(self, learned: object, own: bool = True) -> None:
        raise AssertionError("nothing was learned")


class Floor:
    """What is asked of the engine here, and what came."""

    def __init__(self) -> None:
        self.configured: list[str] = []
        self.seeded: list[str] = []
        self.leads_left: dict[str, int] = {}
        self.database_answers = True
        self.core = SimpleNamespace(campaigns={}, switches={"main": None}, hearing=lambda name: Counter())
        self.recorded = True
        self.journal = SimpleNamespace(on_record=self._on_record)

    def configure(self, campaign_id: int, config: Any) -> None:
        self.configured.append(config.name)
        self.core.campaigns[config.name] = SimpleNamespace(
            name=config.name,
            id=campaign_id,
            config=config,
            sharing=None,
            ledger=AbandonLedger(AbandonRule(window_s=None)),
            part=Part,
            seed=lambda at, *figures: self._seed(config.name, figures),
        )

    def _seed(self, name: str, figures: Any) -> None:
        self.seeded.append(name)
        self.books = figures

    async def _on_record(self, limit_s: float) -> bool:
        """As much is counted meanwhile as on a busy floor."""
        for campaign in self.core.campaigns.values():
            campaign.ledger.connected(1.0)
        return self.recorded


async def test_a_campaign_whose_books_could_not_be_read_is_begun_again(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("autumn", "spring"):
        CampaignStore(db).apply(CONFIG.format(name), "test", "tester", datetime.now(UTC))
    floor, faults = Floor(), [OperationalError("", {}, Exception("gone"))]
    asked: Any = floor
    live = LiveCampaigns(db, asked, asked, "", Metrics())
    window = live._store.window

    def breaks_once(*what: Any) -> Any:
        if floor.configured[-1] == "spring" and faults:
            raise faults.pop()
        return window(*what)

    monkeypatch.setattr(live._store, "window", breaks_once)
    with pytest.raises(OperationalError):
        await live.configure()
    assert floor.seeded == ["autumn"]
    await live.configure()
    assert floor.seeded == ["autumn", "spring"]
    await live.configure()
    assert floor.configured == ["autumn", "spring", "spring"]
    live.close()


async def test_the_books_of_a_busy_floor_are_read_with_what_was_counted_since(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    CampaignStore(db).apply(CONFIG.format("spring"), "test", "tester", datetime.now(UTC))
    floor = Floor()
    asked: Any = floor
    live = LiveCampaigns(db, asked, asked, "", Metrics())
    await live.configure()
    monkeypatch.setattr(live._store, "window", lambda *what: (100, 10, 3, 2))
    floor.core.hearing = lambda name: Counter({"main": 1})
    await live._read_ledgers()
    assert floor.books == (101, 10, 4, 2)
    floor.recorded, had = False, len(floor.seeded)
    await live._read_ledgers()
    assert len(floor.seeded) == had  # the books lag behind what is known
    await live.take({"main"})
    assert floor.books == (100, 10, 4, 2) and len(floor.seeded) == had + 1
    live.close()


async def test_who_hears_the_message_while_the_books_are_read_counts_once(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    CampaignStore(db).apply(CONFIG.format("spring"), "test", "tester", datetime.now(UTC))
    floor = Floor()
    asked: Any = floor
    live = LiveCampaigns(db, asked, asked, "", Metrics())
    await live.configure()
    hearing = Counter({"main": 2})
    floor.core.hearing = lambda name: +hearing

    def window(*what: Any) -> tuple[int, int, int, int]:
        """For two the message is over, and nobody has put it on record yet; for a third one it begins."""
        hearing["main"] = 1
        floor.core.campaigns["spring"].ledger.abandoned(1.0)
        return 100, 10, 3, 2

    monkeypatch.setattr(live._store, "window", window)
    await live._read_ledgers()
    assert floor.books == (101, 10, 3 + 3, 2)
    live.close()


async def test_what_the_database_breaks_off_is_not_the_end_of_the_rest(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor, made = Floor(), asyncio.Event()
    floor.core.owner, floor.core.ours = False, list
    asked: Any = floor
    live = LiveCampaigns(db, asked, asked, "", Metrics())

    async def breaks() -> None:
        raise OperationalError("", {}, Exception("it takes too long"))

    async def partitions() -> None:
        made.set()

    for name in ("WATCH_S", "LEDGER_EVERY", "PARTITIONS_EVERY"):
        monkeypatch.setattr(live_campaigns, name, 0.01 if name == "WATCH_S" else 1)
    monkeypatch.setattr(live, "_read_ledgers", breaks)
    monkeypatch.setattr(live, "_make_partitions", partitions)
    running = asyncio.create_task(live.run())
    async with asyncio.timeout(10.0):
        await made.wait()
    assert floor.database_answers
    running.cancel()
    live.close()


async def test_a_long_list_is_counted_less_often(db: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    takes_s, time, counted = 0.0, 1_000.0, []
    monkeypatch.setattr(live_campaigns, "monotonic", lambda: time)

    class Counting:
        async def left(self, campaign_id: int) -> int:
            nonlocal time
            time += takes_s
            counted.append(time)
            return 7

    floor = Floor()
    asked: Any = floor
    hopper: Any = Counting()
    live = LiveCampaigns(db, asked, asked, "", Metrics())
    for takes_s, waits_s in ((0.01, 10.0), (2.0, 200.0), (0.01, 10.0)):
        await live._count(hopper, "spring", 1)
        had, began = len(counted), time - takes_s
        time = began + waits_s - 0.1
        await live._count(hopper, "spring", 1)
        assert len(counted) == had
        time = began + waits_s + 0.1
    assert floor.leads_left == {"spring": 7}
    live.close()


async def test_while_a_long_list_is_counted_new_versions_are_looked_for(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor, asked_for, counting = Floor(), 0, asyncio.Event()
    floor.core.owner, floor.core.ours = False, lambda: [SimpleNamespace(name="spring", id=1)]
    asked: Any = floor
    live = LiveCampaigns(db, asked, asked, "", Metrics())

    class Long:
        async def left(self, campaign_id: int) -> int:
            counting.set()
            await asyncio.Event().wait()
            return 0

    def looked_for(change: int) -> list[Any]:
        nonlocal asked_for
        asked_for += 1
        return []

    hopper: Any = Long()
    monkeypatch.setattr(live_campaigns, "WATCH_S", 0.01)
    monkeypatch.setattr(live._store, "newer_than", looked_for)
    parts = [asyncio.create_task(part) for part in (live.run(), live.count_leads(hopper))]
    async with asyncio.timeout(10.0):
        await counting.wait()
        had = asked_for
        while asked_for < had + 3:
            await asyncio.sleep(0.01)
    for part in parts:
        part.cancel()
    live.close()


async def test_a_database_that_is_away_is_known_where_nothing_is_recorded(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor, gone = Floor(), True
    floor.core.owner, floor.core.ours = False, list
    asked: Any = floor
    live = LiveCampaigns(db, asked, asked, "", Metrics())
    newer = live._store.newer_than

    def looked_for(change: int) -> Any:
        if gone:
            raise OperationalError("", {}, Exception("gone"))
        return newer(change)

    monkeypatch.setattr(live_campaigns, "WATCH_S", 0.01)
    monkeypatch.setattr(live._store, "newer_than", looked_for)
    running = asyncio.create_task(live.run())
    for gone in (True, False):
        async with asyncio.timeout(10.0):
            while floor.database_answers is gone:
                await asyncio.sleep(0.01)
    running.cancel()
    live.close()
