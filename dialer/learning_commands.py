"""The commands about what was learned of calls: `dialer caller-ids` and `dialer best-time`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from campaigns.rules.keys import WEEKDAYS
from dialer.console import Settings, as_json, common, fail, opened_database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.best_time.store import BestTimes
    from campaigns.caller_ids.watch import CallerId

WIDTH = 110  # of a table that goes into a file


@click.command(name="caller-ids")
@click.option("--campaign", help="Only this campaign's numbers.")
@click.option(
    "--put-back", metavar="NUMBER", help="Use this number again; what spoke against it is forgotten."
)
@as_json
@common
def caller_ids(
    campaign: str | None, put_back: str | None, json_out: bool, config_file: Path | None, data: Path | None
) -> None:
    """Show the numbers that customers see: their use, how they are answered, and which are flagged or taken out."""
    from campaigns.caller_ids.watch import CallerIdWatch
    from campaigns.config import CampaignsError

    with opened_database(Settings(config_file, data)) as engine:
        watch = CallerIdWatch(engine)
        try:
            if put_back is not None:
                watch.put_back(put_back)
            found = watch.report(campaign)
        except CampaignsError as fault:
            fail(str(fault))
    if json_out:
        click.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False, default=str, indent=2))
    else:
        _tell_caller_ids(found)


def _tell_caller_ids(found: Sequence[CallerId]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not found:
        click.echo("no campaign names a caller-ID")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("campaign", "for", "number"):
        table.add_column(name, overflow="fold")
    for name in ("hour", "day", "calls", "answered", "others", "evidence"):
        table.add_column(name, justify="right")
    table.add_column("")
    for each in found:
        state = "out" if each.out_at is not None else "flagged" if each.flagged_at is not None else ""
        table.add_row(
            each.campaign, each.pool or "all others", each.number, _count(each.hour_calls),
            _count(each.day_calls), f"{each.calls:.0f}", _share(each.rate), _share(each.pool_rate),
            f"{each.evidence:.2f}", state,
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


@click.command(name="best-time")
@click.argument("campaign")
@click.option(
    "--rows", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Segments in the table."
)
@as_json
@common
def best_time(campaign: str, rows: int, json_out: bool, config_file: Path | None, data: Path | None) -> None:
    """Show how likely an answer is by segment and hour of the called party's day, and what calling by it gained."""
    from campaigns.best_time.store import BestTimeStore
    from campaigns.config import CampaignsError

    with opened_database(Settings(config_file, data)) as engine:
        try:
            found = BestTimeStore(engine).report(campaign, datetime.now(UTC))
        except CampaignsError as fault:
            fail(str(fault))
    if json_out:
        click.echo(json.dumps(_as_dict(found), ensure_ascii=False, indent=2))
    else:
        _tell_best_times(found, rows)


def _as_dict(found: BestTimes) -> dict[str, Any]:
    arms = {"ordered": found.ordered._asdict(), "random": found.random._asdict()}
    return asdict(found) | arms


def _tell_best_times(found: BestTimes, rows: int) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    hours = [each.hour for each in found.segments[0].hours] if found.segments else []
    table = Table(box=box.SIMPLE_HEAD, title="answers in % of calls, by the hour of the called party's day")
    for name in ("list", "region", "kind", "day"):
        table.add_column(name, overflow="fold")
    for name in ("calls", *(f"{hour:02d}" for hour in hours)):
        table.add_column(name, justify="right")
    for each in found.segments[:rows]:
        figures = [f"{100 * hour.chance:.0f}" for hour in each.hours]
        day = WEEKDAYS[each.weekday]
        table.add_row(each.list_name, each.region, each.kind, day, f"{each.calls:.0f}", *figures)
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
    if len(found.segments) > rows:
        click.echo(f"{len(found.segments) - rows} segments more, with fewer calls; --rows shows them")
    if not found.order:
        click.echo("the campaign does not call by it: [best_time] order = true")
    for name, arm in (("ordered", found.ordered), ("random", found.random)):
        if arm.calls:
            click.echo(f"{name}: {arm.calls:.0f} calls, {_share(arm.answers / arm.calls)} answered")
    if found.uplift is not None:
        gain = found.uplift
        click.echo(f"uplift: {gain.uplift:+.1%} ({gain.low:+.1%} to {gain.high:+.1%}, 95 %)")


def _count(calls: int | None) -> str:
    return "–" if calls is None else str(calls)


def _share(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.1%}"
