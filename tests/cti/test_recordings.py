"""Recordings: found by what is on record of their calls, played by who may, each on record, and let go in time."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine, text

from campaigns import recordings
from campaigns.audit import lines
from campaigns.history.holds import Holds
from campaigns.key_file import KeyFile
from campaigns.recordings import Recordings
from campaigns.records import AttemptConnected
from campaigns.sealed import CHUNK, HEAD, TAG, seal
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
    keys: KeyFile

    def seal(self, call: str) -> Path:
        path = self.folder / f"{call}.sealed"
        seal(self.folder / f"{call}.wav", path, call, self.keys)
        return path

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
    keys = KeyFile(tmp_path / "recording-keys")
    keys.make()
    stored = replace(stored_in(db, tmp_path), recordings=folder, recording_keys=keys)
    async with open_door(stored=stored) as door:
        yield Heard(door, folder, mine, theirs, unrecorded, keys)


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


@pytest.mark.parametrize("is_sealed", [False, True])
async def test_a_player_seeks_in_it_plain_or_sealed(heard: Heard, is_sealed: bool) -> None:
    sound = SOUND + bytes(range(256)) * 1_000
    (heard.folder / f"{heard.mine}.wav").write_bytes(sound)
    if is_sealed:
        heard.seal(heard.mine)
    assert heard.mine in (await heard.get("/recordings")).text
    size = len(sound)
    for asked, start, stop in (
        ("bytes=0-", 0, size), ("bytes=1000-", 1_000, size), ("bytes=70000-140000", 70_000, 140_001),
        (f"bytes={size - 1}-{size + 9}", size - 1, size), ("bytes=-500", size - 500, size),
        (f"bytes=-{size + 1}", 0, size),
    ):  # fmt: skip
        part = await heard.get(f"/recordings/{heard.mine}", Range=asked)
        assert (part.status_code, part.content) == (206, sound[start:stop]), asked
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
    for asked in ("bytes=5-4", "bytes=-", "bytes=1-2,5-6", "seconds=1-", "bytes=" + "9" * 40 + "-", ""):
        whole = await heard.get(f"/recordings/{heard.mine}", Range=asked)
        assert (whole.status_code, whole.content) == (200, sound), asked
    for asked in (f"bytes={size}-", "bytes=-0"):
        none = await heard.get(f"/recordings/{heard.mine}", Range=asked)
        assert (none.status_code, none.headers["content-range"]) == (416, f"bytes */{size}")
    headers = {"Range": "bytes=5-", "If-Range": '"another"'}
    assert (await heard.get(f"/recordings/{heard.mine}", **headers)).content == sound


async def test_who_skips_its_beginning_is_on_record_too(heard: Heard, db: Engine) -> None:
    for _ in range(3):
        assert (await heard.get(f"/recordings/{heard.mine}", Range="bytes=1-")).status_code == 206
    assert len(lines(db, action="recording played")) == 1


async def test_a_sealed_one_that_was_changed_or_whose_key_is_away_is_not_played(heard: Heard) -> None:
    (heard.folder / f"{heard.mine}.wav").write_bytes(bytes(5 * CHUNK))
    path = heard.seal(heard.mine)
    with path.open("r+b") as file:
        file.seek(HEAD + 3 * (CHUNK + TAG))
        file.write(b"?")
    assert (await heard.get(f"/recordings/{heard.mine}", Range="bytes=0-9")).content == bytes(10)
    assert (await heard.get(f"/recordings/{heard.mine}", Range=f"bytes={3 * CHUNK}-")).status_code == 500
    with pytest.raises(httpx2.RemoteProtocolError):  # it breaks off: less came than was promised
        await heard.get(f"/recordings/{heard.mine}")
    heard.keys.path.rename(heard.keys.path.with_name("elsewhere"))
    away = await heard.get(f"/recordings/{heard.mine}")
    assert away.status_code == 500 and away.json()["error"] == "sealed"


async def test_a_folder_that_can_not_be_entered_is_told_as_such(
    heard: Heard, db: Engine, tmp_path: Path
) -> None:
    away = tmp_path / ("x" * 300)  # not even root gets there
    stored = replace(stored_in(db, tmp_path), recordings=away)
    async with open_door(stored=stored) as door:
        there = replace(heard, door=door)
        page = await there.get("/recordings")
        assert page.status_code == 200
        assert "can&#39;t be read" in page.text and "There is no recording" not in page.text
        played = await there.get(f"/recordings/{heard.mine}")
        assert (played.status_code, played.json()["error"]) == (500, "unreadable")
    with pytest.raises(OSError):
        Recordings(db, away).let_go(NOON)


async def test_nobody_plays_what_is_not_theirs_or_not_there(heard: Heard, db: Engine) -> None:
    odd = ["0" * 32, "..%2f..%2fetc%2fpasswd", heard.mine[:-1], heard.mine.upper() + "x"]
    for call_id in (heard.theirs, heard.unrecorded, *odd):
        assert (await heard.get(f"/recordings/{call_id}")).status_code == 404, call_id
    assert (await heard.get(f"/recordings/{heard.mine}", AGENT)).status_code == 403
    assert (await heard.get("/recordings", AGENT)).status_code == 403
    assert not lines(db, action="recording played")


# After a call, as many more of its number, of which there is no recording.
UNRECORDED = text("""
INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at, connected_at)
SELECT gen_random_uuid(), leased_at + n * interval '1 s', campaign_id, lead_id, number_id, switch, owner, dialed_at,
    connected_at + n * interval '1 s' FROM attempt, generate_series(1, :count) n WHERE call_id = CAST(:call AS uuid)
