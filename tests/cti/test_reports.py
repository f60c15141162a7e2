"""Supervisors read over HTTP what was learned of calls, about the campaigns they serve."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine

from campaigns.users import User
from tests.campaigns.world import Campaign
from tests.cti.client import cookie
from tests.cti.running import ADMIN, AGENT, SUPERVISOR, Door, open_door, stored_in
from tests.loopback import http_client

MORE = 'caller_ids = ["+864000000001", "+864000000002"]\n'


@pytest.fixture
async def door(db: Engine, tmp_path: Path) -> AsyncIterator[Door]:
    Campaign(db, leads=3, name="demo", more=MORE)
    Campaign(db, leads=3, name="summer", more=MORE.replace("400", "800"))
    async with open_door(stored=stored_in(db, tmp_path)) as opened:
        yield opened


async def ask(door: Door, user: User | None, path: str = "/api/caller-ids", **asked: str) -> httpx2.Response:
    headers = await cookie(door, user) if user is not None else {}
    async with http_client(base_url=door.url, headers=headers) as client:
        return await client.get(path, params=asked)


async def test_a_supervisor_sees_the_numbers_of_their_campaigns_an_admin_all(door: Door) -> None:
    found = (await ask(door, SUPERVISOR)).json()
    assert [(each["campaign"], each["number"]) for each in found] == [
        ("demo", "+864000000001"),
        ("demo", "+864000000002"),
    ]
    assert found[0]["evidence"] == 0.0 and found[0]["rate"] is None and found[0]["out_at"] is None
    assert {each["campaign"] for each in (await ask(door, ADMIN)).json()} == {"demo", "summer"}


@pytest.mark.parametrize(
    ("user", "asked", "status"),
    [
        (None, {}, 401),
        (AGENT, {}, 403),
        (SUPERVISOR, {"campaign": "summer"}, 404),
        (ADMIN, {"campaign": "winter"}, 404),
        (ADMIN, {"campaign": "summer"}, 200),
    ],
)
async def test_who_may_ask_about_what(
    door: Door, user: User | None, asked: dict[str, str], status: int
) -> None:
    assert (await ask(door, user, **asked)).status_code == status


async def test_a_supervisor_sees_the_best_times_of_their_campaigns(door: Door) -> None:
    [found] = (await ask(door, SUPERVISOR, "/api/best-time")).json()
    assert (found["campaign"], found["order"], found["segments"], found["uplift"]) == (
        "demo",
        False,
        [],
        None,
    )
    assert (await ask(door, SUPERVISOR, "/api/best-time", campaign="summer")).status_code == 404
