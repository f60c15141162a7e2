"""Orders come in over HTTP, and what calls were worth is told about the campaigns that the asker sees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine, text

from campaigns.people import People
from campaigns.units import Units
from tests.campaigns.world import Campaign
from tests.cti.running import open_stored
from tests.loopback import http_client

BRANCH, TEAM, OTHER = "兰州", "兰州/一组", "天水"
ORDER = {"customer": "C1", "at": "2026-11-24T10:00:00+08:00", "amount": 9.5, "reference": "A1"}


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
