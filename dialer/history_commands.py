"""The commands about what is past, `dialer archive` and `dialer history`, and what others about it share with them."""

from __future__ import annotations

import getpass
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dialer.console import Settings, as_json, common, fail, opened_database

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from campaigns.history.files import Files

E164 = re.compile(r"\+[1-9][0-9]{3,14}")
LIVE_AGAIN_D = 30


class Month(click.ParamType):
    """A month such as 2026-06, as its first day."""

    name = "YYYY-MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return datetime.strptime(value, "%Y-%m").replace(tzinfo=UTC).date()
        except ValueError:
            self.fail(f"{value!r} is no month; it looks like 2026-06", param, ctx)


class Number(click.ParamType):
    """A number as history has it."""

    name = "E164"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not E164.fullmatch(value):
            self.fail(f"{value!r} is no number in E.164; it looks like +8613800138000", param, ctx)
        return value


def by(command: Any) -> Any:
    """The option of commands that are put on record."""
    return click.option("--by", default="", help="Who does it; the system's user by default.")(command)


def whom(command: Any) -> Any:
    """The options that name a person."""
    command = click.option("--customer", default="", help="The customer's id, as on the lists.")(command)
    return click.option("--number", type=Number(), help="A number of theirs, in E.164.")(command)


@click.group()
def archive() -> None:
    """Move old months to files, bring them back, prove them."""


@archive.command(name="run")
@by
@as_json
@common
def run_archive(by: str, json_out: bool, config_file: Path | None, data: Path | None) -> None:
    """Do all that is due: once a day, while calls go on.

    Months older than `live_months` move to files; what is over its time goes, but for what a legal hold covers.
    Exits 1 when an erasure that was cut short could not be brought to its end; all else is done then.
    """
    from campaigns.history.retention import Policy, run

    settings = Settings(config_file, data)
    section = settings.history()
    policy = Policy(section.live_months, section.calls, section.seats, section.leads, section.audit)
    with holding_archive(settings) as (_, job):
        done = run(job, policy, by or getpass.getuser(), datetime.now(UTC))
    rows = {
        "archived": [f"{m.kind} {m.month:%Y-%m}" for m in done.archived],
        "expired": [f"{m.kind} {m.month:%Y-%m}" for m in done.expired],
        "held": [f"{m.kind} {m.month:%Y-%m}" for m in done.held],
        "leads": done.leads,
        "audit": done.audit,
        "unerased": done.unerased,
    }
    if json_out:
        click.echo(json.dumps(rows))
    else:
        for what in ("archived", "expired", "held"):
            for month in rows[what]:
                click.echo(f"{what}: {month}")
        click.echo(f"{done.leads} leads and {done.audit} lines of the audit log were over their time")
    if done.unerased:
        fail(f"{done.unerased} erasures could not be brought to their end; the log says why", 1)


@archive.command(name="list")
@as_json
@common
def list_archive(json_out: bool, config_file: Path | None, data: Path | None) -> None:
    """List the months that are in files, were restored, or are gone."""
    from campaigns.history.months import all_months

    settings = Settings(config_file, data)
    with opened_database(settings) as engine, engine.connect() as connection:
        found = all_months(connection)
    if json_out:
        rows = [
            {
                "kind": m.kind,
                "month": f"{m.month:%Y-%m}",
                "state": m.state,
                "live_until": None if m.live_until is None else m.live_until.isoformat(),
                "rows": m.manifest.rows,
                "size": m.manifest.size,
                "sha256": m.manifest.sha256,
                "file": m.manifest.file,
            }
            for m in found
        ]
        click.echo(json.dumps(rows))
        return
    for m in found:
        until = f", live until {m.live_until}" if m.state == "restored" else ""
        size = f"{m.manifest.rows:>12,} rows {m.manifest.size / 1e6:>9,.1f} MB"
        click.echo(f"{m.month:%Y-%m}  {m.kind:<12}{size}  {m.state}{until}")


@archive.command()
@click.argument("months", nargs=-1, type=Month())
@common
def verify(months: tuple[date, ...], config_file: Path | None, data: Path | None) -> None:
    """Prove files against their manifests: size, SHA-256, rows, times, and the fingerprint of every value.

    All of them, or those of MONTHS, such as 2026-06. Exits 1 when one is not what it should be.
    """
    with holding_archive(Settings(config_file, data)) as (_, job):
        manifests = [m for m in job.manifests() if not months or m.month in months]
        faults = [fault for m in manifests for fault in job.files.faults(job.duck, m)]
    if faults:
        fail("\n        ".join(faults), 1)
    click.echo(f"{len(manifests)} files, {sum(m.rows for m in manifests):,} rows: all as their manifests say")


