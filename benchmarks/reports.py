"""What reports cost: `python -m benchmarks.reports [--scale S] [--json FILE]`.

Scale 1.0 is a year of 50 million attempts of ten campaigns and 150 agents. They are counted by the half hour as the
daemon counts them; then each report is asked of these counts, and the report of a day and of the year once more of the
attempts themselves, as the alternative. Last, calls are leased, authorized and journalled, and the seats' door is
asked for its health, without and with two readers who ask for the year's heaviest report all the time.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, date, datetime, timedelta
from functools import partial
from statistics import median
from typing import Any

from psycopg2.errors import QueryCanceled
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from benchmarks import report
from benchmarks.history import Calls
from benchmarks.past import MONTHS, make_past
from benchmarks.report import Result, percentile
from campaigns import database
from campaigns.partitions import bounds, month_of
from campaigns.priority import step_back
from campaigns.reports.asking import Question, answer
from campaigns.reports.catalogue import REPORTS
from campaigns.reports.rolling import roll, standing
from campaigns.store import CampaignStore

ATTEMPTS = 50_000_000
LEADS = 2_000_000
AGENTS = 150
ASKED = 5  # times each; the median counts
QUIET_S = 15.0  # for which calls are measured, without and with readers
READERS = 2  # as many as the desk has
DAY_S = 1.0  # design's budget for a day's report
SLOWER = 1.1  # its budget for the page, at the median
HEAVY = "agents"

USERS = text("""
INSERT INTO app_user (id, unit_id, login, name, role, password_hash) OVERRIDING SYSTEM VALUE
SELECT n, u.id, 'agent' || n, 'Agent ' || n, 'agent', ''
FROM generate_series(1, :agents) n, unit u WHERE u.parent_id IS NULL
""")
DUE = text("""
INSERT INTO rollup_due SELECT DISTINCT 'calls', date_bin('30 minutes', dialed_at, '2000-01-01Z') FROM attempt
""")
# The campaigns' report, of the attempts themselves.
RAW = text("""
SELECT c.name, count(*), count(a.connected_at), count(*) FILTER (WHERE a.outcome = 'abandoned'), sum(a.talk_s)
FROM attempt a JOIN campaign c ON c.id = a.campaign_id
WHERE a.dialed_at >= :begin AND a.dialed_at < :end AND a.leased_at >= CAST(:begin AS timestamptz) - interval '1 d'
    AND a.leased_at < :end AND a.campaign_id = ANY(ARRAY(SELECT id FROM campaign))
