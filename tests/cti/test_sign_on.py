"""Signing on, as far as no provider is asked: what comes to nothing is slowed down by address, and is on record."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import msgspec
import pytest
from sqlalchemy import Engine

from campaigns.audit import lines
from cti.provider import Pending
from cti.settings import OidcSettings, WebSettings
from cti.sign_on import COOKIE
from cti.throttle import PER_SOURCE
from tests.cti.running import open_stored
from tests.loopback import http_client

AWAY = "http://127.0.0.1:9"  # discard: nobody listens
BACK = "/login/oidc/back"
KEPT = {
    "Cookie": f"{COOKIE}="
    + urlsafe_b64encode(msgspec.json.encode(Pending("state", "nonce", "verifier"))).decode()
}


@asynccontextmanager
async def offices(
    db: Engine, folder: Path, issuer: str = AWAY
) -> AsyncIterator[tuple[httpx2.AsyncClient, httpx2.AsyncClient]]:
    """Two browsers at one door, each from an address of its own."""
    settings = WebSettings(oidc=OidcSettings(issuer, "zhudong", f"{issuer}{BACK}"))
    here, there = (httpx2.AsyncHTTPTransport(local_address=f"127.0.0.{n}", verify=False) for n in (2, 3))
    async with (
        open_stored(db, folder, settings) as (url, _),
        http_client(base_url=url, transport=here) as one,
        http_client(base_url=url, transport=there) as other,
    ):
        yield one, other


@asynccontextmanager
async def provider() -> AsyncIterator[str]:
    """The issuer of one that is there, and says who it is."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        ways = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        body = json.dumps({"issuer": issuer} | {way: f"{issuer}/{way}" for way in ways}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        issuer = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield issuer


async def test_one_address_is_slowed_down_as_an_office_is_and_no_other_one(
    db: Engine, tmp_path: Path
) -> None:
    refused = f"{BACK}?state=state&error=invalid_request"
    async with provider() as issuer, offices(db, tmp_path, issuer) as (one, other):
        for _ in range(PER_SOURCE):
            assert (await one.get(refused, headers=KEPT)).status_code == 401
        for _ in range(PER_SOURCE):
            answer = await one.get(refused, headers=KEPT)
            assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 60
        assert (await other.get(refused, headers=KEPT)).status_code == 401
    assert len(lines(db, action="sign-on refused")) == PER_SOURCE + 1


@pytest.mark.parametrize(
    "headers", [{}, KEPT, {"Cookie": f"{COOKIE}=e30"}], ids=["nothing", "another", "no more"]
)
async def test_where_no_sign_on_was_begun_nobody_is_slowed_down_for_it(
    db: Engine, tmp_path: Path, headers: dict[str, str]
) -> None:
    """As by the pictures of a stranger's page, which an office's browsers are sent here for."""
    async with provider() as issuer, offices(db, tmp_path, issuer) as (one, _):
        for _ in range(PER_SOURCE + 1):
            assert (await one.get(f"{BACK}?code=x&state=y", headers=headers)).status_code == 401
    assert lines(db, action="sign-on refused") == []


async def test_a_provider_that_is_away_counts_against_nobody(db: Engine, tmp_path: Path) -> None:
    async with offices(db, tmp_path) as (one, _):
        for _ in range(PER_SOURCE):
            assert (await one.get(f"{BACK}?state=state&code=code", headers=KEPT)).status_code == 503
        assert (await one.get(BACK)).status_code == 401
    assert lines(db, action="sign-on refused") == []
