"""The commands that back the embedded database up and restore it: `dialer backup`, `dialer restore`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dialer.console import Settings, common, fail

if TYPE_CHECKING:
    from dialer.config import BackupSection


def section(settings: Settings) -> BackupSection:
    """What the configuration says of backups, or the end of the command."""
    config = settings.config()
    if not config.backup.folder:
        fail("[backup] folder is empty: docs/howto/backup.md says how to back up what you have")
    return config.backup


@click.command()
@common
def backup(config_file: Path | None, data: Path | None) -> None:
    """Take a base backup of the embedded database, while calls go on, and let old ones go.

    Once a day, beside the archive that the daemon has the database keep in the same folder.
    """
    from campaigns.backup import take
    from campaigns.config import CampaignsError

    settings = Settings(config_file, data)
    said = section(settings)
    try:
        taken = take(settings.data / "postgresql", Path(said.folder), said.keep)
    except (CampaignsError, OSError) as fault:
        fail(str(fault), 1)
    click.echo(f"{taken.folder}")


@click.command()
@click.option(
    "--at", help="The instant, ISO 8601; without a zone UTC. As late as the archive goes by default."
)
@common
def restore(at: str | None, config_file: Path | None, data: Path | None) -> None:
    """Make the embedded database as it was at an instant, in a --data folder that has none yet."""
    from campaigns.backup import restore as restored
    from campaigns.config import CampaignsError

    settings = Settings(config_file, data)
    said = section(settings)
    try:
        instant = datetime.fromisoformat(at) if at else None
    except ValueError:
        fail(f"--at {at!r} is no instant; it looks like 2026-06-01T09:30:00+08:00")
    if instant is not None and instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    try:
        done = restored(Path(said.folder), settings.data / "postgresql", instant)
    except (CampaignsError, OSError) as fault:
        fail(str(fault), 1)
    last = done.last_change.isoformat() if done.last_change else "none after the base backup"
    click.echo(f"from {done.base.folder}; last change: {last}")
