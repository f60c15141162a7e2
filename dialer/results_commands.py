"""The commands of the closed loop: `dialer results` and `dialer evaluate`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dialer.console import as_json, common
from dialer.segment_commands import database_of

if TYPE_CHECKING:
    from campaigns.evaluation.evaluating import Evaluation, Gain, Row
    from campaigns.evaluation.intervals import Interval
    from campaigns.evaluation.written import StepGain

WIDTH = 130  # of a table that goes into a file
SPLITS = ("campaign", "list", "segment", "arm", "script", "message", "caller_id", "agent", "hour")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--unit", default="", help="The unit whose customers these are; the whole company when not given."
)
@click.option(
    "--zone", default="Asia/Shanghai", show_default=True, help="The time zone of times that name none."
)
@common
def results(file: Path, unit: str, zone: str, config_file: Path | None, data: Path | None) -> None:
    """Bring in what customers bought: a CSV of customer ids, dates, amounts and the orders' own ids."""
    from campaigns.evaluation.purchases import bring_in, from_csv
    from campaigns.units import unit_of

    with database_of(config_file, data) as engine:
        with engine.connect() as connection:
            unit_id = unit_of(connection, unit)
        found = bring_in(engine, unit_id, from_csv(file), zone, file.name)
    click.echo(f"{found.accepted:,} brought in, {found.known:,} known already, {found.rejected:,} rejected")
    for each in found.rejects:
        click.echo(f"  row {each.row}: {each.reason}")


@click.command()
@click.argument("campaign")
@click.option(
    "--by", type=click.Choice(SPLITS), default="list", show_default=True, help="What calls are split by."
)
@click.option(
    "--days", type=click.IntRange(1, 400), default=30, show_default=True, help="The last so many days."
)
@as_json
@common
def evaluate(
    campaign: str, by: str, days: int, json_out: bool, config_file: Path | None, data: Path | None
) -> None:
    """Say what a campaign's calls were worth, and what was gained over those held out."""
    import msgspec

    from campaigns.evaluation.evaluating import evaluate as evaluated

    until = datetime.now(UTC)
    with database_of(config_file, data) as engine:
        found = evaluated(engine, campaign, until - timedelta(days=days), until, by)
    if json_out:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        _tell(found)


def _tell(found: Evaluation) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(found.by, overflow="fold")
    for name in (
        "calls", "talks", "conversions", "of talks", "revenue", "seat hours", "cost", "a talk brings", "a talk costs",
        "a seat hour brings", "next 100 calls",
    ):  # fmt: skip
        table.add_column(name, justify="right")
    for name, row in [*((each.key or "–", each) for each in found.rows), ("all", found.whole)]:
        table.add_row(name, *_cells(row))
    console.print(table)
    for each in found.gains:
        click.echo(
            f"segment {each.segment}: of {each.called:,} to be called {each.called_buyers:,} bought, of "
            f"{each.held_out:,} held out {each.held_out_buyers:,}"
        )
        _say_gained(each)
    for step in found.messages:
        click.echo(
            f"message {step.step}: of {step.written:,} written to {step.written_buyers:,} bought, of "
            f"{step.held_out:,} held out {step.held_out_buyers:,}"
        )
        _say_gained(step)
    for each in found.arms:
        click.echo(
            f"arm {each.arm}: {each.converts:,} of {each.customers:,} customers converted, "
            f"{_interval(each.rate, '{:.2%}')}; {each.chance:.0%} of those who are new come to it"
        )
        if each.gained is not None:
            click.echo(
                f"    gained over {found.arms[0].arm}, at every look: {_interval(each.gained, '{:+.2%}')}"
            )


def _say_gained(gain: Gain | StepGain) -> None:
    for name, gained, written in (
        ("buyers gained", gain.buyers_gained, "{:+.2%}"),
        ("the same, at every look", gain.looked, "{:+.2%}"),
        ("revenue gained, a customer", gain.revenue_gained, "{:+,.2f}"),
    ):
        click.echo(f"    {name}: {_interval(gained, written)}")


def _cells(row: Row) -> list[str]:
    return [
        f"{row.calls:,}", f"{row.contacts:,}", f"{row.conversions:,}", _interval(row.rate, "{:.1%}"),
        f"{row.revenue:,.2f}", f"{row.seat_hours:,.1f}", f"{row.cost:,.2f}", _money(row.revenue_per_contact),
        _money(row.cost_per_contact), _money(row.revenue_per_seat_hour), _interval(row.next_hundred, "{:,.0f}"),
    ]  # fmt: skip


def _money(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"


def _interval(found: Interval | None, written: str) -> str:
    if found is None:
        return "–"
    return f"{written.format(found.estimate)} ({written.format(found.low)} to {written.format(found.high)})"
