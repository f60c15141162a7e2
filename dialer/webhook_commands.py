"""The command about events that a company's own system did not take: `dialer webhooks`."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from dialer.console import Settings, as_json, common, opened_database


@click.command()
@click.option(
    "--resend", type=int, multiple=True, metavar="ID", help="Send this one again; may be given again."
)
@click.option("--resend-all", is_flag=True, help="Send all of them again.")
@as_json
@common
def webhooks(
    resend: tuple[int, ...], resend_all: bool, json_out: bool, config_file: Path | None, data: Path | None
) -> None:
    """Show the events that were given up after hours of trying, and why; or have them sent again."""
    from campaigns.webhooks import dead, send_again

    with opened_database(Settings(config_file, data)) as engine:
        again = 0
        if resend or resend_all:
            again = send_again(engine, None if resend_all else resend, datetime.now(UTC))
        found = dead(engine)
    if json_out:
        rows = [asdict(each) for each in found]
        click.echo(json.dumps({"sent_again": again, "dead": rows}, ensure_ascii=False, default=str, indent=2))
        return
    if resend or resend_all:
        click.echo(f"{again} will be sent again")
    for each in found:
        click.echo(
            f"{each.delivery_id}  {each.hook}  {each.kind}  call {each.call_id}  "
            f"{each.since:%Y-%m-%d %H:%M:%S%z}  {each.tries} tries: {each.fault}"
        )
    if not found:
        click.echo("no event was given up")
