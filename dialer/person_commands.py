"""The commands about one person's data and about legal holds: `dialer person`, `dialer hold`."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from dialer.console import Settings, as_json, common, fail, opened_database
from dialer.history_commands import as_text, by, campaign_id, files_of, holding_archive, told_apart, whom


@click.group()
def person() -> None:
    """Tell all that is known of one person, or erase it."""


@person.command()
@whom
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file; else to stdout."
)
@by
@common
def export(
    number: str | None, customer: str, out: Path | None, by: str, config_file: Path | None, data: Path | None
) -> None:
    """Export everything that is known of a person, live and archived, as JSON."""
    from campaigns.history import person as persons
    from campaigns.history.query import History

    need_one(number, customer)
    settings = Settings(config_file, data)
    with opened_database(settings) as engine, told_apart():
        found = persons.find(engine, number or "", customer)
        now = datetime.now(UTC)
        told = persons.export(
            engine, History(engine, files_of(settings)), found, by or getpass.getuser(), now
        )
    if out is None:
        click.echo(as_text(told))
        return
    out.touch(mode=0o600)  # it is all about one person
    out.write_text(as_text(told) + "\n", encoding="utf-8")
    click.echo(f"{len(told['leads'])} leads and {len(told['calls'])} calls: {out}")


@person.command(name="erase")
@whom
@click.option("--reference", required=True, help="Why, in your own books: a ticket, never the person's data.")
@by
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@common
def erase_person(
    number: str | None,
    customer: str,
    reference: str,
    by: str,
    yes: bool,
    json_out: bool,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Erase a person everywhere, the archive included; counts stay, and so does an entry on the do-not-call list.

    A legal hold is stronger: then nothing is erased, the hold is named, and the exit code is 1.
    """
    from campaigns.history import person as persons

    need_one(number, customer)
    settings = Settings(config_file, data)
    with holding_archive(settings) as (engine, job):
        found = persons.find(engine, number or "", customer)
        if not yes:
            click.confirm(
                f"Erase {len(found.lead_ids)} leads and all their calls? This can't be undone", abort=True
            )
        erased = persons.erase(job, found, reference, by or getpass.getuser(), datetime.now(UTC))
    if json_out:
        click.echo(as_text(asdict(erased)))
        return
    click.echo(
        f"erasure {erased.erasure}: {erased.live['leads']} leads, {erased.live['attempts']} live and "
        f"{erased.archived} archived attempts are nobody's now"
    )


@click.group()
def hold() -> None:
    """Legal holds: what they cover is neither erased nor let go."""


@hold.command()
@whom
@click.option("--campaign", help="All of this campaign.")
@click.option("--why", required=True, help="The case.")
@by
@common
def place(
    number: str | None,
    customer: str,
    campaign: str | None,
    why: str,
    by: str,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Hold a number, a customer or a campaign from now on."""
    from campaigns.history.holds import Holds

    if [bool(number), bool(customer), bool(campaign)].count(True) != 1:
        fail("name one of --number, --customer and --campaign")
    with opened_database(Settings(config_file, data)) as engine:
        placed = Holds(engine).place(
            by or getpass.getuser(),
            why,
            datetime.now(UTC),
            campaign_id(engine, campaign),
            number or None,
            customer or None,
        )
    click.echo(f"hold {placed}")


@hold.command()
@click.argument("number", type=int)
@click.option("--why", required=True, help="What ended the case.")
@by
@common
def lift(number: int, why: str, by: str, config_file: Path | None, data: Path | None) -> None:
    """End the hold with this NUMBER."""
    from campaigns.history.holds import Holds, NoSuchHold

    with opened_database(Settings(config_file, data)) as engine:
        try:
            Holds(engine).lift(number, by or getpass.getuser(), why, datetime.now(UTC))
        except NoSuchHold as fault:
            fail(str(fault))


@hold.command(name="list")
@click.option("--all", "lifted", is_flag=True, help="Those that were lifted as well.")
@as_json
@common
def list_holds(lifted: bool, json_out: bool, config_file: Path | None, data: Path | None) -> None:
    """List the holds that are in force."""
    from campaigns.history.holds import Holds

    with opened_database(Settings(config_file, data)) as engine:
        found = Holds(engine).all(lifted)
    if json_out:
        click.echo(as_text([asdict(each) for each in found]))
        return
    for each in found:
        subject = each.campaign or each.e164 or f"customer {each.customer_id}"
        end = "" if each.lifted_at is None else f", lifted {each.lifted_at:%F} by {each.lifted_by}"
        click.echo(f"{each.id:>4}  {subject}: {each.why} ({each.placed_by}, {each.placed_at:%F}{end})")


def need_one(number: str | None, customer: str) -> None:
    if bool(number) == bool(customer):
        fail("name the person by --number or by --customer")
