"""The phone in the page, at the door: what the headers allow, who gets which password, what a page weighs."""

from __future__ import annotations

import gzip
import hashlib
import re

import httpx2
import pytest

from cti.app import STATIC
from cti.messages import OpenPhone, PhoneAccess, Reply
from cti.settings import WebSettings
from scripts.vendor import LIBRARIES, VENDOR, Library
from tests.cti.client import page
from tests.cti.running import AGENT, PASSWORD, Door, open_door
from tests.loopback import http_client

SWITCH = "wss://pbx.example:8089/ws"
WEIGHT_LIMIT = 500_000  # bytes, compressed: the whole of an agent's page
LANGUAGES = ("en-GB", "zh-CN")


async def opened(door: Door, language: str = "en-GB") -> httpx2.Response:
    """The agent's page."""
    async with http_client(base_url=door.url, headers={"Accept-Language": language}) as browser:
        await browser.post("/login", data={"login": AGENT.login, "password": PASSWORD})
        return await browser.get("/")


async def test_without_a_phone_in_the_page_no_voice_and_no_other_host_is_allowed() -> None:
    async with open_door() as door:
        answer = await opened(door)
    assert "connect-src 'self';" in answer.headers["Content-Security-Policy"]
    assert "microphone=()" in answer.headers["Permissions-Policy"]
    assert "phone-panel" not in answer.text


async def test_with_one_the_microphone_and_its_switch_are_allowed_and_nothing_more() -> None:
    async with open_door(WebSettings(softphones=(SWITCH, SWITCH))) as door:
        answer = await opened(door)
    policy = answer.headers["Content-Security-Policy"]
    assert "connect-src 'self' wss://pbx.example:8089;" in policy
    assert "script-src 'self';" in policy
    permissions = answer.headers["Permissions-Policy"]
    assert "microphone=(self)" in permissions
    assert "camera=()" in permissions
    assert "phone-panel" in answer.text


async def test_a_page_gets_a_password_for_its_own_users_phone_whatever_it_asks_for() -> None:
    async with open_door() as door:
        access = PhoneAccess("main", SWITCH, "seat007-web", "secret")
        asked: list[OpenPhone] = []

        async def engine(command: OpenPhone) -> Reply:
            asked.append(command)
            return Reply(ok=True, phone=access)

        door.bus.serve(engine)  # type: ignore[arg-type]
        async with page(door, AGENT) as client:
            await client.hello()
            reply = await client.command(type="open_phone", phone="seat001", user_id=1)
    assert asked == [OpenPhone(user_id=AGENT.user_id, phone=AGENT.phone)]
    assert reply["phone"] == {
        "switch": "main",
        "url": SWITCH,
        "endpoint": "seat007-web",
        "password": "secret",
    }


async def test_an_agents_page_is_light() -> None:
    async with open_door(WebSettings(softphones=(SWITCH,))) as door:
        pages = [(await opened(door, language)).content for language in LANGUAGES]
    parts = {
        file.name: file.read_bytes() for file in STATIC.rglob("*") if file.suffix in (".js", ".css", ".svg")
    }
    weight = max(map(packed, pages)) + sum(map(packed, parts.values()))
    assert weight < WEIGHT_LIMIT, {name: packed(part) for name, part in parts.items()}


def packed(content: bytes) -> int:
    return len(gzip.compress(content))


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_the_libraries_of_the_pages_are_those_that_were_checked(library: Library) -> None:
    for name, checksum in library.files.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == checksum, name
    licences = (VENDOR / f"{library.name}.LICENSE.txt").read_text("utf-8")
    assert set(re.findall(r"^([a-z-]+) \d\S* \(MIT\)$", licences, re.M)) == set(library.packages)
