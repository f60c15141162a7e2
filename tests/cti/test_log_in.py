"""Log-in: the cookie, wrong passwords, throttling, requests from foreign sites, languages, who may see what."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from http.cookies import Morsel, SimpleCookie
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine

from campaigns.passwords import LONGEST
from cti.app import STATIC
from cti.entry import Way
from cti.front import templates
from cti.settings import WebSettings
from cti.throttle import PER_PAIR, PER_SOURCE
from tests.cti.running import ADMIN, AGENT, PASSWORD, SUPERVISOR, Door, open_door, stored_in, until
from tests.loopback import http_client

RIGHT = {"login": AGENT.login, "password": PASSWORD}
WRONG = {"login": AGENT.login, "password": "guess"}


def session_cookie(response: httpx2.Response) -> Morsel[str]:
    cookies = SimpleCookie()
    for header in response.headers.get_list("set-cookie"):
        cookies.load(header)
    return cookies["zd_session"]


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with open_door() as opened:
        yield opened


@pytest.fixture
async def browser(door: Door) -> AsyncIterator[httpx2.AsyncClient]:
    async with http_client(base_url=door.url, headers={"Accept-Language": "en"}) as client:
        yield client


async def test_the_right_password_opens_a_session(browser: httpx2.AsyncClient) -> None:
    assert (await browser.get("/")).headers["location"] == "/login"
    response = await browser.post("/login", data=RIGHT)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    page = await browser.get("/")
    assert page.status_code == 200
    assert AGENT.name in page.text


async def test_the_session_cookie_can_not_be_read_or_sent_along(browser: httpx2.AsyncClient) -> None:
    response = await browser.post("/login", data=RIGHT)
    morsel = session_cookie(response)
    assert morsel["httponly"]
    assert morsel["samesite"].lower() == "lax"
    assert len(morsel.value) >= 43  # 256 bits


async def test_behind_https_the_cookie_is_secure() -> None:
    async with (
        open_door(WebSettings(secure_cookie=True)) as door,
        http_client(base_url=door.url) as browser,
    ):
        response = await browser.post("/login", data=RIGHT)
        assert session_cookie(response)["secure"]


async def test_each_log_in_gets_a_new_session_and_the_old_one_is_over(
    browser: httpx2.AsyncClient, door: Door
) -> None:
    await browser.post("/login", data=RIGHT)
    first = browser.cookies["zd_session"]
    await browser.post("/login", data=RIGHT)
    assert browser.cookies["zd_session"] != first
    assert first not in door.accounts.sessions


@pytest.mark.parametrize("form", [WRONG, {"login": "nobody", "password": "x"}, {"login": "", "password": ""}])
async def test_a_wrong_password_and_an_unknown_user_look_alike(
    browser: httpx2.AsyncClient, form: dict[str, str]
) -> None:
    response = await browser.post("/login", data=form)
    assert response.status_code == 401
    assert "Login or password is wrong." in response.text
    assert "zd_session" not in response.cookies


async def test_guessing_is_slowed_down_for_that_name_only(browser: httpx2.AsyncClient) -> None:
    for _ in range(PER_PAIR):
        assert (await browser.post("/login", data=WRONG)).status_code == 401
    response = await browser.post("/login", data=RIGHT)
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) > 60
    other = await browser.post("/login", data={"login": SUPERVISOR.login, "password": PASSWORD})
    assert other.status_code == 303


async def test_a_log_in_without_a_name_lifts_no_limit_of_its_address(browser: httpx2.AsyncClient) -> None:
    assert (await browser.post("/login", data={"login": " ", "password": "x"})).status_code == 401
    for n in range(PER_SOURCE):
        assert (await browser.post("/login", data={"login": f"user{n}", "password": "x"})).status_code == 401
    assert (await browser.post("/login", data=RIGHT)).status_code == 429


async def test_guesses_that_come_at_once_are_no_more_than_one_after_the_other(
    browser: httpx2.AsyncClient, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked, known = list[str](), asyncio.Event()

    async def verify(login: str, password: str, source: str = "") -> None:
        checked.append(password)
        await known.wait()

    monkeypatch.setattr(door.accounts, "verify", verify)
    guesses = [asyncio.create_task(browser.post("/login", data=WRONG)) for _ in range(3 * PER_PAIR)]
    await until(lambda: len(checked) + sum(each.done() for each in guesses) == len(guesses))
    known.set()
    statuses = [(await each).status_code for each in guesses]
    assert (statuses.count(401), statuses.count(429)) == (PER_PAIR, 2 * PER_PAIR)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"},
    ],
)
@pytest.mark.parametrize("path", ["/login", "/logout", "/language"])
async def test_a_foreign_site_can_not_post(
    browser: httpx2.AsyncClient, path: str, headers: dict[str, str]
) -> None:
    response = await browser.post(path, data=RIGHT, headers=headers)
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


async def test_our_own_pages_can(browser: httpx2.AsyncClient, door: Door) -> None:
    for headers in ({"Sec-Fetch-Site": "same-origin", "Origin": door.url}, {"Origin": door.url}):
        assert (await browser.post("/login", data=RIGHT, headers=headers)).status_code == 303


async def test_logging_out_ends_the_session(browser: httpx2.AsyncClient, door: Door) -> None:
    await browser.post("/login", data=RIGHT)
    token = browser.cookies["zd_session"]
    await browser.post("/logout")
    assert token not in door.accounts.sessions
    assert (await browser.get("/", headers={"Cookie": f"zd_session={token}"})).headers["location"] == "/login"


async def test_a_phone_is_chosen_at_log_in(browser: httpx2.AsyncClient) -> None:
    await browser.post("/login", data=RIGHT | {"phone": "desk-12"})
    assert 'data-phone="desk-12"' in (await browser.get("/")).text


@pytest.mark.parametrize("phone", ["a b", "x@evil", "a\r\nAction: Logoff", "&PJSIP/other", "-x", "a" * 65])
async def test_a_phone_that_is_no_endpoints_name_is_refused(browser: httpx2.AsyncClient, phone: str) -> None:
    response = await browser.post("/login", data=RIGHT | {"phone": phone})
    assert response.status_code == 400
    assert "zd_session" not in response.cookies


async def test_a_form_that_no_page_of_ours_sends_is_refused(browser: httpx2.AsyncClient) -> None:
    assert (await browser.post("/login", content=b"x" * 10_000)).status_code == 413
    assert (await browser.post("/login", content=b"\xff=1")).status_code == 400
    assert (await browser.post("/login", content=b"&".join([b"a=1"] * 50))).status_code == 400


async def test_agents_do_not_see_the_status_page_and_supervisors_land_there(
    browser: httpx2.AsyncClient,
) -> None:
    assert (await browser.get("/status")).headers["location"] == "/login"
    await browser.post("/login", data=RIGHT)
    assert (await browser.get("/status")).status_code == 403
    response = await browser.post("/login", data={"login": SUPERVISOR.login, "password": PASSWORD})
    assert response.headers["location"] == "/status"
    assert (await browser.get("/status")).status_code == 200


async def test_every_answer_carries_the_security_headers(browser: httpx2.AsyncClient) -> None:
    for path in ("/login", "/healthz", "/nothing", "/static/agent.js"):
        headers = (await browser.get(path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


async def test_the_language_follows_the_browser_until_it_is_chosen(browser: httpx2.AsyncClient) -> None:
    for accept, tag in (
        ("zh-TW,zh;q=0.9,en;q=0.1", "zh-CN"),
        ("en-US", "en"),
        ("fr, en;q=0.5", "en"),
        ("fr", "zh-CN"),
    ):
        page = await browser.get("/login", headers={"Accept-Language": accept})
        assert f'<html lang="{tag}">' in page.text
    await browser.post("/language", data={"language": "zh", "back": "/login"})
    assert '<html lang="zh-CN">' in (await browser.get("/login")).text


async def test_the_way_back_from_the_language_form_stays_here(browser: httpx2.AsyncClient) -> None:
    response = await browser.post("/language", data={"language": "zh", "back": "//evil.example/"})
    assert response.headers["location"] == "/"


@pytest.mark.parametrize(
    ("back", "page"),
    [
        ("/account/password", "/account"),  # where what was wrong with the form is said
        ("/account/tokens/revoke", "/account/tokens"),
        ("/nothing/there", "/"),
        ("https://evil.example/status", "/"),
        ("", "/"),
        (f"{'/a' * 900}", "/"),
    ],
)
async def test_the_language_is_chosen_where_a_form_was_sent_to(
    db: Engine, tmp_path: Path, back: str, page: str
) -> None:
    async with open_door(stored=stored_in(db, tmp_path)) as door, http_client(base_url=door.url) as browser:
        response = await browser.post("/language", data={"language": "zh", "back": back})
        assert response.headers["location"] == page


async def test_who_chooses_the_language_stays_on_the_page(db: Engine, tmp_path: Path) -> None:
    async with open_door(stored=stored_in(db, tmp_path)) as door, http_client(base_url=door.url) as browser:
        await browser.post("/login", data={"login": ADMIN.login, "password": PASSWORD})
        asked = {
            way.path for way in door.app.routes
            if isinstance(way, Way) and "GET" in (way.methods or ()) and not way.path.startswith("/api/")
        }  # fmt: skip
        chosen = {}
        for path in sorted(asked):
            if back := re.findall(r'name="back" value="([^"]*)"', (await browser.get(path)).text):
                answer = await browser.post("/language", data={"language": "en", "back": back[0]})
                chosen[path] = answer.headers["location"]
        assert chosen == {path: path for path in chosen}
        assert chosen.keys() >= {"/status", "/campaigns", "/plans", "/reports/schedules", "/people"}


async def test_names_are_shown_as_text(browser: httpx2.AsyncClient) -> None:
    response = await browser.post("/login", data={"login": '"><script>alert(1)</script>', "password": "x"})
    assert "<script>alert" not in response.text


async def test_health_tells_whether_the_engine_is_there(browser: httpx2.AsyncClient) -> None:
    response = await browser.get("/healthz")
    assert (response.status_code, response.json()["engine"]) == (200, True)


async def test_ready_says_what_is_missing(browser: httpx2.AsyncClient, door: Door) -> None:
    response = await browser.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"ok": True, "engine": True})
    door.bus.serve(door.engine.answer, lambda: {"database": True, "switch": False, "dialing": True})
    response = await browser.get("/readyz")
    assert response.status_code == 503
    told = {"ok": False, "engine": True, "database": True, "switch": False, "dialing": True}
    assert response.json() == told


def test_each_field_takes_as_long_a_password_as_there_may_be() -> None:
    """A browser cuts off what is longer, and says nothing of it."""
    found = {}
    for path in (STATIC.parent / "templates").glob("*.html"):
        source = path.read_text("utf-8")
        for field in re.findall(r'<input[^>]*type="password"[^>]*>', source):
            made = templates.from_string(re.sub(r"{%.*?%}", "", field)).render(longest_password=LONGEST)
            found[path.name, made] = re.findall(r'maxlength="(\d+)"', made)
    assert {name for name, _ in found} >= {"login.html", "people.html", "account.html"}
    assert all(longest == [str(LONGEST)] for longest in found.values()), found
