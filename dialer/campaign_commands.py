"""The commands about campaigns' files: `dialer apply`, `dialer diff`, `dialer export`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from dialer.console import Settings, as_json, common, fail, opened_database

MOST_VERSIONS = 10_000


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--by", default="", help="Who applies it; the system's user by default.")
@as_json
@common
def apply(
    files: tuple[Path, ...], by: str, json_out: bool, config_file: Path | None, data: Path | None
) -> None:
    """Apply campaign files. A running daemon takes them within 2 s; with a wrong one among them none is applied.

    A file that is older than what was changed in the console is wrong, too: see `dialer diff` and `dialer export`.

    With --config, a campaign whose switch that file does not name is applied with a warning: it will not dial there.
    """
    import getpass

    from campaigns.config import ConfigError as CampaignError
    from campaigns.store import CampaignStore

    settings = Settings(config_file, data)
    with opened_database(settings) as engine:
        store, who = CampaignStore(engine), by or getpass.getuser()
        texts = [(_read(path), path) for path in files]
        try:
            for text, path in texts:
                store.differs(text, str(path))
            applied = [store.apply(text, str(path), who, datetime.now(UTC)) for text, path in texts]
        except CampaignError as fault:  # older than what is live, or of a unit that there is not
            fail(str(fault))
    rows = [{"campaign": a.config.name, "version": a.version, "running": a.config.running} for a in applied]
    if json_out:
        click.echo(json.dumps(rows))
    else:
        for row in rows:
            click.echo(
                f"{row['campaign']}: version {row['version']}, {'running' if row['running'] else 'stopped'}"
            )
    if config_file is not None:
        switches = {section.name for section in settings.config().switch}
        for config, unknown in [(a.config, [*{*a.config.switches} - switches]) for a in applied]:
            for switch in sorted(unknown):
                where = "does not dial" if len(config.switches) == 1 else f"does not dial over {switch}"
                click.echo(
                    f"dialer: warning: {config.name} {where}: {config_file} names no switch {switch!r}",
                    err=True,
                )


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@common
def diff(files: tuple[Path, ...], config_file: Path | None, data: Path | None) -> None:
    """Say what files would change of the live campaigns. Exits 1 when they would, or would be refused."""
    from campaigns.config import ConfigError as CampaignError
    from campaigns.store import CampaignStore

    found = False
    with opened_database(Settings(config_file, data)) as engine:
        store = CampaignStore(engine)
        for path in files:
            try:
                differs = store.differs(_read(path), str(path))
            except CampaignError as fault:
                differs = f"dialer: {fault}"
            if differs:
                click.echo(differs)
            found = found or bool(differs)
    sys.exit(1 if found else 0)


@click.command()
@click.argument("campaign")
@click.option("--version", type=click.IntRange(1), help="An earlier version; the live one when not given.")
@common
def export(campaign: str, version: int | None, config_file: Path | None, data: Path | None) -> None:
    """Write a campaign's live version as a file, which says in its first line that it follows it.

    An earlier one is written as a file that would bring it back.
    """
    from campaigns.steering import to_file
    from campaigns.store import CampaignStore

    with opened_database(Settings(config_file, data)) as engine:
        found = CampaignStore(engine).versions(campaign, MOST_VERSIONS)
    if not found:
        fail(f"there is no campaign {campaign!r}")
    wanted = next((each for each in found if version in (None, each.version)), None)
    if wanted is None:
        fail(f"{campaign} has no version {version}")
    click.echo(to_file(campaign, found[0].version, wanted.text), nl=False)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        fail(f"{path}: can't be read: {fault}")
