"""The embedded database, backed up while it is used, is restored to an instant between two calls, and once more."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from campaigns import backup, database
from dialer.cli import main
from dialer.config import load
from dialer.doctor import stored
from tests.campaigns.world import Campaign, later

TOML = """
[backup]
folder = "{folder}"
keep = 1
[[switch]]
name = "main"
host = "127.0.0.1"
user = "zhudong"
secret = "x"
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    memory = (
        "/dev/shm"  # four servers that write all they have to a disk take a minute where others use it, too
    )
    folder = Path(
        tempfile.mkdtemp(prefix="zhudong-backup-", dir=memory if os.access(memory, os.W_OK) else None)
    )
    (folder / "dialer.toml").write_text(TOML.format(folder=folder / "it's kept"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def run(home: Path, *words: str, data: str = "data") -> tuple[int, str]:
    options = ["--config", str(home / "dialer.toml"), "--data", str(home / data)]
    done = CliRunner().invoke(main, [*words, *options])
    return done.exit_code, done.output


def attempts(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(
            connection.execute(
                text("SELECT replace(call_id::text, '-', '') FROM attempt ORDER BY dialed_at")
            ).scalars()
        )


def archived(engine: Engine) -> None:
    """Wait until all that was written so far is in the archive."""
    with engine.connect() as connection:
        wal = connection.execute(text("SELECT pg_walfile_name(pg_switch_wal())")).scalar_one()
        connection.commit()
    deadline = time.monotonic() + 60
    while True:
        with engine.connect() as connection:
            done = connection.execute(text("SELECT last_archived_wal FROM pg_stat_archiver")).scalar_one()
        if done is not None and done >= wal:
            return
        assert time.monotonic() < deadline, f"{wal} was not archived"
        time.sleep(0.05)


@pytest.mark.timeout(300)
def test_what_was_there_between_two_calls_is_there_again(home: Path) -> None:
    folder, pg = home / "it's kept", home / "data/postgresql"
    pg.mkdir(parents=True)
    backup.archive_to(pg, folder)
    engine = database.connect(database.start_embedded(pg), pool_size=2)
    database.migrate(engine)
    campaign = Campaign(engine)
    called = [*campaign.dial(campaign.lease())]
    code, output = run(home, "backup")
    assert code == 0, output
    called += campaign.dial(campaign.lease(at=later(seconds=10)), later(seconds=10))
    with engine.connect() as connection:
        between = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    called += campaign.dial(campaign.lease(at=later(seconds=20)), later(seconds=20))
    archived(engine)
    steps = {step.what: step for step in stored(load(home / "dialer.toml"), home / "data")["database"]}
    assert steps["archive"].ok and steps["base backup"].ok

    code, output = run(home, "restore", "--at", between.isoformat(), data="then")
    assert code == 0, output
    code, output = run(home, "restore", data="late")
    assert code == 0, output
    for data, count in (("then", 2), ("late", 3)):
        restored = database.connect(database.start_embedded(home / data / "postgresql"), pool_size=1)
        assert attempts(restored) == called[:count]
        with restored.connect() as connection:
            assert (
                connection.execute(text("SHOW archive_mode")).scalar_one() == "off"
            )  # not into the first one's
        with restored.begin() as connection:
            connection.execute(text("DELETE FROM attempt"))  # it takes writes
        restored.dispose()

    code, output = run(home, "restore", data="then")
    assert (code, "is there already" in output) == (1, True)
    code, output = run(home, "restore", "--at", "2020-01-01T00:00:00", data="before")
    assert (code, "no base backup of before" in output) == (1, True)
    not_yet = datetime.now(UTC) + timedelta(days=1)
    code, output = run(home, "restore", "--at", not_yet.isoformat(), data="after")
    assert (code, "does not reach" in output) == (1, True)
    assert not (home / "after/postgresql").exists()

    first = backup.bases(folder)[0]
    left = folder / f"base-killed{backup.PART}"
    (left / "pg").mkdir(parents=True)
    with backup._one_at_a_time(pg):
        code, output = run(home, "backup")
    assert (code, "another base backup" in output, left.exists()) == (1, True, True)
    assert run(home, "backup")[0] == 0
    assert not left.exists()
    (kept,) = backup.bases(folder)
    assert kept != first
    oldest = min(path.name for path in (folder / "wal").iterdir() if len(path.name) == 24)
    assert oldest == backup._first_segment(kept)
    backup.archive_to(pg, None)
    engine.dispose()
    steps = {step.what: step for step in stored(load(home / "dialer.toml"), home / "data")["database"]}
    assert not steps["archive"].ok


def test_no_database_is_made_to_be_backed_up(home: Path) -> None:
    code, output = run(home, "backup", data="nowhere")
    assert code == 1 and "no database in" in output
    assert not (home / "nowhere").exists()


@pytest.mark.timeout(300)
def test_who_said_no_after_a_restore_is_barred_after_the_next_one(home: Path) -> None:
    folder, pg = home / "timelines", home / "first/postgresql"
    pg.mkdir(parents=True)
    backup.archive_to(pg, folder)
    database.migrate(database.connect(database.start_embedded(pg), pool_size=2))
    backup.take(pg, folder, 1)
    said_no: list[str] = []
    for data in ("first", "second", "third"):
        pg = home / data / "postgresql"
        if data != "first":
            backup.restore(folder, pg, None)
            backup.archive_to(pg, folder)
        engine = database.connect(database.start_embedded(pg), pool_size=2)
        with engine.begin() as connection:
            assert connection.execute(text("SELECT e164 FROM dnc ORDER BY at")).scalars().all() == said_no
            said_no.append(f"+861380013800{len(said_no)}")
            connection.execute(
                text("INSERT INTO dnc (e164, layer, source, at) VALUES (:number, 'company', 'key', now())"),
                {"number": said_no[-1]},
            )
        archived(engine)
        engine.dispose()
    histories = sorted(path.name for path in (folder / "wal").glob("*.history*"))
    assert histories == ["00000002.history", "00000003.history"]
