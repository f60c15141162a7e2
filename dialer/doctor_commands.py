"""The command that examines an installation: `dialer doctor`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from dialer.console import Settings, as_json, common, say_steps


@click.command()
@as_json
@common
def doctor(json_out: bool, config_file: Path | None, data: Path | None) -> None:
    """Examine the whole installation, and say what is wrong and what to do.

    Machine and data folder, database and its schema, campaigns, calendar, and each switch as `dialer check` does.
    Changes nothing. Exits with 1 when something is wrong.
    """
    from dialer.doctor import examine

    settings = Settings(config_file, data)
    config = settings.config()
    assert config_file is not None  # there is no configuration without
    found = examine(config, config_file, settings.data)
    if json_out:
        told = {part: [asdict(step) for step in steps] for part, steps in found.items()}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        for part, steps in found.items():
            say_steps(part, steps)
    sys.exit(0 if all(step.ok for steps in found.values() for step in steps) else 1)
