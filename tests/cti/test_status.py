"""The watchers' channel: who may watch, the last snapshot at once, coalescing."""

from __future__ import annotations

import time
from dataclasses import replace

import msgspec

from cti.figures import CampaignSnapshot, FloorChange, SeatRow
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


def row(user_id: int, state: str, *serves: str) -> SeatRow:
    return SeatRow(user_id, f"seat {user_id}", state, 1_000.0, serves[0], serves)


def change(*rows: SeatRow, gone: tuple[int, ...] = ()) -> FloorChange:
    return FloorChange(at=time.time(), seats=rows, gone=gone)


async def test_a_new_watcher_sees_every_campaign_at_once() -> None:
    async with open_door(WebSettings(status_interval_s=0.01)) as door:
        door.bus.snapshot(snapshot("north", 3))
        door.bus.snapshot(snapshot("south", 4))
        async with page(door, ADMIN, path="/ws/status") as client:
            frames = [await client.next_of("campaign_snapshot") for _ in range(2)]
            seen = {(frame["campaign"], frame["dials"]) for frame in frames}
        assert seen == {("north", 3), ("south", 4)}


async def test_a_watcher_sees_the_campaigns_that_are_theirs_and_no_other() -> None:
    async with open_door(WebSettings(status_interval_s=0.01)) as door:
        door.bus.snapshot(snapshot("north", 3))
        door.bus.snapshot(snapshot("demo", 4))
        async with page(door, SUPERVISOR, path="/ws/status") as client:
            assert (await client.next_of("campaign_snapshot"))["campaign"] == "demo"
            door.bus.snapshot(snapshot("north", 5))
            door.bus.snapshot(snapshot("demo", 6))
            assert (await client.next_of("campaign_snapshot"))["dials"] == 6
            assert "north" not in {frame.get("campaign") for frame in client.frames}


async def test_from_whom_a_campaign_is_taken_loads_the_page_anew_and_who_gets_one_goes_on() -> None:
    async with open_door(WebSettings(status_interval_s=0.01, session_check_s=0.02)) as door:
        door.bus.snapshot(snapshot("north", 3))
        door.bus.snapshot(snapshot("demo", 4))
        async with page(door, SUPERVISOR, path="/ws/status") as client:
            (token,) = door.accounts.sessions
            door.accounts.sessions[token] = replace(SUPERVISOR, campaigns=("demo", "north"))
            await until(lambda: "north" in door.app.state.board.watched())
            door.bus.snapshot(snapshot("north", 5))
            while (await client.next_of("campaign_snapshot"))["campaign"] != "north":
                pass
            door.accounts.sessions[token] = replace(SUPERVISOR, campaigns=("north",))
            assert await client.closed() == 4010


async def test_seats_come_whole_and_then_as_they_change() -> None:
    async with open_door(WebSettings(status_interval_s=0.01)) as door:
        door.bus.floor(change(row(1, "ready", "demo"), row(2, "talking", "demo"), row(3, "ready", "north")))
        async with page(door, SUPERVISOR, path="/ws/status") as client:
            whole = await client.next_of("floor")
            assert sorted((seat["user_id"], seat["state"]) for seat in whole["seats"]) == [
                (1, "ready"),
                (2, "talking"),
            ]
            door.bus.floor(change(row(3, "talking", "north")))  # of another branch: nothing is told
            door.bus.floor(change(row(1, "talking", "demo")))
            assert [seat["user_id"] for seat in (await client.next_of("floor"))["seats"]] == [1]
            door.bus.floor(change(gone=(2, 3)))
            assert (await client.next_of("floor"))["gone"] == [2]
            door.bus.floor(change(row(1, "talking", "north")))  # moved out of sight
            assert (await client.next_of("floor"))["gone"] == [1]


async def test_the_last_hours_come_once_and_are_added_to() -> None:
    async with open_door(WebSettings(status_interval_s=0.01)) as door:
        for n in range(3):
            door.bus.snapshot(msgspec.structs.replace(snapshot("demo", n), at=1_000.0 + 30 * n))
        door.bus.snapshot(msgspec.structs.replace(snapshot("demo", 9), at=1_061.0))  # within the half minute
        await until(lambda: not door.app.state.board._changed)
        async with page(door, SUPERVISOR, path="/ws/status") as client:
            whole = await client.next_of("curves")
            assert [sample[whole["columns"].index("dials")] for sample in whole["samples"]] == [0, 1, 2]
            door.bus.snapshot(msgspec.structs.replace(snapshot("demo", 10), at=1_090.0))
            more = await client.next_of("curves")
            assert (more["whole"], more["samples"][0][:2]) == (False, [1_090.0, 10])


async def test_an_alarm_is_told_to_those_who_see_its_campaign_and_nobody_else() -> None:
    async with open_door(WebSettings(status_interval_s=0.01)) as door:
        stuck = SeatRow(3, "seat 3", "no_phone", 1_000.0, "north", ("north",))
        async with (
            page(door, SUPERVISOR, path="/ws/status") as theirs,
            page(door, ADMIN, path="/ws/status") as client,
        ):
            assert (await client.next_of("alarms"))["alarms"] == []
            assert (await theirs.next_of("alarms"))["alarms"] == []
            door.bus.floor(change(stuck))
            (alarm,) = (await client.next_of("alarms"))["alarms"]
            assert (alarm["kind"], alarm["name"], alarm["acknowledged_by"]) == ("seat", "seat 3", "")
            assert (await theirs.next_of("alarms"))["alarms"] == []
            door.app.state.board.acknowledge(alarm["id"], "Root")
            assert (await client.next_of("alarms"))["alarms"][0]["acknowledged_by"] == "Root"


async def test_only_the_last_snapshot_of_an_interval_is_sent() -> None:
    settings = WebSettings(status_interval_s=0.05)
    async with open_door(settings) as door, page(door, SUPERVISOR, path="/ws/status") as client:
        await until(lambda: door.app.state.board.watchers == 1)
        for dials in range(1, 101):
            door.bus.snapshot(snapshot("demo", dials))
        assert (await client.next_of("campaign_snapshot"))["dials"] == 100


async def test_a_watcher_is_told_the_time_and_its_nonsense_is_counted() -> None:
    async with open_door() as door, page(door, SUPERVISOR, path="/ws/status") as client:
        await client.socket.send("nonsense")
        await client.send(type="ping", at=1.5)
        pong = await client.next_of("pong")
        assert pong["at"] == 1.5
        assert abs(pong["time"] - time.time()) < 5
        assert door.app.state.board.counters["malformed"] == 1
