"""The commands about target selection: `dialer segment`."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dialer.console import Settings, as_json, common, fail, opened_database

if TYPE_CHECKING:
    from sqlalchemy import Engine


@contextmanager
def database_of(config_file: Path | None, data: Path | None) -> Iterator[Engine]:
    """The daemon's database; what can't be done ends the command."""
    from campaigns.config import CampaignsError

    with opened_database(Settings(config_file, data)) as engine:
        try:
            yield engine
        except CampaignsError as fault:
            fail(str(fault))


@click.group()
def segment() -> None:
    """Segments: which customers are worth calling, and campaigns that take them."""


@segment.command(name="save")
@click.argument("name")
@click.argument("text", required=False)
@click.option(
    "--unit", default="", help="The unit's path, for a new segment; the whole company when not given."
)
@common
def save_segment(name: str, text: str | None, unit: str, config_file: Path | None, data: Path | None) -> None:
    """Save a new version of a segment; its TEXT comes from standard input when not given."""
    from campaigns.segments.store import SegmentStore

    words = sys.stdin.read() if text is None else text
    with database_of(config_file, data) as engine:
        found = SegmentStore(engine).save(name, words.strip(), unit, getpass.getuser(), datetime.now(UTC))
    click.echo(f"{name}: version {found.version}")


@segment.command(name="list")
@as_json
@common
def list_segments(json_out: bool, config_file: Path | None, data: Path | None) -> None:
    """Show all segments in their newest version."""
    from campaigns.segments.store import SegmentStore

    with database_of(config_file, data) as engine:
        found = SegmentStore(engine).all()
    if json_out:
        click.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False, default=str, indent=2))
        return
    for each in found:
        click.echo(f"{each.name}  ({each.unit or 'the company'}, version {each.version}, {each.saved_by})")
        click.echo(f"    {each.text or 'everybody'}")


@segment.command(name="versions")
@click.argument("name")
@as_json
@common
def versions_of(name: str, json_out: bool, config_file: Path | None, data: Path | None) -> None:
    """Show what a segment was, the newest version first."""
    from campaigns.segments.store import SegmentStore

    with database_of(config_file, data) as engine:
        store = SegmentStore(engine)
        store.find(name)
        found = store.versions(name)
    if json_out:
        click.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False, default=str, indent=2))
        return
    for each in found:
        click.echo(f"{each.version}  {each.saved_at:%F %T}Z  {each.saved_by}\n    {each.text or 'everybody'}")


@segment.command(name="count")
@click.argument("name")
@common
def count_segment(name: str, config_file: Path | None, data: Path | None) -> None:
    """Say how many customers a segment fits now: about how many, where to count all takes too long."""
    from campaigns.segments.store import SegmentStore

    with database_of(config_file, data) as engine:
        store = SegmentStore(engine)
        found = store.find(name)
        counted = store.count(found.text, found.unit_id, datetime.now(UTC))
    if counted.customers is None:
        fail("it takes too long to count them", 1)
    click.echo(f"{'about ' if counted.about else ''}{counted.customers:,}")


@segment.command(name="take")
@click.argument("name")
@click.option("--campaign", required=True, help="The campaign that takes them.")
@click.option("--list", "list_name", required=True, help="The list that they come on.")
@click.option("--budget", type=int, default=10_000, show_default=True, help="So many to call at most.")
@click.option(
    "--hold-out",
    type=float,
    default=0.1,
    show_default=True,
    help="The share of them that is not called, to compare with.",
)
@click.option(
    "--rest-days",
    type=int,
    default=30,
    show_default=True,
    help="Nobody whom an agent talked to in the last days.",
)
@common
def take_segment(
    name: str,
    campaign: str,
    list_name: str,
    budget: int,
    hold_out: float,
    rest_days: int,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Put customers of a segment onto a list of a campaign, but for those held out."""
    from campaigns.segments.taking import Wish, take

    wish = Wish(name, campaign, list_name, budget, hold_out, rest_days)
    with database_of(config_file, data) as engine:
        taken = take(engine, wish, getpass.getuser(), datetime.now(UTC))
    click.echo(
        f"{taken.called:,} to call, {taken.held_out:,} held out, {taken.left_out:,} left out by the import"
    )
