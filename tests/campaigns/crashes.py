"""Processes that are killed at any point: how many, when, and how.

A few a run; `make crashes` sets ZHUDONG_CRASHES to a hundred. ZHUDONG_SEED repeats the moments of a run.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine, text

CRASHES = int(os.environ.get("ZHUDONG_CRASHES", "6"))
LONGEST_S = 30.0  # until the server knows that a killed process is gone
LEFT = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")


def chances() -> random.Random:
    """What decides when processes are killed."""
    return random.Random(os.environ.get("ZHUDONG_SEED", time.time_ns()))


@contextmanager
def started(module: str, db: Engine, arguments: Sequence[object]) -> Iterator[subprocess.Popen[str]]:
    """A module that runs as a process on this database, from the moment at which it says `ready`."""
    url = db.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", module, url, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "ready\n"
        yield job


def crash(module: str, db: Engine, arguments: Sequence[object], after_s: float) -> float | None:
    """Run it and kill it so long after it was ready; None, or how long it took when it was faster."""
    with started(module, db, arguments) as job:
        begun = time.monotonic()
        try:
            job.wait(after_s)
        except subprocess.TimeoutExpired:
            kill(db, job)
            return None
        assert job.returncode == 0
        return time.monotonic() - begun


def kill(db: Engine, job: subprocess.Popen[str]) -> None:
    """End it without a chance to put anything right, and wait until the server has let go of what it did."""
    job.kill()
    job.wait()
    deadline = time.monotonic() + LONGEST_S
    with db.connect() as connection:
        while connection.execute(LEFT, {"name": f"zhudong-{job.pid}"}).scalar_one():
            assert time.monotonic() < deadline, "the server still works for a process that is gone"
            connection.rollback()  # each look is at the server as it is then
            time.sleep(0.01)
