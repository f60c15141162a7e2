"""Reports scheduled by programs: with a token's right, as far as its person reaches, on record as the page's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine, text

from campaigns.reports.runs import Runs
from campaigns.reports.schedule import Schedule
from campaigns.reports.schedules import Schedules
from campaigns.rights import Right
from campaigns.tokens import Tokens
from campaigns.users import UserStore
from tests.cti.test_schedules import people, url  # noqa: F401
from tests.loopback import http_client

WANTED = {
    "report": "agents", "by": ["agent", "day"], "campaign": "mine", "name": "Team day by day", "every": "week",
    "at": "07:30", "zone": "Europe/Berlin", "format": "csv", "language": "en", "to": ["boss@company.example"],
    "laid": True,
}  # fmt: skip


@asynccontextmanager
async def program(
    url: str,  # noqa: F811
    db: Engine,
    user_id: int,
    *rights: Right,
) -> AsyncIterator[httpx2.AsyncClient]:
    user = next(each for each in UserStore(db).all() if each.user_id == user_id)
    token = Tokens(db).make(user, "crm", rights or [Right.SCHEDULES], 30, datetime.now(UTC))
    async with http_client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as http:
        yield http


async def test_a_program_has_a_report_go_out_changes_pauses_sends_it_and_lets_it_go(
    url: str,  # noqa: F811
    db: Engine,
    people: dict[str, int],  # noqa: F811
) -> None:
    async with program(url, db, people["chen"]) as http:
        made = (await http.post("/api/schedules", json=WANTED)).json()
        assert (
            await http.post("/api/schedules", json=WANTED)
        ).json() == made  # its reply was lost: said again
        [kept] = Schedules(db).all()
        at = f"/api/schedules/{kept.schedule_id}"
        assert made == {"id": kept.schedule_id} and (kept.login, kept.by) == ("chen", ("agent", "day"))
        for word in ("pause", "send"):
            assert (await http.post(f"{at}/{word}")).status_code == 200
        again = await http.post(f"{at}/send")
        assert (again.status_code, again.json()["error"]) == (409, "just")
        [told] = (await http.get("/api/schedules")).json()
        assert (told["paused"], told["every"], told["runs"][0]["asked_by"]) == (True, "week", "chen")
        changed = await http.put(at, json=WANTED | {"every": "day", "to": []})
        assert changed.status_code == 200
        [kept] = Schedules(db).all()
        assert (kept.every, kept.to, kept.paused) == ("day", (), True)
        assert (await http.post(f"{at}/resume")).status_code == 200
        other = WANTED | {"every": "month"}
        taken = await http.post("/api/schedules", json=other)
        assert (taken.status_code, taken.json()["error"]) == (409, "taken")
        assert (await http.delete(at)).status_code == 200
        assert (await http.delete(at)).status_code == 404
    assert not Schedules(db).all()
    with db.connect() as connection:
        lines = connection.execute(
            text("SELECT actor, action FROM audit WHERE subject LIKE 'report%' ORDER BY id")
        )
        assert [tuple(line) for line in lines] == [
            ("chen", f"report {what}")
            for what in (
                "schedule made", "schedule paused", "asked for", "schedule changed", "schedule resumed",
                "schedule deleted",
            )
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"name": "../../etc/cron.d/x"}, "name"),
        ({"every": "hour"}, "form"),
        ({"at": "25:00"}, "at"),
        ({"zone": "Asia/Kathmandu"}, "zone"),
        ({"to": ["boss@company.example\nBcc: x"]}, "to"),
        ({"to": [], "laid": False}, "nowhere"),
        ({"by": ["sip"]}, "report"),
        ({"by": ["agent", "day", "team"]}, "malformed"),
        ({"campaign": "theirs"}, "campaign"),
        ({"whatever": 1}, "malformed"),
        ({"to": "boss@company.example"}, "malformed"),
    ],
)
async def test_what_can_not_be_kept_is_refused_with_its_code(
    url: str,  # noqa: F811
    db: Engine,
    people: dict[str, int],  # noqa: F811
    wrong: dict[str, Any],
    code: str,
) -> None:
    async with program(url, db, people["chen"]) as http:
        answer = await http.post("/api/schedules", json=WANTED | wrong)
    assert (answer.status_code, answer.json()["error"]) == (400, code) and not Schedules(db).all()


async def test_it_takes_the_right_and_reaches_no_further_than_its_person(
    url: str,  # noqa: F811
    db: Engine,
    people: dict[str, int],  # noqa: F811
) -> None:
    now = datetime.now(UTC)
    plain = Schedule("of tian", "agents", "tian", "day", now.time(), "Asia/Shanghai", laid=True)
    at = f"/api/schedules/{Schedules(db).save(plain, people['tian'], now)}"
    async with program(url, db, people["chen"], Right.REPORTS) as http:
        assert (await http.get("/api/schedules")).status_code == 403
        assert (await http.post("/api/schedules", json=WANTED)).status_code == 403
    async with program(url, db, people["chen"]) as http:
        assert (await http.get("/api/schedules")).json() == []
        asked = [await http.post(f"{at}/{word}") for word in ("pause", "resume", "send")]
        asked += [await http.delete(at), await http.put(at, json=WANTED)]
        asked += [await http.delete(f"/api/schedules/{2**70}"), await http.post(f"{at}/delete")]
        assert {each.status_code for each in asked} == {404}
    async with http_client(base_url=url) as nobody:
        assert (await nobody.get("/api/schedules")).status_code == 401
    [kept] = Schedules(db).all()
    assert not kept.paused and not Runs(db).last([kept])[kept.key]
