"""Recordings: found by what is on record of their calls, played by who may, each on record, and let go in time."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine

from campaigns.audit import lines
from campaigns.recordings import Recordings
from campaigns.records import AttemptConnected
from campaigns.users import User
from tests.campaigns.world import NOON, Campaign
from tests.cti.client import cookie
from tests.cti.running import ADMIN, AGENT, SUPERVISOR, Door, open_door, stored_in
from tests.loopback import http_client

SOUND = b"RIFF" + bytes(2_000)
DAY = {"from": "2026-11-24", "to": "2026-11-24"}


@dataclass
class Heard:
    """A door over a folder with a recording of each of two campaigns, of three calls."""

    door: Door
    folder: Path
    mine: str
    theirs: str
    unrecorded: str

    async def get(self, path: str, user: User = SUPERVISOR, **headers: str) -> httpx2.Response:
        async with http_client(base_url=self.door.url, headers=await cookie(self.door, user)) as client:
            return await client.get(path, params=DAY if path == "/recordings" else {}, headers=headers)


@pytest.fixture
async def heard(db: Engine, tmp_path: Path) -> AsyncIterator[Heard]:
    calls = []
    for name, leads in (("demo", 2), ("north", 3)):  # the first two numbers are the same, and in a call
        campaign = Campaign(db, leads=leads, name=name)
        dialed = campaign.dial(campaign.lease(leads))
        for call_id in dialed:
            campaign.record(AttemptConnected(at=NOON, call_id=call_id, user_id=1))
        calls += dialed
    folder = tmp_path / "monitor"
    folder.mkdir()
    mine, unrecorded, theirs = calls
    for call_id in (mine, theirs):
        (folder / f"{call_id}.wav").write_bytes(SOUND)
    stored = replace(stored_in(db, tmp_path), recordings=folder)
    async with open_door(stored=stored) as door:
        yield Heard(door, folder, mine, theirs, unrecorded)


async def test_one_finds_and_plays_what_is_theirs_and_it_is_on_record(heard: Heard, db: Engine) -> None:
    page = (await heard.get("/recordings")).text
    assert heard.mine in page and heard.theirs not in page and heard.unrecorded not in page
    played = await heard.get(f"/recordings/{heard.mine}")
    assert (played.status_code, played.content, played.headers["content-type"]) == (200, SOUND, "audio/wav")
    part = await heard.get(f"/recordings/{heard.mine}", Range="bytes=1000-")
    assert (part.status_code, len(part.content)) == (206, len(SOUND) - 1_000)
    [line] = lines(db, action="recording played")
    assert (line.who, line.subject) == (SUPERVISOR.login, f"call {heard.mine}")
    everything = (await heard.get("/recordings", ADMIN)).text
    assert heard.mine in everything and heard.theirs in everything


async def test_nobody_plays_what_is_not_theirs_or_not_there(heard: Heard, db: Engine) -> None:
    odd = ["0" * 32, "..%2f..%2fetc%2fpasswd", heard.mine[:-1], heard.mine.upper() + "x"]
    for call_id in (heard.theirs, heard.unrecorded, *odd):
        assert (await heard.get(f"/recordings/{call_id}")).status_code == 404, call_id
    assert (await heard.get(f"/recordings/{heard.mine}", AGENT)).status_code == 403
    assert (await heard.get("/recordings", AGENT)).status_code == 403
    assert not lines(db, action="recording played")


async def test_what_is_older_than_it_is_kept_is_let_go(heard: Heard, db: Engine) -> None:
    old = (NOON - timedelta(days=40)).timestamp()
    os.utime(heard.folder / f"{heard.theirs}.wav", (old, old))
    assert Recordings(db, heard.folder).let_go(NOON - timedelta(days=30)) == 1
    assert [path.stem for path in heard.folder.iterdir()] == [heard.mine]
    assert len(lines(db, action="recordings deleted")) == 1
