"""Signing on, as far as no provider is asked: what comes to nothing is slowed down by address, and is on record."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import msgspec
from sqlalchemy import Engine

from campaigns.audit import lines
from cti.provider import Pending
from cti.settings import OidcSettings, WebSettings
from cti.sign_on import COOKIE
from cti.throttle import PER_SOURCE
from tests.cti.running import open_stored
from tests.loopback import http_client

AWAY = "http://127.0.0.1:9"  # discard: nobody listens
SETTINGS = WebSettings(oidc=OidcSettings(AWAY, "zhudong", f"{AWAY}/login/oidc/back"))
BACK = "/login/oidc/back"


@asynccontextmanager
async def offices(db: Engine, folder: Path) -> AsyncIterator[tuple[httpx2.AsyncClient, httpx2.AsyncClient]]:
    """Two browsers at one door, each from an address of its own."""
    here, there = (httpx2.AsyncHTTPTransport(local_address=f"127.0.0.{n}", verify=False) for n in (2, 3))
    async with (
        open_stored(db, folder, SETTINGS) as (url, _),
        http_client(base_url=url, transport=here) as one,
        http_client(base_url=url, transport=there) as other,
    ):
        yield one, other


async def test_one_address_is_slowed_down_as_an_office_is_and_no_other_one(
    db: Engine, tmp_path: Path
) -> None:
    async with offices(db, tmp_path) as (one, other):
        for _ in range(PER_SOURCE):
            assert (await one.get(BACK)).status_code == 401
        for _ in range(PER_SOURCE):
            refused = await one.get(BACK)
            assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 60
        assert (await other.get(BACK)).status_code == 401
    assert len(lines(db, action="sign-on refused")) == PER_SOURCE + 1


async def test_a_provider_that_is_away_counts_against_nobody(db: Engine, tmp_path: Path) -> None:
    kept = urlsafe_b64encode(msgspec.json.encode(Pending("state", "nonce", "verifier"))).decode()
    async with offices(db, tmp_path) as (one, _):
        for _ in range(PER_SOURCE):
            answer = await one.get(f"{BACK}?state=state&code=code", headers={"Cookie": f"{COOKIE}={kept}"})
            assert answer.status_code == 503
        assert (await one.get(BACK)).status_code == 401
    assert len(lines(db, action="sign-on refused")) == 1
