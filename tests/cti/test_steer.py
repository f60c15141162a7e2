"""Supervisors steer campaigns over HTTP: what may be changed, by whom, what stands in its way, the way back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine

from campaigns.config import CampaignsError
from campaigns.people import People
from campaigns.units import Units
from cti.app import create_app
from cti.bus import Bus
from tests.campaigns.world import Campaign
from tests.cti.fakes import MemoryAccounts
from tests.cti.running import SUPERVISOR, enrol, open_stored, serving, stored_in
from tests.loopback import http_client

Client = httpx2.AsyncClient
FIRST = 'unit = "兰州"\ntransfer_numbers = ["00881*"]\n'


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


@pytest.fixture
async def branch(db: Engine, tmp_path: Path) -> AsyncIterator[dict[str, Client]]:
    """The browsers of a branch's supervisor and manager, and of the company's administrator, by login."""
    for unit in ("兰州/一组", "天水"):
        Units(db).add(unit)
    Campaign(db, leads=0, name="demo", more=FIRST)
    async with open_stored(db, tmp_path) as (url, users), AsyncExitStack() as stack:
        clients = {}
        for login, unit, role in (
            ("chen", "兰州", "supervisor"),
            ("meng", "兰州", "branch_manager"),
            ("root", "", "administrator"),
        ):
            user = People(db).add(unit, login, login, role, "", campaigns=["demo"])
            cookies = {"zd_session": users.open_session(user, "test")}
            clients[login] = await stack.enter_async_context(http_client(base_url=url, cookies=cookies))
        yield clients


@pytest.mark.parametrize("login", ["chen", "meng"])
async def test_what_the_company_took_out_of_a_campaign_comes_back_by_the_company_alone(
    branch: dict[str, Client], db: Engine, login: str
) -> None:
    Campaign(db, leads=0, name="demo", more='unit = "兰州"\n')
    back = {"campaign": "demo", "version": 2, "to": 1, "why": "as it was"}
    refused = await branch[login].post("/api/campaign/back", json=back)
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith("transfer_numbers: '00881*' is in none of your campaigns")
    assert (await branch[login].get("/api/campaign", params={"campaign": "demo"})).json()["version"] == 2
    assert (await branch["root"].post("/api/campaign/back", json=back)).json()["version"] == 3
    # What it has as it is live is there already.
    change = {"campaign": "demo", "version": 3, "settings": {"target": 0.01}, "why": "complaints"}
    assert (await branch[login].post("/api/campaign/change", json=change)).json()["version"] == 4
    again = await branch[login].post("/api/campaign/back", json=back | {"version": 4, "to": 3})
    assert again.json()["version"] == 5


async def test_the_way_back_moves_a_campaign_into_no_unit_of_others(
    branch: dict[str, Client], db: Engine
) -> None:
    for unit in ("天水", "兰州/一组", "兰州"):
        Campaign(db, leads=0, name="demo", more=FIRST.replace("兰州", unit))
    back = {"campaign": "demo", "version": 4, "why": "as it was"}
    for login, to in (("chen", 2), ("meng", 2), ("chen", 3)):
        refused = await branch[login].post("/api/campaign/back", json=back | {"to": to})
        assert refused.status_code == 400 and refused.json()["detail"].startswith("unit: ")
    assert (await branch["meng"].post("/api/campaign/back", json=back | {"to": 3})).json()["version"] == 5


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
