"""Segments over HTTP: saved and counted within one's units, taken by one's campaigns, and hidden from others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine, text

from campaigns.partitions import month_of
from campaigns.people import People
from campaigns.units import Units
from tests.campaigns.world import Campaign
from tests.cti.running import open_stored
from tests.loopback import http_client

BRANCH, TEAM, OTHER = "兰州", "兰州/一组", "天水"


@pytest.fixture
async def meng(db: Engine, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """The browser of a branch's manager."""
    for unit in (TEAM, OTHER):
        Units(db).add(unit)
    for name, unit, leads in (("mine", BRANCH, 0), ("team", TEAM, 5), ("theirs", OTHER, 3)):
        Campaign(db, leads=leads, name=name, more=f'unit = "{unit}"\n')
    user = People(db).add(BRANCH, "meng", "孟洁", "branch_manager", "", language="en")
    async with open_stored(db, tmp_path) as (url, users):
        cookies = {"zd_session": users.open_session(user, "test")}
        async with http_client(base_url=url, cookies=cookies, timeout=30) as client:
            yield client


async def test_a_segment_is_counted_saved_and_taken(meng: httpx2.AsyncClient, db: Engine) -> None:
    counted = (await meng.post("/api/segments/count", json={"text": 'n >= 2 and list = "list"'})).json()
    assert (counted["customers"], counted["about"], counted["word"]) == (3, False, "and")
    assert [(line["what"], line["name"], line["sign"], line["values"]) for line in counted["lines"]] == [
        ("attribute", "n", ">=", ["2"]),
        ("list", "", "=", ["list"]),
    ]
    nested = (await meng.post("/api/segments/count", json={"text": "n = 1 or (n = 2 and n = 3)"})).json()
    assert (nested["customers"], nested["lines"]) == (1, None)
    saved = await meng.post("/api/segments", json={"name": "big", "text": "n >= 2"})
    assert (saved.status_code, saved.json()["unit"], saved.json()["version"]) == (200, BRANCH, 1)
    assert [each["name"] for each in (await meng.get("/api/segments")).json()] == ["big"]
    assert [each["version"] for each in (await meng.get("/api/segments?name=big")).json()] == [1]
    wish = {"segment": "big", "campaign": "mine", "list": "wave", "hold_out": 0, "rest_days": 0}
    taken = await meng.post("/api/segments/take", json=wish)
    assert taken.json() | {"take_id": 0} == {"take_id": 0, "called": 3, "held_out": 0, "left_out": 0}
    with db.connect() as connection:
        by = connection.execute(text("SELECT taken_by FROM segment_take")).scalar_one()
    assert by == "meng"
    page = (await meng.get("/segments?name=big")).text
    assert "Segment “big”, version 1" in page and "<option>theirs" not in page


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/segments/count", {"text": "n >"}, 400),
        ("/api/segments/count", {"text": "n > 1", "unit": OTHER}, 404),
        ("/api/segments", {"name": "x", "text": "", "unit": OTHER}, 404),
        ("/api/segments", {"name": "x", "text": "", "more": 1}, 400),
        ("/api/segments/take", {"segment": "west", "campaign": "mine", "list": "w"}, 404),
        ("/api/segments/take", {"segment": "west", "campaign": "theirs", "list": "w"}, 404),
        ("/api/segments", {"name": "west", "text": "n = 1"}, 400),
    ],
)
async def test_what_is_not_theirs_or_makes_no_sense(
    meng: httpx2.AsyncClient, db: Engine, path: str, body: dict[str, object], status: int
) -> None:
    from campaigns.segments.store import SegmentStore

    SegmentStore(db).save("west", "", OTHER, "wu", datetime.now(UTC))
    answer = await meng.post(path, json=body)
    assert answer.status_code == status
    assert "name=west" not in (await meng.get("/segments")).text
    assert (await meng.get("/api/segments?name=west")).status_code == 404


async def test_calls_that_are_in_files_are_not_asked_for(meng: httpx2.AsyncClient, db: Engine) -> None:
    today = datetime.now(UTC).date()
    with db.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO archived_month (kind, month, state, generation, manifest, changed_at) "
                "VALUES ('attempt', :month, 'archived', 1, '{}', now())"
            ),
            {"month": month_of(today, -2)},
        )
    for name, words in (("all", ""), ("uncalled", "calls = 0 within 365 days")):
        assert (await meng.post("/api/segments", json={"name": name, "text": words})).status_code == 200
    onto = {"campaign": "mine", "list": "w"}
    for path, body in (
        ("count", {"text": "calls = 0 within 365 days"}),
        ("take", onto | {"segment": "uncalled"}),
        ("take", onto | {"segment": "all", "rest_days": 365}),
    ):
        answer = await meng.post(f"/api/segments/{path}", json=body)
        assert (answer.status_code, answer.json()["error"]) == (400, "too_far_back")
        assert f"since {month_of(today, -1)}" in answer.json()["detail"]
    assert (await meng.post("/api/segments/take", json=onto | {"segment": "all"})).status_code == 200
    page = (await meng.get("/segments?name=all")).text
    assert f"looked at since {month_of(today, -1)}" in page
