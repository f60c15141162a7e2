"""Is this installation fit to run? Machine, database, campaigns, calendar and switches, step by step."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from campaigns import backup, database
from campaigns.config import CampaignsError
from campaigns.history.files import Files
from campaigns.history.months import all_months
from campaigns.key_file import KeyFile, VaultError
from campaigns.ownership import engines
from campaigns.partitions import KEYS, month_of, partition_name
from campaigns.recordings import SEALED
from campaigns.sealed import key_id, wrapped_by
from campaigns.store import CampaignStore, Unreadable
from campaigns.vault import KEYS as KEY_FILE
from dialer import open_files
from dialer.certificates import in_use, remote
from dialer.check import Step, check_calendar, check_switch
from dialer.config import Config
from dialer.sealing import recordings_of

FREE_BYTES, FREE_SHARE = 5 << 30, 0.1
LOOKED_AT = 1_000  # sealed recordings
MISSED_FOR = timedelta(days=1)  # an engine that is not there any more
CLOCKS_APART_S = 2.0  # of this machine and the database's: leases and callbacks go by both
OLDEST_POSTGRESQL = 15
RENEWED_BEFORE = timedelta(days=14)  # a certificate that renews itself has done so a month before
NEWEST_BASE = timedelta(hours=36)  # of a nightly one, and some patience


def examine(config: Config, file: Path, data: Path) -> dict[str, list[Step]]:
    """Every part of the installation, with what was looked at in it. Changes nothing."""
    found = {"machine": [readers(file), *machine(data)], **stored(config, data)}
    if config.recordings.folder or config.recordings.keys:
        found["recordings"] = recorded(config, data)
    found["calendar"] = [check_calendar(datetime.now(UTC).year)]
    if certificates := [_certificate(name, until) for name, until in in_use(config)]:
        found["certificates"] = certificates
    for section in config.switch:
        found[f"switch {section.name}"] = asyncio.run(check_switch(section))
    return found


def readers(file: Path) -> Step:
    """Who may read the configuration."""
    mode = stat.S_IMODE(file.stat().st_mode)
    hint = f"it holds secrets of switch and database: chown it to root and the daemon's group, and chmod 640 {file}"
    return Step("configuration", not mode & 0o007, f"{file}, mode {mode:04o}", hint)


def machine(data: Path) -> list[Step]:
    """This machine, and the folder that the daemon keeps things in."""
    files = open_files.allowed()
    hint = f"raise LimitNOFILE (or ulimit -Hn) to {open_files.NEEDED:,} or more"
    steps = [Step("open files", files >= open_files.NEEDED, f"{files:,} at most", hint)]
    if not data.is_dir():
        hint = f"start the daemon once as the user it is to run as, or make {data}"
        return [*steps, Step("data folder", False, f"{data} is not there", hint)]
    mode = stat.S_IMODE(data.stat().st_mode)
    steps.append(
        Step(
            "data folder",
            os.access(data, os.W_OK) and not mode & 0o027,
            f"{data}, mode {mode:04o}",
            f"it holds customers' data: chown it to the daemon's user, and chmod 700 {data}",
        )
    )
    disk = shutil.disk_usage(data)
    steps.append(
        Step(
            "disk",
            disk.free > FREE_BYTES and disk.free > FREE_SHARE * disk.total,
            f"{disk.free / 2**30:.0f} of {disk.total / 2**30:.0f} GiB free",
            "make room: `dialer archive run` moves old months into small files",
        )
    )
    keys = data / KEY_FILE
    if keys.exists():
        secret = not stat.S_IMODE(keys.stat().st_mode) & 0o077
        steps.append(
            Step("keys", secret, str(keys), f"whoever reads it reads second factors: chmod 600 {keys}")
        )
    return steps


def recorded(config: Config, data: Path) -> list[Step]:
    """Whether the daemon's user, who this is to be, gets at the recordings, and at what seals them."""
    section, folder = config.recordings, recordings_of(config, data)
    changed = section.keep_days or section.keys
    there = os.access(folder, os.R_OK | os.X_OK | (os.W_OK if changed else 0))
    what = "read and write" if changed else "read"
    hint = f"make it, or mount it, and let the daemon's user {what} there: docs/howto/service.md"
    steps = [Step("folder", there, str(folder), hint)]
    return [*steps, *_sealed_by(KeyFile(Path(section.keys)), folder)] if section.keys else steps


