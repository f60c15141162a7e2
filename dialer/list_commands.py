"""The commands about lists: `dialer import`, from files, folders, standard input and databases, and `dialer lists`."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dialer.console import Settings, as_json, common, fail, opened_database

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from campaigns.lists.importing import Request
    from campaigns.lists.report import Result

LOOK_S = 0.5  # between two looks into a watched folder
SETTLED_S = 3.0  # a file that has not changed for so long is written; slow copies pause for less
UNFINISHED = (
    (".", "~"),
    (".part", ".tmp", ".filepart", ".crdownload"),
)  # beginnings and ends of names that programs give to files they still write
SHOWN = 5  # rows and faults that people are shown
DONE, REFUSED = "imported", "refused"  # folders within a watched one


class ColumnIsField(click.ParamType):
    """COLUMN=FIELD."""

    name = "COLUMN=FIELD"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        column, equals, field = str(value).rpartition("=")
        if not equals or not column:
            self.fail(f"{value!r} must be COLUMN=FIELD, as in 联系人手机=mobile", param, ctx)
        return column, field


@click.command(name="import")
@click.argument("file", required=False, default="")
@click.option("--list", "list_name", default="", help="The list's name; the file's name by default.")
@click.option("--campaign", help="Whose list it is; may be left out while there is one campaign.")
@click.option(
    "--country", default="CN", show_default=True, help="Of numbers without a country code (ISO 3166)."
)
@click.option("--area-code", default="", help="Of local numbers without an area code, such as 023.")
@click.option("--zone", default="", help="Time zone of numbers that name none (IANA).")
@click.option(
    "--map", "columns", multiple=True, type=ColumnIsField(), help="What a column is; may be given again."
)
@click.option("--source", default="", help="The files' origin: what --map says is kept under this name.")
@click.option(
    "--duplicates",
    type=click.Choice(["skip", "update", "replace"]),
    default="skip",
    show_default=True,
    help="Whoever is there already: left, given the row's values, or replaced by the row.",
)
@click.option(
    "--same", type=click.Choice(["number", "customer"]), default="number", show_default=True,
    help="What makes a row a duplicate beside its number, which is in a campaign once.",
)  # fmt: skip
@click.option(
    "--within", type=click.Choice(["campaign", "system"]), default="campaign", show_default=True,
    help="Where duplicates are looked for.",
)  # fmt: skip
@click.option("--sql", default="", help="URL of a database (SQLAlchemy) that the list comes from.")
@click.option("--query", default="", help="The SELECT that gives the list.")
@click.option("--watch", is_flag=True, help="FILE is a folder: import what is dropped there, until Ctrl-C.")
@click.option("--dry-run", is_flag=True, help="Show what would come of the first rows; write nothing.")
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Write what came of each row as JSON."
)
@click.option(
    "--rejects",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where rejected rows go; FILE.rejected.csv by default.",
)
@as_json
@common
def import_lists(
    file: str,
    list_name: str,
    campaign: str | None,
    country: str,
    area_code: str,
    zone: str,
    columns: tuple[tuple[str, str], ...],
    source: str,
    duplicates: str,
    same: str,
    within: str,
    sql: str,
    query: str,
    watch: bool,
    dry_run: bool,
    report: Path | None,
    rejects: Path | None,
    json_out: bool,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Import a list of customers.

    FILE is CSV, TSV, XLSX, XLS, ODS or JSON lines, also packed with gzip or zip, or - for standard input; --sql and
    --query take its place. Columns are known by their headers, English or Chinese; --map names others. Each row is
    accepted, a duplicate or rejected, with its reason; the whole list goes in, or nothing.
    """
    from campaigns.lists.importing import Request
    from campaigns.lists.loading import OnDuplicate, Policy
    from campaigns.priority import step_back

    if bool(file) == bool(sql) or bool(sql) != bool(query):
        fail("give a FILE, or --sql and --query")
    if watch and not Path(file).is_dir():
        fail(f"{file}: is no folder to be watched")
    if rejects is None and not watch:
        rejects = Path(_stem(file) + ".rejected.csv" if file in ("", "-") else file + ".rejected.csv")
    for option, path in (("--rejects", rejects), ("--report", report)):
        if path is not None and file and path.resolve() == Path(file).resolve():
            fail(f"{file}: the list would be written over; give {option} another name")
    step_back()
    with opened_database(Settings(config_file, data)) as engine:
        request = Request(
            file=file,
            name=list_name or _stem(file),
            campaign_id=0,
            columns=dict(columns),
            source=source,
            country=country.upper(),
            area_code=area_code,
            zone=zone,
            policy=Policy(same, within, OnDuplicate(duplicates)),
            dry_run=dry_run,
            report=report,
            rejects=rejects,
            sql=sql,
            query=query,
        )

        def refused(reason: str) -> None:
            if report is not None:
                from campaigns.lists.report import Report

                try:
                    Report(report, None).end(reason)
                except OSError as fault:
                    fail(f"{fault.filename}: can't be written: {fault.strerror}")

        request = replace(request, campaign_id=campaign_id(engine, campaign, refused))
        if watch:
            _watch(engine, request, bool(list_name))
            return
        result, reason = _import(engine, request)
        if result is None:
            fail(reason)
    if json_out:
        click.echo(json.dumps(_counts(result) | {"rejects": str(rejects) if result.rejected else None}))
    else:
        _tell(result, rejects)


