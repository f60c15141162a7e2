"""The commands about what was learned of calls: `dialer caller-ids`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dialer.console import Settings, as_json, common, fail, opened_database

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def _count(calls: int | None) -> str:
    return "–" if calls is None else str(calls)


def _share(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.1%}"
