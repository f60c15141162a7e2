"""The archive at work: months move out of the live tables and back, at any moment with every row in exactly one place.

Theory of operation. Where a month is stands in one row of `archived_month`, and whoever reads history asks that row
first. To move a month out, its rows are copied into a file, the file is read back and compared with the table, and
only then the row says `archived`, in one commit. The partition, which nobody reads any more, is then detached
(CONCURRENTLY: no call waits for it), compared once more with the file, in case something was written in between, and
dropped. To bring one back, a table is filled from the file beside the live ones, compared with the manifest, and
attached in the commit that says so. A job that was killed leaves something over that the row does not need: whoever
holds the archive next finishes or removes it, before anything else. One job at a time holds the archive, by an
advisory lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection, Engine, text

from campaigns.database import apart
from campaigns.history import months
from campaigns.history.files import NULL, ArchiveError, Files, Manifest, from_csv, printed, to_csv
from campaigns.history.kinds import ATTEMPT, KINDS, Kind
from campaigns.history.months import Month
from campaigns.partitions import attach, bounds, partition_name

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = structlog.get_logger(__name__)

LOCK = 0x7A68_7564_6F6E_6702  # "zhudong" and a number, next to that of the migrations
LOCK_LIMIT_S = 60.0  # a killed job's own session may live on until its statement ends
POLL_S = 0.1

TABLES = text("""
SELECT c.relname, i.inhparent IS NOT NULL AS attached, COALESCE(i.inhdetachpending, false) AS pending
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE c.relkind = 'r' AND c.relname ~ :pattern AND c.relnamespace = current_schema()::regnamespace
ORDER BY c.relname
""")
IDENTITY = text("SELECT system_identifier || '/' || current_database() FROM pg_control_system()")
RESTORING = "_restoring"
# Of a table's rows as they lie there: another when one was inserted, changed or deleted. A hint that saves a look at
# every value; where it differs for another reason, as after VACUUM FULL, the values are compared.
MARK = """
SELECT count(*) AS rows, count(*) || ' ' || COALESCE(sum(hashtextextended(ctid::text || xmin::text, 0)), 0) AS mark
FROM {table}
"""
COLUMNS = text("""
SELECT attname FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped
""")


class Job:
    """What holds the archive: a connection for transactions, one for what can't be in one, and DuckDB."""

    def __init__(self, work: Connection, plain: Connection, duck: DuckDBPyConnection, files: Files) -> None:
        self.work = work
        self.plain = plain
        self.duck = duck
        self.files = files

    # --- where things are -----------------------------------------------------------------------------------------

    def months(self) -> Sequence[Month]:
        with self.work.begin():
            return months.all_months(self.work)

    def manifests(self) -> list[Manifest]:
        """Of the months that are in files now."""
        return [m.manifest for m in self.months() if m.state == "archived"]

    def tables(self, kind: Kind) -> dict[date, tuple[bool, bool]]:
        """The months that have a table of their own: whether it is attached, and half-way detached."""
        with self.work.begin():
            rows = self.work.execute(TABLES, {"pattern": rf"^{kind.table}_\d{{4}}_\d{{2}}$"}).all()
        return {date(int(r.relname[-7:-3]), int(r.relname[-2:]), 1): (r.attached, r.pending) for r in rows}

    # --- out ------------------------------------------------------------------------------------------------------

    def archive(self, kind: Kind, month: date, at: datetime) -> Manifest:
        """Move a month's partition into a file, and drop it."""
        manifest, mark = self._export(kind, month, self._generation(kind, month), at)
        log.info("a month is archived", kind=kind.table, month=f"{month:%Y-%m}", rows=manifest.rows)
        return self.finish(kind, month, manifest, at, mark)

    def finish(self, kind: Kind, month: date, manifest: Manifest, at: datetime, mark: str = "") -> Manifest:
        """Detach and drop the partition of a month that is archived; what was written to it meanwhile is kept.

        `mark` is that of the rows that were copied, empty when nobody knows it any more.
        """
        table = partition_name(kind.table, month)
        attached, pending = self.tables(kind)[month]
        if attached:
            how = "FINALIZE" if pending else "CONCURRENTLY"
            self.plain.execute(text(f"ALTER TABLE {kind.table} DETACH PARTITION {table} {how}"))
        written = manifest.rows, manifest.fingerprint
        while True:
            with self.work.begin():
                rows, found = self.work.execute(text(MARK.format(table=table))).one()
                if not rows or found == mark or self._live_sum(kind, months.source(kind, table)) == written:
                    self.work.execute(text(f"DROP TABLE {table}"))
                    return manifest
            if rows < manifest.rows:
                raise ArchiveError(
                    f"{table} has {rows} rows, {self.files.path(manifest)} {manifest.rows}: neither is dropped"
                )
            log.info("a month was written to while it was archived; it is taken again", table=table)
            manifest, mark = self._export(kind, month, manifest.generation + 1, at)
            written = manifest.rows, manifest.fingerprint

    def _export(self, kind: Kind, month: date, generation: int, at: datetime) -> tuple[Manifest, str]:
        """Copy a table's rows into a file, compare the two, and say that the file counts; gives the rows' mark too.

        One snapshot sees rows and mark. PostgreSQL writes each row's fingerprint beside it, DuckDB computes those of
        the file.
        """
        table = partition_name(kind.table, month)
        self._refuse_unknown_columns(kind)
        path = self.files.scratch / f"{kind.table}-{month:%Y-%m}.csv"
        copy = f"SELECT x.*, {kind.print_live()} FROM ({months.source(kind, table)}) x"
        with self.work.begin():
            self.work.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            mark = self.work.execute(text(MARK.format(table=table))).one().mark
            with path.open("wb") as file:
                self.work.connection.cursor().copy_expert(
                    f"COPY ({copy}) TO STDOUT (FORMAT csv, NULL '{NULL}')", file
                )
        live = printed(self.duck, kind, path)
        manifest = self.files.write(self.duck, kind, month, generation, from_csv(kind, path), at)
        path.unlink()
        if live != (manifest.rows, manifest.fingerprint):
            raise ArchiveError(
                f"{self.files.path(manifest)} holds {manifest.rows} rows that are not the {live[0]} of the table; "
                "nothing was dropped"
            )
        with self.work.begin():
            months.set_state(self.work, manifest, "archived", at)
            if kind is ATTEMPT:
                months.count_outcomes(self.work, table, month, *bounds(month))
        return manifest, mark

    def _refuse_unknown_columns(self, kind: Kind) -> None:
        """A table that a newer program has given a column keeps it: this one would leave it behind."""
        with self.work.begin():
            there = set(self.work.execute(COLUMNS, {"table": kind.table}).scalars())
        if unknown := sorted(there - set(kind.columns)):
            raise ArchiveError(
                f"{kind.table} has columns that this program can't archive: {', '.join(unknown)}; use a newer one"
            )

    # --- back -----------------------------------------------------------------------------------------------------

    def restore(self, month: date, live_until: date, at: datetime) -> list[Manifest]:
        """Bring a month's files back into the live tables, all of them in one commit."""
        found = [m.manifest for m in self.months() if m.month == month and m.state == "archived"]
        if not found:
            raise ArchiveError(f"{month:%Y-%m} is not archived")
        for manifest in found:
            self._fill(manifest)
        with self.work.begin():
            for manifest in found:
                kind, table = KINDS[manifest.kind], partition_name(manifest.kind, month)
                self.work.execute(text(f"ALTER TABLE {table}{RESTORING} RENAME TO {table}"))
                attach(self.work, kind.table, month)
                months.set_state(self.work, manifest, "restored", at, live_until)
                if kind is ATTEMPT:
                    months.forget_outcomes(self.work, month)
        self.sweep()
        return found

    def _fill(self, manifest: Manifest) -> None:
        kind, table = manifest.layout, partition_name(manifest.kind, manifest.month) + RESTORING
        if faults := self.files.faults(self.duck, manifest):
            raise ArchiveError("; ".join(faults))
        path = self.files.scratch / f"{table}.csv"
        to_csv(self.duck, kind, self.files.path(manifest), path)
        with self.work.begin():
            self.work.execute(
                text(f"CREATE TABLE {table} (LIKE {kind.table} INCLUDING DEFAULTS INCLUDING INDEXES)")
            )
            with path.open("rb") as file:
                self.work.connection.cursor().copy_expert(
                    f"COPY {table} ({kind.names}) FROM STDIN (FORMAT csv, NULL '{NULL}')", file
                )
            self.work.execute(text(f"ANALYZE {table}"))
            if self._live_sum(kind, f"SELECT * FROM {table}") != (manifest.rows, manifest.fingerprint):
                raise ArchiveError(
                    f"what {self.files.path(manifest)} gave is not what its manifest says; nothing was restored"
                )
        path.unlink()

    # --- after a crash --------------------------------------------------------------------------------------------

    def settle(self, at: datetime) -> None:
        """Finish or remove what a job that was killed left over."""
        for kind in KINDS.values():
            with self.work.begin():
                pattern = rf"^{kind.table}_\d{{4}}_\d{{2}}{RESTORING}$"
                for row in self.work.execute(TABLES, {"pattern": pattern}).all():
                    self.work.execute(text(f"DROP TABLE {row.relname}"))
            tables = self.tables(kind)
            for m in self.months():
                if m.kind == kind.table and m.state == "archived" and m.month in tables:
                    log.info("a month's partition is still there", kind=kind.table, month=f"{m.month:%Y-%m}")
                    self.finish(kind, m.month, m.manifest, at)
        self.files.clear_scratch()
        self.sweep()

    def sweep(self) -> None:
        """Remove the files that no month needs, since another took their place or their rows are live."""
        rows = {(m.kind, m.month): m for m in self.months()}
        tables = {kind.table: self.tables(kind) for kind in KINDS.values()}
        for path, kind, month, generation in self.files.written():
            row = rows.get((kind, month))
            if row is not None and row.state == "archived":
                needed = generation == row.manifest.generation or not self.files.path(row.manifest).exists()
            elif row is not None and row.state == "expired":
                needed = False
            else:
                needed = month not in tables[kind]
            if not needed:
                path.unlink()

    # --- within ---------------------------------------------------------------------------------------------------

    def _generation(self, kind: Kind, month: date) -> int:
        """The one after the last, so that no file is ever written over."""
        of_month = [m for m in self.months() if (m.kind, m.month) == (kind.table, month)]
        return 1 + max((m.manifest.generation for m in of_month), default=0)

    def _live_sum(self, kind: Kind, rows: str) -> tuple[int, str]:
        total = f"COALESCE(sum({kind.print_live()}), 0)::text"
        found = self.work.execute(text(f"SELECT count(*), {total} FROM ({rows}) x")).one()
        return found[0], found[1]


@contextmanager
def holding(engine: Engine, files: Files) -> Iterator[Job]:
    """Hold the archive for one job, with everything an earlier one left over settled first.

    Raises :class:`ArchiveError` when another job holds it for a minute, or the folder is not this database's.
    """
    plainly = engine.execution_options(isolation_level="AUTOCOMMIT")
    with apart(engine) as work, apart(plainly) as plain, files.opened() as duck:
        deadline = time.monotonic() + LOCK_LIMIT_S
        while not _locked(work):
            if time.monotonic() > deadline:
                raise ArchiveError("another job works on the archive; try again when it is done")
            time.sleep(POLL_S)
        job = Job(work, plain, duck, files)
        begun = bool(job.manifests())
        with work.begin():
            files.claim(work.execute(IDENTITY).scalar_one(), begun)
        job.settle(datetime.now(UTC))
        yield job


def _locked(connection: Connection) -> bool:
    with connection.begin():
        return bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}).scalar_one())
