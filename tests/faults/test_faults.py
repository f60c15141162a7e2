"""A few faults, one after the other, on one installation at work; `make faults RUNS=100` does all of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.installation import Site, installed
from tests.faults.running import closed, run

SEED = 8
SOME = ("replies lost", "link late", "link half-open, then cut", "engine killed without database")
WITH_DISKS = ("engine disk full",)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the server's own user may go, too; pytest shuts others out of its folders."""
    found = Path(tempfile.mkdtemp(prefix="zhudong-faults-"))
    yield found
    shutil.rmtree(found, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.timeout(900)  # none of what it waits for takes long, but the machine may do other things
async def test_nothing_is_lost_and_nothing_told_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disks = not (lacks := Site.DISKS.lacks)
    if lacks:
        with capsys.disabled():
            print(f"\n{', '.join(WITH_DISKS)}: not done, {lacks}")
    async with installed(folder, SEED, Site.DISKS if disks else Site.PLAIN) as on:
        for kind in (*SOME, *(WITH_DISKS if disks else ())):
            done = await run(on, kind, SEED)
            assert done.violations == [], f"{kind}, seed {SEED}"
            assert done.calls and done.verdicts
        assert on.proxy.struck, "no reply was lost"
        assert await closed(on) == []
