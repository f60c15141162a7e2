"""Supervisors steer campaigns over HTTP: what may be changed, by whom, what stands in its way, the way back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine

from campaigns.config import CampaignsError
from cti.app import create_app
from cti.bus import Bus
from tests.campaigns.world import Campaign
from tests.cti.fakes import MemoryAccounts
from tests.cti.running import SUPERVISOR, enrol, serving, stored_in
from tests.loopback import http_client

Client = httpx2.AsyncClient


async def nothing_on_record(campaign: str, text: str) -> dict[str, Any]:
    raise CampaignsError(f"{campaign} has no attempt")


@pytest.fixture
async def client(db: Engine, tmp_path: Path) -> AsyncIterator[Client]:
    Campaign(db, leads=1, name="demo")
    enrol(db, [SUPERVISOR])
    accounts = MemoryAccounts([(SUPERVISOR, "x")])
    app = create_app(Bus(), accounts, stored=stored_in(db, tmp_path), preview=nothing_on_record)
    token = await accounts.open_session(SUPERVISOR, "test")
    async with (
        serving(app) as port,
        http_client(base_url=f"http://127.0.0.1:{port}", cookies={"zd_session": token}) as opened,
    ):
        yield opened


async def test_a_target_is_changed_and_changed_back(client: Client) -> None:
    found = (await client.get("/api/campaign", params={"campaign": "demo"})).json()
    assert (found["version"], found["settings"]["target"], found["settings"]["running"]) == (1, 0.03, True)
    change = {"campaign": "demo", "version": 1, "settings": {"target": 0.01}, "why": "complaints"}
    made = await client.post("/api/campaign/change", json=change)
    assert (made.status_code, made.json()["version"], made.json()["settings"]["target"]) == (200, 2, 0.01)
    again = await client.post("/api/campaign/change", json=change | {"settings": {"target": 0.02}})
    assert (again.status_code, again.json()["error"]) == (409, "outdated")
    assert "-target = 0.01" in again.json()["detail"]
    back = {"campaign": "demo", "version": 2, "to": 1, "why": "it was the other one"}
    assert (await client.post("/api/campaign/back", json=back)).json()["settings"]["target"] == 0.03
    assert (await client.post("/api/campaign/back", json=back | {"version": 3, "to": 9})).status_code == 404
    versions = (await client.get("/api/campaign", params={"campaign": "demo"})).json()["versions"]
    assert [(each["version"], each["who"], each["why"]) for each in versions] == [
        (3, SUPERVISOR.login, "it was the other one"),
        (2, SUPERVISOR.login, "complaints"),
        (1, "tester", ""),
    ]
    assert "+target = 0.01" in versions[1]["difference"] and versions[2]["difference"] == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"settings": {"target": 7}},
        {"settings": {"switch": "other"}},
        {"settings": {"mode": 3}},
        {"settings": {"mode": "wild\nname = 'x'"}},
        {"why": ""},
        {"version": "one"},
    ],
    ids=str,
)
async def test_what_can_not_be_changes_nothing(client: Client, wrong: dict[str, Any]) -> None:
    change = {"campaign": "demo", "version": 1, "settings": {"target": 0.01}, "why": "complaints"}
    assert (await client.post("/api/campaign/change", json=change | wrong)).status_code == 400
    assert (await client.get("/api/campaign", params={"campaign": "demo"})).json()["version"] == 1


async def test_a_preview_of_nothing_says_so(client: Client) -> None:
    answer = await client.post(
        "/api/campaign/preview", json={"campaign": "demo", "settings": {"target": 0.01}}
    )
    assert (answer.status_code, answer.json()) == (
        422,
        {"error": "no_preview", "detail": "demo has no attempt"},
    )
