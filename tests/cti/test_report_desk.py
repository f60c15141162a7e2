"""Reports over HTTP and as a page: in the reader's own campaigns, in every form, and gone when the reader is."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine, text

from campaigns.users import User
from tests.campaigns.reports.raw import Call, World
from tests.campaigns.world import later
from tests.cti.client import cookie
from tests.cti.running import ADMIN, AGENT, SUPERVISOR, Door, enrol, open_door, stored_in, until
from tests.loopback import http_client

DAYS = {"from": "2026-11-23", "to": "2026-11-25"}
EAST = replace(SUPERVISOR, user_id=21, login="east", campaigns=("east",))


@pytest.fixture
async def door(db: Engine, tmp_path: Path) -> AsyncIterator[Door]:
    world = World(db)
    calls = [
        Call(n * 60.0, 1, n % 2, "+864000000001", "connected", 16, 0, 5, 61.5, None, "sold", (0, 0, 0))
        for n in range(5)
    ]
    world.write(calls, [], 0, {})
    world.roll(later(days=3))
    async with open_door(stored=stored_in(db, tmp_path)) as opened:
        opened.accounts.users[EAST.login] = EAST, "correct horse"
        enrol(db, [EAST])
        yield opened


async def ask(door: Door, user: User | None, path: str, **asked: str) -> httpx2.Response:
    headers = await cookie(door, user) if user is not None else {}
    async with http_client(base_url=door.url, headers=headers, timeout=50) as client:
        return await client.get(path, params=asked)


async def test_a_reader_sees_their_own_campaigns_in_every_form(door: Door) -> None:
    whole = (await ask(door, ADMIN, "/api/reports/campaigns", **DAYS)).json()
    assert [row[:2] for row in whole["rows"]] == [["east", 3], ["west", 2]] and whole["totals"][1] == 5
    part = (await ask(door, EAST, "/api/reports/campaigns", **DAYS)).json()
    assert [row[:2] for row in part["rows"]] == [["east", 3]] and part["totals"][1] == 3
    assert (await ask(door, EAST, "/api/reports/campaigns", campaign="west", **DAYS)).json()["rows"] == []
    for path, rows in (("agents", 1), ("causes", 1), ("branches", 1), ("days", 1)):
        found = (await ask(door, EAST, f"/api/reports/{path}", **DAYS)).json()
        assert len(found["rows"]) == rows and 3 in found["totals"], path
    told = await ask(door, EAST, "/api/reports/campaigns", format="csv", language="zh", **DAYS)
    assert "attachment" in told.headers["content-disposition"]
    rows = list(csv.reader(StringIO(told.content.decode("utf-8-sig"))))
    assert (rows[0][0], rows[1][0], rows[-1][0], rows[-1][1]) == ("外呼活动", "east", "合计", "3")
    assert (await ask(door, EAST, "/api/reports/campaigns", format="xlsx", **DAYS)).content[:2] == b"PK"
    law = (await ask(door, EAST, "/api/abandonment")).json()
    assert [each["campaign"] for each in law] == ["east"]
    assert {each["report"] for each in (await ask(door, EAST, "/api/reports")).json()} >= {
        "campaigns",
        "pauses",
    }


@pytest.mark.parametrize(
    ("user", "path", "asked", "status"),
    [
        (None, "campaigns", {}, 401),
        (AGENT, "campaigns", {}, 403),
        (ADMIN, "nonsense", {}, 404),
        (ADMIN, "campaigns", {"from": "yesterday"}, 400),
        (ADMIN, "campaigns", {"zone": "Asia/Kathmandu"}, 400),
        (ADMIN, "campaigns", {"by": "caller_id"}, 400),
        (ADMIN, "campaigns", {"format": "pdf"}, 400),
        (ADMIN, "campaigns", {"order": "x"}, 400),
    ],
)
async def test_what_can_not_be_is_refused(
    door: Door, user: User | None, path: str, asked: dict[str, str], status: int
) -> None:
    assert (await ask(door, user, f"/api/reports/{path}", **asked)).status_code == status


async def test_the_page_shows_the_table_and_says_what_is_wrong(door: Door) -> None:
    page = await ask(door, EAST, "/reports", report="campaigns", **DAYS)
    assert page.status_code == 200 and "east" in page.text and "west" not in page.text
    assert "format=csv" in page.text and "1:02" in page.text
    before = {"from": "2026-09-01", "to": "2026-09-30"}
    assert "Nothing happened" in (await ask(door, EAST, "/reports", report="lists", **before)).text
    assert 'role="alert"' in (await ask(door, EAST, "/reports", by="caller_id", **DAYS)).text
    law = (await ask(door, EAST, "/reports", report="compliance", **DAYS)).text
    assert "30 days" in law and "/api/reports/compliance?from=" in law
    evidence = await ask(door, EAST, "/api/reports/compliance", format="csv", **DAYS)
    assert "east" in evidence.text and "west" not in evidence.text
    assert (await ask(door, AGENT, "/reports")).status_code == 403


async def test_a_reader_who_leaves_takes_the_question_along(door: Door, db: Engine) -> None:
    working = text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%rollup_call r%' AND state = 'active' "
                   "AND pid <> pg_backend_pid()")  # fmt: skip

    def at_work() -> int:
        with db.connect() as connection:
            return connection.execute(working).scalar_one()

    with db.connect() as blocker, blocker.begin():  # a report that takes its time
        blocker.execute(text("LOCK TABLE rollup_call IN ACCESS EXCLUSIVE MODE"))
        asking = asyncio.create_task(ask(door, ADMIN, "/api/reports/campaigns", **DAYS))
        while not await asyncio.to_thread(at_work):
            await asyncio.sleep(0.02)
        asking.cancel()
        async with asyncio.timeout(50):
            while await asyncio.to_thread(at_work):
                await asyncio.sleep(0.02)
    assert (await ask(door, ADMIN, "/api/reports/campaigns", **DAYS)).status_code == 200


async def test_what_is_too_much_at_once_is_refused_and_the_rest_is_answered(door: Door, db: Engine) -> None:
    with db.connect() as blocker, blocker.begin():
        blocker.execute(text("LOCK TABLE rollup_call IN ACCESS EXCLUSIVE MODE"))
        asking = [asyncio.create_task(ask(door, ADMIN, "/api/reports/campaigns", **DAYS)) for _ in range(12)]
        await until(lambda: sum(each.done() for each in asking) >= 4, 50)
        assert {each.result().status_code for each in asking if each.done()} == {503}
    answers = await asyncio.gather(*asking)
    assert sorted(each.status_code for each in answers) == [200] * 8 + [503] * 4