@click.command()
@click.option("--campaign", help="Whose lists; may be left out while there is one campaign.")
@click.option("--undo", "undo_name", metavar="LIST", help="Take this list back, all imports into it.")
@as_json
@common
def lists(
    campaign: str | None, undo_name: str | None, json_out: bool, config_file: Path | None, data: Path | None
) -> None:
    """Show the imports on record, or take a list back.

    Leads that nobody called go. Those that were called stay with their attempts, and are closed. Leads that the import
    changed are as they were before. Broken off, it goes on when asked for again.
    """
    from campaigns.lists import undoing

    with opened_database(Settings(config_file, data)) as engine:
        of = campaign_id(engine, campaign) if campaign or undo_name else None
        if undo_name is not None and of is not None:
            undone = undoing.undo(engine, of, undo_name, datetime.now(UTC))
            if not undone.imports:
                fail(f"there is no list {undo_name!r} in this campaign that could be taken back")
            told = {name: getattr(undone, name) for name in undone.__slots__}
            click.echo(
                json.dumps(told)
                if json_out
                else f"{undone.removed} leads removed, {undone.closed} called ones closed, {undone.restored} as before"
            )
            return
        rows = undoing.imports(engine, of)
    if json_out:
        click.echo(json.dumps([_import_row(row) for row in rows], ensure_ascii=False))
        return
    for row in rows:
        state = (
            "undone" if row.undone_at else "" if row.finished_at else "not finished: the next import ends it"
        )
        click.echo(
            f"{row.imported_at:%F %H:%M}  {row.campaign}  {row.name}: {row.accepted} accepted, "
            f"{row.duplicates} duplicates ({row.updated} of them changed), {row.rejected} rejected  {row.source}"
            f"  {state}".rstrip()
        )


def campaign_id(engine: Engine, name: str | None, refused: Callable[[str], None] = lambda _: None) -> int:
    """The campaign of this name, or the only one; the end of the command when there is none."""
    from campaigns.store import Applied, CampaignStore

    store = CampaignStore(engine)
    if name is not None:
        found = store.find(name)
        if isinstance(found, Applied):
            return found.campaign_id
        reason = (
            f"there is no campaign {name!r}; apply its file first"
            if found is None
            else f"{found.reason}; apply a file that this program can read first"
        )
    else:
        known = store.newer_than(0)
        if len(known) == 1 and isinstance(known[0], Applied):
            return known[0].campaign_id
        names = ", ".join(each.config.name if isinstance(each, Applied) else each.name for each in known)
        reason = f"say --campaign, one of {names}" if known else "there is no campaign; apply its file first"
    refused(reason)
    return fail(reason)


# --- within -----------------------------------------------------------------------------------------------------


def _import(engine: Engine, request: Request) -> tuple[Result | None, str]:
    """The result, or None and the reason why nothing went in."""
    from campaigns.config import CampaignsError
    from campaigns.lists.importing import AlreadyIn, import_list

    try:
        with _progress() as progress:
            return import_list(engine, request, datetime.now(UTC), sys.stdin.buffer, progress), ""
    except AlreadyIn:
        raise
    except CampaignsError as fault:
        return None, str(fault)
    except OSError as fault:
        return None, f"{fault.filename or request.file}: can't be read or written: {fault.strerror}"


