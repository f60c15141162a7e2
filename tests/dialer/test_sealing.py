"""The daemon seals what is over, says what it can't, and takes a new key over; the commands that turn the key."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from campaigns.audit import lines
from campaigns.key_file import KeyFile
from campaigns.recordings import LONGEST, Recordings
from campaigns.sealed import wrapped_by
from dialer.cli import main
from dialer.metrics import Metrics
from dialer.sealing import Sealing
from tests.campaigns.world import NOON

CALLS = ("01" * 16, "02" * 16)
SOUND = b"RIFF and what was said"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "monitor"
    made.mkdir()
    return made


def written(folder: Path, call: str) -> None:
    """By the switch, so long ago that its call is over."""
    (folder / f"{call}.wav").write_bytes(SOUND)
    os.utime(folder / f"{call}.wav", ((NOON - 2 * LONGEST).timestamp(),) * 2)


async def test_what_is_over_is_sealed_as_soon_as_it_can_be(db: Engine, folder: Path, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "recording-keys")
    sealing = Sealing(db, folder, keys, Metrics())
    for call in CALLS:
        written(folder, call)
    assert await sealing.look(NOON) == 2  # the file of the keys is not there
    keys.make()
    keys.path.chmod(0o644)
    assert await sealing.look(NOON) == 2
    assert {each.suffix for each in folder.iterdir()} == {".wav"}
    keys.path.chmod(0o600)
    assert await sealing.look(NOON) == 0
    assert {each.name for each in folder.iterdir()} == {f"{call}.sealed" for call in CALLS}


async def test_what_a_cut_off_sealing_left_is_looked_for_once_an_hour(
    db: Engine, folder: Path, tmp_path: Path
) -> None:
    sealing = Sealing(db, folder, KeyFile(tmp_path / "recording-keys"), Metrics())
    left = folder / f".{CALLS[0]}.sealed.x"

    async def is_gone_after(passed: timedelta) -> bool:
        left.write_bytes(b"half of it")
        os.utime(left, ((NOON - 2 * LONGEST).timestamp(),) * 2)
        await sealing.look(NOON + passed)
        return not left.exists()

    assert await is_gone_after(timedelta())
    assert not await is_gone_after(timedelta(minutes=59))
    assert await is_gone_after(timedelta(hours=1))


def test_the_key_is_turned_by_commands(db: Engine, folder: Path, tmp_path: Path) -> None:
    config, keys = tmp_path / "dialer.toml", KeyFile(tmp_path / "recording-keys")
    url = db.url.render_as_string(hide_password=False)
    text = f'[database]\nurl = "{url}"\n[[switch]]\nname = "m"\nhost = "h"\nuser = "u"\nsecret = "s"\n'

    def do(*command: str) -> Result:
        return CliRunner().invoke(
            main, ["recordings", *command, "--config", str(config)], catch_exceptions=False
        )

    config.write_text(text)
    assert "names no keys" in do("new-key").stderr
    config.write_text(f'{text}[recordings]\nfolder = "{folder}"\nkeys = "{keys.path}"\n')
    assert do("rewrap").exit_code == 1
    assert do("new-key").exit_code == 0 and len(keys.read()) == 1
    for call in CALLS:
        written(folder, call)
        Recordings(db, folder, keys).seal(call)
    before = [wrapped_by(folder / f"{call}.sealed") for call in CALLS]
    assert do("new-key").exit_code == 0 and len(keys.read()) == 2
    (folder / f"{'03' * 16}.sealed").write_bytes(b"of nobody")
    failed = do("rewrap", "--forget")
    assert failed.exit_code == 1 and "1 recordings could not be" in failed.stderr and len(keys.read()) == 2
    (folder / f"{'03' * 16}.sealed").unlink()
    assert do("rewrap", "--forget").exit_code == 0 and len(keys.read()) == 1
    for call, was in zip(CALLS, before, strict=True):
        assert wrapped_by(folder / f"{call}.sealed") != was
        sound = Recordings(db, folder, keys).sound(call)
        assert b"".join(sound.read(0, sound.length)) == SOUND
        sound.close()
    assert [line.action for line in lines(db)][:4] == [
        "recordings rewrapped", "recordings rewrapped", "recording key made", "recording key made",
    ]  # fmt: skip
