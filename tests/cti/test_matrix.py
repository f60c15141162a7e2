"""Who may what: every route of the app, asked by every role of its own branch, of another one, by nobody, and too late.

The expectation is written out here a second time, on purpose: a right that is given in campaigns/rights.py, or a route
that is declared with another one, must be wanted in both places.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from campaigns.jobs import REJECTS, REPORT
from campaigns.people import People
from campaigns.rights import Role
from campaigns.units import Units
from campaigns.users import UserStore
from cti import wire
from cti.accounts import StoredAccounts
from cti.app import create_app
from cti.bus import Bus
from cti.entry import SocketWay, Way
from cti.settings import OidcSettings, WebSettings
from tests.campaigns.world import Campaign
from tests.cti.running import DEADLINE_S, open_stored, stored_in
from tests.loopback import http_client

MINE, OTHER = "兰州分公司/一组", "天水分公司"  # the asked-about campaign is of the first, or of the second
AGENT, SUPERVISOR, MANAGER, ANALYST, ADMIN, AUDITOR = Role
EVERYONE = frozenset(Role)
FLOOR = frozenset((AGENT, SUPERVISOR, MANAGER, ADMIN))
LEADING = frozenset((SUPERVISOR, MANAGER, ADMIN))
LOOKING = LEADING | {ANALYST, AUDITOR}
CHECKING = LEADING | {AUDITOR}
OPEN = None  # anybody, signed in or not

NUMBER = "+8613800000000"
AWAY = "http://127.0.0.1:9"  # discard: nobody listens
SETTINGS = WebSettings(oidc=OidcSettings(AWAY, "zhudong", f"{AWAY}/login/oidc/back"))


@dataclass(frozen=True, slots=True)
class Row:
    """One route: who may, how it is asked, and whether it is about one campaign; `company`: only from the root."""

    method: str
    path: str
    who: frozenset[Role] | None
    asked: str = ""
    body: str = ""
    scoped: bool = False
    company: bool = False
    answers: int | None = None  # what the route itself says to this, where it is not plain success


ROWS = (
    Row("GET", "/login", OPEN),
    Row("POST", "/login", OPEN, body="login={fresh}&password=b", answers=401),
    Row("POST", "/language", OPEN, body="language=en"),
    Row("GET", "/healthz", OPEN),
    Row("GET", "/readyz", OPEN),
    Row("POST", "/logout", EVERYONE),
    Row("GET", "/unsubscribe/{key}", OPEN, answers=404),
    Row("POST", "/unsubscribe/{key}", OPEN, answers=404),
    Row("POST", "/api/messages/{channel}/told", OPEN, answers=404),
    Row("GET", "/login/code", OPEN),
    Row("POST", "/login/code", OPEN, body="code=1"),
    Row("GET", "/login/enrol", OPEN),
    Row("POST", "/login/enrol", OPEN, body="code=1"),
    Row("GET", "/login/oidc", OPEN, answers=503),
    Row("GET", "/login/oidc/back", OPEN, answers=401),
    Row("GET", "/account/factor", EVERYONE),
    Row("POST", "/account/factor", EVERYONE, body="code=1", answers=400),
    Row("POST", "/account/factor/off", EVERYONE, body="code={fresh}", answers=400),
    Row("GET", "/people", frozenset((MANAGER, ADMIN))),
    Row("POST", "/people", frozenset((MANAGER, ADMIN)), body="login={fresh}&role=agent&unit=兰州分公司", answers=400),
    Row("GET", "/campaigns", frozenset((MANAGER, ADMIN))),
    Row("GET", "/api/campaigns", frozenset((MANAGER, ADMIN))),
    Row("POST", "/api/campaigns", frozenset((MANAGER, ADMIN)),
        body='{{"text": "x", "version": 0, "why": "x"}}', answers=400),
    Row("POST", "/api/campaigns/check", frozenset((MANAGER, ADMIN)), body='{{"text": "x"}}', answers=400),
    Row("GET", "/plans", frozenset((MANAGER, ADMIN)), "campaign={campaign}", scoped=True),
    Row("GET", "/api/plans", frozenset((MANAGER, ADMIN))),
    Row("POST", "/api/plans", frozenset((MANAGER, ADMIN)),
        body='{{"campaign": "none", "name": "x", "segment": "x", "customers": 1, "until": "2027-01-01", "why": "x"}}',
        answers=404),
    Row("GET", "/segments", frozenset((MANAGER, ADMIN))),
    Row("GET", "/api/segments", frozenset((MANAGER, ADMIN))),
    Row("POST", "/api/segments", frozenset((MANAGER, ADMIN)), body='{{"name": "{fresh}", "text": "a = 1"}}'),
    Row("POST", "/api/segments/count", frozenset((MANAGER, ADMIN)), body='{{"text": "a = 1"}}'),
    Row("POST", "/api/segments/take", frozenset((MANAGER, ADMIN)),
        body='{{"segment": "none", "campaign": "{campaign}", "list": "x"}}', answers=404),
    Row("GET", "/evaluation", LOOKING, "campaign={campaign}", scoped=True),
    Row("GET", "/best-time", LOOKING, "campaign={campaign}", scoped=True),
    Row("GET", "/api/evaluation", LOOKING, "campaign={campaign}", scoped=True),
    Row("POST", "/api/results", frozenset((MANAGER, ADMIN)), body="customer_id,date,amount\nC0,2026-11-24,1\n"),
    Row("POST", "/people/change", frozenset((MANAGER, ADMIN)), body="login={fresh}", answers=404),
    Row("POST", "/people/reset", frozenset((MANAGER, ADMIN)), body="login={fresh}", answers=404),
    Row("GET", "/account/tokens", EVERYONE),
    Row("POST", "/account/tokens", EVERYONE, body="name=x&days=30", answers=400),
    Row("POST", "/account/tokens/revoke", EVERYONE, body="token=0"),
    Row("GET", "/account", EVERYONE),
    Row("POST", "/account/password", EVERYONE, body="old=a&new=b&again=b", answers=400),
    Row("POST", "/account/sessions", EVERYONE, body="session=0"),
    Row("GET", "/", FLOOR),
    Row("GET", "/status", LOOKING),
    Row("WS", "/ws", FLOOR),
    Row("WS", "/ws/status", LOOKING),
    Row("POST", "/api/seat/draft", FLOOR,
        body=f'{{{{"type": "draft", "call_id": "{"c0" * 16}", "at": 1, "fields": {{{{}}}}}}}}', answers=204),
    Row("GET", "/api/audit", frozenset((ADMIN, AUDITOR))),
    Row("GET", "/api/openapi.json", OPEN),
    Row("GET", "/api/seat", FLOOR),
    Row("POST", "/api/seat/commands", FLOOR, body='{{"type": "ready"}}'),
    Row("GET", "/api/seat/events", FLOOR),
    Row("GET", "/api/events", LEADING),
    Row("WS", "/ws/events", LEADING),
    Row("GET", "/api/contacts", FLOOR, "call_id=" + "c0" * 16, answers=404),
    Row("POST", "/api/customer", FLOOR, body='{{"call_id": "' + "c0" * 16 + '"}}', answers=404),
    Row("GET", "/api/day", FLOOR, "since=0"),
    Row("GET", "/api/webhooks/dead", frozenset((ADMIN,)), company=True),
    Row("POST", "/api/webhooks/resend", frozenset((ADMIN,)), body='{{"ids": [1]}}', company=True),
    Row("POST", "/api/seats/listen", LEADING, body='{{"seat": 1, "how": "listen"}}', answers=404),
    Row("POST", "/api/seats/state", LEADING, body='{{"seat": 1, "state": "pause"}}', answers=404),
    Row("GET", "/recordings", CHECKING),
    Row("GET", "/recordings/{call_id}", CHECKING, answers=404),
    Row("POST", "/api/seats/assign", LEADING, body='{{"seat": 1, "campaigns": []}}', answers=404),
    Row("POST", "/api/notes", LEADING, body='{{"text": "x", "campaign": "{campaign}"}}', scoped=True),
    Row("GET", "/api/campaign", LEADING, "campaign={campaign}", scoped=True),
    Row("POST", "/api/campaign/change", LEADING,
        body='{{"campaign": "{campaign}", "version": 99, "settings": {{"priority": 1}}, "why": "x"}}', scoped=True),
    Row("POST", "/api/campaign/back", LEADING,
        body='{{"campaign": "{campaign}", "version": 99, "to": 1, "why": "x"}}', scoped=True),
    Row("POST", "/api/campaign/hang-up", LEADING, body='{{"campaign": "{campaign}"}}', scoped=True),
    Row("POST", "/api/campaign/preview", LEADING, body='{{"campaign": "{campaign}", "settings": {{}}}}', scoped=True),
    Row("POST", "/api/alarms/acknowledge", LEADING, body='{{"alarm": 1}}', answers=404),
    Row("GET", "/api/why", CHECKING, "campaign={campaign}", scoped=True),
    Row("GET", "/api/messages", LOOKING, "campaign={campaign}", scoped=True),
    Row("GET", "/api/messages/said", CHECKING, f"channel=sms&address=%2B{NUMBER[1:]}", company=True),
    Row("POST", "/api/messages/said", LEADING,
        body=f'{{{{"channel": "sms", "address": "{NUMBER}", "agreed": true, "source": "form"}}}}'),
    Row("POST", "/api/messages/bounced", LEADING, body="x", answers=404),
    Row("GET", "/api/caller-ids", LOOKING, "campaign={campaign}", scoped=True),
    Row("GET", "/reports", LOOKING),
    Row("GET", "/reports/schedules", LOOKING),
    Row("POST", "/reports/schedules", LEADING | {ANALYST}, body="name={fresh}", answers=400),
    Row("POST", "/reports/schedules/do", LEADING | {ANALYST}, body="schedule=1&do=pause", answers=404),
    Row("GET", "/api/reports", LOOKING),
    Row("GET", "/api/reports/{report}", LOOKING),
    Row("GET", "/api/abandonment", LOOKING),
    Row("GET", "/api/schedules", LEADING | {ANALYST}),
    Row("POST", "/api/schedules", LEADING | {ANALYST}, body="{{}}", answers=400),
    Row("PUT", "/api/schedules/{schedule:int}", LEADING | {ANALYST}, body="{{}}", answers=400),
    Row("DELETE", "/api/schedules/{schedule:int}", LEADING | {ANALYST}, answers=404),
    Row("POST", "/api/schedules/{schedule:int}/{do}", LEADING | {ANALYST}, answers=404),
    Row("GET", "/api/best-time", LOOKING, "campaign={campaign}", scoped=True),
    Row("POST", "/api/requeue", LEADING, body='{{"campaign": "{campaign}", "list": "list"}}', scoped=True),
    Row("GET", "/api/lists", LOOKING, "campaign={campaign}", scoped=True),
    Row("POST", "/api/lists", LEADING, "campaign={campaign}&list={fresh}&dry_run=1&country=CN", "phone\n", scoped=True),
    Row("POST", "/api/lists/undo", LEADING, body='{{"campaign": "{campaign}", "list": "no such"}}', scoped=True),
    Row("GET", "/api/lists/{list_id:int}/report", LEADING, scoped=True),
    Row("GET", "/api/lists/{list_id:int}/rejects", LEADING, scoped=True),
    Row("GET", "/api/dnc", CHECKING, f"number=%2B{NUMBER[1:]}"),
    Row("POST", "/api/dnc", LEADING,
        body='{{"pattern": "+8613900000000", "layer": "campaign", "campaign": "{campaign}"}}', scoped=True),
    Row("DELETE", "/api/dnc", LEADING, body='{{"pattern": "+8613900000001"}}', company=True),
    Row("GET", "/api/consents", CHECKING, f"number=%2B{NUMBER[1:]}"),
    Row("POST", "/api/consents", LEADING, body=f'{{{{"number": "{NUMBER}", "source": "form"}}}}'),
    Row("POST", "/api/consents/withdraw", LEADING, body=f'{{{{"number": "{NUMBER}"}}}}'),
    Row("GET", "/api/evidence", CHECKING, "campaign={campaign}&from=2026-01-01&to=2026-01-02", scoped=True),
    Row("GET", "/api/person", frozenset((ADMIN,)), "customer=nobody", company=True),
)  # fmt: skip

PAST_THE_DOOR = frozenset(
    (200, 201, 303, 404, 409, 422)
)  # the route itself answered, whatever it said of the matter


@dataclass(slots=True)
class Company:
    """A running door over a company of two branches, with one of each role in the first."""

    url: str
    users: UserStore
    db: Engine
    ids: dict[Role, int]
    root: int
    lists: dict[str, int]

    def session(self, user_id: int) -> dict[str, str]:
        """Headers of a new session: a route may well end it."""
        return {"Cookie": f"zd_session={self.users.open_session(user_id, 'test')}"}

    def expired(self, user_id: int) -> dict[str, str]:
        headers = self.session(user_id)
        with self.db.begin() as connection:
            connection.execute(text("UPDATE session SET seen_at = now() - interval '13 hours'"))
        return headers


@pytest.fixture
async def company(db: Engine, tmp_path: Path) -> AsyncIterator[Company]:
    people = People(db)
    for unit, campaign in ((MINE, "mine"), (OTHER, "theirs")):
        Units(db).add(unit)
        Campaign(db, leads=1, name=campaign, more=f'unit = "{unit}"\n')
    with db.connect() as connection:
        rows = connection.execute(
            text("SELECT c.name, l.id FROM list l JOIN campaign c ON c.id = l.campaign_id")
        ).all()
    lists = dict(list(rows))
    for list_id in lists.values():
        for kind in (REPORT, REJECTS):
            (tmp_path / f"{list_id}.{kind}").write_text("{}")
    # Who leads or calls is given the campaigns they serve; who manages or looks on sees those of their unit.
    served = {AGENT: ["mine"], SUPERVISOR: ["mine"]}
    ids = {
        role: people.add("兰州分公司", role, role, role, "", "seat1", served.get(role, ())) for role in Role
    }
    root = people.add("", "root", "Root", ADMIN, "", "seat2")
    async with open_stored(db, tmp_path, SETTINGS) as (url, users):
        yield Company(url.removeprefix("http://"), users, db, ids, root, lists)


async def ask(company: Company, row: Row, headers: dict[str, str], campaign: str = "mine") -> int:
    """Ask the route about a campaign; its status, for a socket the code it is closed with, 101 when it stays open."""
    path = row.path.replace("{list_id:int}", str(company.lists.get(campaign))).replace(
        "{report}", "campaigns"
    )
    path = path.replace("{schedule:int}", "1").replace("{do}", "pause")
    if row.method == "WS":
        try:
            async with connect(
                f"ws://{company.url}{path}", additional_headers=headers, compression=None
            ) as socket:
                hello = (
                    '{"type":"hello","epoch":"","resume":0}'
                    if row.path == "/ws"
                    else '{"type":"ping","at":1}'
                )
                try:
                    await socket.send(hello)
                    await socket.recv()
                except ConnectionClosed:
                    return socket.close_code or 0
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code
    words = {"campaign": campaign, "fresh": secrets.token_hex(4)}
    url = f"http://{company.url}{path}?{row.asked.format(**words)}"
    kind = "text/csv" if path.startswith("/api") else "application/x-www-form-urlencoded"
    async with http_client(timeout=DEADLINE_S * 6) as client:
        if row.path.endswith("/events"):  # they never end
            async with client.stream("GET", url, headers=headers) as stream:
                return stream.status_code
        response = await client.request(
            row.method, url, headers=headers | {"Content-Type": kind}, content=row.body.format(**words)
        )
    if (
        response.status_code == 303
        and response.headers["location"] == "/login"
        and row.who is not OPEN
        and row.path != "/logout"
    ):
        return 401  # a page sends who is not signed in to the log-in
    return response.status_code


def let_in(row: Row, status: int) -> bool:
    if row.answers is not None:
        return status == row.answers
    return status == 101 if row.method == "WS" else status in PAST_THE_DOOR


def kept_out(row: Row, status: int, code: int) -> bool:
    return status == ({401: wire.NO_SESSION, 403: wire.NOT_ALLOWED}[code] if row.method == "WS" else code)


def test_every_route_has_a_row(db: Engine, tmp_path: Path) -> None:
    app = create_app(Bus(), StoredAccounts(UserStore(db)), SETTINGS, stored_in(db, tmp_path))
    found = set()
    for route in app.routes:
        if isinstance(route, WebSocketRoute):
            found.add(("WS", route.path))
        elif isinstance(route, Route):
            found |= {(method, route.path) for method in (route.methods or ()) if method != "HEAD"}
        else:
            assert isinstance(route, Mount) and route.path == "/static", route
    assert found == {(row.method, row.path) for row in ROWS}


def test_every_route_says_the_right_it_needs(db: Engine, tmp_path: Path) -> None:
    app = create_app(Bus(), StoredAccounts(UserStore(db)), SETTINGS, stored_in(db, tmp_path))
    rows = {(row.method, row.path): row for row in ROWS}
    for route in app.routes:
        if isinstance(route, Mount):
            continue
        assert isinstance(route, Way | SocketWay), route
        for method in getattr(route, "methods", None) or ("WS",):
            if method != "HEAD":
                assert (route.needs is None) == (rows[method, route.path].who is OPEN), route


@pytest.mark.timeout(300)
async def test_who_may_look(company: Company) -> None:
    """To look changes nothing, so all of it is asked of the same company."""
    wrong = [each for row in ROWS if row.method in ("GET", "WS") for each in await misjudged(company, row)]
    assert wrong == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.method not in ("GET", "WS")],
    ids=lambda row: f"{row.method} {row.path}",
)
async def test_who_may(company: Company, row: Row) -> None:
    assert await misjudged(company, row) == []


async def misjudged(company: Company, row: Row) -> list[str]:
    """Who was let in that may not, and who was kept out that may, each in words."""
    wrong: list[str] = []

    def expect(right: bool, who: str, status: int) -> None:
        if not right:
            wrong.append(f"{row.method} {row.path}, {who}: {status}")

    for role in Role:
        for campaign in ("mine", "theirs"):
            status = await ask(company, row, company.session(company.ids[role]), campaign)
            about = f"{role} of the branch about {campaign}"
            if row.who is not None and role not in row.who:
                expect(kept_out(row, status, 403), about, status)
            elif row.company:
                expect(status == 403, about, status)
            elif row.scoped and campaign == "theirs":
                expect(status == 404, about, status)
            else:
                expect(let_in(row, status), about, status)
                if row.scoped and "undo" not in row.path and row.method == "GET":
                    expect(status == 200, about, status)
        if row.scoped and row.who is not None and role in row.who and "{campaign}" in row.asked + row.body:
            status = await ask(company, row, company.session(company.ids[role]), "")
            # The page of plans begins with the first of their own.
            expect(
                status in (400, 404) or row.path == "/plans",
                f"{role} about a campaign without a name",
                status,
            )
    for campaign in ("mine", "theirs"):
        status = await ask(company, row, company.session(company.root), campaign)
        expect(let_in(row, status), f"the company's administrator about {campaign}", status)
    strangers = {
        "nobody": {},
        "too late": company.expired(company.root),
        "made up": {"Cookie": "zd_session=" + "x" * 43},
    }
    for who, headers in strangers.items():
        status = await ask(company, row, headers)
        if row.who is OPEN:
            expect(let_in(row, status), who, status)
        elif row.path == "/logout":
            expect(status == 303, who, status)  # to the log-in, with nothing to end
        else:
            expect(kept_out(row, status, 401), who, status)
    return wrong


@pytest.mark.timeout(120)
async def test_a_person_who_is_shut_out_or_moved_is_out_at_once(company: Company) -> None:
    why = next(row for row in ROWS if row.path == "/api/why")
    people = People(company.db)
    headers = company.session(company.ids[MANAGER])
    assert await ask(company, why, headers) == 200
    people.change(MANAGER, unit=OTHER)
    assert await ask(company, why, headers) == 401  # signed out, as their rights have changed
    headers = company.session(company.ids[MANAGER])
    assert (await ask(company, why, headers), await ask(company, why, headers, "theirs")) == (404, 200)
    people.change(MANAGER, enabled=False)
    assert await ask(company, why, headers, "theirs") == 401
