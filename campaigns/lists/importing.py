"""A list comes in: opened, read, made into leads, judged and loaded, with each row's fate told.

Reading and making leads run in this thread, the database works on the chunk before in another: each has a core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from sqlalchemy import Engine, text

from campaigns.config import CampaignsError, Field, known_zone, parse
from campaigns.lists import sources
from campaigns.lists.changing import end_unfinished
from campaigns.lists.copying import copy_lines
from campaigns.lists.loading import CHUNK, Judged, Loading, Policy
from campaigns.lists.loading import AlreadyIn as AlreadyIn
from campaigns.lists.mapping import check_given
from campaigns.lists.normalising import NumberReader
from campaigns.lists.reading import Table, read
from campaigns.lists.report import Report, Result
from campaigns.lists.rows import Row, maker
from campaigns.lists.sources import ImportFailed

PREVIEW = 1_000  # rows that a dry run reads
BATCH = "batch"  # and its key: what an import of a batch came from

# Each unit has its own: what one says of a file's columns is no word in how another's come in.
KNOWN_SOURCE = text("""
SELECT s.columns FROM list_source s JOIN campaign c ON c.unit_id = s.unit_id WHERE c.id = :campaign AND s.name = :name
""")
KEEP_SOURCE = text("""
INSERT INTO list_source (unit_id, name, columns)
SELECT unit_id, :name, CAST(:columns AS jsonb) FROM campaign WHERE id = :campaign
ON CONFLICT (unit_id, name) DO UPDATE SET columns = list_source.columns || excluded.columns
""")

CONFIG = text("""
SELECT v.text FROM campaign c JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version
WHERE c.id = :campaign
""")

Progress = Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be imported, and how.

    `source` names files of one origin: what `columns` (column to field) say is kept for it, for the campaign's unit.
    `country` (ISO 3166) and `area_code` read national and local numbers; `zone` (IANA) stands for numbers that name
    none. `sql` and `query` take the place of the file. A `batch` that is in already, by this key, goes in no second
    time.
    """

    file: str
    name: str
    campaign_id: int
    columns: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    country: str = "CN"
    area_code: str = ""
    zone: str = ""
    policy: Policy = field(default_factory=Policy)
    dry_run: bool = False
    report: Path | None = None
    rejects: Path | None = None
    sql: str = ""
    query: str = ""
    batch: str = ""


def import_list(
    engine: Engine,
    request: Request,
    at: datetime,
    stdin: BinaryIO | None = None,
    progress: Progress | None = None,
) -> Result:
    """Import a list. Raises :class:`ImportFailed`, :class:`AlreadyIn` or another :class:`CampaignsError`; then nothing
    went in.

    `progress` is told rows and share, now and then. The report is written in either case.
    """
    report = Report(request.report, None if request.dry_run else request.rejects)
    report.result.name = request.name
    report.result.dry_run = request.dry_run
    try:
        numbers = NumberReader(request.country, request.area_code)
        if request.zone and not known_zone(request.zone):
            raise ImportFailed(f"{request.zone!r} is no time zone of the IANA database")
        columns = _columns(engine, request)
        if request.sql:
            from campaigns.lists.database import opened_query

            with opened_query(request.sql, request.query, columns) as table:
                _run(engine, request, table, numbers, at, report, progress)
        else:
            with sources.opened(request.file, stdin) as source:
                _run(engine, request, read(source, columns), numbers, at, report, progress)
    except CampaignsError as fault:
        report.end(str(fault))
        raise
    except BaseException:
        report.end("the import was broken off")
        raise
    return report.end()


def _columns(engine: Engine, request: Request) -> Mapping[str, str]:
    """What is known of the columns: by the source's name, and what was said now."""
    check_given(request.columns)
    if not request.source:
        return request.columns
    asked = {"campaign": request.campaign_id, "name": request.source}
    with engine.connect() as connection:
        kept = connection.execute(KNOWN_SOURCE, asked).scalar_one_or_none()
    if kept is None and not request.columns:
        raise ImportFailed(
            f"there is no source {request.source!r} yet; the first time say --map COLUMN=FIELD"
        )
    return {**(kept or {}), **request.columns}


def _keep_columns(engine: Engine, request: Request) -> None:
    """Keep for the source what was said of columns, which the file has."""
    if request.source and request.columns and not request.dry_run:
        told = msgspec.json.encode(dict(request.columns)).decode()
        with engine.begin() as connection:
            connection.execute(
                KEEP_SOURCE, {"campaign": request.campaign_id, "name": request.source, "columns": told}
            )


def _fields(engine: Engine, campaign_id: int) -> Sequence[Field]:
    """What the campaign says of its customers' attributes."""
    with engine.connect() as connection:
        config = connection.execute(CONFIG, {"campaign": campaign_id}).scalar_one()
    return parse(config, "the campaign").fields


def _run(
    engine: Engine,
    request: Request,
    table: Table,
    numbers: NumberReader,
    at: datetime,
    report: Report,
    progress: Progress | None,
) -> None:
    report.begin(table.columns.header, table.format, table.notes)
    _keep_columns(engine, request)
    make = maker(table.columns, numbers, request.zone, _fields(engine, request.campaign_id))
    name = request.file if not request.sql else f"{request.sql.partition('://')[0]} query"
    if not request.dry_run:
        end_unfinished(engine, request.campaign_id, at)
    if request.batch:
        name = f"{BATCH} {request.batch}"
    loading = Loading(
        engine, request.campaign_id, request.name, name, at, request.policy, bool(request.batch)
    )
    report.result.list_id = loading.counts.list_id
    unread = seen = 0
    rows: list[Row] = []
    cells: dict[int, Sequence[Any]] = {}
    waiting: tuple[Future[Judged], dict[int, Sequence[Any]]] | None = None

    def settle() -> None:
        if waiting is not None:
            report.judged(waiting[0].result(), waiting[1])

    try:
        with ThreadPoolExecutor(1, "import") as database:
            try:
                for row, values, fault in table.records:
                    seen += 1
                    made = make(row, values) if fault is None else fault
                    if made.__class__ is Row:
                        rows.append(made)  # type: ignore[arg-type]
                        cells[row] = values
                    else:
                        unread += 1
                        report.rejected(row, values, made)  # type: ignore[arg-type]
                    if request.dry_run and seen >= PREVIEW:
                        break
                    if len(rows) >= CHUNK:
                        settle()
                        waiting = database.submit(loading.load, rows, copy_lines(rows)), cells
                        rows, cells = [], {}
                        if progress is not None:
                            progress(seen, table.share())
                settle()
                waiting = None
                if rows:
                    report.judged(loading.load(rows, copy_lines(rows)), cells)
            except BaseException:
                if waiting is not None:
                    waiting[0].cancel()
                raise
        if request.dry_run:
            loading.abandon()
            report.result.list_id = 0
            if seen >= PREVIEW:
                report.result.notes.append(f"a preview of the first {PREVIEW:,} rows")
        else:
            loading.finish(unread, at)
    except BaseException:
        loading.abandon()
        raise
    if progress is not None:
        progress(seen, 1.0)
