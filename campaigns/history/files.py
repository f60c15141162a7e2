"""A month as a Parquet file with its manifest, on disk whole or not at all. DuckDB writes and reads them.

Nothing here knows the database. DuckDB is imported when a file is first opened: the daemon never is asked to.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from campaigns.config import CampaignsError
from campaigns.disk import sync
from campaigns.history.kinds import KINDS, SCHEMA, Kind

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "512MB"  # what a job may take beside a call centre at work; DuckDB spills the rest to the archive's folder
STEM = re.compile(r"(\d{4})-(\d{2})\.(\d+)\.(?:parquet|json)$")
PRINT = "fingerprint"  # a column that a copy has on top
SUM = "COALESCE(sum({}), 0)::VARCHAR"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NULL = r"\N"
CSV = (  # as PostgreSQL's COPY writes it; nothing is left for DuckDB to guess
    "header = false, auto_detect = false, delim = ',', quote = '\"', escape = '\"', new_line = '\\n', "
    f"nullstr = '{NULL}', allow_quoted_nulls = false, max_line_size = 10000000, buffer_size = 40000000"
)


Sum = tuple[int, datetime | None, datetime | None, str]  # rows, first and last time, fingerprint


class ArchiveError(CampaignsError):
    """The archive can't do or isn't what was expected. The text says what, where, and what to do."""


class FileGone(ArchiveError):
    """A file can't be read: it is missing, or another took its place a moment ago."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds. `first` and `last` are of the kind's time, `fingerprint` is described with the kinds."""

    kind: str
    month: date
    generation: int
    schema: int
    columns: list[str]
    rows: int
    first: datetime | None
    last: datetime | None
    fingerprint: str
    file: str  # within the archive's folder
    size: int  # bytes
    sha256: str
    written_at: datetime

    @property
    def layout(self) -> Kind:
        """The kind with the columns that the file has."""
        return KINDS[self.kind].of(self.columns)


class Files:
    """The folder of an archive. `duck` is open while a job runs; see :meth:`opened`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def scratch(self) -> Path:
        """For what is not finished; emptied by whoever holds the archive next."""
        return self.folder / "unfinished"

    @contextmanager
    def opened(self) -> Iterator[DuckDBPyConnection]:
        """A DuckDB for one job: one thread, little memory, UTC. What it refuses is an :class:`ArchiveError`."""
        import duckdb

        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it is full of people
        self.scratch.mkdir(exist_ok=True)
        try:
            with duckdb.connect() as duck:
                duck.execute(f"SET memory_limit = '{MEMORY}'")
                duck.execute("SET threads = 1")
                duck.execute("SET TimeZone = 'UTC'")
                duck.execute(f"SET temp_directory = {quoted(self.scratch / 'spill')}")
                yield duck
        except duckdb.IOException as fault:
            raise FileGone(f"{self.folder}: {fault}") from fault
        except duckdb.Error as fault:
            raise ArchiveError(f"{self.folder}: {fault}") from fault

    def claim(self, database: str, begun: bool) -> None:
        """Keep the folder for one database: another would take its files for leftovers.

        Raises :class:`ArchiveError` when it is another's, or has nothing yet although `begun` says that months are in
        files: it is not mounted, or another host has another one.
        """
        owner = self.folder / "database"
        if not owner.exists():
            if begun and not any(self.written()):
                raise ArchiveError(
                    f"{self.folder} is empty, and months of this database are in files of another folder: mount that "
                    f"one here, or name it as history.folder. If they are lost, write {database} into {owner}"
                )
            new = self.scratch / "database"
            new.write_text(database + "\n", encoding="utf-8")
            sync(new)
            new.replace(owner)
        elif (found := owner.read_text(encoding="utf-8").strip()) != database:
            raise ArchiveError(
                f"{self.folder} is the archive of another database ({found}, this one is {database}); give "
                f"history.folder another value. If this database took the other's place, remove {owner}"
            )

    def path(self, manifest: Manifest) -> Path:
        return self.folder / manifest.file

    def write(
        self, duck: DuckDBPyConnection, kind: Kind, month: date, generation: int, rows: str, at: datetime
    ) -> Manifest:
        """Write what a query of DuckDB's gives as a month's file, with its manifest beside it, and sync both.

        The manifest is of what was read back from the file, not of what went in.
        """
        folder = self.folder / kind.table
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{month:%Y-%m}.{generation}"
        new = self.scratch / f"{kind.table}-{stem}.parquet"
        duck.execute(f"COPY ({rows}) TO {quoted(new)} (FORMAT parquet, COMPRESSION zstd)")
        count, first, last, fingerprint = read_back(duck, kind, new)
        sync(new)
        manifest = Manifest(
            kind=kind.table,
            month=month,
            generation=generation,
            schema=SCHEMA,
            columns=list(kind.columns),
            rows=count,
            first=first,
            last=last,
            fingerprint=fingerprint,
            file=f"{kind.table}/{stem}.parquet",
            size=new.stat().st_size,
            sha256=sha256_of(new),
            written_at=at,
        )
        note = self.scratch / f"{kind.table}-{stem}.json"
        note.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        sync(note)
        note.replace(folder / f"{stem}.json")
        new.replace(folder / f"{stem}.parquet")
        sync(folder)
        return manifest

    def faults(self, duck: DuckDBPyConnection, manifest: Manifest) -> list[str]:
        """What of a month's file is not as its manifest says, in words; empty when all is."""
        path = self.path(manifest)
        try:
            if (size := path.stat().st_size) != manifest.size:
                return [f"{path} has {size} bytes, its manifest says {manifest.size}"]
            if sha256_of(path) != manifest.sha256:
                return [f"{path} is not what was written: its SHA-256 differs from the manifest's"]
        except OSError as fault:
            return [f"{path} can't be read: {fault.strerror}"]
        count, first, last, fingerprint = read_back(duck, manifest.layout, path)
        found = (count, first, last, fingerprint)
        if found != (manifest.rows, manifest.first, manifest.last, manifest.fingerprint):
            return [f"{path} holds {count} rows from {first} to {last}, its manifest says otherwise"]
        return []

    def written(self) -> Iterator[tuple[Path, str, date, int]]:
        """All files of months, manifests among them: kind, month and generation of each."""
        for kind in KINDS:
            for path in (self.folder / kind).glob("*"):
                if found := STEM.match(path.name):
                    year, month, generation = map(int, found.groups())
                    yield path, kind, date(year, month, 1), generation

    def clear_scratch(self) -> None:
        """Remove what was not finished."""
        for path in self.scratch.rglob("*"):
            if path.is_file():
                path.unlink()