GROUP BY c.name ORDER BY c.name
""")


def fill(engine: Engine, attempts: int, leads: int, now: datetime) -> None:
    """A year of attempts that nothing has counted yet."""
    make_past(engine, leads, leads // 2, attempts, now, lambda said: print(said, file=sys.stderr, flush=True))
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(USERS, {"agents": AGENTS})
        connection.execute(DUE)


def count(engine: Engine, now: datetime) -> float:
    """Seconds until everything is counted."""
    begun, left = time.perf_counter(), 1
    while left:
        roll(engine, now)
        _, left = standing(engine)
        print(f"roll-ups: {left:,} half hours left", file=sys.stderr, flush=True)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE rollup_call, rollup_line, rollup_agent"))
    return time.perf_counter() - begun


def timed(work: Callable[[], object]) -> float:
    """The median of some."""
    took = []
    for _ in range(ASKED):
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return median(took)


def raw(engine: Engine, first: date, last: date) -> float:
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
    values = {
        "begin": begin,
        "end": datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1),
    }
    with engine.connect() as connection:
        connection.execute(text("SET statement_timeout = 0"))
        begun = time.perf_counter()
        connection.execute(RAW, values).all()
        return time.perf_counter() - begun


def asked(reading: Engine, now: datetime) -> list[Result]:
    """Every report, of a day and of the year."""
    first, last = month_of(now.date(), MONTHS[0]), bounds(month_of(now.date(), MONTHS[-1]))[1].date()
    day = first + timedelta(days=100)
    results = []
    for since, until, what, budget in (
        (day, day, "a day", DAY_S),
        (first, last - timedelta(days=1), "a year", None),
    ):
        took = {
            name: timed(partial(answer, reading, Question(name, since, until, "UTC"), None))
            for name in REPORTS
        }
        for name, seconds in took.items():
            results.append(Result(f"{name}, {what}", seconds, "s", budget))
        alone = raw(reading, since, until)
        results += [
            Result(f"campaigns of the attempts themselves, {what}", alone, "s"),
            Result(
                f"campaigns, {what}: of the attempts over of the roll-ups", alone / took["campaigns"], "times"
            ),
        ]
    return results


def abandoned(engine: Engine, now: datetime) -> Result:
    """What an engine asks of the books as it starts, takes a campaign over, and every ten minutes."""
    end = bounds(month_of(now.date(), MONTHS[-1]))[1]
    store = CampaignStore(engine)
    took = max(
        timed(partial(store.window, each.campaign_id, timedelta(days=30), end)) for each in store.readable()
    )
    return Result("the abandon window of a campaign, 30 days, slowest", took, "s", DAY_S)


def read(url: str, stop: Any, asked: Any, late: Any) -> None:
    """A reader in a process of its own, as the desk has them, who asks for the heaviest report all the time.

    What meets its time-out, as on a busy machine, is counted in `late`.
    """
    step_back()
    engine, now = database.connect_reading(url, 1), datetime.now(UTC).date()
    question = Question(HEAVY, month_of(now, MONTHS[0]), now, "Asia/Shanghai", ("agent", "month"))
    while not stop.is_set():
        count = asked
        try:
            answer(engine, question, None)
        except OperationalError as fault:
            if not isinstance(fault.orig, QueryCanceled):
                raise
            count = late
        with count.get_lock():
            count.value += 1
    engine.dispose()


@contextmanager
def reading_on(url: str) -> Iterator[Any]:
    """Readers at work; how many answers they got, and how many statements met their time-out."""
    context = multiprocessing.get_context("spawn")
    stop, asked, late = context.Event(), context.Value("q", 0), context.Value("q", 0)
    readers = [context.Process(target=read, args=(url, stop, asked, late)) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        while asked.value + late.value < READERS:  # they have begun
            if not all(reader.is_alive() for reader in readers):
                raise RuntimeError("a reader has ended; what it met stands above")
            time.sleep(0.05)
        yield asked, late
    finally:
        stop.set()
        for reader in readers:
            reader.join()


async def door(seconds: float) -> list[float]:
    """How long a loop like the door's takes to run what is due now."""
    took, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        await asyncio.sleep(0.005)
        took.append(time.perf_counter() - begun - 0.005)
    return took


def beside(engine: Engine, url: str, seconds: float) -> list[Result]:
    """What calls and the door's loop feel of readers."""
    calls, lags, found = Calls(engine, 1), [], []
    for readers in (False, True):
        with reading_on(url) if readers else nullcontext() as answers:
            loop = threading.Thread(target=lambda: lags.append(asyncio.run(door(seconds))))
            loop.start()
            found.append(calls.go_on_for(seconds))
            loop.join()
        if answers is not None:
            asked, late = answers
            print(f"readers: {asked.value} reports, {late.value} given up after their time", file=sys.stderr)
    results = []
    for what in ("lease", "authorize", "journal"):
        quiet, busy = (sorted(getattr(each, what)) for each in found)
        results += _compared(what, quiet, busy)
    return results + _compared("the door's loop", *map(sorted, lags))


def _compared(what: str, quiet: list[float], busy: list[float]) -> list[Result]:
    at = [(percentile(each, share) * 1e3) for each in (quiet, busy) for share in (0.5, 0.99)]
    return [
        Result(f"{what}: median without readers", at[0], "ms"),
        Result(f"{what}: median beside {READERS}", at[2], "ms"),
        Result(f"{what}: median beside over without", at[2] / at[0], "times"),
        Result(f"{what}: p99 without readers", at[1], "ms"),
        Result(f"{what}: p99 beside {READERS}", at[3], "ms"),
    ]


def measure(scale: float) -> list[Result]:
    attempts, leads = max(360, int(ATTEMPTS * scale)), max(2_000, int(LEADS * min(1.0, scale)))
    now = datetime.now(UTC)
    with report.scratch("reports") as folder:
        url = database.start_embedded(folder / "pg")
        engine, reading = database.connect(url), database.connect_reading(url)
        try:
            database.migrate(engine)
            fill(engine, attempts, leads, now)
            spent = count(engine, now)
            results = [Result(f"{attempts:,} attempts counted", attempts / spent, "attempts/s")]
            results += [*asked(reading, now), abandoned(engine, now)]
            return results + beside(engine, url, max(1.0, QUIET_S * min(1.0, scale * 10)))
        finally:
            engine.dispose()
            reading.dispose()


def main() -> int:
    chosen = report.options(__doc__ or "", "1.0 is a year of 50 million attempts")
    return report.report("reports", chosen, measure(chosen.scale))


if __name__ == "__main__":
    sys.exit(main())