""")


async def test_one_behind_thousands_of_calls_without_any_is_found(
    heard: Heard, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with db.begin() as connection:
        connection.execute(UNRECORDED, {"call": heard.mine, "count": 2_500})
    assert heard.mine in (await heard.get("/recordings")).text
    monkeypatch.setattr(recordings, "LOOKED_AT", 2_000)
    page = (await heard.get("/recordings")).text
    assert heard.mine not in page and "2,000" in page  # and what is not known is not said


OF = text("""
SELECT a.campaign_id, n.e164 FROM attempt a JOIN number n ON n.id = a.number_id WHERE a.call_id = CAST(:call AS uuid)
""")


async def test_what_is_older_than_it_is_kept_is_let_go_and_nothing_else(heard: Heard, db: Engine) -> None:
    old = (NOON - timedelta(days=40)).timestamp()
    others = {"welcome.wav", f"{heard.mine}-de.wav", "notes.sealed"}  # of whoever else uses the folder
    for name in (f"{heard.theirs}.wav", *others):
        (heard.folder / name).write_bytes(SOUND)
        os.utime(heard.folder / name, (old, old))
    assert Recordings(db, heard.folder).let_go(NOON - timedelta(days=30)) == 1
    assert {path.name for path in heard.folder.iterdir()} == {f"{heard.mine}.wav", *others}
    assert len(lines(db, action="recordings deleted")) == 1


@pytest.mark.parametrize("held", ["number", "campaign"])
async def test_what_a_legal_hold_covers_is_not_let_go_before_it_is_lifted(
    heard: Heard, db: Engine, held: str
) -> None:
    """Nor is, until then, a recording of a call in a month that has moved to a file: whose that is, is not known."""
    with db.connect() as connection:
        of = connection.execute(OF, {"call": heard.theirs}).one()
    filed = "01" * 16
    (heard.folder / f"{filed}.wav").write_bytes(SOUND)
    heard.seal(heard.theirs)
    old = (NOON - timedelta(days=40)).timestamp()
    for path in heard.folder.iterdir():
        os.utime(path, (old, old))
    subject: dict[str, Any] = {"e164": of.e164} if held == "number" else {"campaign_id": of.campaign_id}
    hold = Holds(db).place("wang", "suit 7 of 2026", NOON, **subject)
    recordings = Recordings(db, heard.folder)
    assert recordings.let_go(NOON - timedelta(days=30)) == 1
    assert {path.name for path in heard.folder.iterdir()} == {f"{heard.theirs}.sealed", f"{filed}.wav"}
    Holds(db).lift(hold, "wang", "settled", NOON)
    assert recordings.let_go(NOON - timedelta(days=30)) == 2
    assert list(heard.folder.iterdir()) == []


FILED = text("""
INSERT INTO archived_month (kind, month, state, generation, manifest, changed_at)
SELECT 'attempt', CAST(month AS date), state, 1, '{}', now()
FROM (VALUES ('2026-10-01', 'archived'), ('2026-11-01', :state), ('2026-12-01', 'archived')) m (month, state)
""")


@pytest.mark.parametrize("state", ["archived", "restored"])
async def test_the_page_says_of_which_months_the_calls_are_in_files(
    heard: Heard, db: Engine, state: str
) -> None:
    with db.begin() as connection:
        connection.execute(FILED, {"state": state})
    page = (await heard.get("/recordings")).text
    assert ("2026-11 have moved" in page) is (state == "archived")
    assert ("archive restore" in page) is (state == "archived")
