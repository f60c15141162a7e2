"""Reports scheduled on a page: by the report on the screen, for its own branch, in the name of who saved it last."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx2
import pytest
from sqlalchemy import Engine, text

from campaigns.people import People
from campaigns.reports.runs import Runs
from campaigns.reports.schedule import MOST_TO, Schedule, span_of
from campaigns.reports.schedules import MOST, Schedules
from campaigns.units import Units
from campaigns.users import UserStore
from cti.accounts import StoredAccounts
from cti.app import create_app
from cti.bus import Bus
from tests.campaigns.world import Campaign
from tests.cti.running import serving, stored_in
from tests.loopback import http_client

FORM = {
    "report": "agents", "by": "agent", "then_by": "day", "campaign": "mine", "name": "Team day by day",
    "every": "week", "at": "07:30", "zone": "Europe/Berlin", "format": "csv", "language": "en",
    "to": "boss@company.example", "laid": "1",
}  # fmt: skip


@pytest.fixture
def people(db: Engine) -> dict[str, int]:
    for unit, campaign in (("兰州分公司", "mine"), ("天水分公司", "theirs")):
        Units(db).add(unit)
        Campaign(db, leads=1, name=campaign, more=f'unit = "{unit}"\n')
    them = People(db)
    return {
        "meng": them.add("兰州分公司", "meng", "孟洁", "branch_manager", ""),
        "chen": them.add("兰州分公司", "chen", "陈静", "supervisor", "", campaigns=["mine"]),
        "tian": them.add("天水分公司", "tian", "田野", "branch_manager", ""),
        "root": them.add("", "root", "Root", "administrator", ""),
        "lin": them.add("兰州分公司", "lin", "林", "auditor", ""),
    }


@pytest.fixture
async def url(db: Engine, tmp_path: Path) -> AsyncIterator[str]:
    accounts = StoredAccounts(UserStore(db))
    stored = replace(stored_in(db, tmp_path), mail=True, report_folder="/srv/reports")
    try:
        async with serving(create_app(Bus(), accounts, None, stored)) as port:
            yield f"http://127.0.0.1:{port}"
    finally:
        accounts.close()


@asynccontextmanager
async def signed_in(url: str, db: Engine, user_id: int) -> AsyncIterator[httpx2.AsyncClient]:
    session = UserStore(db).open_session(user_id, "test")
    async with http_client(base_url=url, cookies={"zd_session": session, "zd_language": "en"}) as http:
        yield http


async def test_the_report_on_the_screen_is_scheduled_changed_paused_sent_and_let_go(
    url: str, db: Engine, people: dict[str, int]
) -> None:
    async with signed_in(url, db, people["chen"]) as http:
        shown = await http.get("/reports/schedules?report=agents&by=agent&by=day&campaign=mine")
        assert 'name="then_by" value="day"' in shown.text and 'name="campaign" value="mine"' in shown.text
        assert (await http.post("/reports/schedules", data=FORM)).status_code == 303
        [kept] = Schedules(db).all()
        assert (kept.by, kept.campaigns, kept.login, kept.zone) == (
            ("agent", "day"), ("mine",), "chen", "Europe/Berlin",
        )  # fmt: skip
        assert f"{kept.at:%H:%M}" == "07:30" and kept.to == ("boss@company.example",) and kept.laid
        listed = (await http.get("/reports/schedules")).text
        assert "Team day by day" in listed and "Mondays at 07:30" in listed and "/srv/reports/chen" in listed
        number = str(kept.schedule_id)
        for word in ("pause", "send"):
            done = await http.post("/reports/schedules/do", data={"schedule": number, "do": word})
            assert done.status_code == 303
        again = await http.post("/reports/schedules/do", data={"schedule": number, "do": "send"})
        assert again.status_code == 400 and "a moment ago" in again.text
        [run] = Runs(db).last([kept])[kept.key]
        assert (run.asked_by, run.sent_at, run.fault) == ("chen", None, "")
        changed = await http.post(
            "/reports/schedules", data=FORM | {"schedule": number, "to": "", "every": "day"}
        )
        assert changed.status_code == 303
        [kept] = Schedules(db).all()
        assert (kept.to, kept.every, kept.paused) == ((), "day", True)
        await http.post("/reports/schedules/do", data={"schedule": number, "do": "delete"})
    assert not Schedules(db).all()
    with db.connect() as connection:
        lines = connection.execute(
            text("SELECT actor, action FROM audit WHERE subject LIKE 'report%' ORDER BY id")
        )
        assert [tuple(line) for line in lines] == [
            ("chen", f"report {what}")
            for what in (
                "schedule made",
                "schedule paused",
                "asked for",
                "schedule changed",
                "schedule deleted",
            )
        ]


@pytest.mark.parametrize(
    ("fault", "shown", "not_shown"),
    [("counting", "Being sent", "Not sent"), ("mail", "Not sent", "Being sent")],
)
async def test_a_report_that_waits_for_its_days_has_not_failed(
    url: str, db: Engine, people: dict[str, int], fault: str, shown: str, not_shown: str
) -> None:
    runs, now = Runs(db), datetime(2026, 11, 25, 6, tzinfo=UTC)
    async with signed_in(url, db, people["chen"]) as http:
        await http.post("/reports/schedules", data=FORM)
        [kept] = Schedules(db).all()
        claim = runs.claim(kept, span_of(kept.every, kept.at, ZoneInfo(kept.zone), now), now)
        assert claim is not None
        runs.failed(claim, now, fault, "some detail")
        listed = (await http.get("/reports/schedules")).text
    assert shown in listed and not_shown not in listed
    assert ("not all counted yet" in listed) == (fault == "counting") and "at least every half hour" in listed


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "../../etc/cron.d/x"}, "name"),
        ({"name": ".hidden"}, "name"),
        ({"every": "hour"}, "offered"),
        ({"at": "25:00"}, "time of day"),
        ({"zone": "Asia/Kathmandu"}, "time zone"),
        ({"zone": "../../etc/passwd"}, "time zone"),
        ({"to": "boss@company.example\nBcc: x"}, "mail addresses"),
        ({"to": ",".join(f"a{n}@b.example" for n in range(MOST_TO + 1))}, "mail addresses"),
        ({"to": "", "laid": ""}, "mail address, or"),
        ({"report": "compliance"}, "split so"),
        ({"by": "sip"}, "split so"),
        ({"campaign": "theirs"}, "do not see"),
    ],
)
async def test_what_can_not_be_kept_is_said_and_the_form_comes_back(
    url: str, db: Engine, people: dict[str, int], wrong: dict[str, str], said: str
) -> None:
    async with signed_in(url, db, people["chen"]) as http:
        answer = await http.post("/reports/schedules", data=FORM | wrong)
    assert answer.status_code == 400 and 'role="alert"' in answer.text and said in answer.text
    assert "<form" in answer.text and not Schedules(db).all()


async def test_the_compliance_report_is_scheduled_as_the_others(
    url: str, db: Engine, people: dict[str, int]
) -> None:
    async with signed_in(url, db, people["chen"]) as http:
        shown = await http.get("/reports/schedules?report=compliance")
        assert "Abandon rate by law" in shown.text and 'name="report" value="compliance"' in shown.text
        form = FORM | {"report": "compliance", "by": "", "then_by": "", "every": "month"}
        assert (await http.post("/reports/schedules", data=form)).status_code == 303
        assert "Abandon rate by law" in (await http.get("/reports/schedules")).text
    [kept] = Schedules(db).all()
    assert (kept.report, kept.by, kept.every) == ("compliance", (), "month")


async def test_each_sees_their_own_and_a_branch_its_peoples(
    url: str, db: Engine, people: dict[str, int]
) -> None:
    now, numbers = datetime.now(UTC), {}
    for login in ("chen", "tian", "root"):
        plain = Schedule(f"of {login}", "agents", login, "day", now.time(), "Asia/Shanghai", laid=True)
        numbers[login] = str(Schedules(db).save(plain, people[login], now))
    sees = {
        "chen": {"chen"},
        "meng": {"chen"},
        "tian": {"tian"},
        "lin": {"chen"},
        "root": {"chen", "tian", "root"},
    }
    for login, expected in sees.items():
        async with signed_in(url, db, people[login]) as http:
            page = (await http.get("/reports/schedules")).text
            assert {each for each in numbers if f"of {each}<" in page} == expected, login
            for each in set(numbers) - expected:
                for word in ("pause", "send", "delete"):
                    refused = await http.post(
                        "/reports/schedules/do", data={"schedule": numbers[each], "do": word}
                    )
                    assert refused.status_code == (403 if login == "lin" else 404)
                form = FORM | {"schedule": numbers[each], "campaign": ""}
                assert (await http.post("/reports/schedules", data=form)).status_code in (403, 404)
                if login != "lin":
                    assert (await http.get(f"/reports/schedules?change={numbers[each]}")).status_code == 404
    assert {each.login for each in Schedules(db).all()} == {"chen", "tian", "root"}
    # Who has it sent elsewhere has it show what they see themselves.
    async with signed_in(url, db, people["meng"]) as http:
        await http.post("/reports/schedules", data=FORM | {"schedule": numbers["chen"]})
    async with signed_in(url, db, people["chen"]) as http:
        assert "Team day by day" not in (await http.get("/reports/schedules")).text


async def test_nobody_has_two_of_one_name_or_any_number(url: str, db: Engine, people: dict[str, int]) -> None:
    now = datetime.now(UTC)
    for n in range(MOST - 1):
        plain = Schedule(f"{n}", "agents", "chen", "day", now.time(), "Asia/Shanghai", laid=True)
        Schedules(db).save(plain, people["chen"], now)
    async with signed_in(url, db, people["chen"]) as http:
        taken = await http.post("/reports/schedules", data=FORM | {"name": "7"})
        assert taken.status_code == 400 and "of this name" in taken.text
        assert (await http.post("/reports/schedules", data=FORM)).status_code == 303
        many = await http.post("/reports/schedules", data=FORM | {"name": "one more"})
        assert many.status_code == 400 and "as many schedules" in many.text
