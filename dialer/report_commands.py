"""The commands about reports: `dialer report`."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dialer.console import Settings, common, fail, opened_database

if TYPE_CHECKING:
    from campaigns.reports.asking import Table
    from cti.report_words import Words

WIDTH = 160  # of a table that goes into a file
DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("name", required=False)
@click.option("--from", "since", type=DAY, help="First day; six days ago by default.")
@click.option("--to", "until", type=DAY, help="Last day; today by default.")
@click.option(
    "--by", multiple=True, help="What it is split by; may be given again. As the report is by default."
)
@click.option("--campaign", "campaigns", multiple=True, help="Only this campaign; may be given again.")
@click.option(
    "--zone", default="", help="Whose days they are; `zone` of the configuration's [reports] by default."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "xlsx"]),
    default="table",
    show_default=True,
)
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it there.")
@common
def report(
    name: str | None,
    since: datetime | None,
    until: datetime | None,
    by: tuple[str, ...],
    campaigns: tuple[str, ...],
    zone: str,
    form: str,
    language: str,
    output: Path | None,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Show a report, or without a NAME which there are. It is made of roll-ups: the calls do not feel it."""
    from campaigns.reports.asking import BadQuestion, Question, answer, zone_of
    from campaigns.reports.catalogue import COMPLIANCE, REPORTS
    from campaigns.reports.compliance import by_day
    from cti.language import catalogue
    from cti.pauses import DEFAULT_PAUSES
    from cti.report_reader import as_file
    from cti.report_words import Words

    settings = Settings(config_file, data)
    section = settings.reports()
    pauses = settings.config().pause if config_file is not None else DEFAULT_PAUSES
    words = Words(catalogue(language), pauses)
    if name is None:
        for each in REPORTS.values():
            click.echo(f"{each.key:<14}{words.title(each.key)}; by {', '.join(each.dimensions)}")
        click.echo(f"{COMPLIANCE:<14}{words.title(COMPLIANCE)}; of each campaign and day")
        return
    try:
        today = datetime.now(zone_of(zone or section.zone)).date()
        first, last = _day(since, today - timedelta(days=6)), _day(until, today)
        question = Question(name, first, last, zone or section.zone, by, campaigns)
        with opened_database(settings) as engine:  # a replica's log-in shows each person their own campaigns
            table = (by_day if name == COMPLIANCE else answer)(engine, question, None)
    except BadQuestion as fault:
        fail(str(fault))
    now = datetime.now(UTC)
    if form == "table":
        _show(table, words, now)
        return
    told = as_file(table, form, words, now)
    if output is not None:
        output.write_bytes(told)
    else:
        sys.stdout.buffer.write(told)


def _day(given: datetime | None, otherwise: date) -> date:
    return otherwise if given is None else given.replace(tzinfo=UTC).date()


def _show(table: Table, words: Words, now: datetime) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Sheet

    sheet = Sheet(
        box=box.SIMPLE_HEAD, title=words.title(table.question.report), show_footer=bool(table.totals)
    )
    totals: list[Any] = list(table.totals)
    for place, column in enumerate(table.columns):
        foot = (
            words.total
            if place == 0
            else ""
            if column.unit is None or not totals
            else words.figure(column.unit, totals[place])
        )
        justify = "left" if column.unit is None else "right"
        sheet.add_column(words.column(column.key), foot, justify=justify, overflow="fold")
    for row in words.rows(table):
        sheet.add_row(*(text for text, _ in row))
    Console(width=None if sys.stdout.isatty() else WIDTH).print(sheet)
    if table.behind(now):
        click.echo(words.behind)