def from_csv(kind: Kind, path: Path) -> str:
    """A query of DuckDB's for a file that PostgreSQL's COPY wrote, in the order of the archive."""
    return f"SELECT {kind.names} FROM {_read_csv(kind, path)} ORDER BY {kind.order}"


def printed(duck: DuckDBPyConnection, kind: Kind, path: Path) -> tuple[int, str]:
    """Rows of such a file, and the sum of the fingerprints that PostgreSQL wrote into it."""
    found = duck.execute(f"SELECT count(*), {SUM.format(PRINT)} FROM {_read_csv(kind, path)}").fetchone()
    assert found is not None  # an aggregate gives one row
    return found[0], found[1]


def to_csv(
    duck: DuckDBPyConnection, kind: Kind, path: Path, out: Path, span: tuple[datetime, datetime] | None = None
) -> None:
    """Write a month's file, or what of it lies from one instant up to another, as PostgreSQL's COPY reads it."""
    texts = ", ".join(f'"{name}"' for name, t in kind.columns.items() if t.filed == "VARCHAR")
    duck.execute(
        f"COPY (SELECT {kind.names} FROM {quoted(path)} WHERE {_within(kind, span)}) TO {quoted(out)} "
        f"(FORMAT csv, HEADER false, NULLSTR '{NULL}', FORCE_QUOTE ({texts}))"
    )


def _within(kind: Kind, span: tuple[datetime, datetime] | None) -> str:
    if span is None:
        return "true"
    return f"\"{kind.time}\" >= '{span[0]}'::TIMESTAMPTZ AND \"{kind.time}\" < '{span[1]}'::TIMESTAMPTZ"


def _read_csv(kind: Kind, path: Path) -> str:
    columns = ", ".join(f"'{name}': '{t.filed}'" for name, t in kind.columns.items())
    return f"read_csv({quoted(path)}, {CSV}, columns = {{{columns}, '{PRINT}': 'BIGINT'}})"


def read_back(duck: DuckDBPyConnection, kind: Kind, path: Path) -> Sum:
    """Rows, first and last time, and fingerprint of a file."""
    return summed(duck, kind, f"SELECT * FROM {quoted(path)}")


def summed(duck: DuckDBPyConnection, kind: Kind, rows: str) -> Sum:
    """The same of what a query of DuckDB's gives."""
    span = f'epoch_us(min("{kind.time}")), epoch_us(max("{kind.time}"))'
    found = duck.execute(
        f"SELECT count(*), {span}, {SUM.format(kind.print_filed())} FROM ({rows})"
    ).fetchone()
    assert found is not None  # an aggregate gives one row
    return found[0], instant(found[1]), instant(found[2]), found[3]


def instant(micros: int | None) -> datetime | None:
    """A time of DuckDB's, in microseconds since 1970: to read one as a datetime it would want pytz."""
    return None if micros is None else EPOCH + timedelta(microseconds=micros)


def quoted(path: Path) -> str:
    """A path as a literal of SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def listed(values: Iterable[object]) -> str:
    """Values as literals of SQL, with commas between; NULL when there is none."""
    return ", ".join("'" + str(value).replace("'", "''") + "'" for value in values) or "NULL"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
