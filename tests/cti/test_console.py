"""Over a real database: who has seen an alarm is on record, and what holds the lists back is looked for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine

from campaigns.audit import ITSELF, lines
from campaigns.jobs import HeldJob
from campaigns.users import User
from cti import console, desk
from cti.figures import FloorChange, SeatRow
from cti.settings import WebSettings
from tests.campaigns.world import Campaign
from tests.cti.client import cookie, page
from tests.cti.running import ADMIN, AGENT, SUPERVISOR, Door, open_door, stored_in
from tests.cti.test_status import snapshot
from tests.loopback import http_client


@pytest.fixture
async def door(db: Engine, tmp_path: Path) -> AsyncIterator[Door]:
    Campaign(db, leads=3, name="demo")
    async with open_door(WebSettings(status_interval_s=0.01), stored=stored_in(db, tmp_path)) as opened:
        yield opened


async def acknowledge(door: Door, user: User, alarm: object) -> httpx2.Response:
    async with http_client(base_url=door.url, headers=await cookie(door, user)) as client:
        return await client.post("/api/alarms/acknowledge", json={"alarm": alarm})


async def test_who_has_seen_an_alarm_is_on_record_once(door: Door, db: Engine) -> None:
    rows = [
        SeatRow(n, f"seat {n}", "no_phone", 1_000.0, name, (name,)) for n, name in ((3, "demo"), (4, "north"))
    ]
    async with page(door, ADMIN, path="/ws/status") as client:
        assert (await client.next_of("alarms"))["alarms"] == []
        door.bus.floor(FloorChange(at=1_000.0, seats=tuple(rows)))
        told = {alarm["campaign"]: alarm["id"] for alarm in (await client.next_of("alarms"))["alarms"]}
        assert (await acknowledge(door, AGENT, told["demo"])).status_code == 403
        assert (await acknowledge(door, SUPERVISOR, told["north"])).status_code == 404  # of another branch
        assert (await acknowledge(door, SUPERVISOR, 99)).status_code == 404
        assert (await acknowledge(door, SUPERVISOR, "x")).status_code == 400
        first = await acknowledge(door, SUPERVISOR, told["demo"])
        again = await acknowledge(door, ADMIN, told["demo"])
        assert first.json()["acknowledged_by"] == again.json()["acknowledged_by"] == SUPERVISOR.name
        seen = {each["id"]: each["acknowledged_by"] for each in (await client.next_of("alarms"))["alarms"]}
        assert seen == {told["demo"]: SUPERVISOR.name, told["north"]: ""}
    (line,) = lines(db, action="alarm acknowledged")
    assert (line.who, line.subject, line.detail) == (SUPERVISOR.login, "demo", "seat no_phone seat 3")


@pytest.mark.timeout(90)
async def test_what_holds_a_list_back_is_looked_for_while_somebody_watches(door: Door) -> None:
    door.bus.snapshot(snapshot("demo"))
    async with page(door, SUPERVISOR, path="/ws/status") as client:
        async for told in client.socket:  # a process of its own takes the time that it takes
            frame = json.loads(told)
            if frame["type"] == "held":
                break
    assert frame["campaign"] == "demo"
    assert frame["found"]["leads"] == 3


async def test_a_look_that_can_not_be_begun_is_not_the_last_one(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "HELD_EVERY_S", 0.0)
    monkeypatch.setattr(console, "FIRST_LOOK_S", 0.01)
    looks = 0

    async def job(self: object, *what: object) -> dict[str, Any]:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise OSError("no room for one more process")
        return {"leads": 3}

    monkeypatch.setattr(console.ConsoleDesk, "job", job)
    door.bus.snapshot(snapshot("demo"))
    async with page(door, SUPERVISOR, path="/ws/status") as client:
        assert (await client.next_of("held"))["found"] == {"leads": 3}


async def test_a_job_that_takes_too_long_is_ended(
    db: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "JOB_LIMIT_S", 0.01)
    asked = desk.Desk(stored_in(db, tmp_path), "asked")
    with pytest.raises(desk.Refusal, match="longer") as refused:
        await asked.job(ITSELF, HeldJob("demo"), tmp_path)
    assert refused.value.status == 503
    asked.close()
