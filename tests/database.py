"""A real PostgreSQL for tests: one embedded server a run, a migrated template, a copy of it for each test."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from campaigns import database

_serial = count(1)

# Embedded servers start and stop one at a time for each runtime folder: one run does not wait for another.
RUNTIME = tempfile.mkdtemp(prefix="zhudong-run-")
os.environ["XDG_RUNTIME_DIR"] = RUNTIME
atexit.register(shutil.rmtree, RUNTIME, ignore_errors=True)


@cache
def server() -> str:
    """The URL of this run's server. It stops, and its folder goes, when the run ends."""
    folder = Path(tempfile.mkdtemp(prefix="zhudong-pg-"))
    atexit.register(_let_go, folder)  # runs after the server's own end
    url = database.start_embedded(folder / "pg")
    hasty = database.connect(url, pool_size=1)
    with hasty.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for setting in ("fsync", "full_page_writes"):  # nobody's tests outlive the machine's power
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    hasty.dispose()
    return url


def url_of(name: str) -> str:
    return server().replace("/postgres?", f"/{name}?", 1)


@cache
def template() -> str:
    """The name of a database that has been migrated and is never used itself."""
    _run(f"CREATE DATABASE {(name := 'zhudong_template')}")
    engine = database.connect(url_of(name), pool_size=2)
    database.migrate(engine)
    engine.dispose()
    return name


def fresh_url() -> str:
    """The URL of a database of one's own, migrated and empty."""
    return empty_url(template())


def empty_url(like: str = "template1") -> str:
    """The URL of a database of one's own, without any table unless `like` has them."""
    name = f"test_{next(_serial)}"
    _run(f"CREATE DATABASE {name} TEMPLATE {like}")
    return url_of(name)


def as_of(revision: str) -> Engine:
    """An engine on a database of one's own, with the tables as this migration left them, and empty."""
    engine = database.connect(empty_url())
    config = Config()
    config.set_main_option("script_location", "campaigns:migrations")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    return engine


def _let_go(folder: Path) -> None:
    """Thousands of databases take longer to clear away than one of several test processes is given to end."""
    subprocess.Popen(["rm", "-rf", folder], start_new_session=True)


@pytest.fixture
def db() -> Iterator[Engine]:
    """An engine on a fresh database."""
    engine = database.connect(fresh_url())
    yield engine
    engine.dispose()


def _run(statement: str) -> None:
    admin = database.connect(server(), pool_size=1)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))
    admin.dispose()
