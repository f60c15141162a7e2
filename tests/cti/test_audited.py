"""Everything that changes something over HTTP is in the audit log: who, from where, what, before and after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pyotp
import pytest
from sqlalchemy import Engine
from starlette.routing import Route

from campaigns.audit import lines, verify
from campaigns.people import People
from campaigns.second_factor import SecondFactor
from campaigns.tokens import Tokens
from campaigns.units import Units
from campaigns.users import UserStore
from campaigns.vault import KEYS, Vault
from cti.accounts import StoredAccounts
from cti.app import create_app
from cti.bus import Bus
from cti.guard import SAFE_METHODS
from tests.campaigns.world import Campaign
from tests.cti.running import open_stored, stored_in
from tests.loopback import http_client

PASSWORD, NEW = "correct horse", "battery staple 7"
NUMBER = "+8613912345678"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

# Of every changing route a request that changes something, and the line it leaves: action, and what is in its subject.
CHANGES = {
    ("POST", "/login"): ("/login", FORM, f"login=root&password={PASSWORD}", "signed in", "root"),
    ("POST", "/logout"): ("/logout", FORM, "", "signed out", "root"),
    ("POST", "/account/password"): (
        "/account/password", FORM, f"old={PASSWORD}&new={NEW}&again={NEW}", "password changed", "root",
    ),
    ("POST", "/people"): ("/people", FORM, f"login=lina&name=L&role=agent&unit=&password={NEW}", "user added", "lina"),
    ("POST", "/people/change"): ("/people/change", FORM, "login=tom&role=supervisor&unit=", "user changed", "tom"),
    ("POST", "/people/reset"): ("/people/reset", FORM, f"login=tom&password={NEW}", "password set", "tom"),
    ("POST", "/account/tokens"): ("/account/tokens", FORM, "name=crm&why=1&days=30", "token made", "token 2"),
    ("POST", "/account/tokens/revoke"): ("/account/tokens/revoke", FORM, "token=1", "token revoked", "token 1"),
    ("POST", "/account/factor"): ("/account/factor", FORM, "code={code}", "second factor on", "root"),
    ("POST", "/account/factor/off"): ("/account/factor/off", FORM, "code={recovery}", "second factor off", "root"),
    ("POST", "/login/code"): ("/login/code", FORM, "code={recovery}", "signed in", "root"),
    ("POST", "/login/enrol"): ("/login/enrol", FORM, "code={code}", "second factor on", "root"),
    ("POST", "/account/sessions"): ("/account/sessions", FORM, "session={session}", "session ended", "{session}"),
    ("POST", "/api/lists"): ("/api/lists?campaign=demo&list=autumn&country=CN", {}, f"phone\n{NUMBER}\n",
                             "list imported", "autumn"),
    ("POST", "/api/lists/undo"): (
        "/api/lists/undo", JSON, '{"campaign": "demo", "list": "list"}', "list undone", "list",
    ),
    ("POST", "/api/notes"): ("/api/notes", JSON, '{"text": "Well done"}', "note sent", "all"),
    ("POST", "/api/campaign/change"): (
        "/api/campaign/change", JSON,
        '{"campaign": "demo", "version": 1, "settings": {"priority": 3}, "why": "x"}', "campaign applied", "demo",
    ),
    ("POST", "/api/campaigns"): (
        "/api/campaigns", JSON,
        r'{"text": "name = \"autumn\"\nswitch = \"main\"", "version": 0, "why": "x"}', "campaign applied", "autumn",
    ),
    ("POST", "/api/campaign/back"): (
        "/api/campaign/back", JSON, '{"campaign": "demo", "version": 2, "to": 1, "why": "x"}',
        "campaign applied", "demo",
    ),
    ("POST", "/api/campaign/hang-up"): (
        "/api/campaign/hang-up", JSON, '{"campaign": "demo"}', "ringing hung up", "demo",
    ),
    ("POST", "/api/segments"): (
        "/api/segments", JSON, '{"name": "few", "text": "n >= 1"}', "segment saved", "few",
    ),
    ("POST", "/api/segments/take"): (
        "/api/segments/take", JSON, '{"segment": "some", "campaign": "demo", "list": "winter"}',
        "list imported", "winter",
    ),
    ("POST", "/api/results"): (
        "/api/results", JSON, '[{"customer": "C1", "at": "2026-11-01", "amount": 5}]', "results brought in", "",
    ),
    ("POST", "/api/requeue"): ("/api/requeue", JSON, '{"campaign": "demo", "list": "list"}', "requeue", "demo"),
    ("POST", "/api/dnc"): ("/api/dnc", JSON, f'{{"pattern": "{NUMBER}"}}', "dnc added", "company: +86139****5678"),
    ("DELETE", "/api/dnc"): ("/api/dnc", JSON, '{"pattern": "+86177*"}', "dnc removed", "+86177*"),
    ("POST", "/api/webhooks/resend"): (
        "/api/webhooks/resend", JSON, '{"ids": [7]}', "webhook events sent again", "7",
    ),
    ("POST", "/api/consents"): (
        "/api/consents", JSON, f'{{"number": "{NUMBER}", "source": "form"}}', "consent given", "+86139****5678",
    ),
    ("POST", "/api/consents/withdraw"): (
        "/api/consents/withdraw", JSON, f'{{"number": "{NUMBER}"}}', "consents withdrawn", "+86139****5678",
    ),
}  # fmt: skip
# What a browser is told to remember changes nothing of ours; a half-typed note is its writer's own until it is given;
# what a seat does is on record with its calls, over whichever way the command comes.
NOTHING = {
    ("POST", "/language"),
    ("POST", "/api/seat/draft"),
    ("POST", "/api/seat/commands"),
    ("POST", "/api/campaign/preview"),
    ("POST", "/api/campaigns/check"),
    ("POST", "/api/segments/count"),
}
# What needs an engine that tells something first is asked where it does: tests/cti/test_console.py; what changes of a
# customer leaves a line, says tests/campaigns/test_editing.py; what a plan becomes, tests/cti/test_plans.py; what
# gateways and customers say of messages is nobody's here, and on record with these: tests/cti/test_answers.py; what is
# done to a schedule of reports, tests/cti/test_schedules.py and tests/cti/test_schedule_api.py.
ELSEWHERE = {
    ("POST", "/api/plans"),
    ("POST", "/reports/schedules"),
    ("POST", "/reports/schedules/do"),
    ("POST", "/api/schedules"),
    ("PUT", "/api/schedules/{schedule:int}"),
    ("DELETE", "/api/schedules/{schedule:int}"),
    ("POST", "/api/schedules/{schedule:int}/{do}"),
    ("POST", "/api/messages/{channel}/told"),
    ("POST", "/api/messages/said"),
    ("POST", "/api/messages/bounced"),
    ("POST", "/unsubscribe/{key}"),
    ("POST", "/api/customer"),
    ("POST", "/api/alarms/acknowledge"),
    ("POST", "/api/seats/listen"),
    ("POST", "/api/seats/state"),
    ("POST", "/api/seats/assign"),
}


@pytest.fixture
async def url(db: Engine, tmp_path: Path) -> AsyncIterator[str]:
    Campaign(db, leads=2, name="demo")
    People(db).add("", "root", "Root", "administrator", PASSWORD)
    People(db).add("", "tom", "Tom", "agent", "")
    async with open_stored(db, tmp_path) as (at, _):
        yield at


def test_every_changing_route_is_asked(db: Engine, tmp_path: Path) -> None:
    app = create_app(Bus(), StoredAccounts(UserStore(db)), stored=stored_in(db, tmp_path))
    changing = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method not in SAFE_METHODS
    }
    assert changing - NOTHING - ELSEWHERE == set(CHANGES)


def second_factor(db: Engine, folder: Path, on: bool) -> dict[str, str]:
    """A code that is good now, and one of last resort where it is turned on."""
    factor, now = SecondFactor(db, Vault(folder / KEYS)), datetime.now(UTC)
    secret = factor.offer(1)
    assert secret is not None
    code = pyotp.TOTP(secret).at(now)
    taken = factor.take_up(1, code, now) if on else None
    return {"code": code, "recovery": taken[0] if taken else ""}


@pytest.mark.parametrize("route", CHANGES, ids=" ".join)
async def test_a_change_leaves_a_line_that_names_who_and_from_where(
    url: str, db: Engine, tmp_path: Path, route: tuple[str, str]
) -> None:
    path, headers, body, action, subject = CHANGES[route]
    users = UserStore(db)
    token, other = (users.open_session(1, "test") for _ in range(2))
    session = next(each.session_id for each in users.sessions(1, other) if each.this)
    async with http_client(base_url=url, cookies={"zd_session": token}, timeout=30) as client:
        root = users.session(token)
        assert root is not None
        Tokens(db).make(root, "first", ["why"], 30, datetime.now(UTC))
        codes = second_factor(db, tmp_path, on="{recovery}" in body)
        if path.startswith("/login/"):
            waits_for = "code" if path == "/login/code" else "enrolment"
            client.cookies.set("zd_session", users.open_session(1, "127.0.0.1", waits_for=waits_for))
        if action == "dnc removed":
            await client.post("/api/dnc", json={"pattern": "+86177*"})
        if path == "/api/segments/take":
            await client.post("/api/segments", json={"name": "some", "text": "n >= 0"})
        if path == "/api/campaign/back":
            body_before = '{"campaign": "demo", "version": 1, "settings": {"priority": 3}, "why": "x"}'
            await client.post("/api/campaign/change", content=body_before)
        before = lines(db)[0].id
        response = await client.request(
            route[0],
            path,
            headers=headers,
            content=body.format(session=session, **codes) if headers is FORM else body,
        )
        assert response.status_code in (200, 303), response.text
    new = [line for line in lines(db) if line.id > before]
    [line] = [line for line in new if line.action == action]
    assert (line.who, line.source) == ("root", "127.0.0.1")
    assert subject.replace("{session}", str(session)) in line.subject
    assert PASSWORD not in str(new) and NEW not in str(new) and NUMBER not in str(new)
    assert verify(db).fault == ""


async def test_a_refused_log_in_and_what_is_taken_away_are_on_record_too(url: str, db: Engine) -> None:
    async with http_client(base_url=url) as client:
        await client.post("/login", data={"login": "root", "password": "guess"})
        await client.post("/login", data={"login": "root", "password": PASSWORD})
        span = {"campaign": "demo", "from": "2026-01-01", "to": "2026-01-02"}
        assert (await client.get("/api/evidence", params=span, timeout=30)).status_code == 200
        assert (await client.get("/api/person", params={"customer": "x"}, timeout=30)).status_code == 200
        told = (await client.get("/api/audit")).json()
        assert [(each["action"], each["who"], each["source"]) for each in told[:4]] == [
            ("person exported", "root", "127.0.0.1"),
            ("evidence written", "root", "127.0.0.1"),
            ("signed in", "root", "127.0.0.1"),
            ("sign-in refused", "root", "127.0.0.1"),
        ]
        for odd in ({"limit": "0"}, {"limit": "x"}, {"limit": "9" * 99}, {"from": "noon"}):
            assert (await client.get("/api/audit", params=odd)).status_code == 400


async def test_an_auditor_of_a_branch_reads_of_its_people_alone(url: str, db: Engine) -> None:
    Units(db).add("兰州")
    people, users = People(db), UserStore(db)
    ids = [
        people.add("兰州", login, login, role, "") for login, role in (("wu", "auditor"), ("lina", "agent"))
    ]
    for user_id in (1, *ids):
        users.open_session(user_id, "test")
    token = users.open_session(ids[0], "test")
    async with http_client(base_url=url, cookies={"zd_session": token}) as client:
        assert {each["who"] for each in (await client.get("/api/audit")).json()} == {"wu", "lina"}


def test_what_changes_a_person_says_what_was_and_what_is(db: Engine) -> None:
    people = People(db)
    people.add("", "lina", "李娜", "agent", "")
    people.change("lina", role="supervisor", campaigns=["spring"])
    changed, added = lines(db)
    assert (changed.action, changed.subject) == ("user changed", "lina")
    assert changed.before == '{"role": "agent", "campaigns": []}'
    assert changed.after == '{"role": "supervisor", "campaigns": ["spring"]}'
    assert added.action == "user added" and added.after is not None and "hash" not in added.after
