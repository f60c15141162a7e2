"""Signing on with a real OpenID provider: who is let in, who is not, and what a hostile peer gets for its pains."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pyotp
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import Engine, text

from campaigns import database
from campaigns.people import People
from campaigns.second_factor import SecondFactor
from campaigns.sign_on import SignOns
from campaigns.users import UserStore
from campaigns.vault import KEYS, Vault
from cti import provider as checked
from cti.accounts import StoredAccounts
from cti.app import create_app
from cti.bus import Bus
from cti.settings import OidcSettings, WebSettings
from tests.cti.fakes import ScriptedEngine
from tests.cti.running import PASSWORD, serving, stored_in
from tests.database import fresh_url
from tests.loopback import http_client
from tests.oidc.running import CLIENT, SECRET, OpenId, free_port, key, running, through

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]  # the first one starts it all


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def openid() -> AsyncIterator[OpenId]:
    async with running(free_port()) as made:
        await made.claims("s-chen", preferred_username="chen", name="陈静")
        yield made


@dataclass(slots=True)
class Floor:
    """A door that knows the provider, and a browser at it."""

    url: str
    browser: httpx2.AsyncClient
    openid: OpenId
    db: Engine

    async def begun(self) -> str:
        """The address to which a browser is sent."""
        answer = await self.browser.get(f"{self.url}/login/oidc")
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def returned(self, subject: str = "s-chen") -> str:
        """The address with which the provider sends the browser back."""
        return await through(self.browser, await self.begun(), subject, self.openid.back)

    async def visit(self, at: str) -> httpx2.Response:
        """Come back: wherever the provider thinks the door is, it is here."""
        return await self.browser.get(f"{self.url}/login/oidc/back?{urlsplit(at).query}")

    async def signed_on(self, subject: str = "s-chen") -> httpx2.Response:
        return await self.visit(await self.returned(subject))

    def audit(self) -> list[tuple[str, str, str]]:
        with self.db.connect() as connection:
            rows = connection.execute(text("SELECT action, subject, detail FROM audit ORDER BY id"))
            return [(row.action, row.subject, row.detail) for row in rows]


@pytest.fixture(scope="module")
def people() -> Iterator[Engine]:
    """One database for all: who is changed by a test is a person of its own."""
    engine = database.connect(fresh_url())
    for login in ("chen", "wang", "shut", "twice"):
        People(engine).add("", login, "陈静", "supervisor", "", language="en")
    yield engine
    engine.dispose()


@pytest_asyncio.fixture(loop_scope="module")
async def floor(people: Engine, tmp_path: Path, openid: OpenId) -> AsyncIterator[Floor]:
    async with door(people, tmp_path, openid, openid.settings()) as made:
        yield made


@asynccontextmanager
async def door(
    db: Engine, folder: Path, openid: OpenId, settings: OidcSettings, *roles: str
) -> AsyncIterator[Floor]:
    bus, accounts = Bus(), StoredAccounts(UserStore(db))
    ScriptedEngine(bus)
    app = create_app(
        bus,
        accounts,
        WebSettings(oidc=settings, second_factor=roles),
        stored_in(db, folder),
    )
    try:
        async with (
            serving(app) as port,
            http_client(trust_env=False, headers={"Accept-Language": "en"}) as browser,
        ):
            yield Floor(f"http://127.0.0.1:{port}", browser, openid, db)
    finally:
        accounts.close()


async def test_who_signs_on_is_in_as_the_user_of_that_name(floor: Floor) -> None:
    page = (await floor.browser.get(f"{floor.url}/login")).text
    assert 'href="/login/oidc"' in page and 'name="password"' in page
    answer = await floor.signed_on()
    assert (answer.status_code, answer.headers["location"]) == (303, "/status")
    assert "zd_sign_on" not in floor.browser.cookies
    assert "陈静" in (await floor.browser.get(f"{floor.url}/status")).text
    lines = floor.audit()
    assert ("sign-on bound", "chen", "") in lines and ("signed in", "chen", "") in lines


async def test_the_question_to_the_provider_has_state_nonce_and_pkce(floor: Floor) -> None:
    asked = [parse_qs(urlsplit(await floor.begun()).query) for _ in range(2)]
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[0][name][0]) >= 43 and asked[0][name] != asked[1][name]
    assert asked[0]["code_challenge_method"] == ["S256"] and asked[0]["response_type"] == ["code"]
    cookie = (await floor.browser.get(f"{floor.url}/login/oidc")).headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie


async def test_logging_out_ends_the_providers_session_too(floor: Floor) -> None:
    await floor.signed_on()
    page = await floor.browser.post(f"{floor.url}/logout")
    found = page.text.partition('content="0;url=')[2].partition('"')[0].replace("&amp;", "&")
    assert found.startswith(f"{floor.openid.issuer}/session/end?")
    assert "id_token_hint=ey" in found and "zd_session" not in floor.browser.cookies
    form = (await floor.browser.get(found)).text  # the provider asks once more, and takes us at our word
    assert "/session/end/confirm" in form


async def test_who_logs_in_by_password_logs_out_as_ever(floor: Floor) -> None:
    People(floor.db).set_password("chen", PASSWORD)
    await floor.browser.post(f"{floor.url}/login", data={"login": "chen", "password": PASSWORD})
    assert (await floor.browser.post(f"{floor.url}/logout")).headers["location"] == "/login"


async def test_whom_nobody_knows_here_is_not_let_in(floor: Floor) -> None:
    await floor.openid.claims("s-eve", preferred_username="eve")
    answer = await floor.signed_on("s-eve")
    assert answer.status_code == 401 and "Nobody may log in here" in answer.text
    assert ("sign-on refused", "eve", "nobody here has this login") in floor.audit()


async def test_a_name_that_was_given_to_somebody_else_lets_nobody_in(floor: Floor) -> None:
    for subject, name, status in (
        ("s-wang", "wang", 303),
        ("s-other", "wang", 401),  # the name is somebody else's now
        ("s-wang", "wang-chen", 303),  # and theirs another, by marriage
    ):
        await floor.openid.claims(subject, preferred_username=name)
        floor.browser.cookies.clear()
        assert (await floor.signed_on(subject)).status_code == status
    assert SignOns(floor.db).forget("wang") and not SignOns(floor.db).forget("wang")
    assert (await floor.browser.get(f"{floor.url}/status")).headers["location"] == "/login"
    floor.browser.cookies.clear()
    assert (await floor.signed_on("s-other")).status_code == 303


async def test_who_is_shut_out_stays_out(floor: Floor) -> None:
    await floor.openid.claims("s-shut", preferred_username="shut")
    await floor.signed_on("s-shut")
    People(floor.db).change("shut", enabled=False)
    floor.browser.cookies.clear()
    assert (await floor.signed_on("s-shut")).status_code == 401
    assert ("sign-on refused", "shut", "shut out") in floor.audit()


async def test_new_people_become_what_is_configured(people: Engine, tmp_path: Path, openid: OpenId) -> None:
    await openid.claims("s-li", preferred_username="li", name="李娜")
    async with door(people, tmp_path, openid, openid.settings(new_role="agent")) as floor:
        assert (await floor.signed_on("s-li")).headers["location"] == "/"
        person = next(each for each in People(people).list() if each.user.login == "li")
        assert (person.user.login, person.user.name, person.user.role) == ("li", "李娜", "agent")
        verdict = await floor.browser.post(f"{floor.url}/login", data={"login": "li", "password": ""})
        assert verdict.status_code == 401  # no password admits them
    async with door(people, tmp_path, openid, openid.settings(new_role="agent", new_unit="no such")) as floor:
        await openid.claims("s-wu", preferred_username="wu")
        assert (await floor.signed_on("s-wu")).status_code == 401


async def test_an_address_counts_once_it_is_verified(people: Engine, tmp_path: Path, openid: OpenId) -> None:
    People(people).add("", "chen@example.org", "陈静", "supervisor", "")
    by_mail = openid.settings(claim="email", scopes=("openid", "email"))
    async with door(people, tmp_path, openid, by_mail) as floor:
        for verified, status in ((False, 401), (True, 303)):
            await openid.claims("s-mail", email="chen@example.org", email_verified=verified)
            floor.browser.cookies.clear()
            assert (await floor.signed_on("s-mail")).status_code == status


async def test_ones_own_second_factor_is_asked_for(floor: Floor, tmp_path: Path) -> None:
    await floor.openid.claims("s-twice", preferred_username="twice")
    user = next(each.user_id for each in UserStore(floor.db).all() if each.login == "twice")
    factor, then = SecondFactor(floor.db, Vault(tmp_path / KEYS)), datetime.now(UTC) - timedelta(hours=1)
    secret = factor.offer(user)
    assert secret is not None and factor.take_up(user, pyotp.TOTP(secret).at(then), then)
    assert (await floor.signed_on("s-twice")).headers["location"] == "/login/code"
    assert (await floor.browser.get(f"{floor.url}/status")).headers["location"] == "/login"
    await floor.browser.post(f"{floor.url}/login/code", data={"code": pyotp.TOTP(secret).now()})
    assert "end?" in (await floor.browser.post(f"{floor.url}/logout")).text  # it is still theirs by sign-on


async def test_a_second_factor_that_the_provider_asked_for_is_enough(
    people: Engine, tmp_path: Path, openid: OpenId
) -> None:
    async with door(people, tmp_path, openid, openid.settings(), "supervisor") as floor:
        for amr, leads in ((["pwd"], "/login/enrol"), (["pwd", "mfa"], "/status"), ("mfa", None)):
            floor.browser.cookies.clear()
            answer = await floor.visit(await tampered(floor, amr=amr))
            assert answer.headers.get("location") == leads


# --- hostile peers ------------------------------------------------------------------------------------------------


async def tampered(floor: Floor, without: str = "", **claims: object) -> str:
    """The address to come back with, where the exchange will give a token with these claims, rightly signed."""
    asked = await floor.begun()
    now = int(time.time())
    whole = {
        "iss": floor.openid.issuer,
        "sub": "s-chen",
        "aud": CLIENT,
        "iat": now,
        "exp": now + 300,
        "nonce": parse_qs(urlsplit(asked).query)["nonce"][0],
        "preferred_username": "chen",
    }
    made = {name: value for name, value in (whole | claims).items() if name != without}
    await floor.openid.say("token", floor.openid.signed(made))
    return await through(floor.browser, asked, "s-chen", floor.openid.back)


async def test_the_tests_own_token_is_good_when_nothing_is_wrong_with_it(floor: Floor) -> None:
    assert (await floor.visit(await tampered(floor))).status_code == 303


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://evil.example"},
        {"aud": "another client"},
        {"aud": [CLIENT, "another client"]},  # and no azp
        {"aud": [CLIENT, "another client"], "azp": "another client"},
        {"nonce": "of another sign-on"},
        {"exp": 1_700_000_000},
        {"iat": 4_000_000_000},
        {"nbf": 4_000_000_000},
        {"at_hash": "of another access token"},
        {"sub": ""},
        {"sub": 7},
        {"without": "nonce"},
        {"without": "exp"},
        {"without": "aud"},
        {"without": "iss"},
        {"without": "sub"},
    ],
    ids=str,
)
async def test_a_token_with_a_wrong_claim_lets_nobody_in(floor: Floor, wrong: dict[str, object]) -> None:
    answer = await floor.visit(await tampered(floor, **wrong))  # type: ignore[arg-type]
    assert answer.status_code == 401 and "zd_session" not in floor.browser.cookies
    assert floor.audit()[-1][0] == "sign-on refused"


@pytest.mark.parametrize("how", ["another key", "none", "the client's secret", "cut", "no token at all"])
async def test_a_token_that_the_provider_did_not_sign_lets_nobody_in(floor: Floor, how: str) -> None:
    at = await tampered(floor)
    claims = {"iss": floor.openid.issuer, "sub": "s-chen", "aud": CLIENT, "iat": int(time.time())}
    claims |= {"exp": int(time.time()) + 300, "preferred_username": "chen"}
    kid = floor.openid.key.kid
    forged = {
        "another key": lambda: jwt.encode({"alg": "RS256", "kid": kid}, claims, key("first")),
        "none": lambda: jwt.encode({"alg": "none"}, claims, OctKey.generate_key(), algorithms=["none"]),
        "the client's secret": lambda: jwt.encode(
            {"alg": "HS256", "kid": kid}, claims, OctKey.import_key(SECRET)
        ),
        "cut": lambda: floor.openid.signed(claims)[:-8],
        "no token at all": lambda: ["not", "a", "token"],
    }
    await floor.openid.say("token", forged[how]())
    assert (await floor.visit(at)).status_code == 401 and "zd_session" not in floor.browser.cookies


async def test_a_wrong_state_asks_nothing_of_the_provider(floor: Floor) -> None:
    at = await floor.returned()
    query = parse_qs(urlsplit(at).query)
    forged = urlencode({"code": query["code"][0], "state": "x" * 43, "iss": floor.openid.issuer})
    assert (await floor.visit(f"{floor.openid.back}?{forged}")).status_code == 401
    assert (await floor.visit(at)).status_code == 401  # what the browser kept was good once
    for odd in ("", "state=&code=a", "state=a&state=a", "code=" + "a" * 9_000, "error=access_denied"):
        assert (await floor.visit(f"{floor.openid.back}?{odd}")).status_code == 401


async def test_a_code_is_good_in_the_browser_that_asked_and_once(floor: Floor) -> None:
    at, kept = await floor.returned(), floor.browser.cookies["zd_sign_on"]
    async with http_client(trust_env=False) as other:  # a stolen address
        stolen = await other.get(f"{floor.url}/login/oidc/back?{urlsplit(at).query}")
        assert stolen.status_code == 401
        await other.get(f"{floor.url}/login/oidc")
        assert (await other.get(f"{floor.url}/login/oidc/back?{urlsplit(at).query}")).status_code == 401
    assert (await floor.visit(at)).status_code == 303
    floor.browser.cookies.clear()
    floor.browser.cookies["zd_sign_on"] = kept  # all of it once more
    assert (await floor.visit(at)).status_code == 401


async def test_an_answer_of_another_issuer_is_none(floor: Floor) -> None:
    at = await floor.returned()
    query = {name: values[0] for name, values in parse_qs(urlsplit(at).query).items()}
    assert query["iss"] == floor.openid.issuer
    for issuer in ("https://evil.example", ""):
        answer = await floor.visit(f"{floor.openid.back}?{urlencode(query | {'iss': issuer})}")
        assert answer.status_code == 401


async def test_no_address_in_the_request_leads_anywhere(floor: Floor) -> None:
    ways = "&".join(f"{name}=https://evil.example" for name in ("next", "redirect_uri", "return_to", "url"))
    asked = (await floor.browser.get(f"{floor.url}/login/oidc?{ways}")).headers["location"]
    assert asked.startswith(f"{floor.openid.issuer}/auth?") and "evil" not in asked
    at = await through(floor.browser, asked, "s-chen", floor.openid.back)
    assert (await floor.visit(f"{at}&{ways}")).headers["location"] == "/status"


async def test_a_new_key_of_the_provider_is_fetched(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "KEYS_AGAIN_S", 0.0)
    await floor.signed_on()
    await floor.openid.new_key("second")
    floor.browser.cookies.clear()
    assert (await floor.signed_on()).status_code == 303


async def test_keys_nobody_knows_do_not_have_us_ask_and_ask(floor: Floor) -> None:
    await floor.signed_on()
    await floor.openid.new_key("third")
    floor.browser.cookies.clear()
    assert (await floor.signed_on()).status_code == 401  # within ten seconds of the last time


@pytest.mark.parametrize("how", ["wrong issuer", "away", "endless", "http", "not json"])
async def test_a_provider_that_is_not_as_it_should_be_is_told_of(
    people: Engine, tmp_path: Path, openid: OpenId, how: str
) -> None:
    async with hostile(how) as port:
        issuer = (
            openid.issuer.replace("127.0.0.1", "localhost")
            if how == "wrong issuer"
            else f"http://127.0.0.1:{port}"
        )
        async with door(people, tmp_path, openid, replace(openid.settings(), issuer=issuer)) as floor:
            answer = await floor.browser.get(f"{floor.url}/login/oidc")
            assert answer.status_code == 503 and "can&#39;t be reached" in answer.text
            assert 'name="password"' in answer.text  # the other way in


@asynccontextmanager
async def hostile(how: str) -> AsyncIterator[int]:
    """A port where something answers as it likes; or, `away`, nothing."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = (await reader.readuntil(b"\r\n\r\n")).partition(b"Host: ")[2].partition(b"\r\n")[0].decode()
        at = f"http://{host}"
        body = {
            "http": f'{{"issuer": "{at}", "authorization_endpoint": "http://10.9.8.7/", "token_endpoint": "{at}/t",'
            f' "jwks_uri": "{at}/k"}}',
            "not json": "<html>",
        }.get(how, "")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body.encode())
        try:
            while how == "endless":
                writer.write(b" " * 65_536)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    if how in ("away", "wrong issuer"):
        with socket.socket() as held:  # bound, and nobody listens
            held.bind(("127.0.0.1", 0))
            yield held.getsockname()[1]
        return
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
