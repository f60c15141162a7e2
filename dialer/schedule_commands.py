"""The commands about reports that go out by themselves: `dialer reports schedule`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dialer.console import Settings, as_json, common, fail, opened_database

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from campaigns.users import User
    from cti.scheduling import Scheduling

NEEDED = ("name", "report", "every", "at")  # of a new one


@click.group()
def reports() -> None:
    """Reports that go out by themselves. `dialer report` shows one now."""


@reports.group()
def schedule() -> None:
    """Which reports go out when, to whom, in whose name, and what came of it."""


def what_it_is(command: Any) -> Any:
    """The options of a schedule."""
    options = (
        click.option("--name", help="What it is called; part of its files' names."),
        click.option("--report", "report", help="Which report; `dialer report` names them."),
        click.option("--by", multiple=True, help="What it is split by; may be given twice."),
        click.option("--campaign", help="Only this campaign."),
        click.option("--every", type=click.Choice(["day", "week", "month"]), help="Of which days."),
        click.option("--at", help="From when on it goes out on the day after, such as 06:00."),
        click.option(
            "--zone", help="Whose days and time; `zone` of the configuration's [reports] by default."
        ),
        click.option("--format", type=click.Choice(["xlsx", "csv"]), help="Of the file; xlsx by default."),
        click.option("--language", type=click.Choice(["zh", "en"]), help="zh by default."),
        click.option("--to", multiple=True, help="A mail address; may be given again."),
        click.option("--laid/--not-laid", default=None, help="Also in its owner's folder."),
    )
    for option in reversed(options):
        command = option(command)
    return command


as_whom = click.option("--login", default="", help="Only as far as this person reaches; without it, all.")


@schedule.command(name="list")
@as_whom
@as_json
@common
def list_schedules(login: str, json_out: bool, config_file: Path | None, data: Path | None) -> None:
    """Show those that people made, with what came of the last run."""
    from msgspec import to_builtins

    from campaigns.reports.runs import Runs
    from cti.schedule_api import kept

    now = datetime.now(UTC)
    with _opened(Settings(config_file, data), login) as (engine, work, _):
        found = work.schedules.all()
        runs = Runs(engine).last(found)
    told = [kept(each, runs[each.key], now) for each in found]
    if json_out:
        click.echo(json.dumps(to_builtins(told), ensure_ascii=False, indent=2))
        return
    for each in told:
        where = ", ".join((*each.to, *(("in a folder",) if each.laid else ())))
        when = "paused" if each.paused else f"next {each.next_at:%Y-%m-%d %H:%M %Z}"
        click.echo(
            f"{each.id}  {each.name}: {each.report} of each {each.every}, for {each.login}, to {where}; {when}"
        )
        for run in each.runs[:1]:
            came = (
                "sent"
                if run.sent_at
                else "to come"
                if run.waits
                else f"failed: {run.fault} {run.detail}".rstrip()
            )
            click.echo(f"    {run.since} to {run.until}: {came}")
    if not told:
        click.echo("there is none")


@schedule.command()
@click.option("--login", required=True, help="In whose name: it shows what they may see.")
@what_it_is
@common
def add(login: str, config_file: Path | None, data: Path | None, **said: Any) -> None:
    """Have a report go out; said again as it is, it is the one that there is."""
    settings = Settings(config_file, data)
    if missing := [f"--{each}" for each in NEEDED if not said[each]]:
        fail(f"{', '.join(missing)}: a schedule needs them")
    form = {"format": "xlsx", "language": "zh", "zone": settings.reports().zone} | _form(said)
    with _opened(settings, login) as (_, work, user):
        assert user is not None  # there is a login
        number = work.keep(form, user, datetime.now(UTC), again=True)
    click.echo(f"schedule {number} is kept")


@schedule.command()
@click.argument("schedule_id", metavar="ID", type=int)
@click.option("--login", default="", help="In whose name from now on; as before by default.")
@what_it_is
@common
def change(schedule_id: int, login: str, config_file: Path | None, data: Path | None, **said: Any) -> None:
    """Change what is given of one; the rest stays."""
    from cti.scheduling import form_of

    with _opened(Settings(config_file, data), login) as (engine, work, user):
        before = work.schedules.one(schedule_id)
        whose = user or _user(engine, before.login)
        work.keep(form_of(before) | _form(said), whose, datetime.now(UTC), schedule_id)
    click.echo(f"schedule {schedule_id} is changed")


def _verb(name: str, help_text: str, done: str) -> None:
    """A command that does one thing to one schedule."""

    @schedule.command(name=name, help=help_text)
    @click.argument("schedule_id", metavar="ID", type=int)
    @as_whom
    @common
    def do(schedule_id: int, login: str, config_file: Path | None, data: Path | None) -> None:
        import getpass

        verb = "delete" if name == "remove" else name
        with _opened(Settings(config_file, data), login) as (_, work, user):
            who = user.login if user is not None else getpass.getuser()
            work.do(verb, schedule_id, who, datetime.now(UTC))
        click.echo(f"schedule {schedule_id} {done}")


_verb("pause", "Have it not go out until it is resumed.", "is paused")
_verb("resume", "Have it go out again, with what is due from now on.", "goes out again")
_verb("send", "Have it sent now, by whichever engine is there.", "is sent now")
_verb("remove", "Let it go, and what is known of its runs.", "is gone")


# --- within -------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(settings: Settings, login: str) -> Iterator[tuple[Engine, Scheduling, User | None]]:
    """The database, as far as this person reaches; what can't be done ends the command."""
    from campaigns.config import CampaignsError
    from campaigns.reach import WEB, held, reaching
    from campaigns.rights import Right
    from cti.scheduling import Scheduling

    mail = folder = True  # who has no configuration at hand is told by the runs
    if settings.config_file is not None:
        config = settings.config()
        mail, folder = bool(config.mail.host and config.mail.sender), bool(config.reports.folder)
    with opened_database(settings) as whole:
        try:
            engine, user = whole, _user(whole, login) if login else None
            if user is not None:
                if not user.may(Right.SCHEDULES):
                    fail(f"{login} may not have reports sent: a {user.role} has no right to it")
                whole.dispose()  # sessions of the role, from now on
                engine = reaching(held(whole, WEB), user.user_id)
            yield engine, Scheduling(engine, mail=mail, folder=folder), user
        except CampaignsError as fault:
            fail(str(fault))


def _user(engine: Engine, login: str) -> User:
    from campaigns.users import UserStore

    found = next((each for each in UserStore(engine).all() if each.login == login), None)
    if found is None:
        fail(f"there is nobody with the login {login!r}")
    return found


def _form(said: Mapping[str, Any]) -> dict[str, str]:
    """What was given, as a form has it."""
    shaped: dict[str, Callable[[Any], dict[str, str]]] = {
        "by": lambda by: dict(zip(("by", "then_by"), (*by, ""), strict=False)) if by else {},
        "to": lambda to: {"to": "\n".join(to)} if to else {},
        "laid": lambda laid: {} if laid is None else {"laid": "1" if laid else ""},
    }
    if len(said["by"]) > 2:
        fail("--by: names two at most")
    form: dict[str, str] = {}
    for name, value in said.items():
        form |= shaped[name](value) if name in shaped else {} if value is None else {name: value}
    return form
