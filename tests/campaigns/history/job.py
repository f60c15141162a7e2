"""One job of the archive as a process of its own, to be killed."""

from __future__ import annotations

from pathlib import Path

import duckdb  # noqa: F401 - before it is ready, not in the middle of the job

from campaigns import database
from campaigns.history import person
from campaigns.history.archive import holding
from campaigns.history.files import Files
from campaigns.history.retention import Policy, run
from campaigns.partitions import month_of
from tests.campaigns.crashes import Ready
from tests.campaigns.history.past import TODAY, number


def run_job(url: str, folder: Path, what: str, ready: Ready) -> None:
    """What it does: `archive`, `restore`, or a customer's serial, who is erased."""
    engine = database.connect(url, pool_size=2)
    ready()
    with holding(engine, Files(folder)) as job:
        if what == "archive":
            run(job, Policy(), "tester", TODAY)
        elif what == "restore":
            archived = [m.month for m in job.months() if m.state == "archived"]
            job.restore(
                archived[0], month_of(TODAY.date(), -1), TODAY
            )  # over already: the next run takes it again
        else:
            him = person.find(engine, number=number(int(what)))
            person.erase(job, him, "ticket", "tester", TODAY)
