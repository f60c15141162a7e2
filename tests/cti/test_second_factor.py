"""The second factor: set up, asked for, good once, given up with recovery codes, and of no use without the password."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pyotp
import pytest
from sqlalchemy import Engine, text

from campaigns.people import People
from campaigns.second_factor import STEP_S, SecondFactor, reseal, seal_plain
from campaigns.users import UserStore
from campaigns.vault import KEYS, Vault, VaultError
from cti.settings import WebSettings
from cti.throttle import PER_PAIR
from tests.cti.running import open_stored
from tests.loopback import http_client

PASSWORD = "correct horse"
RIGHT = {"login": "chen", "password": PASSWORD}
NOW = datetime(2026, 11, 24, 4, 0, 10, tzinfo=UTC)


@pytest.fixture
def user_id(db: Engine) -> int:
    return People(db).add("", "chen", "陈静", "supervisor", PASSWORD, language="en")


@asynccontextmanager
async def browser(db: Engine, folder: Path, *roles: str) -> AsyncIterator[httpx2.AsyncClient]:
    settings = WebSettings(second_factor=roles)
    async with open_stored(db, folder, settings) as (url, _), http_client(base_url=url) as client:
        yield client


def turned_on(db: Engine, folder: Path, user_id: int) -> tuple[pyotp.TOTP, list[str]]:
    """A phone with the secret, an hour ago, and the recovery codes."""
    factor, then = SecondFactor(db, Vault(folder / KEYS)), datetime.now(UTC) - timedelta(hours=1)
    secret = factor.offer(user_id)
    assert secret is not None
    phone = pyotp.TOTP(secret)
    codes = factor.take_up(user_id, phone.at(then), then)
    assert codes is not None
    return phone, list(codes)


async def test_it_is_set_up_with_a_picture_and_asked_for_from_then_on(
    db: Engine, tmp_path: Path, user_id: int
) -> None:
    async with browser(db, tmp_path) as client:
        await client.post("/login", data=RIGHT)
        page = (await client.get("/account/factor")).text
        assert 'src="data:image/svg+xml' in page
        found = re.search(r'class="secret">([A-Z2-7 ]+)<', page)
        assert found is not None
        phone = pyotp.TOTP(found[1].replace(" ", ""))
        wrong = await client.post(
            "/account/factor", data={"code": "000000" if phone.now() != "000000" else "1"}
        )
        assert (
            wrong.status_code == 400 and found[1] in wrong.text
        )  # the same secret: the phone has it already
        done = await client.post("/account/factor", data={"code": phone.now()})
        codes = re.findall(r"<li><code>([0-9a-f-]+)</code>", done.text)
        assert len(set(codes)) == 10
        await client.post("/logout")
        response = await client.post("/login", data=RIGHT)
        assert response.headers["location"] == "/login/code"
        assert (await client.get("/status")).headers["location"] == "/login"  # not in yet
        assert (await client.get("/api/lists")).status_code == 401
        before = client.cookies["zd_session"]
        assert (await client.post("/login/code", data={"code": codes[0]})).headers["location"] == "/status"
        assert client.cookies["zd_session"] != before and (await client.get("/status")).status_code == 200
        assert phone.secret not in (await client.get("/account/factor")).text


async def test_a_code_is_good_once_and_a_wrong_one_never(db: Engine, tmp_path: Path, user_id: int) -> None:
    phone, codes = turned_on(db, tmp_path, user_id)
    async with browser(db, tmp_path) as client:
        for code, lets_in in ((phone.now(), True), (phone.now(), False), (codes[0], True), (codes[0], False)):
            await client.post("/login", data=RIGHT)
            response = await client.post("/login/code", data={"code": code})
            assert (response.status_code == 303) == lets_in
            assert lets_in or "is not good" in response.text


async def test_codes_can_not_be_guessed(db: Engine, tmp_path: Path, user_id: int) -> None:
    phone, _ = turned_on(db, tmp_path, user_id)
    async with browser(db, tmp_path) as client:
        await client.post("/login", data=RIGHT)
        for _ in range(PER_PAIR):
            assert (await client.post("/login/code", data={"code": "000 000x"})).status_code == 400
        assert "Too many" in (await client.post("/login/code", data={"code": phone.now()})).text


async def test_who_must_have_one_sets_it_up_before_anything_else(
    db: Engine, tmp_path: Path, user_id: int
) -> None:
    async with browser(db, tmp_path, "supervisor") as client:
        assert (await client.post("/login", data=RIGHT)).headers["location"] == "/login/enrol"
        assert (await client.get("/status")).headers["location"] == "/login"
        assert (await client.get("/login/code")).headers["location"] == "/login"
        secret = SecondFactor(db, Vault(tmp_path / KEYS)).offer(user_id)
        assert secret is not None
        await client.get("/login/enrol")
        done = await client.post("/login/enrol", data={"code": pyotp.TOTP(secret).now()})
        assert "Your recovery codes" in done.text and (await client.get("/status")).status_code == 200


async def test_nobody_gets_to_the_code_without_the_password(db: Engine, tmp_path: Path, user_id: int) -> None:
    phone, _ = turned_on(db, tmp_path, user_id)
    async with browser(db, tmp_path) as client:
        for path in ("/login/code", "/login/enrol"):
            assert (await client.post(path, data={"code": phone.now()})).headers["location"] == "/login"
            assert (await client.get(path)).headers["location"] == "/login"


async def test_it_is_turned_off_with_a_code_and_that_signs_out(
    db: Engine, tmp_path: Path, user_id: int
) -> None:
    _, codes = turned_on(db, tmp_path, user_id)
    async with browser(db, tmp_path) as client:
        await client.post("/login", data=RIGHT)
        await client.post("/login/code", data={"code": codes[0]})
        assert (await client.post("/account/factor/off", data={"code": "1"})).status_code == 400
        assert (await client.post("/account/factor/off", data={"code": codes[1]})).headers[
            "location"
        ] == "/login"
        assert (await client.get("/account")).headers["location"] == "/login"
        assert (await client.post("/login", data=RIGHT)).headers["location"] == "/status"


def test_codes_around_now_are_taken_and_none_that_is_older_than_the_last(
    db: Engine, tmp_path: Path, user_id: int
) -> None:
    factor = SecondFactor(db, Vault(tmp_path / KEYS))
    secret = factor.offer(user_id)
    assert secret is not None and factor.offer(user_id) == secret
    phone = pyotp.TOTP(secret)
    assert factor.take_up(user_id, phone.at(NOW), NOW) is not None
    assert factor.offer(user_id) is None and factor.take_up(user_id, phone.at(NOW), NOW) is None
    assert not factor.check(user_id, phone.at(NOW), NOW)  # it was used to set it up
    step = timedelta(seconds=STEP_S)
    later = NOW + 10 * step
    assert not factor.check(user_id, phone.at(later + 2 * step), later)
    assert not factor.check(user_id, phone.at(later - 2 * step), later)
    assert factor.check(user_id, phone.at(later + step), later)  # a clock that is fast
    assert not factor.check(user_id, phone.at(later), later)  # older than the last one
    for odd in ("", "12345", "1234567", "١٢٣٤٥٦", "abcdef", "x" * 64):
        assert not factor.check(user_id, odd, later)


def test_a_session_that_waits_for_a_code_does_so_for_ten_minutes(db: Engine, user_id: int) -> None:
    users = UserStore(db)
    token = users.open_session(user_id, "test", waits_for="code")
    assert users.session(token) is None and users.waiting(token, "enrolment") is None
    assert users.waiting(token, "code") is not None and users.sessions(user_id, token) == []
    with db.begin() as connection:
        connection.execute(text("UPDATE session SET opened_at = opened_at - interval '11 minutes'"))
    assert users.waiting(token, "code") is None


# --- how it is kept -----------------------------------------------------------------------------------------------


def kept(db: Engine) -> str:
    with db.connect() as connection:
        return connection.execute(text("SELECT totp_secret FROM app_user WHERE login = 'chen'")).scalar_one()


def test_who_reads_the_database_has_no_secret(db: Engine, tmp_path: Path, user_id: int) -> None:
    phone, _ = turned_on(db, tmp_path, user_id)
    vault = Vault(tmp_path / KEYS)
    assert phone.secret not in kept(db) and kept(db).startswith("v1:")
    with pytest.raises(VaultError, match="no key of"):  # nor is it anybody else's
        vault.open(kept(db), "the second factor of user 2")
    assert (tmp_path / KEYS).stat().st_mode & 0o777 == 0o600


def test_secrets_of_before_there_were_keys_are_sealed_at_the_start(
    db: Engine, tmp_path: Path, user_id: int
) -> None:
    phone = pyotp.TOTP(pyotp.random_base32())
    with db.begin() as connection:
        connection.execute(text("UPDATE app_user SET totp_secret = :secret"), {"secret": phone.secret})
    vault = Vault(tmp_path / KEYS)
    assert seal_plain(db, vault) == 0 and phone.secret not in kept(db)
    sealed = kept(db)
    assert seal_plain(db, vault) == 0 and kept(db) == sealed  # once
    assert SecondFactor(db, vault).check(user_id, phone.at(NOW), NOW)


def test_a_new_key_takes_over_while_the_daemon_runs(db: Engine, tmp_path: Path, user_id: int) -> None:
    phone, _ = turned_on(db, tmp_path, user_id)
    daemons, commands, before = Vault(tmp_path / KEYS), Vault(tmp_path / KEYS), kept(db)
    now = datetime.now(UTC)
    commands.add_key()
    assert SecondFactor(db, daemons).check(user_id, phone.at(now), now)  # by the older of two
    assert reseal(db, commands) == 0
    commands.drop_old_keys()
    later = now + timedelta(minutes=2)
    assert SecondFactor(db, daemons).check(user_id, phone.at(later), later)
    with pytest.raises(VaultError):
        daemons.open(before, f"the second factor of user {user_id}")


def test_without_its_keys_only_recovery_codes_are_good(db: Engine, tmp_path: Path, user_id: int) -> None:
    phone, codes = turned_on(db, tmp_path, user_id)
    (tmp_path / KEYS).unlink()
    vault, now = Vault(tmp_path / KEYS), datetime.now(UTC)
    factor = SecondFactor(db, vault)
    assert seal_plain(db, vault) == 1 and reseal(db, vault) == 1
    assert not factor.check(user_id, phone.at(now), now) and factor.check(user_id, codes[0], now)


def test_keys_that_can_not_be_used_are_told_of(tmp_path: Path) -> None:
    def refused(says: str, path: Path) -> None:
        with pytest.raises(VaultError, match=says):
            Vault(path)

    file = tmp_path / KEYS
    Vault(file)
    refused("can't be made", file / "below a file" / KEYS)
    file.chmod(0o640)
    refused("open to others", file)
    file.chmod(0o600)
    for odd in ("", "c2hvcnQ=\n", "no base64!\n"):
        file.write_text(odd)
        refused("holds no keys", file)
    file.unlink()
    file.mkdir()
    refused("can't be read", file)
