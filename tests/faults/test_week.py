"""A Saturday and a Sunday in half a minute; `make week` lives through a whole week."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.faults.installation import Site
from tests.faults.week import lived


@pytest.mark.slow
@pytest.mark.timeout(600)  # none of what it waits for takes long, but the machine may do other things
async def test_nobody_is_called_out_of_hours_and_the_books_are_square() -> None:
    if lacks := Site.CLOCK.lacks:
        pytest.skip(lacks)
    folder = Path(tempfile.mkdtemp(prefix="zhudong-week-"))  # where the server's own user may go, too
    found, wrong = await lived(folder, seed=5, first=5, days=2)
    assert wrong == []
    assert len(found) == 1  # the Saturday
    shutil.rmtree(folder)
