"""The folder that a demo works in, new each time: kept where the user chose it, or where the demo came to grief."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from campaigns import database
from campaigns.config import CampaignsError
from cti.server import CannotListen
from dialer.daemon import AlreadyRunning


class DemoFailed(Exception):
    """A demo could not begin, or not go on. The text says why, and where its logs are."""


@contextmanager
def demo_folder(chosen: Path | None, prefix: str) -> Iterator[Path]:
    """The chosen folder, or a temporary one that goes in the end, with the database in its `postgresql`.

    Raises :class:`DemoFailed` for what keeps a daemon from starting, and then leaves the folder for its logs.
    """
    if chosen is not None and database.is_made(chosen / "postgresql"):
        raise DemoFailed(f"{chosen} has a database already; give --data a new folder")
    folder = chosen or Path(tempfile.mkdtemp(prefix=prefix))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except (CampaignsError, CannotListen, AlreadyRunning, OSError) as fault:
        raise DemoFailed(f"{fault}; the logs are in {folder}") from fault
    except Exception as fault:
        fault.add_note(f"The logs are in {folder}.")
        raise
    if chosen is None:
        database.stop_embedded(folder / "postgresql")  # without its folder it would live on for a while
        shutil.rmtree(folder, ignore_errors=True)
