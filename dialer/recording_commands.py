"""The commands about sealed recordings: `dialer recordings`."""

from __future__ import annotations

from pathlib import Path

import click

from dialer.console import Settings, common, fail, opened_database


@click.group()
def recordings() -> None:
    """The keys that recordings are sealed with."""


@recordings.command(name="new-key")
@common
def new_key(config_file: Path | None, data: Path | None) -> None:
    """Seal recordings by a new key from now on; the file is made if there is none. A running daemon takes it over."""
    from campaigns.audit import write
    from campaigns.key_file import VaultError
    from campaigns.sealed import key_id

    settings = Settings(config_file, data)
    keys = _keys(settings)
    with opened_database(settings) as engine:
        try:
            if keys.path.exists():
                keys.add()
            else:
                keys.make()
            name = key_id(keys.read()[0]).hex()
        except VaultError as fault:
            fail(str(fault), 1)
        with engine.begin() as connection:
            write(connection, "recording key made", name)
    click.echo(
        f"{keys.path}: key {name} seals from now on; back the file up, and put it on each host that plays"
    )


@recordings.command()
@click.option(
    "--forget", is_flag=True, help="Take the older keys out of the file when no recording needs them."
)
@common
def rewrap(forget: bool, config_file: Path | None, data: Path | None) -> None:
    """Wrap the key of each recording by the newest one. What was said is not touched, and can be played meanwhile."""
    from campaigns.key_file import VaultError
    from campaigns.recordings import Recordings
    from dialer.sealing import recordings_of

    settings = Settings(config_file, data)
    keys = _keys(settings)
    folder = recordings_of(settings.config(), settings.data)
    with opened_database(settings) as engine:
        try:
            keys.read()
            changed, failed = Recordings(engine, folder, keys).rewrap(lambda why: click.echo(why, err=True))
            if failed:
                fail(f"{failed} recordings could not be rewrapped; all keys are kept", 1)
            if forget:
                keys.drop_old()
        except (OSError, VaultError) as fault:
            fail(str(fault), 1)
    click.echo(f"{changed} recordings rewrapped; all in {folder} are opened by the newest key of {keys.path}")


def _keys(settings: Settings):  # type: ignore[no-untyped-def]
    from campaigns.key_file import KeyFile

    if not (path := settings.config().recordings.keys):
        fail("[recordings] names no keys: recordings are not sealed here")
    return KeyFile(Path(path))
