"""Supervisors have leads called again over HTTP: who may, of which campaigns, and what makes no sense."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine

from campaigns.users import User
from tests.campaigns.world import Campaign
from tests.cti.client import cookie
from tests.cti.running import ADMIN, AGENT, SUPERVISOR, Door, open_door, stored_in
from tests.loopback import http_client

NUMBER = "13800000000"


@pytest.fixture
async def door(db: Engine, tmp_path: Path) -> AsyncIterator[Door]:
    for name in ("demo", "summer"):
        Campaign(db, leads=3, name=name)
    async with open_door(stored=stored_in(db, tmp_path)) as opened:
        yield opened


async def ask(door: Door, user: User | None, **body: Any) -> httpx2.Response:
    headers = await cookie(door, user) if user is not None else {}
    async with http_client(base_url=door.url, headers=headers) as client:
        return await client.post("/api/requeue", json=body)


async def test_a_supervisor_has_leads_called_again(door: Door) -> None:
    response = await ask(door, SUPERVISOR, campaign="demo", numbers=[NUMBER])
    assert (response.status_code, response.json()) == (200, {"leads": 1})
    assert (await ask(door, ADMIN, campaign="summer", list="list")).json() == {"leads": 3}


async def test_numbers_are_read_in_the_country_that_is_named(door: Door) -> None:
    for country, leads in (("CN", 1), ("US", 0)):
        body = {"campaign": "demo", "country": country}
        numbers = [NUMBER] if country == "CN" else ["2025550123"]
        assert (await ask(door, SUPERVISOR, **body, numbers=numbers)).json() == {"leads": leads}
    assert (await ask(door, SUPERVISOR, campaign="demo", numbers=[NUMBER], region="CN")).status_code == 400


@pytest.mark.parametrize(
    ("user", "body", "status"),
    [
        (None, {"campaign": "demo", "numbers": [NUMBER]}, 401),
        (AGENT, {"campaign": "demo", "numbers": [NUMBER]}, 403),
        (SUPERVISOR, {"campaign": "summer", "numbers": [NUMBER]}, 404),
        (SUPERVISOR, {"campaign": "demo"}, 404),
        (SUPERVISOR, {"campaign": "demo", "numbers": ["none"]}, 400),
        (SUPERVISOR, {"campaign": "demo", "all": True}, 400),
        (SUPERVISOR, {"campaign": "demo", "outcome": "sold"}, 404),
    ],
)
async def test_what_can_not_be_done_is_told_with_its_code(
    door: Door, user: User | None, body: dict[str, Any], status: int
) -> None:
    assert (await ask(door, user, **body)).status_code == status