def _sealed_by(keys: KeyFile, folder: Path) -> list[Step]:
    """Whether recordings can be sealed, and the newest of those that are opened."""
    hint = f"put its backup back, or make one: dialer recordings new-key; then chown {keys.path} to the daemon's user"
    try:
        known = {key_id(key) for key in keys.read()}
    except VaultError as fault:
        return [Step("keys", False, str(fault), hint)]
    steps = [Step("keys", True, f"{keys.path}, {len(known)} of them", hint)]
    newest = sorted(folder.glob(f"*{SEALED}"), key=lambda path: path.name)[-LOOKED_AT:]
    lost = [path.name for path in newest if not known & set(_wrapped_by(path))]
    hint = (
        f"{keys.path} lacks the key of {lost[-1] if lost else ''} and others: put back a backup that has it"
    )
    steps.append(Step("sealed", not lost, f"{len(lost)} of the {len(newest)} newest can't be opened", hint))
    return steps


def _wrapped_by(path: Path) -> Sequence[bytes]:
    try:
        return wrapped_by(path)
    except OSError:
        return ()


def stored(config: Config, data: Path) -> dict[str, list[Step]]:
    """The database, and where it is sound the campaigns in it."""
    postgresql = data / "postgresql"
    if not config.database.url and not database.is_made(postgresql):
        hint = "the daemon makes it when it first starts, as the user that it runs as"
        return {"database": [Step("connection", False, f"{postgresql} has no database yet", hint)]}
    where = "embedded" if not config.database.url else "server"
    try:
        url = config.database.url or database.start_embedded(postgresql)
        engine = database.connect(url, pool_size=1)
        try:
            with engine.connect() as connection:
                version = connection.execute(text("SHOW server_version")).scalar_one()
        except SQLAlchemyError as fault:
            hint = "is PostgreSQL running, and are address, user and password in [database] url right?"
            return {"database": [Step("connection", False, database.reason(fault), hint)]}
    except CampaignsError as fault:
        return {"database": [Step("connection", False, str(fault), "its log says why")]}
    major = int(version.split(".")[0])
    hint = f"PostgreSQL {OLDEST_POSTGRESQL} or newer is needed"
    steps = [Step("connection", major >= OLDEST_POSTGRESQL, f"{where}, PostgreSQL {version}", hint)]
    campaigns: list[Step] = []
    there: list[Step] = []
    try:
        if (url := remote(config.database)) is not None:
            steps.append(_encryption(engine, str(url.query.get("sslmode", "prefer"))))
        for look in (_schema, _clock, _partitions):
            steps.append(look(engine))
            if not steps[-1].ok and look is _schema:
                return {"database": steps}
        steps += _months(engine, config.history.archive(data))
        if config.backup.folder:
            steps += _backups(engine, Path(config.backup.folder))
        campaigns = _campaigns(engine, config)
        there = _engines(engine, config)
    except SQLAlchemyError as fault:
        steps.append(Step("reading", False, database.reason(fault), "what the database says is above"))
    finally:
        engine.dispose()
    return {"database": steps, "campaigns": campaigns, "engines": there}


def _engines(engine: Engine, config: Config) -> list[Step]:
    """Those at work on this database, and those that were until a short time ago; nothing before the first start."""
    with engine.connect() as connection:
        found = engines(connection)
    alive = [each for each in found if each.alive]
    steps = []
    for each in found:
        age = datetime.now(UTC) - each.until
        if each.alive:
            detail = (
                f"has {', '.join(each.switches)}"
                if each.switches
                else f"stands by for {', '.join(each.able)}"
            )
            hint = "name it in its [cluster] address, and here in `others`: pages can't move to it"
            steps.append(Step(each.name, bool(each.address) or len(alive) == 1, detail, hint))
        elif alive and age < MISSED_FOR:
            detail = f"was last heard {age.total_seconds() / 60:.0f} min ago"
            hint = f"start it; if it is there no more, this line goes after {MISSED_FOR.days} day"
            steps.append(Step(each.name, False, detail, hint))
    had = {switch for each in alive for switch in each.switches}
    for section in config.switch:
        if alive and section.name not in had:
            hint = "start an engine that is configured for it"
            steps.append(Step(section.name, False, "no engine has this switch", hint))
    return steps


