"""The commands about who may log in: `dialer user`, `dialer unit`, `dialer keys`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from campaigns.rights import Role
from dialer.console import Settings, as_json, common, fail, opened_database

if TYPE_CHECKING:
    from campaigns.people import People

role_choice = click.Choice([str(role) for role in Role])


@contextmanager
def people_of(config_file: Path | None, data: Path | None) -> Iterator[People]:
    """The people of the daemon's database; what can't be done ends the command."""
    from campaigns.config import CampaignsError
    from campaigns.people import People

    with opened_database(Settings(config_file, data)) as engine:
        try:
            yield People(engine)
        except CampaignsError as fault:
            fail(str(fault))


RANKED = ", as second choice with a rank of 2 to 9 behind: summer:2"


@click.group()
def user() -> None:
    """The people who may log in to the pages."""


@user.command(name="add")
@click.argument("login")
@click.option("--name", required=True, help="As shown to others.")
@click.option("--role", type=role_choice, default=str(Role.AGENT), show_default=True)
@click.option("--phone", default="", help="Their SIP endpoint.")
@click.option(
    "--campaign", "campaigns", multiple=True, help=f"A campaign they serve{RANKED}; may be given again."
)
@click.option("--unit", default="", help="Their unit's path; the whole company when not given.")
@click.password_option(help="Asked for when not given.")
@common
def add_user(
    login: str,
    name: str,
    role: str,
    phone: str,
    campaigns: tuple[str, ...],
    unit: str,
    password: str,
    config_file: Path | None,
    data: Path | None,
) -> None:
    """Add a person."""
    with people_of(config_file, data) as people:
        user_id = people.add(unit, login, name, role, password, phone, campaigns)
    click.echo(f"{login}: user {user_id}")


@user.command(name="list")
@as_json
@common
def list_users(json_out: bool, config_file: Path | None, data: Path | None) -> None:
    """Show everybody, by unit."""
    with people_of(config_file, data) as people:
        found = people.list()
    rows = [
        {
            "login": each.user.login,
            "name": each.user.name,
            "role": each.user.role,
            "unit": each.unit,
            "phone": each.user.phone,
            "campaigns": list(each.user.served),
            "enabled": each.enabled,
        }
        for each in found
    ]
    if json_out:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        shut = "" if row["enabled"] else "  disabled"
        click.echo(
            f"{row['login']:<16} {row['role']:<14} /{row['unit']}  {row['name']}  "
            f"{', '.join(row['campaigns'])}{shut}"  # type: ignore[arg-type]
        )


@user.command(name="change")
@click.argument("login")
@click.option("--name", help="As shown to others.")
@click.option("--role", type=role_choice)
@click.option("--phone", help="Their SIP endpoint.")
@click.option("--campaign", "campaigns", multiple=True, help=f"A campaign they serve from now on{RANKED}.")
@click.option("--unit", help="Their unit's path.")
@common
def change_user(
    login: str, campaigns: tuple[str, ...], config_file: Path | None, data: Path | None, **given: str | None
) -> None:
    """Change a person. With another role, unit or campaigns they are signed out."""
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if campaigns:
        changes["campaigns"] = list(campaigns)
    if not changes:
        fail("say what changes")
    with people_of(config_file, data) as people:
        people.change(login, **changes)
    click.echo(f"{login}: changed")


@user.command()
@click.argument("login")
@click.password_option(help="Asked for when not given.")
@common
def password(login: str, password: str, config_file: Path | None, data: Path | None) -> None:
    """Give a person a new password; they are signed out."""
    with people_of(config_file, data) as people:
        people.set_password(login, password)
    click.echo(f"{login}: has a new password")


@user.command()
@click.argument("login")
@common
def disable(login: str, config_file: Path | None, data: Path | None) -> None:
    """Shut a person out. What they did stays on record."""
    with people_of(config_file, data) as people:
        people.change(login, enabled=False)
    click.echo(f"{login}: may not log in any more")


@user.command(name="drop-factor")
@click.argument("login")
@common
def drop_factor(login: str, config_file: Path | None, data: Path | None) -> None:
    """Turn off a person's second factor, as when the phone is lost; they are signed out."""
    from campaigns.second_factor import turn_off

    with opened_database(Settings(config_file, data)) as engine:
        if not turn_off(engine, login):
            fail(f"{login} has no second factor")
    click.echo(f"{login}: logs in by the password alone")


@user.command(name="forget-sign-on")
@click.argument("login")
@common
def forget_sign_on(login: str, config_file: Path | None, data: Path | None) -> None:
    """Undo a person's bond to their company account, as when that was made anew; they are signed out."""
    from campaigns.sign_on import SignOns

    with opened_database(Settings(config_file, data)) as engine:
        if not SignOns(engine).forget(login):
            fail(f"{login} never signed on with a company account")
    click.echo(f"{login}: the next company account of that name is theirs")


@user.command()
@click.argument("login")
@common
def enable(login: str, config_file: Path | None, data: Path | None) -> None:
    """Let a person in again."""
    with people_of(config_file, data) as people:
        people.change(login, enabled=True)
    click.echo(f"{login}: may log in")


@click.group()
def keys() -> None:
    """The keys that secrets in the database are sealed with."""


@keys.command(name="rotate")
@common
def rotate_keys(config_file: Path | None, data: Path | None) -> None:
    """Seal all secrets by a new key, and forget the old ones. A running daemon takes it over."""
    from campaigns.audit import write
    from campaigns.second_factor import reseal
    from campaigns.vault import KEYS, Vault, VaultError

    settings = Settings(config_file, data)
    if not (settings.data / KEYS).exists():
        fail(f"there is no {settings.data / KEYS}; the daemon makes it at its first start")
    with opened_database(settings) as engine:
        try:
            vault = Vault(settings.data / KEYS)
            vault.add_key()
            if lost := reseal(engine, vault):
                fail(f"no key here opens the second factor of {lost} people; the old keys are kept", 1)
            vault.drop_old_keys()
        except VaultError as fault:
            fail(str(fault), 1)
        with engine.begin() as connection:
            write(connection, "keys rotated", "second factors")
    click.echo(f"{settings.data / KEYS}: a new key; its older backups open nothing any more")


@click.group()
def unit() -> None:
    """The tree of units, from the whole company down to its teams."""


@unit.command(name="add")
@click.argument("path")
@common
def add_unit(path: str, config_file: Path | None, data: Path | None) -> None:
    """Add a unit, such as 兰州分公司/一组, and those above it that there are not."""
    from campaigns.config import CampaignsError
    from campaigns.units import Units

    with opened_database(Settings(config_file, data)) as engine:
        try:
            Units(engine).add(path)
        except CampaignsError as fault:
            fail(str(fault))
    click.echo(f"{path}: is there")


@unit.command(name="list")
@as_json
@common
def list_units(json_out: bool, config_file: Path | None, data: Path | None) -> None:
    """Show all units, with how many people and campaigns are directly in each."""
    from campaigns.units import Units

    with opened_database(Settings(config_file, data)) as engine:
        found = Units(engine).all()
    if json_out:
        rows = [{"unit": u.path, "people": u.people, "campaigns": u.campaigns} for u in found]
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for each in found:
        click.echo(f"/{each.path}  {each.people} people, {each.campaigns} campaigns")
