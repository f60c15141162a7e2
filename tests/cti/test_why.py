"""Supervisors ask why over HTTP: who may, about which campaigns, and in whose words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine, text

from campaigns.users import User
from tests.campaigns.world import Campaign
from tests.cti.client import cookie
from tests.cti.running import ADMIN, AGENT, SUPERVISOR, Door, open_door, stored_in
from tests.loopback import http_client

NIGHT, NOON = "2026-11-24T23:00:00+08:00", "2026-11-24T12:00:00+08:00"
NUMBER = "13800000000"


@pytest.fixture
async def door(db: Engine, tmp_path: Path) -> AsyncIterator[Door]:
    Campaign(db, leads=3, name="demo")
    Campaign(db, leads=3, name="summer")
    async with open_door(stored=stored_in(db, tmp_path)) as opened:
        yield opened


async def ask(door: Door, user: User | None, **asked: str) -> httpx2.Response:
    headers = await cookie(door, user) if user is not None else {}
    async with http_client(base_url=door.url, headers=headers) as client:
        return await client.get("/api/why", params=asked)


async def test_a_supervisor_is_told_in_their_language_about_their_campaigns(door: Door) -> None:
    response = await ask(door, SUPERVISOR, number=NUMBER, at=NIGHT)
    [why] = response.json()
    assert response.status_code == 200 and (why["campaign"], why["permitted"]) == ("demo", False)
    assert why["next_at"] == "2026-11-25T01:00:00Z"
    [reason] = why["reasons"]
    assert (reason["reason"], reason["label"]) == ("window", "Outside calling hours")
    [same] = (await ask(door, SUPERVISOR, lead=str(why["lead_id"]), at=NOON)).json()
    assert same["permitted"] and same["reasons"] == []


async def test_an_admin_is_told_about_all(door: Door) -> None:
    found = (await ask(door, ADMIN, number=NUMBER, at=NIGHT)).json()
    assert [(w["campaign"], w["reasons"][0]["label"]) for w in found] == [
        ("demo", "不在可拨打时段"),
        ("summer", "不在可拨打时段"),
    ]
    whole = (await ask(door, ADMIN, campaign="summer", at=NIGHT)).json()
    assert (whole["leads"], whole["callable"]) == (3, 0)
    assert whole["held"] == {"window": {"leads": 3, "alone": 3, "label": "不在可拨打时段"}}


async def test_a_customers_other_number_counts_for_who_sees_a_branch_too(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=2, name="demo", more="[rules.customer]\nday = 1\n")
    with db.begin() as connection:
        connection.execute(text("UPDATE lead SET customer_id = 'K7'"))
    campaign.dial(campaign.lease())
    async with open_door(stored=stored_in(db, tmp_path)) as door:
        told = {}
        for user in (SUPERVISOR, ADMIN):
            found = [(await ask(door, user, number=f"1380000000{n}", at=NOON)).json()[0] for n in (0, 1)]
            told[user.login] = [(each["permitted"], [r["reason"] for r in each["reasons"]]) for each in found]
    assert told[SUPERVISOR.login] == told[ADMIN.login]
    assert not any(permitted for permitted, _ in told[ADMIN.login])
    assert all("cap_day" in reasons for _, reasons in told[ADMIN.login])


@pytest.mark.parametrize(
    ("user", "asked", "status"),
    [
        (None, {"number": NUMBER}, 401),
        (AGENT, {"number": NUMBER}, 403),
        (SUPERVISOR, {}, 400),
        (SUPERVISOR, {"number": "x"}, 400),
        (SUPERVISOR, {"lead": "one"}, 400),
        (SUPERVISOR, {"lead": "9" * 30}, 400),
        (SUPERVISOR, {"number": NUMBER, "at": "noon"}, 400),
        (SUPERVISOR, {"number": NUMBER, "at": "0001-01-01T00:00:00+23:00"}, 400),
        (SUPERVISOR, {"number": NUMBER[1:], "country": "XX"}, 400),
        (SUPERVISOR, {"number": "13900000000"}, 404),
        (SUPERVISOR, {"number": NUMBER, "campaign": "summer"}, 404),
        (SUPERVISOR, {"campaign": "summer"}, 404),
        (SUPERVISOR, {"lead": "999999999999999999"}, 404),
    ],
)
async def test_what_may_not_or_can_not_be_answered(
    door: Door, user: User | None, asked: dict[str, str], status: int
) -> None:
    response = await ask(door, user, **asked)
    assert response.status_code == status and response.json()["error"]
