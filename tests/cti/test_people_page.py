"""The people page: a manager keeps the people of their unit, and nobody else's; nobody gives what they have not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine

from campaigns.people import People, Person
from campaigns.second_factor import SecondFactor
from campaigns.units import Units
from campaigns.users import UserStore
from campaigns.vault import KEYS, Vault
from tests.campaigns.world import Campaign
from tests.cti.running import open_stored
from tests.cti.test_second_factor import turned_on
from tests.loopback import http_client

PASSWORD, NEW = "correct horse", "battery staple 7"
BRANCH, TEAM, OTHER = "兰州", "兰州/一组", "天水"


@pytest.fixture
def ids(db: Engine) -> dict[str, int]:
    for unit in (TEAM, OTHER):
        Units(db).add(unit)
    for name, unit in (("mine", BRANCH), ("theirs", OTHER)):
        Campaign(db, leads=1, name=name, more=f'unit = "{unit}"\n')
    people = People(db)
    rows = (("meng", BRANCH, "branch_manager"), ("root", "", "administrator"), ("boss", BRANCH, "administrator"),
            ("lina", TEAM, "agent"), ("wang", OTHER, "agent"))  # fmt: skip
    return {
        login: people.add(unit, login, login.title(), role, PASSWORD, f"seat-{login}", language="en")
        for login, unit, role in rows
    }


@pytest.fixture
async def meng(db: Engine, tmp_path: Path, ids: dict[str, int]) -> AsyncIterator[httpx2.AsyncClient]:
    """The browser of the branch's manager."""
    async with open_stored(db, tmp_path) as (url, users):
        cookies = {"zd_session": users.open_session(ids["meng"], "test")}
        async with http_client(base_url=url, cookies=cookies) as client:
            yield client


def of(db: Engine, login: str) -> Person:
    return next(each for each in People(db).list() if each.user.login == login)


async def test_a_manager_sees_and_keeps_the_people_of_the_branch(
    meng: httpx2.AsyncClient, db: Engine
) -> None:
    page = (await meng.get("/people")).text
    assert "lina" in page and "wang" not in page and "root" not in page
    form = {
        "login": "tom",
        "name": "Tom",
        "role": "agent",
        "unit": TEAM,
        "campaigns": "mine：2",
        "phone": "seat-lina",  # they work in turns
        "password": PASSWORD,
    }
    assert (await meng.post("/people", data=form)).headers["location"] == "/people?done=1"
    tom = of(db, "tom")
    assert (tom.unit, tom.user.role, tom.user.campaigns) == (TEAM, "agent", ("mine",))
    assert tom.user.phone == "seat-lina"
    assert tom.user.served == ["mine:2"]
    assert UserStore(db).verify("tom", PASSWORD) is not None
    change = {"login": "tom", "role": "supervisor", "unit": BRANCH, "campaigns": "mine"}
    assert (await meng.post("/people/change", data=change)).status_code == 303
    tom = of(db, "tom")
    assert (tom.unit, tom.user.role, tom.enabled) == (BRANCH, "supervisor", False)  # the box was not ticked


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("/people", {"unit": OTHER}, 403),
        ("/people", {"unit": ""}, 403),
        ("/people", {"role": "administrator"}, 403),
        ("/people", {"role": "auditor"}, 403),
        ("/people", {"role": "nothing"}, 403),
        ("/people", {"campaigns": "theirs"}, 403),
        ("/people", {"campaigns": "theirs:2"}, 403),
        ("/people", {"campaigns": "mine：10"}, 400),
        ("/people", {"campaigns": "no such"}, 403),
        ("/people", {"login": "wang"}, 400),  # there is one elsewhere
        ("/people", {"login": " "}, 400),
        ("/people", {"name": ""}, 400),
        ("/people", {"phone": "seat-wang"}, 400),  # who would then be rung in the place of theirs
        ("/people", {"phone": "seat 7"}, 400),
        ("/people", {"password": ""}, 400),
        ("/people", {"password": "123456789012"}, 400),
        ("/people/change", {"login": "wang"}, 404),
        ("/people/change", {"login": "root"}, 404),
        ("/people/change", {"login": "boss"}, 403),
        ("/people/change", {"login": "meng"}, 403),
        ("/people/change", {"login": "lina", "role": "administrator"}, 403),
        ("/people/change", {"login": "lina", "unit": OTHER}, 403),
        ("/people/reset", {"login": "wang"}, 404),
        ("/people/reset", {"login": "boss"}, 403),
        ("/people/reset", {"login": "lina", "password": "short"}, 400),
    ],
)
async def test_what_a_manager_may_not(
    meng: httpx2.AsyncClient, db: Engine, path: str, form: dict[str, str], status: int
) -> None:
    before = People(db).list()
    whole = {
        "login": "new",
        "name": "New",
        "role": "agent",
        "unit": TEAM,
        "campaigns": "",
        "password": NEW,
    } | form
    response = await meng.post(path, data=whole)
    assert (
        response.status_code == status
        and 'role="alert"' in response.text
        and "people.bad" not in response.text
    )
    assert People(db).list() == before
    assert UserStore(db).verify(form.get("login", "lina"), NEW) is None


async def test_a_new_password_signs_out_and_may_take_the_second_factor_along(
    meng: httpx2.AsyncClient, db: Engine, tmp_path: Path, ids: dict[str, int]
) -> None:
    turned_on(db, tmp_path, ids["lina"])
    token = UserStore(db).open_session(ids["lina"], "test")
    form = {"login": "lina", "password": NEW, "factor": "1"}
    assert (await meng.post("/people/reset", data=form)).status_code == 303
    user = UserStore(db).verify("lina", NEW)
    assert user is not None and not user.second_factor and UserStore(db).session(token) is None
    assert SecondFactor(db, Vault(tmp_path / KEYS)).offer(ids["lina"]) is not None
