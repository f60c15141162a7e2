"""Jobs that are killed at any point: each attempt is in one place all the same, and the next job ends what was begun.

A few crashes a run; `make crashes` makes a hundred.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.campaigns.crashes import CRASHES, chances, crash
from tests.campaigns.history.job import run_job
from tests.campaigns.history.past import MONTHS, Past, number

LEADS = 1_500


@pytest.mark.slow
@pytest.mark.timeout(120 + 15 * CRASHES)
def test_a_job_that_is_killed_loses_and_doubles_nothing(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path, LEADS)
    chance = chances()
    lasts = {
        "archive": 1.0,
        "restore": 1.0,
        "erase": 1.0,
    }  # seconds; then as long as the last one that got to its end
    ended = dict.fromkeys(lasts, 0)
    killed = dict.fromkeys(lasts, 0)
    him = 0
    while sum(killed.values()) < CRASHES:
        archived = {month for (kind, month), state in past.states().items() if state == "archived"}
        what = chance.choice(["restore", "erase"]) if len(archived) == 2 else "archive"
        him += what == "erase"
        moment = chance.uniform(0.0, 1.1 * lasts[what])
        took = crash(run_job, past.db, moment, past.files.folder, str(him) if what == "erase" else what)
        if took is None:
            killed[what] += 1
        else:
            ended[what], lasts[what] = ended[what] + 1, took
        past.check()
    past.run()
    past.check()
    assert {month for _, month in past.states()} == {f"{month:%Y-%m}" for month in MONTHS[:2]}
    asked = {number(n) for n in range(1, him + 1)}
    begun = past.rows("SELECT count(*) AS begun, count(done_at) AS done FROM erasure")[0]
    assert begun.begun == begun.done == past.rows("SELECT count(*) AS n FROM lead WHERE name = ''")[0].n
    erased = asked - {row.e164 for row in past.rows("SELECT e164 FROM number")}
    assert len(erased) == begun.done and not erased & set(past.filed(what="e164"))
    assert [p for p in (tmp_path / "unfinished").rglob("*") if p.is_file()] == []
    print(f"killed: {killed}, came to their end: {ended}")