def _encryption(engine: Engine, mode: str) -> Step:
    """Customers pass the network to a database on another machine: in TLS, to nobody but that server."""
    with engine.connect() as connection:
        known = connection.connection.driver_connection.info  # type: ignore[union-attr]
        version = known.ssl_attribute("protocol") if known.ssl_in_use else None
    detail = f"{version or 'none'}, sslmode={mode}"
    hint = "add ?sslmode=verify-full&sslrootcert=FILE to [database] url: whoever is in between reads and changes it"
    return Step("encryption", version is not None and mode == "verify-full", detail, hint)


def _certificate(name: str, until: Callable[[], datetime]) -> Step:
    hint = "renew it; the pages show a new one within the hour, or on `systemctl reload`"
    try:
        last = until()
    except (OSError, ValueError) as fault:
        return Step(name, False, str(fault), "is the file, or the peer, there and readable?")
    left = last - datetime.now(UTC)
    return Step(name, left > RENEWED_BEFORE, f"good until {last:%Y-%m-%d %H:%M} UTC, {left.days} days", hint)


def _schema(engine: Engine) -> Step:
    newest = database.newest_revision()
    with engine.connect() as connection:
        here = MigrationContext.configure(connection).get_current_revision() or "nothing"
    newer = here > newest and here != "nothing"
    hint = (
        "a newer program was here before: start that one"
        if newer
        else "the daemon brings it up to date when it starts; take a backup before"
    )
    return Step("schema", here == newest, f"{here}, this program's is {newest}", hint)


def _clock(engine: Engine) -> Step:
    before = datetime.now(UTC)
    with engine.connect() as connection:
        theirs = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    now = datetime.now(UTC)
    apart = max((theirs - now).total_seconds(), (before - theirs).total_seconds(), 0.0)
    hint = "have both machines keep time by NTP"
    return Step("clock", apart <= CLOCKS_APART_S, f"{apart:.1f} s from the database's", hint)


def _partitions(engine: Engine) -> Step:
    today = datetime.now(UTC).date()
    wanted = [partition_name(table, month_of(today, ahead)) for table in KEYS for ahead in (0, 1)]
    with engine.connect() as connection:
        there = set(
            connection.execute(
                text("SELECT relname FROM pg_class WHERE relname = ANY(:names)"), {"names": wanted}
            ).scalars()
        )
    missing = sorted(set(wanted) - there)
    hint = "the daemon makes them when it starts, and every day"
    return Step("months ahead", not missing, f"missing: {', '.join(missing)}" if missing else "made", hint)


def _months(engine: Engine, folder: Path) -> list[Step]:
    """Whether the months that are in files are in this folder; nothing before the first one is."""
    with engine.connect() as connection:
        filed = [
            Files(folder).path(month.manifest)
            for month in all_months(connection)
            if month.state == "archived"
        ]
    if not filed:
        return []
    missing = [path for path in filed if not os.access(path, os.R_OK)]
    detail = (
        f"{len(missing)} of {len(filed)} files can't be read, such as {missing[0]}"
        if missing
        else f"{folder}"
    )
    hint = "mount the folder that has them here, or name it as [history] folder: all hosts share one"
    return [Step("months in files", not missing, detail, hint)]


def _backups(engine: Engine, folder: Path) -> list[Step]:
    well, detail = backup.archived_well(engine)
    hint = f"is {folder} there, writable, and not full? Started anew, the daemon begins an archive"
    found = backup.bases(folder)
    newest = found[-1].at if found else None
    fresh = newest is not None and datetime.now(UTC) - newest < NEWEST_BASE
    said = f"newest of {newest:%Y-%m-%d %H:%M} UTC" if newest is not None else "none"
    return [
        Step("archive", well, detail, hint),
        Step("base backup", fresh, said, "have `dialer backup` run every day: docs/howto/backup.md"),
    ]


def _campaigns(engine: Engine, config: Config) -> list[Step]:
    switches = {section.name for section in config.switch}
    with engine.connect() as connection:
        elsewhere = {switch for other in engines(connection) for switch in other.able}
    steps = []
    for each in CampaignStore(engine).newer_than(0):
        if isinstance(each, Unreadable):
            steps.append(Step(each.name, False, each.reason, "apply a version that this program can read"))
        else:
            unknown = [name for name in each.config.switches if name not in switches | elsewhere]
            running = "running" if each.config.running else "stopped"
            detail = f"version {each.version}, {running}, on switch {', '.join(each.config.switches)}"
            hint = (
                f"{', '.join(unknown)}: dialer.toml has no switch of this name: {', '.join(sorted(switches))}"
            )
            steps.append(Step(each.config.name, not unknown or not each.config.running, detail, hint))
    return steps
