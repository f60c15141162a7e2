"""A running OpenID provider, and a browser that signs on with it as a person would: forms, cookies, redirects."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from cti.settings import OidcSettings
from tests.loopback import http_client
from tests.oidc.provision import HERE, HOW, find

STARTED_S = 30.0
CLIENT, SECRET = "zhudong", "a secret of the client and nobody else"


def key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@dataclass(slots=True)
class OpenId:
    """The provider as the tests see it."""

    issuer: str
    key: RSAKey
    back: str = ""
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def settings(self, **more: Any) -> OidcSettings:
        return OidcSettings(self.issuer, CLIENT, self.back, SECRET, **more)

    async def say(self, what: str, value: object) -> None:
        """Tell the server its accounts, keys or next token."""
        async with http_client(base_url=self.issuer, trust_env=False) as client:
            assert (await client.post(f"/test/{what}", json=value)).status_code == 200

    async def claims(self, subject: str, **claims: object) -> None:
        """What is claimed of somebody."""
        self.accounts[subject] = claims
        await self.say("accounts", self.accounts)

    async def new_key(self, kid: str) -> None:
        """It signs with another key from now on."""
        self.key = key(kid)
        await self.say("keys", [self.key.as_dict(private=True)])

    def signed(self, claims: Mapping[str, object], header: Mapping[str, str] | None = None) -> str:
        """A token of any claims, by its own key."""
        return jwt.encode({"alg": "RS256", "kid": self.key.kid, **(header or {})}, dict(claims), self.key)


@asynccontextmanager
async def running(door_port: int) -> AsyncIterator[OpenId]:
    """Run it for a door that listens on this port."""
    at = find()
    if at is None:
        reason = f"no OpenID provider to test with; get it with: {HOW}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    shutil.copy(HERE / "provider.mjs", at)  # it finds its packages beside itself
    port, first = free_port(), key("first")
    made = OpenId(f"http://127.0.0.1:{port}", first, f"http://127.0.0.1:{door_port}/login/oidc/back")
    clients = [
        {
            "client_id": CLIENT,
            "client_secret": SECRET,
            "redirect_uris": [made.back],
            "post_logout_redirect_uris": [f"http://127.0.0.1:{door_port}/login"],
        }
    ]
    given = {
        "issuer": made.issuer,
        "port": port,
        "clients": clients,
        "keys": [first.as_dict(private=True)],
        "accounts": {},
    }
    process = await asyncio.create_subprocess_exec(
        "node", str(at / "provider.mjs"), env=os.environ | {"PROVIDER": json.dumps(given)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(STARTED_S):
            while (line := await process.stdout.readline()) != b"listening\n":
                assert line, "the provider ended"
        yield made
    finally:
        process.kill()
        await process.wait()


async def through(browser: httpx2.AsyncClient, at: str, subject: str, until: str) -> str:
    """Follow redirects from here and fill the provider's forms, up to the address that begins so; it, unvisited."""
    for _ in range(20):
        if at.startswith(until):
            return at
        page = await browser.get(at)
        if page.is_redirect:
            at = urljoin(at, page.headers["location"])
            continue
        action, prompt = (
            re.search(r'action="([^"]+)"', page.text),
            re.search(r'name="prompt" value="(\w+)"', page.text),
        )
        assert action and prompt, page.text
        data = {"prompt": prompt[1], "login": subject, "password": "any"}
        at = urljoin(at, (await browser.post(urljoin(at, action[1]), data=data)).headers["location"])
    raise AssertionError(f"no end in sight at {at}")
