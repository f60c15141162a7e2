"""The commands about who may be called: `dialer why`, `dialer dnc`, `dialer consent`, `dialer evidence`."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from campaigns.values import DNC_LAYERS
from dialer.console import Settings, as_json, common, fail, opened_database
from dialer.history_commands import by, campaign_id, files_of

if TYPE_CHECKING:
    from campaigns.why import CampaignWhy, LeadWhy


class Instant(click.ParamType):
    """An instant in ISO 8601; without an offset it is in this machine's zone."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        from campaigns.why import asked_about

        try:
            return asked_about(value).astimezone()
        except ValueError:
            self.fail(f"{value!r} is no time; it looks like 2026-11-24T12:00 or 2026-11-24", param, ctx)


LONGEST_LEAD = 9  # digits: a national number has more, or begins with 0

country_option = click.option(
    "--country", default="CN", show_default=True, help="Country of numbers without a country code (ISO 3166)."
)


@contextmanager
def told_apart() -> Iterator[None]:
    """What a command was given and can't be used ends it with exit code 2."""
    from campaigns.config import CampaignsError

    try:
        yield
    except CampaignsError as fault:
        fail(str(fault))


# --- why ------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("who", required=False)
@click.option("--campaign", help="Only in this campaign; without WHO, all of its leads.")
@click.option("--at", type=Instant(), help="Asked about this time instead of now.")
@country_option
@as_json
@common
def why(
    who: str | None,
    campaign: str | None,
    at: datetime | None,
    country: str,
    json_out: bool,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Tell whether a lead would be called now, by which rules not, and when it next may be.

    WHO is a number, or a lead's id. With --campaign alone: how many of its leads each rule holds back.
    """
    from campaigns.numbers import number_of
    from campaigns.why import Explainer, NoSuchLead

    if who is None and campaign is None:
        fail("name a number, a lead or a --campaign")
    at = at or datetime.now(UTC)
    named = None if campaign is None else [campaign]
    with opened_database(Settings(config_file, data)) as engine, told_apart():
        explainer = Explainer(engine)
        if who is None:
            assert campaign is not None
            answer = explainer.campaign(campaign, at)
            click.echo(_json(asdict(answer))) if json_out else _tell_campaign(answer)
            return
        if who.isdigit() and who[0] != "0" and len(who) <= LONGEST_LEAD:
            answers = explainer.lead(int(who), at, named)
        else:
            number = number_of(who, country)
            try:
                answers = explainer.number(number, at, named)
            except NoSuchLead as none:
                entries = [
                    f"on the {e.layer} do-not-call list ({e.source})" for e in explainer.entries(number)
                ]
                fail("; ".join([str(none), *entries]))
    if json_out:
        click.echo(_json([asdict(each) for each in answers]))
        return
    for each in answers:
        _tell_lead(each)


def _tell_lead(why: LeadWhy) -> None:
    verdict = "would be called" if why.permitted else "would not be called"
    click.echo(f"{why.number}, lead {why.lead_id} of {why.campaign}: {verdict} at {_told(why.at)}")
    for reason in why.reasons:
        until = f"  (until {_told(reason.until)})" if reason.until is not None else ""
        click.echo(f"  {reason.reason}: {reason.detail}{until}")
    if not why.permitted:
        lasting = {reason.reason for reason in why.reasons if reason.until is None}
        never = "when that call is over" if lasting == {"in_call"} else "never by itself"
        click.echo(f"  next: {_told(why.next_at) if why.next_at is not None else never}")
    if why.in_hand_of is not None:
        click.echo(f"  it is in the hands of {why.in_hand_of} at the moment")
    click.echo(
        f"  {', '.join(why.zones)}: {why.hours}; profile {why.profile}, version {why.profile_version}; {why.data}"
    )


def _tell_campaign(why: CampaignWhy) -> None:
    estimated = why.looked_at < why.leads
    about = "about " if estimated else ""
    click.echo(f"{why.campaign} at {_told(why.at)}: {why.leads} leads, {about}{why.callable} may be called")
    if estimated:
        click.echo(f"  estimated from {why.looked_at} leads, picked at random")
    click.echo(f"  {why.done:>10}  done\n  {why.in_hand:>10}  in an engine's hands")
    for reason, held in why.held.items():
        click.echo(f"  {held.leads:>10}  held back by {reason}, {held.alone} of them by nothing else")
    if not why.callable:
        click.echo(f"  next: {_told(why.next_at) if why.next_at is not None else 'none that is known'}")
    click.echo(f"  profile {why.profile}, version {why.profile_version}; {why.data}")


# --- again ----------------------------------------------------------------------------------------------------


@click.command()
@click.argument("numbers", nargs=-1)
@click.option("--campaign", required=True, help="Whose leads.")
@click.option("--list", "list_name", default="", help="Leads of this list only.")
@click.option("--outcome", default="", help="Leads whose last call came to this, such as no_answer.")
@country_option
@by
@common
def requeue(
    numbers: tuple[str, ...],
    campaign: str,
    list_name: str,
    outcome: str,
    country: str,
    by: str,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Have leads called again: those of NUMBERS, of a list, or whose last call came to an outcome.

    The rules are asked as at every call: attempts and caps count on. Leads that wait for a callback are left to it,
    unless their numbers are named.
    """
    from campaigns.numbers import number_of
    from campaigns.requeue import Which
    from campaigns.requeue import requeue as again

    with opened_database(Settings(config_file, data)) as engine, told_apart():
        read = tuple(number_of(number, country) for number in numbers)
        count = again(
            engine, Which(campaign, read, list_name, outcome), by or getpass.getuser(), datetime.now(UTC)
        )
    click.echo(f"{count} leads of {campaign} are called again, as the rules allow")


# --- do-not-call lists ----------------------------------------------------------------------------------------


def layer_options(command: Any) -> Any:
    """The options that say which layer, and from where."""
    command = click.option("--campaign", help="The campaign of the layer campaign.")(command)
    command = click.option("--source", default="", help="Where it comes from; the layer by default.")(command)
    return click.option("--layer", type=click.Choice(DNC_LAYERS), default="company", show_default=True)(
        command
    )


@click.group()
def dnc() -> None:
    """Keep the do-not-call lists."""


@dnc.command()
@click.argument("pattern")
@layer_options
@click.option("--reason", default="", help="Why, for whoever asks later.")
@click.option("--expires", type=Instant(), help="When it ends; never by default.")
@country_option
@common
def add(
    pattern: str,
    layer: str,
    source: str,
    campaign: str | None,
    reason: str,
    expires: datetime | None,
    country: str,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Add a number, all numbers that begin so (+86138*), or a range (+8613800130000-+8613800139999).

    Added again, an entry lasts at least as long as it did; to make it shorter, remove it first.
    """
    from campaigns.dnc import DncStore, Layer

    with opened_database(Settings(config_file, data)) as engine, told_apart():
        where = Layer(layer, source or layer, campaign_id(engine, campaign) or 0)
        for each in DncStore(engine).add(pattern, where, datetime.now(UTC), reason, expires, country):
            click.echo(f"{each}: on the {layer} do-not-call list")


@dnc.command()
@click.argument("pattern")
@click.option("--layer", default="", help="Off this layer; off all by default.")
@click.option("--campaign", help="Off this campaign's layer.")
@country_option
@common
def remove(
    pattern: str,
    layer: str,
    campaign: str | None,
    country: str,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Take a number, a prefix or a range off, as it was added."""
    from campaigns.dnc import DncStore

    with opened_database(Settings(config_file, data)) as engine, told_apart():
        gone = DncStore(engine).remove(pattern, layer, campaign_id(engine, campaign) or 0, country)
    if not gone:
        fail(f"{pattern} is not there as such; `dialer dnc check` says which entries a number falls under", 1)
    click.echo(f"{gone} entries removed")


@dnc.command(name="import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@layer_options
@click.option(
    "--replace", is_flag=True, help="Entries of an earlier import of this source that are not in it go."
)
@click.option("--expires", type=Instant(), help="When entries end that name no time; never by default.")
@country_option
@by
@as_json
@common
def import_file(
    file: Path,
    layer: str,
    source: str,
    campaign: str | None,
    replace: bool,
    expires: datetime | None,
    country: str,
    by: str,
    json_out: bool,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Import a file: a number, prefix or range a line; as a CSV with reason and end in further columns."""
    from campaigns.dnc import DncStore, Layer

    with opened_database(Settings(config_file, data)) as engine, told_apart():
        where = Layer(layer, source or file.stem, campaign_id(engine, campaign) or 0)
        who, at = by or getpass.getuser(), datetime.now(UTC)
        loaded = DncStore(engine).load(file, where, who, at, replace, expires, country)
    if json_out:
        click.echo(_json(asdict(loaded)))
        return
    click.echo(
        f"{loaded.entries} entries, {loaded.outdated} outdated ones removed, {loaded.rejected} lines rejected"
    )
    for line, fault in loaded.rejects:
        click.echo(f"  line {line}: {fault}")


@dnc.command(name="check")
@click.argument("number")
@country_option
@as_json
@common
def check_number(
    number: str, country: str, json_out: bool, config_file: Path | None, data: Path | None
) -> None:
    """List every entry that a number falls under. Exits 1 when it is on none."""
    from campaigns.dnc import DncStore
    from campaigns.numbers import number_of

    with opened_database(Settings(config_file, data)) as engine, told_apart():
        found = DncStore(engine).check(number_of(number, country))
    if json_out:
        click.echo(_json([asdict(entry) for entry in found]))
    for entry in found if not json_out else ():
        until = f", until {_told(entry.expires_at)}" if entry.expires_at is not None else ""
        why = f": {entry.reason}" if entry.reason else ""
        click.echo(f"{entry.layer}: {entry.pattern} ({entry.source}, since {_told(entry.at)}{until}){why}")
    if not found:
        fail(f"{number} is on no do-not-call list", 1)


# --- consents -------------------------------------------------------------------------------------------------


@click.group()
def consent() -> None:
    """Keep the consents on record."""


@consent.command()
@click.argument("number")
@click.option("--source", required=True, help="How it was given, such as a form and its version.")
@click.option("--given", type=Instant(), help="When; now by default.")
@click.option("--expires", type=Instant(), help="When it ends; never by default.")
@country_option
@common
def give(
    number: str,
    source: str,
    given: datetime | None,
    expires: datetime | None,
    country: str,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Record a consent of a number."""
    from campaigns.consents import ConsentStore
    from campaigns.numbers import number_of

    with opened_database(Settings(config_file, data)) as engine, told_apart():
        ids = ConsentStore(engine).give(
            number_of(number, country), source, given or datetime.now(UTC), expires
        )
    click.echo(f"consent {ids[0]}" if ids else "it is on record already")


@consent.command()
@click.argument("number")
@click.option("--at", type=Instant(), help="When it was withdrawn; now by default.")
@country_option
@common
def withdraw(
    number: str, at: datetime | None, country: str, config_file: Path | None, data: Path | None
) -> None:
    """End all consents of a number."""
    from campaigns.consents import ConsentStore
    from campaigns.numbers import number_of

    with opened_database(Settings(config_file, data)) as engine, told_apart():
        ended = ConsentStore(engine).withdraw(number_of(number, country), at or datetime.now(UTC))
    click.echo(f"{ended} consents withdrawn")


@consent.command(name="import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--source", required=True, help="How they were given.")
@country_option
@common
def import_consents(
    file: Path, source: str, country: str, config_file: Path | None, data: Path | None
) -> None:
    """Record the consents of a CSV of number, given, expires; all, or none when a line is wrong."""
    from campaigns.consents import ConsentStore

    with opened_database(Settings(config_file, data)) as engine, told_apart():
        click.echo(f"{ConsentStore(engine).load(file, source, country)} consents recorded")


@consent.command()
@click.argument("number")
@country_option
@as_json
@common
def show(number: str, country: str, json_out: bool, config_file: Path | None, data: Path | None) -> None:
    """List the consents of a number, those that have ended too."""
    from campaigns.consents import ConsentStore
    from campaigns.numbers import number_of

    with opened_database(Settings(config_file, data)) as engine, told_apart():
        found = ConsentStore(engine).of(number_of(number, country))
    if json_out:
        click.echo(_json([asdict(each) for each in found]))
        return
    for each in found:
        ends = f", until {_told(each.expires_at)}" if each.expires_at is not None else ""
        withdrawn = f", withdrawn {_told(each.withdrawn_at)}" if each.withdrawn_at is not None else ""
        click.echo(f"consent {each.id}: {each.source}, given {_told(each.given_at)}{ends}{withdrawn}")


# --- evidence -------------------------------------------------------------------------------------------------


@click.command()
@click.option("--campaign", help="Calls of this campaign.")
@click.option("--number", help="Calls to this number.")
@click.option("--from", "since", type=Instant(), required=True, help="First day, or an instant.")
@click.option("--to", "until", type=Instant(), required=True, help="Before this day or instant.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The CSV to write."
)
@country_option
@common
def evidence(
    campaign: str | None,
    number: str | None,
    since: datetime,
    until: datetime,
    output: Path,
    country: str,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Write what allowed each call: profile, zones, hours, consent, caller id, and what came of it."""
    from campaigns.evidence import write_evidence
    from campaigns.history import person as persons
    from campaigns.history.query import History
    from campaigns.numbers import number_of

    if campaign is None and number is None:
        fail("name a --campaign or a --number")
    settings = Settings(config_file, data)
    with opened_database(settings) as engine, told_apart():
        person = None if number is None else persons.find(engine, number_of(number, country))
        history, only = History(engine, files_of(settings)), campaign_id(engine, campaign)

        def calls() -> Iterator[Any]:
            """Day by day, so that a long span needs no more memory than its busiest day."""
            at = since
            while at < until:
                after = min(until, at + timedelta(days=1))
                yield from history.calls(at, after, person, only)
                at = after

        try:
            with output.open("w", encoding="utf-8-sig", newline="") as file:
                written = write_evidence(engine, calls(), file)
        except OSError as fault:
            fail(f"{output}: can't be written: {fault.strerror}")
    click.echo(f"{written} calls: {output}")


# --- within ---------------------------------------------------------------------------------------------------


def _json(value: object) -> str:
    def text(each: object) -> str:
        assert isinstance(each, datetime)
        return each.isoformat()

    return json.dumps(value, ensure_ascii=False, default=text)


def _told(at: datetime) -> str:
    return f"{at.astimezone():%F %T %z}"
