"""The commands about messages, `dialer messages`: what came of them, who may be written to."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from dialer.console import Settings, as_json, common, fail, opened_database
from dialer.rules_commands import Instant, country_option, told_apart

channel_option = click.option(
    "--channel",
    required=True,
    type=click.Choice(["email", "sms", "gateway"]),
    help="By what they are written to.",
)


@click.group()
def messages() -> None:
    """Texts and e-mails between the calls."""


@messages.command()
@click.argument("campaign")
@as_json
@common
def show(campaign: str, json_out: bool, config_file: Path | None, data: Path | None) -> None:
    """Show what came of a campaign's messages, step by step, and why others wait or were not sent."""
    from campaigns.messages.figures import figures

    with opened_database(Settings(config_file, data)) as engine, told_apart():
        found = figures(engine, campaign)
    if json_out:
        click.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2))
        return
    for each in found.steps:
        click.echo(
            f"{each.step} ({each.channel}): {each.waiting} wait, {each.sent} sent, {each.delivered} delivered, "
            f"{each.failed} failed, {each.replied} answered, {each.held_out} held out, {each.not_sent} not sent"
        )
    for why in found.reasons:
        detail = f", such as: {why.example}" if why.example else ""
        click.echo(f"  {why.step}: {why.messages} {why.state.replace('_', ' ')}, {why.reason}{detail}")
    if not found.steps:
        click.echo("no message was due")


@messages.command()
@click.argument("campaign")
@common
def resend(campaign: str, config_file: Path | None, data: Path | None) -> None:
    """Have those that were given up sent again, as far as they are permitted now."""
    from campaigns.messages.figures import send_again

    with opened_database(Settings(config_file, data)) as engine, told_apart():
        click.echo(f"{send_again(engine, campaign, datetime.now(UTC))} will be sent again")


@messages.command()
@click.argument("address")
@channel_option
@click.option("--source", required=True, help="How it was said, such as a form and its version.")
@click.option("--at", type=Instant(), help="When; now by default.")
@click.option("--expires", type=Instant(), help="When it ends; never by default.")
@country_option
@common
def agree(
    address: str,
    channel: str,
    source: str,
    at: datetime | None,
    expires: datetime | None,
    country: str,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Record that somebody agreed to be written to."""
    _say(Settings(config_file, data), channel, address, country, True, source, at, expires)


@messages.command()
@click.argument("address")
@channel_option
@click.option("--source", default="asked", show_default=True, help="How it was said.")
@country_option
@common
def refuse(
    address: str, channel: str, source: str, country: str, config_file: Path | None, data: Path | None
) -> None:
    """Record that somebody wants no more; a number is put on the do-not-call list as well."""
    _say(Settings(config_file, data), channel, address, country, False, source)


@messages.command()
@click.argument("address")
@channel_option
@as_json
@country_option
@common
def said(
    address: str, channel: str, json_out: bool, country: str, config_file: Path | None, data: Path | None
) -> None:
    """Show all that was said of being written to at an address, the last word at the end."""
    from campaigns.messages.choices import ChoiceStore, address_of

    with opened_database(Settings(config_file, data)) as engine, told_apart():
        found = list(ChoiceStore(engine).of(address_of(channel, address, country)))
    if json_out:
        click.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False, default=str, indent=2))
        return
    for each in found:
        until = f", until {each.expires_at:%Y-%m-%d %H:%M:%SZ}" if each.expires_at else ""
        click.echo(
            f"{each.at:%Y-%m-%d %H:%M:%SZ}  {each.channel}  {'yes' if each.agreed else 'no'}  {each.source}{until}"
        )
    if not found:
        click.echo("nothing was said")


@messages.command(name="import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@channel_option
@click.option("--source", required=True, help="How they agreed.")
@country_option
@common
def import_choices(
    file: Path, channel: str, source: str, country: str, config_file: Path | None, data: Path | None
) -> None:
    """Record who agreed, from a CSV of address, given, expires; all, or none when a line is wrong."""
    from campaigns.messages.choices import ChoiceStore

    with opened_database(Settings(config_file, data)) as engine, told_apart():
        click.echo(f"{ChoiceStore(engine).load(file, channel, source, country)} are on record")


@messages.command()
@common
def bounced(config_file: Path | None, data: Path | None) -> None:
    """Take a mail that came back, from standard input; by its return address it is told whose message it was."""
    from sqlalchemy.exc import SQLAlchemyError

    from campaigns import database
    from campaigns.messages.bounces import MOST_MAIL, bounce_of, take_bounce

    # Mail servers come again after this code. After any other the mail is refused, and lost.
    settings = Settings(config_file, data, unfit=os.EX_TEMPFAIL)
    email = settings.config().messages.email
    if not email.bounces:
        fail(
            "messages.email.bounces of the configuration names no address to which mails come back",
            os.EX_TEMPFAIL,
        )
    mail = sys.stdin.buffer.read(MOST_MAIL + 1)
    with told_apart():
        bounce = bounce_of(mail, email.bounces, email.secret)
    try:
        with opened_database(settings, "mail server") as engine:
            new = take_bounce(engine, bounce, datetime.now(UTC))
    except SQLAlchemyError as fault:
        fail(f"the database: {database.reason(fault)}", os.EX_TEMPFAIL)
    click.echo(f"{bounce.fate}: {bounce.why}" if new else "it is on record already, or of no message")


def _say(
    settings: Settings,
    channel: str,
    address: str,
    country: str,
    agreed: bool,
    source: str,
    at: datetime | None = None,
    expires: datetime | None = None,
) -> None:
    from campaigns.messages.choices import ChoiceStore, address_of

    with opened_database(settings) as engine, told_apart():
        known = address_of(channel, address, country)
        new = ChoiceStore(engine).say(channel, known, agreed, source, at or datetime.now(UTC), expires)
    click.echo("it is on record" if new else "it is on record already")
