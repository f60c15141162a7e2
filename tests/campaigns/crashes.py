"""Processes that are killed at any point: how many, when, and how.

A few a run; `make crashes` sets ZHUDONG_CRASHES to a hundred. ZHUDONG_SEED repeats the moments of a run. The processes
are forked from one that has imported everything, so they are there at once.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from sqlalchemy import Engine, text

CRASHES = int(os.environ.get("ZHUDONG_CRASHES", "6"))
LONGEST_S = 60.0  # until a process is there, or the server knows that a killed one is gone
LEFT = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
JOBS = [
    "tests.campaigns.caller",
    "tests.campaigns.history.job",
    "tests.campaigns.lists.job",
    "tests.campaigns.messages.sender",
]

Ready = Callable[[], None]

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(JOBS)


def chances() -> random.Random:
    """What decides when processes are killed."""
    return random.Random(os.environ.get("ZHUDONG_SEED", time.time_ns()))


@contextmanager
def started(job: Callable[..., None], db: Engine, *arguments: Any) -> Iterator[BaseProcess]:
    """A job that runs as a process on this database, from the moment at which it says that it is ready."""
    url = db.url.render_as_string(hide_password=False)
    here, there = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_run, args=(job, there, url, *arguments))
    process.start()
    there.close()
    try:
        assert here.poll(LONGEST_S), "the job did not get ready"
        here.recv()
        yield process
    finally:
        process.kill()
        process.join()
        here.close()


def crash(job: Callable[..., None], db: Engine, after_s: float, *arguments: Any) -> float | None:
    """Run it and kill it so long after it was ready; None, or how long it took when it was faster."""
    with started(job, db, *arguments) as process:
        begun = time.monotonic()
        process.join(after_s)
        if process.is_alive():
            kill(db, process)
            return None
        assert process.exitcode == 0
        return time.monotonic() - begun


def kill(db: Engine, process: BaseProcess) -> None:
    """End it without a chance to put anything right, and wait until the server has let go of what it did."""
    process.kill()
    process.join()
    deadline = time.monotonic() + LONGEST_S
    with db.connect() as connection:
        while connection.execute(LEFT, {"name": f"zhudong-{process.pid}"}).scalar_one():
            assert time.monotonic() < deadline, "the server still works for a process that is gone"
            connection.rollback()  # each look is at the server as it is then
            time.sleep(0.01)


def _run(job: Callable[..., None], told: Connection, url: str, *arguments: Any) -> None:
    job(url, *arguments, ready=lambda: told.send("ready"))
