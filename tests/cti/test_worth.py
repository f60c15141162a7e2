"""Orders come in over HTTP, and what calls were worth is told about the campaigns that the asker sees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine, text

from campaigns.evaluation.evaluating import evaluate
from campaigns.evaluation.purchases import Purchase, bring_in
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.people import People
from campaigns.segments.store import SegmentStore
from campaigns.segments.taking import Wish, take
from campaigns.units import Units
from campaigns.users import UserStore
from tests.campaigns.world import Campaign
from tests.cti.running import open_stored
from tests.loopback import http_client

BRANCH, TEAM, OTHER = "兰州", "兰州/一组", "天水"
ORDER = {"customer": "C1", "at": "2026-11-24T10:00:00+08:00", "amount": 9.5, "reference": "A1"}
TALKED = text("""
INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at, connected_at,
    outcome, talk_s)
SELECT gen_random_uuid(), :at, l.campaign_id, l.id, n.id, 'main', 'x', :at, :at, 'connected', 60
FROM lead l JOIN number n ON n.lead_id = l.id WHERE l.customer_id = 'C1'
""")


@pytest.fixture
async def meng(db: Engine, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """The browser of a branch's manager."""
    for unit in (TEAM, OTHER):
        Units(db).add(unit)
    for name, unit in (("mine", BRANCH), ("theirs", OTHER)):
        Campaign(db, leads=2, name=name, more=f'unit = "{unit}"\n')
    user = People(db).add(BRANCH, "meng", "孟洁", "branch_manager", "", language="en")
    async with open_stored(db, tmp_path) as (url, users):
        cookies = {"zd_session": users.open_session(user, "test")}
        async with http_client(base_url=url, cookies=cookies, timeout=30) as client:
            yield client


async def test_orders_come_in_once_and_for_ones_own_unit(meng: httpx2.AsyncClient, db: Engine) -> None:
    answer = (
        await meng.post("/api/results", json=[ORDER, ORDER | {"reference": "A2", "amount": "x"}])
    ).json()
    assert (answer["accepted"], answer["rejected"], answer["rejects"][0]["row"]) == (1, 1, 2)
    assert (await meng.post("/api/results", json=[ORDER])).json()["known"] == 1
    assert (await meng.post("/api/results", params={"unit": TEAM}, json=[ORDER])).json()["accepted"] == 1
    with db.connect() as connection:
        units = connection.execute(
            text("SELECT u.name FROM purchase p JOIN unit u ON u.id = p.unit_id ORDER BY p.id")
        )
        assert list(units.scalars()) == [BRANCH, "一组"]


async def test_orders_come_in_as_a_file(meng: httpx2.AsyncClient, db: Engine, tmp_path: Path) -> None:
    for file, status in (
        ("客户编号,日期,金额\nC1,2026-11-24,9.5\nC2,soon,1\n".encode("gb18030"), 200),
        (b"who,when\nC1,2026-11-24\n", 400),
        (b"customer_id,date,amount\n" + b"C1,2026-11-24,9.5\n" * 250_000, 413),
    ):
        answer = await meng.post("/api/results", content=file, headers={"Content-Type": "text/csv"})
        assert answer.status_code == status, answer.text
        if status == 200:
            told = answer.json()
            assert (told["accepted"], told["rejected"], told["rejects"][0]["row"]) == (1, 1, 2)
    with db.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM purchase")).scalar_one() == 1
    assert not any(each.is_dir() for each in tmp_path.iterdir())  # nothing of the files is left


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ({"unit": OTHER}, [ORDER], 404),
        ({"unit": ""}, [ORDER], 404),
        ({"zone": "Mars/Base"}, [ORDER], 400),
        ({}, [ORDER | {"more": 1}], 400),
        ({}, ORDER, 400),
        ({}, [{**ORDER, "reference": ""}] * 10_001, 413),
    ],
)
async def test_what_can_not_come_in(
    meng: httpx2.AsyncClient, query: dict[str, str], body: object, status: int
) -> None:
    assert (await meng.post("/api/results", params=query, json=body)).status_code == status


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("campaign=mine", 200),
        ("campaign=mine&by=hour&days=400", 200),
        ("campaign=mine&by=weather", 400),
        ("campaign=mine&days=0", 400),
        ("campaign=mine&days=401", 400),
        ("campaign=theirs", 404),
        ("", 404),
    ],
)
async def test_an_evaluation_is_asked_for(meng: httpx2.AsyncClient, query: str, status: int) -> None:
    answer = await meng.get(f"/api/evaluation?{query}")
    assert answer.status_code == status
    if status == 200:
        assert (answer.json()["whole"]["calls"], answer.json()["rows"]) == (0, [])


