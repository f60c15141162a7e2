"""The commands about the audit log: `dialer audit`."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from dialer.console import Settings, as_json, common, fail, opened_database


@click.group()
def audit() -> None:
    """The audit log: who did what, from where, and what it was before and after."""


@audit.command(name="list")
@click.option("--who", default="", help="Only what this one did.")
@click.option("--action", default="", help="Only this, such as `user changed`.")
@click.option("--from", "since", type=click.DateTime(["%Y-%m-%d"]), help="First day (UTC).")
@click.option("--to", "until", type=click.DateTime(["%Y-%m-%d"]), help="Before this day (UTC).")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Lines, at most."
)
@as_json
@common
def list_lines(
    who: str,
    action: str,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    json_out: bool,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Show the newest lines first."""
    from campaigns.audit import lines

    first, end = (None if day is None else day.replace(tzinfo=UTC) for day in (since, until))
    with opened_database(Settings(config_file, data)) as engine:
        found = lines(engine, first, end, who, action, limit=limit)
    if json_out:
        click.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False, default=str))
        return
    for each in found:
        change = " → ".join(told for told in (each.before, each.after) if told is not None)
        words = "  ".join(told for told in (each.subject, each.detail, change) if told)
        source = f" ({each.source})" if each.source else ""
        click.echo(f"{each.at:%F %T}Z  {each.who}{source}  {each.action}: {words}")


@audit.command()
@as_json
@common
def verify(json_out: bool, config_file: Path | None, data: Path | None) -> None:
    """Work the chain of hashes out anew. Exits 1 where a line was changed, taken out or put in.

    Keep the last hash elsewhere: that nobody cut lines off the end is shown by finding it again.
    """
    from campaigns.audit import verify as verified

    with opened_database(Settings(config_file, data)) as engine:
        found = verified(engine)
    if json_out:
        click.echo(json.dumps(asdict(found)))
    elif not found.fault:
        click.echo(f"{found.lines} lines, unbroken; the last hash is {found.last}")
    if found.fault:
        fail(f"the audit log is not as it was written: {found.fault}", 1)
