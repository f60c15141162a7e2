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

CONFIG = 'name = "{}"\nswitch = "main"\n'


class Part:
    def __init__(self, switch: str) -> None:
        self.switch = switch

    def restore(self, learned: object) -> None:
        raise AssertionError("nothing was learned")


class Floor:
    """What is asked of the engine here, and what came."""

    def __init__(self) -> None:
        self.configured: list[str] = []
        self.seeded: list[str] = []
        self.leads_left: dict[str, int] = {}
        self.database_answers = True
        self.core = SimpleNamespace(campaigns={}, switches={"main": None}, hearing=lambda name: Counter())
        self.journal = SimpleNamespace(depth=0)

    def configure(self, campaign_id: int, config: Any) -> None:
        self.configured.append(config.name)
        self.core.campaigns[config.name] = SimpleNamespace(
            id=campaign_id,
            config=config,
            sharing=None,
            ledger=SimpleNamespace(rule=SimpleNamespace(window_s=None)),
            part=Part,
            seed=lambda *figures: self.seeded.append(config.name),
        )


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
    running = asyncio.create_task(live.run(asked))
    for gone in (True, False):
        async with asyncio.timeout(10.0):
            while floor.database_answers is gone:
                await asyncio.sleep(0.01)
    running.cancel()
    live.close()
