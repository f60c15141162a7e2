"""One's own account: the password changed, sessions seen and ended, and no form of ours sent by a foreign page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine
from starlette.routing import Route

from campaigns.passwords import WeakPassword, hashed
from campaigns.people import People
from campaigns.users import UserStore
from cti.accounts import StoredAccounts
from cti.app import create_app
from cti.bus import Bus
from cti.guard import SAFE_METHODS
from cti.settings import WebSettings
from cti.throttle import PER_PAIR
from tests.cti.running import open_stored, stored_in
from tests.loopback import http_client

OLD, NEW = "correct horse", "battery staple 7"


@pytest.fixture
async def url(db: Engine, tmp_path: Path) -> AsyncIterator[str]:
    people = People(db)
    people.add("", "lina", "李娜", "agent", OLD, "seat001", ["spring"], "en")
    people.add("", "tom", "Tom", "agent", OLD)
    async with open_stored(db, tmp_path) as (at, _):
        yield at


async def browser(
    url: str, password: str = OLD, name: str = "Firefox", login: str = "lina"
) -> httpx2.AsyncClient:
    """A browser in which somebody has logged in."""
    client = http_client(base_url=url, headers={"User-Agent": name})
    response = await client.post("/login", data={"login": login, "password": password})
    assert response.status_code == 303, response.text
    return client


def change(old: str = OLD, new: str = NEW, again: str | None = None) -> dict[str, str]:
    return {"old": old, "new": new, "again": new if again is None else again}


async def test_a_new_password_ends_every_session_but_this_which_is_another_then(url: str) -> None:
    here, there = await browser(url), await browser(url)
    before = here.cookies["zd_session"]
    response = await here.post("/account/password", data=change())
    assert (response.status_code, response.headers["location"]) == (303, "/account?done=password")
    assert here.cookies["zd_session"] != before
    assert "signed out everywhere else" in (await here.get("/account?done=password")).text
    assert (await there.get("/account")).headers["location"] == "/login"
    stolen = await here.get("/account", headers={"Cookie": f"zd_session={before}"})
    assert stolen.headers["location"] == "/login"
    await browser(url, NEW)


@pytest.mark.parametrize(
    ("form", "says"),
    [
        (change(old="wrong"), "present password is wrong"),
        (change(again="other"), "differ"),
        (change(new="short"), "too short"),
        (change(new="x" * 257), "too long"),
        (change(new="password1234"), "easily guessed"),
        (change(new="lina lina lina"), "easily guessed"),
    ],
)
async def test_a_password_is_not_changed_for_a_bad_one(url: str, form: dict[str, str], says: str) -> None:
    here = await browser(url)
    response = await here.post("/account/password", data=form)
    assert response.status_code == 400 and says in response.text
    await browser(url)  # the old one still holds


async def test_a_session_left_open_is_no_good_for_guessing(url: str) -> None:
    here = await browser(url)
    for _ in range(PER_PAIR):
        assert "is wrong" in (await here.post("/account/password", data=change(old="guess"))).text
    assert "Too many" in (await here.post("/account/password", data=change())).text


async def test_sessions_are_listed_and_one_is_ended(url: str, db: Engine) -> None:
    here, there = await browser(url), await browser(url, name="Edge on <b>Windows</b>")
    page = (await here.get("/account")).text
    assert "127.0.0.1" in page and "Firefox" in page and "Edge on &lt;b&gt;" in page
    [other] = [each for each in UserStore(db).sessions(1, here.cookies["zd_session"]) if not each.this]
    stranger = await browser(url, login="tom")
    await stranger.post("/account/sessions", data={"session": str(other.session_id)})
    assert (await there.get("/account")).status_code == 200  # not theirs to end
    await here.post("/account/sessions", data={"session": str(other.session_id)})
    assert (await there.get("/account")).headers["location"] == "/login"
    assert (await here.get("/account")).status_code == 200
    for odd in ("", "x", "-1", "9" * 30, "²"):
        assert (await here.post("/account/sessions", data={"session": odd})).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=str,
)
async def test_no_changing_route_is_open_to_a_foreign_page(
    url: str, db: Engine, tmp_path: Path, headers: dict[str, str]
) -> None:
    """A browser can't send a request to us from elsewhere without saying so in one of these two headers."""
    app = create_app(Bus(), StoredAccounts(UserStore(db)), stored=stored_in(db, tmp_path))
    here = await browser(url)
    asked = 0
    for route in app.routes:
        for method in getattr(route, "methods", None) or ():
            if isinstance(route, Route) and method not in SAFE_METHODS:
                response = await here.request(method, route.path.replace("{id:int}", "1"), headers=headers)
                assert (response.status_code, response.text) == (403, "cross-origin request refused"), (
                    route.path
                )
                asked += 1
    assert asked >= 10
    assert (await here.get("/account")).status_code == 200  # nobody was logged out by it


async def test_over_tls_the_cookie_goes_over_tls_alone(db: Engine, tmp_path: Path) -> None:
    People(db).add("", "lina", "李娜", "agent", OLD)
    settings = WebSettings(trusted_proxies=("127.0.0.1",))
    async with open_stored(db, tmp_path, settings) as (url, _), http_client(base_url=url) as client:
        form = {"login": "lina", "password": OLD}
        for scheme, secure in (("https", True), ("http", False)):
            response = await client.post("/login", data=form, headers={"X-Forwarded-Proto": scheme})
            cookie = response.headers["set-cookie"].lower()
            assert "httponly" in cookie and "samesite=lax" in cookie and ("secure" in cookie) == secure


@pytest.mark.parametrize(
    "password", ["", "elevenchars", "aaaaaaaaaaaa", "123456789012", "qwertyuiop12", "Lina Wang 1234"]
)
def test_passwords_that_are_not_taken(password: str) -> None:
    with pytest.raises(WeakPassword):
        hashed(password, "lina", "Lina Wang")


@pytest.mark.parametrize(
    "password", [OLD, NEW, "马上 电池 订书钉 绿豆", "k" * 3 + "Tz81!qpv0" + "m" * 3, "x9" * 3 + "f8Kq2v" * 20]
)
def test_passwords_that_are(password: str) -> None:
    assert hashed(password, "lina", "Lina Wang").startswith("$argon2id$")