@contextmanager
def _progress() -> Iterator[Callable[[int, float], None] | None]:
    """A bar on a terminal's stderr, with rate and time left."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f} a second"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    began = time.monotonic()
    with bar:
        task = bar.add_task("", total=1.0, rows=0, rate=0.0)

        def told(rows: int, share: float) -> None:
            rate = rows / max(0.001, time.monotonic() - began)
            bar.update(task, completed=share, rows=rows, rate=rate)

        yield told


def _watch(engine: Engine, request: Request, one_list: bool) -> None:
    """Import each file of a folder once it is written, and move it, with its report, to where it belongs."""
    from psycopg2 import Error as DriverError
    from sqlalchemy.exc import SQLAlchemyError

    folder = Path(request.file)
    seen: dict[Path, tuple[tuple[int, int], float]] = {}  # size and time of change, and since when they hold
    away = False
    try:
        while True:
            present: dict[Path, tuple[tuple[int, int], float]] = {}
            for path in sorted(folder.iterdir()):
                if (
                    path.name.startswith(UNFINISHED[0])
                    or path.name.endswith(UNFINISHED[1])
                    or not path.is_file()
                ):
                    continue
                try:
                    stat = path.stat()
                except FileNotFoundError:  # whoever put it there took it away
                    continue
                state, now = (stat.st_size, stat.st_mtime_ns), time.monotonic()
                known, since = seen.get(path, (None, now))
                present[path] = state, since if known == state else now
                if now - present[path][1] < SETTLED_S:
                    continue
                name = request.name if one_list else _stem(path.name)
                key = f"{path.name} {stat.st_size} {stat.st_mtime_ns}"
                try:
                    _take(engine, replace(request, file=str(path), name=name, batch=key), path)
                    away = False
                    del present[path]
                except (SQLAlchemyError, DriverError) as fault:
                    if not away:
                        first = str(fault).strip().split("\n")[0]
                        click.echo(f"{path.name}: waits for the database: {first}", err=True)
                    away = True
            seen = present
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        return
    except OSError as fault:
        fail(f"{fault.filename or folder}: can't be watched: {fault.strerror}", 1)


def _take(engine: Engine, request: Request, path: Path) -> None:
    """Import a file once: one that was imported when this was broken off is only moved."""
    from campaigns.lists.importing import AlreadyIn

    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{path.name}"
    with tempfile.TemporaryDirectory(prefix="zhudong-watch-") as made:
        report, rejects = Path(made) / f"{stamp}.json", Path(made) / f"{stamp}.rejected.csv"
        try:
            result, reason = _import(engine, replace(request, report=report, rejects=rejects))
            told = f"refused: {reason}" if result is None else _summary(result)
            to = path.parent / (REFUSED if result is None else DONE)
        except AlreadyIn as there:
            report.unlink(missing_ok=True)
            told, to = str(there), path.parent / DONE
        to.mkdir(exist_ok=True)
        for each in (report, rejects):
            if each.exists():
                shutil.move(each, to / each.name)
    path.rename(to / stamp)
    click.echo(f"{path.name}: {told}")


def _stem(file: str) -> str:
    name = Path(file).name if file not in ("", "-") else "list"
    return name.split(".")[0] or name


def _counts(result: Result) -> dict[str, Any]:
    return {
        "rows": result.rows,
        "accepted": result.accepted,
        "duplicates": result.duplicates,
        "rejected": result.rejected,
        "format": result.format,
    }


def _summary(result: Result) -> str:
    return (
        f"{result.rows} rows: {result.accepted} accepted, {result.duplicates} duplicates, {result.rejected} rejected "
        f"({result.format})"
    )


def _tell(result: Result, rejects: Path | None) -> None:
    click.echo(_summary(result) + (", nothing written" if result.dry_run else ""))
    for note in result.notes:
        click.echo(f"  {note}")
    if result.dry_run:
        for row, name, numbers in result.leads[:SHOWN]:
            click.echo(f"  row {row}: {name or '(no name)'} {' '.join(numbers)}")
    for row, fault in result.rejects[:SHOWN]:
        where = f"{fault.column} {fault.value!r}".strip() if fault.value else fault.column
        click.echo(f"  row {row}: {f'{where} ' if where else ''}{fault.reason}")
    if result.rejected and not result.dry_run:
        click.echo(f"all rejected rows: {rejects}")


def _import_row(row: Any) -> dict[str, Any]:
    return {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in row._asdict().items()
    }