@archive.command()
@click.argument("month", type=Month())
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=LIVE_AGAIN_D,
    show_default=True,
    help="How long it stays live before `archive run` takes it again.",
)
@by
@common
def restore(month: date, days: int, by: str, config_file: Path | None, data: Path | None) -> None:
    """Bring a month, such as 2026-06, back into the live tables."""
    from campaigns.audit import write

    now = datetime.now(UTC)
    until = (now + timedelta(days=days)).date()
    with holding_archive(Settings(config_file, data)) as (_, job):
        manifests = job.restore(month, until, now)
        with job.work.begin():
            write(job.work, "restored", f"{month:%Y-%m}", f"live until {until}", who=by)
    for manifest in manifests:
        click.echo(f"{manifest.kind}: {manifest.rows:,} rows are live again until {until}")


@click.group(name="history")
def history() -> None:
    """Ask about what is past, whether it is live or in files."""


@history.command()
@whom
@click.option("--campaign", help="Only this campaign's.")
@click.option("--from", "since", type=click.DateTime(["%Y-%m-%d"]), help="First day (UTC); all by default.")
@click.option("--to", "until", type=click.DateTime(["%Y-%m-%d"]), help="Last day (UTC); today by default.")
@as_json
@common
def calls(
    number: str | None,
    customer: str,
    campaign: str | None,
    since: datetime | None,
    until: datetime | None,
    json_out: bool,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """List the calls to a person, or of a campaign, between two days."""
    from campaigns.history import person as persons
    from campaigns.history.query import History

    if not (number or customer or campaign):
        fail("name a person by --number or --customer, or a --campaign")
    settings = Settings(config_file, data)
    with opened_database(settings) as engine, told_apart():
        person = persons.find(engine, number or "", customer) if number or customer else None
        found = History(engine, files_of(settings)).calls(
            persons.EVER if since is None else since.replace(tzinfo=UTC),
            datetime.now(UTC) if until is None else until.replace(tzinfo=UTC) + timedelta(days=1),
            person,
            campaign_id(engine, campaign),
        )
    if json_out:
        click.echo(as_text([asdict(call) for call in found]))
        return
    for call in found:
        where = "archived" if call.archived else "live"
        verdict = f" {call.code}" if call.code else ""
        click.echo(
            f"{call.dialed_at:%F %T}Z  {call.e164 or '-':<16} {call.outcome or '-'}{verdict}  ({where})"
        )
    click.echo(f"{len(found)} calls")


@history.command()
@click.option("--campaign", help="Only this campaign's.")
@click.option("--from", "since", type=Month(), required=True, help="First month, such as 2026-01.")
@click.option("--to", "until", type=Month(), required=True, help="Last month.")
@as_json
@common
def outcomes(
    campaign: str | None,
    since: date,
    until: date,
    json_out: bool,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Count what came of the calls, by month, campaign, outcome and disposition.

    The counts of months that are over their time, or in which people were erased, are still those of then.
    """
    from campaigns.history.query import History
    from campaigns.partitions import month_of

    settings = Settings(config_file, data)
    with opened_database(settings) as engine:
        found = History(engine, files_of(settings)).outcomes(
            since, month_of(until, 1), campaign_id(engine, campaign)
        )
    if json_out:
        click.echo(as_text([asdict(row) for row in found]))
        return
    for row in found:
        click.echo(
            f"{row.month:%Y-%m}  {row.campaign or '-':<24} {row.outcome or '-':<12} {row.code or '-':<20}"
            f"{row.attempts:>10,}"
        )


# --- shared with the commands about one person ------------------------------------------------------------------------


def files_of(settings: Settings) -> Files:
    """The archive's folder: the configured one, or `archive` in the data folder."""
    from campaigns.history.files import Files

    return Files(settings.history().archive(settings.data))


@contextmanager
def holding_archive(settings: Settings):  # type: ignore[no-untyped-def]
    """The database and the archive for one job; what the archive refuses ends the command with exit code 1."""
    from campaigns.history.archive import holding
    from campaigns.priority import step_back
    from dialer import logs

    step_back()
    logs.configure(sys.__stderr__ or sys.stderr, people=True)  # what a command prints is its result
    with opened_database(settings) as engine, told_apart(), holding(engine, files_of(settings)) as job:
        yield engine, job


@contextmanager
def told_apart() -> Iterator[None]:
    """A refusal of the archive, the database or the disk, in its own words."""
    from sqlalchemy.exc import SQLAlchemyError

    from campaigns import database
    from campaigns.config import CampaignsError

    try:
        yield
    except CampaignsError as fault:
        fail(str(fault), 1)
    except SQLAlchemyError as fault:
        fail(f"the database: {database.reason(fault)}", 1)
    except OSError as fault:
        fail(f"{fault.filename or 'the archive'}: {fault.strerror or fault}", 1)


def campaign_id(engine: Engine, name: str | None) -> int | None:
    """A campaign's id by its name; None for none."""
    from campaigns.store import CampaignStore

    if name is None:
        return None
    found = CampaignStore(engine).id_of(name)
    if found is None:
        fail(f"there is no campaign {name!r}")
    return found


def as_text(values: Any) -> str:
    """Values as JSON for people and programs."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(values), indent=2).decode()
