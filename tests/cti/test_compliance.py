"""Supervisors bar numbers, record consents and hand out evidence over HTTP, each as far as their campaigns go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine

from campaigns.jobs import EvidenceJob, Refused
from campaigns.users import User
from tests.campaigns.world import NOON, Campaign, later
from tests.cti.client import cookie
from tests.cti.running import ADMIN, AGENT, SUPERVISOR, Door, open_door, stored_in
from tests.loopback import http_client

NUMBER = "13800000000"
SPAN = {"from": NOON.isoformat(), "to": later(minutes=60).isoformat()}


@pytest.fixture
async def door(db: Engine, tmp_path: Path) -> AsyncIterator[Door]:
    demo = Campaign(db, leads=1, name="demo")
    demo.dial(demo.lease(1))
    Campaign(db, leads=1, name="summer")
    async with open_door(
        stored=replace(stored_in(db, tmp_path), imports=tmp_path / "imports", archive=tmp_path / "archive")
    ) as opened:
        yield opened


async def client(door: Door, user: User | None = SUPERVISOR) -> httpx2.AsyncClient:
    headers = await cookie(door, user) if user is not None else {}
    return http_client(base_url=door.url, headers=headers, timeout=50)


async def test_who_asks_not_to_be_called_is_heard_at_once_and_only_an_admin_takes_it_back(door: Door) -> None:
    async with await client(door) as http:
        added = await http.post(
            "/api/dnc", json={"pattern": NUMBER, "reason": "asked", "expires": "2027-01-01"}
        )
        assert added.json() == {"added": ["+8613800000000"]}
        own = {"pattern": "+86139*", "layer": "campaign", "campaign": "demo"}
        assert (await http.post("/api/dnc", json=own)).json() == {"added": ["+86139*"]}
        [entry] = (await http.get("/api/dnc", params={"number": NUMBER})).json()
        assert (entry["layer"], entry["reason"]) == ("company", "asked")
        assert (await http.request("DELETE", "/api/dnc", json={"pattern": NUMBER})).status_code == 403
        own_gone = await http.request("DELETE", "/api/dnc", json={"pattern": "+86139*", "campaign": "demo"})
        assert own_gone.json() == {"removed": 1}
        other = {"pattern": NUMBER, "layer": "campaign", "campaign": "summer"}
        assert (await http.post("/api/dnc", json=other)).status_code == 404
        for wrong in ({"pattern": "x"}, {"pattern": NUMBER, "layer": "campaign"}, {"pattern": NUMBER, "layer": "no"},
                      {"pattern": NUMBER, "expires": "soon"}, {"pattern": NUMBER, "more": 1}):  # fmt: skip
            assert (await http.post("/api/dnc", json=wrong)).status_code == 400, wrong
    async with await client(door, ADMIN) as http:
        gone = await http.request("DELETE", "/api/dnc", json={"pattern": NUMBER})
        assert gone.json() == {"removed": 1}
        assert (await http.request("DELETE", "/api/dnc", json={"pattern": NUMBER})).status_code == 404


async def test_who_may_not_take_an_entry_off_does_not_end_it_by_adding_it_again(
    door: Door, db: Engine
) -> None:
    autumn = Campaign(db, leads=1, name="autumn")
    entry = {"pattern": NUMBER, "layer": "company", "source": "key"}
    async with await client(door) as http:
        for more in ({}, {"expires": "2020-01-01"}):
            assert (await http.post("/api/dnc", json=entry | more)).status_code == 200
        [told] = (await http.get("/api/dnc", params={"number": NUMBER})).json()
    assert told["expires_at"] is None
    assert autumn.lease() == []


@pytest.mark.parametrize("pattern", ["+86*", "+8613800000000-+8613800009999"])
async def test_many_numbers_at_once_are_barred_for_all_campaigns_by_the_company_alone(
    door: Door, db: Engine, pattern: str
) -> None:
    autumn = Campaign(db, leads=2, name="autumn")
    async with await client(door) as http:
        for layer in ("company", "national", "complaint"):
            refused = await http.post("/api/dnc", json={"pattern": pattern, "layer": layer})
            assert (refused.status_code, refused.json()["error"]) == (403, "not_allowed")
    assert len(autumn.lease(1)) == 1
    async with await client(door, ADMIN) as http:
        assert (await http.post("/api/dnc", json={"pattern": pattern})).status_code == 200
    assert autumn.lease(1) == []


async def test_a_consent_is_put_on_record_once_and_withdrawn(door: Door) -> None:
    told = {"number": NUMBER, "source": "form 7", "given": "2026-11-01T00:00:00+08:00"}
    async with await client(door) as http:
        assert len((await http.post("/api/consents", json=told)).json()["ids"]) == 1
        assert (await http.post("/api/consents", json=told)).json() == {"ids": []}
        assert (await http.post("/api/consents/withdraw", json={"number": NUMBER})).json() == {"withdrawn": 1}
        [consent] = (await http.get("/api/consents", params={"number": NUMBER})).json()
        assert consent["source"] == "form 7" and consent["withdrawn_at"]
        for wrong in (
            {"number": "x"},
            {"number": NUMBER, "given": "0001-01-01"},
            {"number": NUMBER, "source": " "},
        ):
            assert (await http.post("/api/consents", json={"source": "s"} | wrong)).status_code == 400
        assert (await http.get("/api/consents", params={"number": ""})).status_code == 400


async def test_evidence_is_of_the_supervisors_campaigns_and_a_persons_data_for_admins(door: Door) -> None:
    async with await client(door) as http:
        csv = await http.get("/api/evidence", params=SPAN | {"campaign": "demo"})
        assert csv.status_code == 200, csv.text
        assert csv.content.decode("utf-8-sig").count("+8613800000000") == 1
        assert (await http.get("/api/evidence", params=SPAN | {"campaign": "summer"})).status_code == 404
        for wrong in (
            SPAN | {"campaign": ""},
            SPAN | {"campaign": "", "number": NUMBER},
            SPAN | {"number": NUMBER},
            {"campaign": "demo"},
            SPAN | {"campaign": "demo", "to": "2030-01-01"},
        ):
            assert (await http.get("/api/evidence", params=wrong)).status_code == 400
        assert (await http.get("/api/person", params={"number": NUMBER})).status_code == 403
    async with await client(door, ADMIN) as http:
        told = (await http.get("/api/person", params={"number": NUMBER})).json()
        assert [call["e164"] for call in told["calls"]] == ["+8613800000000"]
        by_number = await http.get("/api/evidence", params=SPAN | {"number": NUMBER})
        assert by_number.content.decode("utf-8-sig").count("+8613800000000") == 1
        for wrong in ({"campaign": ""}, {"number": ""}, {"campaign": "", "number": ""}):
            assert (await http.get("/api/evidence", params=SPAN | wrong)).status_code == 400
        for wrong in ({}, {"number": NUMBER, "customer": "K1"}):
            assert (await http.get("/api/person", params=wrong)).status_code == 400


def test_of_all_calls_there_is_no_file(db: Engine, tmp_path: Path) -> None:
    job = EvidenceJob(str(tmp_path), None, None, NOON, later(minutes=60), str(tmp_path / "evidence.csv"))
    with pytest.raises(Refused):
        job.run(db)
    assert not (tmp_path / "evidence.csv").exists()


async def test_nobody_else_is_told_anything(door: Door) -> None:
    for user, status in ((None, 401), (AGENT, 403)):
        async with await client(door, user) as http:
            for path in ("/api/dnc", "/api/consents", "/api/evidence", "/api/person", "/api/lists"):
                assert (await http.get(path)).status_code == status
            for path in ("/api/dnc", "/api/consents", "/api/consents/withdraw", "/api/lists/undo"):
                assert (await http.post(path, json={})).status_code == status
