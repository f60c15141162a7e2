"""The watchers' channel: who may watch, the last snapshot at once, coalescing."""

from __future__ import annotations

import time

from cti.messages import CampaignSnapshot
from cti.settings import WebSettings
from tests.cti.client import page
from tests.cti.running import ADMIN, AGENT, SUPERVISOR, open_door, until


def snapshot(campaign: str, dials: int = 0, note: str = "") -> CampaignSnapshot:
    return CampaignSnapshot(
        campaign=campaign,
        at=time.time(),
        mode="ratio",
        running=True,
        seats={"ready": 1},
        lines={"dialing": 2},
        dials=dials,
        answered_humans=0,
        connected=0,
        abandoned=0,
        abandon_rate=0.0,
        target=0.03,
        idle_s_per_call=0.0,
        occupancy=0.0,
        note=note,
    )


async def test_an_agent_may_not_watch() -> None:
    async with open_door() as door, page(door, AGENT, path="/ws/status") as client:
        assert await client.closed() == 4403


async def test_a_new_watcher_sees_every_campaign_at_once() -> None:
    async with open_door(WebSettings(status_interval_s=0.01)) as door:
        door.bus.snapshot(snapshot("north", 3))
        door.bus.snapshot(snapshot("south", 4))
        async with page(door, ADMIN, path="/ws/status") as client:
            seen = {
                (frame["campaign"], frame["dials"]) for frame in [await client.next(), await client.next()]
            }
        assert seen == {("north", 3), ("south", 4)}


async def test_a_watcher_sees_the_campaigns_that_are_theirs_and_no_other() -> None:
    async with open_door(WebSettings(status_interval_s=0.01)) as door:
        door.bus.snapshot(snapshot("north", 3))
        door.bus.snapshot(snapshot("demo", 4))
        async with page(door, SUPERVISOR, path="/ws/status") as client:
            assert (await client.next())["campaign"] == "demo"
            door.bus.snapshot(snapshot("north", 5))
            door.bus.snapshot(snapshot("demo", 6))
            assert ((await client.next())["dials"], len(client.frames)) == (6, 2)


async def test_only_the_last_snapshot_of_an_interval_is_sent() -> None:
    settings = WebSettings(status_interval_s=0.05)
    async with open_door(settings) as door, page(door, SUPERVISOR, path="/ws/status") as client:
        await until(lambda: door.app.state.board.watchers == 1)
        for dials in range(1, 101):
            door.bus.snapshot(snapshot("demo", dials))
        assert (await client.next())["dials"] == 100


async def test_a_watcher_is_told_the_time_and_its_nonsense_is_counted() -> None:
    async with open_door() as door, page(door, SUPERVISOR, path="/ws/status") as client:
        await client.socket.send("nonsense")
        await client.send(type="ping", at=1.5)
        pong = await client.next()
        assert (pong["type"], pong["at"]) == ("pong", 1.5)
        assert abs(pong["time"] - time.time()) < 5
        assert door.app.state.board.counters["malformed"] == 1
