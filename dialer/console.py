"""What the commands share: their common options, the settings these give, the database, and how a command fails."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import click

from dialer.config import Config, ConfigError, HistorySection, ReportsSection, default_data_folder, load

WRONG_INPUT = 2


class Settings:
    """What every command is given; `unfit` is its exit code where the installation can't be used, else 2 and 1."""

    def __init__(self, config_file: Path | None, data: Path | None, unfit: int = 0) -> None:
        self.config_file = config_file
        self.given_data = data
        self.unfit = unfit

    @property
    def data(self) -> Path:
        return self.given_data or default_data_folder()

    def history(self) -> HistorySection:
        """What the configuration says of history; without one the defaults."""
        return self.config().history if self.config_file is not None else HistorySection()

    def reports(self) -> ReportsSection:
        """What the configuration says of reports; without one the defaults."""
        return self.config().reports if self.config_file is not None else ReportsSection()

    def config(self) -> Config:
        """The configuration, or the end of the command."""
        if self.config_file is None:
            fail("--config FILE is needed here; deploy/dialer.toml is an example", self.unfit or WRONG_INPUT)
        try:
            return load(self.config_file)
        except ConfigError as fault:
            fail(str(fault), self.unfit or WRONG_INPUT)


def fail(message: str, code: int = WRONG_INPUT) -> NoReturn:
    """Say what is wrong on stderr, and leave."""
    click.echo(f"dialer: {message}", err=True)
    sys.exit(code)


def say_steps(part: str, steps: Iterable[Any], failed: str = "FAILED") -> None:
    """Say what was looked at in a part, what came of each step (:class:`dialer.check.Step`), and what to do."""
    click.echo(part)
    for step in steps:
        click.echo(f"  {'ok' if step.ok else failed:<6}  {step.what}: {step.detail}")
        if step.hint and not step.ok:
            click.echo(f"          {step.hint}")


def common(command: Any) -> Any:
    """The options that every command takes."""
    command = click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder for the embedded database, spool and state; the user's data folder by default.",
    )(command)
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The daemon's dialer.toml.",
    )(command)


def as_json(command: Any) -> Any:
    """The option of commands that print a result."""
    return click.option("--json", "json_out", is_flag=True, help="Print the result as JSON.")(command)


def opened_database(settings: Settings, by: str = ""):  # type: ignore[no-untyped-def]
    """The database of the daemon, as a context: of its config's URL, or embedded in the data folder.

    What is done in it is on record as done by `by`, or else by the system's user. It is made in a data folder that was
    named, and in no other: the daemon would never see what a command without `--data` says to a new one.
    """
    from contextlib import contextmanager

    from campaigns import database
    from campaigns.audit import By, acting
    from campaigns.config import CampaignsError

    @contextmanager
    def opened():  # type: ignore[no-untyped-def]
        url = settings.config().database.url if settings.config_file is not None else ""
        postgresql = settings.data / "postgresql"
        if not url and settings.given_data is None and not database.is_made(postgresql):
            fail(
                f"no database in {settings.data}: give --config and --data of the daemon",
                settings.unfit or WRONG_INPUT,
            )
        try:
            engine = database.connect(url or database.start_embedded(postgresql), pool_size=2)
            database.migrate(engine)
        except CampaignsError as fault:
            fail(str(fault), settings.unfit or 1)
        try:
            yield acting(engine, By(by or getpass.getuser(), "command line"))
        finally:
            engine.dispose()

    return opened()
