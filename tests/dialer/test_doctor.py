"""An installation is examined part by part: what is right is said, and what is wrong with what to do about it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from campaigns.key_file import KeyFile
from campaigns.ownership import Ownership
from campaigns.partitions import month_of, partition_name
from campaigns.sealed import seal
from dialer.check import Step
from dialer.cli import main
from dialer.config import Config, RecordingsSection, load
from dialer.doctor import examine, machine, readers, recorded, stored
from tests.campaigns.history.past import Past
from tests.campaigns.world import Campaign

TOML = """
[database]
url = "{url}"
[[switch]]
name = "main"
host = "127.0.0.1"
port = 1
user = "zhudong"
secret = "x"
"""


@pytest.fixture
def config(db: Engine, tmp_path: Path) -> Config:
    file = tmp_path / "dialer.toml"
    file.write_text(TOML.format(url=db.url.render_as_string(hide_password=False)))
    (tmp_path / "data").mkdir(mode=0o700)
    return load(file)


def wrong(steps: dict[str, list[Step]]) -> dict[str, str]:
    return {step.what: step.hint for part in steps.values() for step in part if not step.ok}


def test_a_sound_installation_has_nothing_wrong(
    db: Engine, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Campaign(db, leads=0)
    (tmp_path / "data/keys").touch(0o600)
    monkeypatch.setattr("resource.getrlimit", lambda what: (1_024, 1_048_576))  # as Debian's shells have it
    found = {"machine": machine(tmp_path / "data"), **stored(config, tmp_path / "data")}
    wrongs = wrong(found)
    wrongs.pop("disk", None)  # is this machine's own
    assert wrongs == {}
    assert [step.what for step in found["database"]] == ["connection", "schema", "clock", "months ahead"]
    assert [(step.what, step.detail) for step in found["campaigns"]] == [
        ("spring", "version 1, running, on switch main")
    ]


def test_a_limit_of_open_files_that_the_daemon_can_not_raise_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda what: (1_024, 2_048))
    [found] = [step for step in machine(tmp_path) if step.what == "open files"]
    assert not found.ok and found.detail == "2,048 at most" and "4,096" in found.hint


def test_what_others_can_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data/keys").touch(0o644)
    (tmp_path / "dialer.toml").touch(0o640)
    assert readers(tmp_path / "dialer.toml").ok
    (tmp_path / "dialer.toml").chmod(0o644)
    found = wrong({"machine": [readers(tmp_path / "dialer.toml"), *machine(tmp_path / "data")]})
    assert {"configuration", "data folder", "keys"} <= set(found)
    assert wrong({"machine": machine(tmp_path / "none")})["data folder"].startswith("start the daemon once")


def test_keys_of_recordings_that_are_away_or_of_others_are_told(config: Config, tmp_path: Path) -> None:
    (tmp_path / "monitor").mkdir()
    section = RecordingsSection(folder=str(tmp_path / "monitor"), keys=str(tmp_path / "recording-keys"))
    config = msgspec.structs.replace(config, recordings=section)
    assert "dialer recordings new-key" in wrong({"recordings": recorded(config, tmp_path)})["keys"]
    keys, others = KeyFile(tmp_path / "recording-keys"), KeyFile(tmp_path / "others")
    keys.make()
    others.make()
    call = "01" * 16
    for file, name in ((keys, call), (others, "02" * 16)):
        assert wrong({"recordings": recorded(config, tmp_path)}) == {}
        (tmp_path / "sound.wav").write_bytes(b"RIFF")
        seal(tmp_path / "sound.wav", tmp_path / "monitor" / f"{name}.sealed", name, file)
    assert f"{'02' * 16}.sealed" in wrong({"recordings": recorded(config, tmp_path)})["sealed"]
    keys.path.chmod(0o644)
    assert "keys" in wrong({"recordings": recorded(config, tmp_path)})


@pytest.mark.parametrize("keep_days", [0, 30])
def test_a_folder_of_recordings_that_the_daemon_does_not_get_at_is_told(
    keep_days: int, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "monitor"
    section = RecordingsSection(folder=str(folder), keep_days=keep_days)
    config = msgspec.structs.replace(config, recordings=section)
    data = tmp_path / "data"
    assert "docs/howto/service.md" in wrong(examine(config, tmp_path / "dialer.toml", data))["folder"]
    folder.mkdir()
    assert wrong({"recordings": recorded(config, data)}) == {}
    monkeypatch.setattr("os.access", lambda path, how: not how & os.W_OK)  # root may do anything
    found = wrong({"recordings": recorded(config, data)})
    assert ("read and write" in found["folder"]) if keep_days else found == {}


def test_months_whose_files_are_in_another_folder_are_told(
    db: Engine, config: Config, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    past = Past(db, data / "archive")
    assert "months in files" not in [step.what for step in stored(config, data)["database"]]
    past.run()
    assert "months in files" not in wrong(stored(config, data))
    (data / "archive").rename(tmp_path / "elsewhere")
    assert "all hosts share one" in wrong(stored(config, data))["months in files"]
    history = msgspec.structs.replace(config.history, folder=str(tmp_path / "elsewhere"))
    assert "months in files" not in wrong(stored(msgspec.structs.replace(config, history=history), data))


def test_a_database_that_is_away_is_told_as_such(config: Config, tmp_path: Path) -> None:
    away = msgspec.structs.replace(config.database, url="postgresql://x:y@127.0.0.1:1/z")
    found = stored(msgspec.structs.replace(config, database=away), tmp_path / "data")
    assert list(found) == ["database"]
    assert "is PostgreSQL running" in wrong(found)["connection"]


def test_where_no_database_was_made_yet_none_is_made(config: Config, tmp_path: Path) -> None:
    embedded = msgspec.structs.replace(config.database, url="")
    found = stored(msgspec.structs.replace(config, database=embedded), tmp_path / "data")
    assert list(found) == ["database"]
    assert "when it first starts" in wrong(found)["connection"]
    assert list((tmp_path / "data").iterdir()) == []


def test_an_older_schema_a_newer_one_and_months_that_lack(db: Engine, config: Config, tmp_path: Path) -> None:
    def set_to(revision: str) -> dict[str, str]:
        with db.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
        return wrong(stored(config, tmp_path))

    with db.connect() as connection:
        now = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    assert "brings it up to date" in set_to("0001")["schema"]
    assert "a newer program" in set_to("9999")["schema"]
    assert "schema" not in set_to(now)
    name = partition_name("seat_log", month_of(datetime.now(UTC).date(), 1))
    with db.begin() as connection:
        connection.execute(text(f"ALTER TABLE {name} RENAME TO gone"))
    assert stored(config, tmp_path)["database"][-1].detail == f"missing: {name}"


def test_a_campaign_without_its_switch_or_that_nobody_can_read_is_named(
    db: Engine, config: Config, tmp_path: Path
) -> None:
    Campaign(db, leads=0, more='mode = "ratio"\n')
    with db.begin() as connection:
        connection.execute(text("""UPDATE campaign_version SET text = replace(text, '"main"', '"other"')"""))
    assert "has no switch of this name: main" in wrong(stored(config, tmp_path))["spring"]
    with db.begin() as connection:
        connection.execute(text("UPDATE campaign_version SET text = 'moon = 1'"))
    assert "spring" in wrong(stored(config, tmp_path))


def test_the_command_says_it_and_leaves_with_1(config: Config, tmp_path: Path) -> None:
    asked = ["doctor", "--config", str(tmp_path / "dialer.toml"), "--data", str(tmp_path / "data")]
    said = CliRunner().invoke(main, asked, catch_exceptions=False)
    assert said.exit_code == 1  # nothing listens where the switch should be
    assert "FAILED  connection: " in said.output and "ok      schema: " in said.output
    told = json.loads(CliRunner().invoke(main, [*asked, "--json"], catch_exceptions=False).output)
    assert list(told) == ["machine", "database", "campaigns", "engines", "calendar", "switch main"]


def test_engines_are_told_with_what_they_have_and_one_that_is_missing(
    db: Engine, config: Config, tmp_path: Path
) -> None:
    assert stored(config, tmp_path)["engines"] == []  # before the first start
    one = Ownership(db, "one", "its folder", ("main",))
    one.turn()
    [alone] = stored(config, tmp_path)["engines"]
    assert (alone.what, alone.ok, alone.detail) == ("one", True, "has main")
    Ownership(db, "two", "another", ("main",), "http://two").turn()
    said = {step.what: step for step in stored(config, tmp_path)["engines"]}
    assert not said["one"].ok and "[cluster] address" in said["one"].hint
    assert (said["two"].ok, said["two"].detail) == (True, "stands by for main")
    one.release()
    said = {step.what: step for step in stored(config, tmp_path)["engines"]}
    assert said["one"].detail == "was last heard 0 min ago" and not said["one"].ok
    assert said["main"].detail == "no engine has this switch"