async def test_orders_count_for_who_asks_as_they_do_for_the_company(
    meng: httpx2.AsyncClient, db: Engine
) -> None:
    """Those of the campaign's unit, of those below and of those above; also for who serves it, and reaches no unit."""
    now = datetime.now(UTC)
    with db.begin() as connection:
        campaign = connection.execute(text("SELECT id FROM campaign WHERE name = 'mine'")).scalar_one()
    row = Row(9, ("+8613900000009",), "客户", {}, ("Asia/Shanghai",), customer_id="C1")
    store_rows(db, campaign, "vip", "test", now, [row])
    with db.begin() as connection:
        connection.execute(TALKED, {"at": now - timedelta(days=2)})
        units = connection.execute(text("SELECT name, id FROM unit")).all()
    worth = {"": 1, BRANCH: 10, "一组": 100, OTHER: 1000}
    for unit in units:
        rows = (Purchase(c, (now - timedelta(days=1)).isoformat(), worth[unit.name]) for c in ("C1", "C2"))
        bring_in(db, unit.id, rows, "UTC", "test")
    whole = evaluate(db, "mine", now - timedelta(days=9), now, "list").whole
    assert (whole.conversions, whole.revenue) == (1, 111.0)
    chen = People(db).add("", "chen", "陈静", "supervisor", "", campaigns=["mine"])
    cookies = {"zd_session": UserStore(db).open_session(chen, "test")}
    async with http_client(base_url=meng.base_url, cookies=cookies, timeout=30) as other:
        for browser in (meng, other):
            seen = (await browser.get("/api/evaluation?campaign=mine")).json()["whole"]
            assert (seen["conversions"], seen["revenue"]) == (1, 111.0)


async def test_what_a_segment_of_a_unit_above_gained_is_told_of_ones_own_campaign(
    meng: httpx2.AsyncClient, db: Engine
) -> None:
    """Also to who serves it, and reaches no unit; the segment itself stays the company's."""
    now = datetime.now(UTC)
    pool = Campaign(db, leads=0, name="pool")
    rows = [
        Row(n, (f"+8613900{n:06d}",), "客户", {}, ("Asia/Shanghai",), customer_id=f"C{n}")
        for n in range(1, 41)
    ]
    store_rows(db, pool.id, "all", "test", now, rows)
    SegmentStore(db).save("companys", 'list = "all"', "", "li", now)
    wish = Wish("companys", "mine", "w", hold_out=0.5, rest_days=0)
    taken = take(db, wish, "li", now - timedelta(days=3))
    with db.begin() as connection:
        connection.execute(TALKED, {"at": now - timedelta(days=2)})
    chen = People(db).add("", "chen", "陈静", "supervisor", "", campaigns=["mine"])
    cookies = {"zd_session": UserStore(db).open_session(chen, "test")}
    async with http_client(base_url=meng.base_url, cookies=cookies, timeout=30) as other:
        for browser in (meng, other):
            seen = (await browser.get("/api/evaluation?campaign=mine&by=segment")).json()
            assert [(each["segment"], each["called"], each["held_out"]) for each in seen["gains"]] == [
                ("companys", taken.called, taken.held_out)
            ]
            assert [(row["key"], row["calls"]) for row in seen["rows"]] == [("companys", 1)]
    assert "companys" not in (await meng.get("/segments")).text
