"""API tokens: a program may what its token may, for as long as it holds, and its owner sees when it was last used."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from campaigns.people import People
from campaigns.rights import Right
from campaigns.tokens import MOST, BadToken, Tokens, grantable
from campaigns.users import User, UserStore
from tests.campaigns.world import Campaign
from tests.cti.running import open_stored
from tests.loopback import http_client

NOW = datetime(2026, 11, 24, 4, tzinfo=UTC)
NUMBER = "13800000000"


@pytest.fixture
def chen(db: Engine) -> User:
    Campaign(db, leads=1, name="demo")
    People(db).add("", "chen", "陈静", "supervisor", "", campaigns=["demo"], language="en")
    return UserStore(db).all()[0]


@pytest.fixture
async def url(db: Engine, tmp_path: Path, chen: User) -> AsyncIterator[str]:
    async with open_stored(db, tmp_path) as (at, _):
        yield at


def made(db: Engine, chen: User, *rights: str, days: int = 30) -> dict[str, str]:
    """The headers of a program with a new token."""
    return {"Authorization": f"Bearer {Tokens(db).make(chen, 'crm', rights, days, datetime.now(UTC))}"}


async def test_a_token_is_made_on_the_page_shown_once_used_and_revoked(
    url: str, db: Engine, chen: User
) -> None:
    session = UserStore(db).open_session(chen.user_id, "test")
    async with http_client(base_url=url, cookies={"zd_session": session}) as page:
        form = {
            "name": "crm",
            "why": "1",
            "requeue": "1",
            "person": "1",
            "days": "30",
        }  # no supervisor has `person`
        shown = await page.post("/account/tokens", data=form)
        found = re.search(r"zdt_[\w-]{43}", shown.text)
        assert found is not None and found[0] not in (await page.get("/account/tokens")).text
        async with http_client(base_url=url, headers={"Authorization": f"Bearer {found[0]}"}) as program:
            assert (await program.get("/api/why", params={"number": NUMBER})).status_code == 200
            assert (await program.get("/api/lists")).status_code == 403
            assert (await program.get("/api/person", params={"customer": "x"})).status_code == 403
            listed = (await page.get("/account/tokens")).text
            assert (
                "127.0.0.1" in listed and "Ask why a customer is not called, " not in listed.split("<form")[0]
            )
            assert (await page.post("/account/tokens/revoke", data={"token": "1"})).status_code == 303
            assert (await program.get("/api/why", params={"number": NUMBER})).status_code == 401
        assert "You have none." in (await page.get("/account/tokens")).text
        for odd in ({"name": ""}, {"days": "9999"}, {"days": "x"}, {"why": "", "requeue": ""}):
            assert (await page.post("/account/tokens", data=form | odd)).status_code == 400
    with db.connect() as connection:
        assert found[0] not in str(
            connection.execute(text("SELECT *, encode(hash, 'escape') FROM api_token")).all()
        )


async def test_a_program_needs_no_origin_and_its_cookies_count_for_nothing(
    url: str, db: Engine, chen: User
) -> None:
    headers = made(db, chen, Right.REQUEUE) | {"Origin": "https://crm.example"}
    session = UserStore(db).open_session(chen.user_id, "test")
    body = {"campaign": "demo", "list": "list"}
    async with http_client(base_url=url, cookies={"zd_session": session}) as client:
        assert (await client.post("/api/requeue", json=body, headers=headers)).status_code == 200
        assert (await client.get("/api/why", params={"number": NUMBER}, headers=headers)).status_code == 403
        made_up = headers | {"Authorization": "Bearer zdt_" + "x" * 43}
        assert (await client.post("/api/requeue", json=body, headers=made_up)).status_code == 401
        assert (await client.get("/account", headers=headers)).headers[
            "location"
        ] == "/login"  # no page takes one
        assert (
            await client.get("/api/why", params={"number": NUMBER})
        ).status_code == 200  # without one it is the cookie


async def test_a_token_is_good_while_it_holds_and_its_owner_may(url: str, db: Engine, chen: User) -> None:
    people = People(db)
    async with http_client(base_url=url, headers=made(db, chen, Right.WHY)) as program:

        async def asked() -> int:
            return (await program.get("/api/why", params={"number": NUMBER})).status_code

        assert await asked() == 200
        people.change("chen", role="agent")  # who has no such right any more
        assert await asked() == 403
        people.change("chen", role="supervisor", enabled=False)
        assert await asked() == 401
        people.change("chen", enabled=True)
        assert await asked() == 200
        with db.begin() as connection:
            connection.execute(text("UPDATE api_token SET expires_at = now()"))
        assert await asked() == 401


def test_nobody_gives_a_token_what_they_have_not(db: Engine, chen: User) -> None:
    tokens = Tokens(db)
    assert Right.ACCOUNT not in grantable(chen) and Right.UNIT_CAMPAIGNS not in grantable(chen)
    for name, rights, days in (
        ("x", [Right.PERSON], 30),
        ("x", [Right.ACCOUNT], 30),
        ("x", [], 30),
        ("", [Right.WHY], 30),
        ("x", [Right.WHY], 0),
        ("x", [Right.WHY], 367),
        ("x\n", [Right.WHY, "all"], 30),
    ):
        with pytest.raises(BadToken):
            tokens.make(chen, name, rights, days, NOW)
    for _ in range(MOST):
        tokens.make(chen, "x", [Right.WHY], 30, NOW)
    with pytest.raises(BadToken):
        tokens.make(chen, "x", [Right.WHY], 30, NOW)
    assert tokens.of(chen.user_id, NOW + timedelta(days=30)) == []
    assert not tokens.revoke(chen.user_id + 1, 1, NOW) and tokens.revoke(chen.user_id, 1, NOW)
