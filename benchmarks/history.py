"""What history costs: `python -m benchmarks.history [--scale S] [--json FILE]`.

Two months of 500,000 attempts each, a third of them with disposition and seat log, move out of an embedded PostgreSQL
while leads are leased, authorized and journalled as an engine does it, 100 calls a second. The archive is a process of
its own that steps back behind the others (nice), as `dialer archive run` is. The calls' latencies while it runs are
put beside those of the same calls before and after it, and questions to the files beside the same to the tables.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import Engine, text

from benchmarks import report
from benchmarks.report import Result, percentile
from campaigns import database
from campaigns.history import person as persons
from campaigns.history.archive import holding
from campaigns.history.files import Files
from campaigns.history.query import History
from campaigns.history.retention import Policy, run
from campaigns.hopper import Hopper
from campaigns.journal_store import JournalStore
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.partitions import KEYS, bounds, make_partition, month_of, partition_name
from campaigns.records import AttemptAnswered, AttemptEnded
from campaigns.rules.keys import WEEKDAYS
from campaigns.store import CampaignStore
from campaigns.values import Ask
from dialer import garbage

CALLS_A_MONTH = 500_000
OLD = (-6, -5)  # months before this one; both are due
CALLS_PER_S = 100
BATCH = 5  # leads that are authorized together
QUIET_S = 20.0
NICE = 10
QUESTIONS = 20  # to people drawn evenly; the median counts
SLOWER = (
    3.0  # times that a call's write may take at p99 while the archive works: both share two cores and a disk
)
SMALLEST = 0.2  # of the room that tables and indexes take, at most this for the files
LONGEST_S = 120.0  # for which there are leads while the archive works
KINDS = tuple(KEYS)

ANY_TIME = ", ".join(f"{day} = {{ from = 00:00:00, to = 23:59:59.999999 }}" for day in WEEKDAYS)
CONFIG = f'switch = "main"\nrunning = true\nrules.windows = {{ {ANY_TIME} }}\n'
NUMBERS = text("""
WITH made AS (
    INSERT INTO lead (campaign_id, list_id, name, attributes, zones, open)
    SELECT :campaign, :list, 'customer ' || n, '{"plan": "5G"}', '{Asia/Shanghai}', false
    FROM generate_series(1, :count) n RETURNING id
)
INSERT INTO number (lead_id, campaign_id, e164)
SELECT id, :campaign, '+86139' || lpad((row_number() OVER (ORDER BY id))::text, 8, '0') FROM made
""")
CALLED = text("""
INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at, answered_at,
    connected_at, ended_at, outcome, cause, tech_cause, ring_s, wait_s, talk_s, user_id, amd, harbour_played, notes)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008' || lpad(to_hex(id), 15, '0'))::uuid,
    at, :campaign, lead_id, id, 'main', 'engine-1', at, CASE WHEN talked THEN at END, CASE WHEN talked THEN at END,
    at + interval '40 s', CASE WHEN talked THEN 'connected' ELSE 'no_answer' END, 16, 0, (id % 1000) / 40.0,
    CASE WHEN talked THEN 0.4 END, CASE WHEN talked THEN (id % 3000) / 7.0 END, CASE WHEN talked THEN id % 150 END,
    NULL, false, CASE WHEN id % 30 = 0 THEN 'asks for the contract of ' || id END
FROM (
    SELECT id, lead_id, id % 3 = 0 AS talked,
        CAST(:begin AS timestamptz) + (id * 7919 % :count) * CAST(:step AS interval) AS at
    FROM number WHERE campaign_id = :campaign
) n
""")
JUDGED = text("""
INSERT INTO disposition (call_id, leased_at, user_id, code, notes, do_not_call, retry_at, final, at)
SELECT call_id, leased_at, user_id, 'sold', 'wants it soon', false, NULL, true, ended_at FROM attempt
WHERE connected_at IS NOT NULL AND leased_at >= :begin AND leased_at < :end
""")
SEATED = text("""
INSERT INTO seat_log (at, user_id, session_id, state, reason, call_id, campaign_id)
SELECT leased_at, user_id, 'session', 'talking', '', replace(call_id::text, '-', ''), campaign_id FROM attempt
WHERE connected_at IS NOT NULL AND leased_at >= :begin AND leased_at < :end
""")
SIZE = text(
    "SELECT sum(pg_total_relation_size(CAST(name AS regclass))) FROM unnest(CAST(:names AS text[])) name"
)


@dataclass(slots=True)
class Latencies:
    """Seconds that a call's writes took."""

    lease: list[float] = field(default_factory=list)
    authorize: list[float] = field(default_factory=list)
    journal: list[float] = field(default_factory=list)

    def add(self, more: Latencies) -> None:
        self.lease += more.lease
        self.authorize += more.authorize
        self.journal += more.journal


class Calls:
    """What an engine asks of the database, at a steady rate."""

    def __init__(self, engine: Engine, campaign: int) -> None:
        self._campaign = campaign
        self._hopper = Hopper(engine, "bench")
        self._journal = JournalStore(engine, "bench")
        self._serial = 0
        garbage.set_aside()  # as `dialer run` does when it is ready

    def go_on_for(self, seconds: float) -> Latencies:
        """Place calls for so long."""
        end = time.monotonic() + seconds
        return self.go_on_while(lambda: time.monotonic() < end)

    def go_on_while(self, going: Callable[[], bool]) -> Latencies:
        """Place calls until it is false; one that is late is not hurried after."""
        took = Latencies()
        due = time.monotonic()
        while going():
            due = max(due + BATCH / CALLS_PER_S, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            now = datetime.now(UTC)
            asked = time.perf_counter()
            leads = self._hopper.lease(self._campaign, BATCH, now)
            begun = time.perf_counter()
            self._hopper.authorize([Ask(lead.call_id, "main") for lead in leads], now)
            authorized = time.perf_counter()
            records = [AttemptAnswered(at=now, call_id=lead.call_id) for lead in leads]
            records += [
                AttemptEnded(at=now, call_id=lead.call_id, outcome="connected", talk_s=60.0, final=True)
                for lead in leads
            ]
            self._journal.apply(list(enumerate(records, self._serial + 1)))
            self._serial += len(records)
            took.lease.append(begun - asked)
            took.authorize.append(authorized - begun)
            took.journal.append(time.perf_counter() - authorized)
        return took


def fill(engine: Engine, calls: int, leads: int) -> tuple[int, int, list[date]]:
    """Old months, and leads to call now; gives the campaigns of both, and the months."""
    store = CampaignStore(engine)
    now = datetime.now(UTC)
    old = store.apply('name = "old"\n' + CONFIG, "benchmark", "benchmark", now).campaign_id
    new = store.apply('name = "new"\n' + CONFIG, "benchmark", "benchmark", now).campaign_id
    rows = (Row(n, (f"+8613800{n:06d}",), "customer", {}, ("Asia/Shanghai",)) for n in range(leads))
    result = store_rows(engine, new, "new", "benchmark", now, rows)
    months = [month_of(now.date(), offset) for offset in OLD]
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(NUMBERS, {"campaign": old, "list": result.list_id, "count": calls})
        for month in months:
            begin, end = bounds(month)
            values = {
                "campaign": old,
                "begin": begin,
                "end": end,
                "count": calls,
                "step": (end - begin) / calls,
            }
            for table in KINDS:
                make_partition(connection, table, month)
            for statement in (CALLED, JUDGED, SEATED):
                connection.execute(statement, values)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))
    return old, new, months


def archive(url: str, folder: str, took: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    """In a process of its own: move what is due."""
    os.nice(NICE)
    engine = database.connect(url, pool_size=2)
    with holding(engine, Files(Path(folder))) as job:
        begun = time.perf_counter()
        done = run(job, Policy(), "benchmark", datetime.now(UTC))
        spent = time.perf_counter() - begun
    engine.dispose()
    took.put((sum(m.rows for m in done.archived), sum(m.size for m in done.archived), spent))


def ask(
    engine: Engine, history: History, campaign: int, months: list[date], calls: int
) -> tuple[float, float, int]:
    """Seconds for a person's calls and for a day of the campaign, each the median; and how many calls were found."""
    since, until = bounds(months[0])[0], bounds(months[-1])[1]
    people, days, found = [], [], 0
    for n in range(QUESTIONS):
        e164 = f"+86139{1 + n * calls // QUESTIONS:08d}"
        begun = time.perf_counter()
        found += len(history.calls(since, until, persons.find(engine, e164)))
        people.append(time.perf_counter() - begun)
        day = since + timedelta(days=n)
        begun = time.perf_counter()
        found += len(history.calls(day, day + timedelta(days=1), campaign_id=campaign))
        days.append(time.perf_counter() - begun)
    return median(people), median(days), found


def measure(scale: float) -> list[Result]:
    calls = max(2_000, int(CALLS_A_MONTH * scale))
    quiet_s = max(1.0, QUIET_S * min(1.0, scale))
    with report.scratch("history") as folder:
        url = database.start_embedded(folder / "pg")
        engine = database.connect(url)
        try:
            database.migrate(engine)
            return moved(engine, url, folder / "archive", calls, quiet_s)
        finally:
            engine.dispose()


def moved(engine: Engine, url: str, folder: Path, calls: int, quiet_s: float) -> list[Result]:
    """Ask, call, move the months while calls go on, and ask again."""
    old, new, months = fill(engine, calls, max(2_000, int(CALLS_PER_S * (quiet_s + LONGEST_S))))
    with engine.connect() as connection:
        names = [partition_name(kind, month) for kind in KINDS for month in months]
        size = int(connection.execute(SIZE, {"names": names}).scalar_one())
    history = History(engine, Files(folder))
    live = ask(engine, history, old, months, calls)
    at_work = Calls(engine, new)
    quiet = at_work.go_on_for(quiet_s / 2)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    job = context.Process(target=archive, args=(url, str(folder), queue))
    job.start()
    busy = at_work.go_on_while(job.is_alive)
    rows, filed, spent = queue.get(timeout=10)
    job.join()
    after = at_work.go_on_for(quiet_s / 2)
    asked = ask(engine, history, old, months, calls)
    if asked[2] != live[2]:
        raise SystemExit(f"the files tell of {asked[2]} calls where the tables told of {live[2]}")
    results = [
        Result(f"rows archived, of {2 * calls:,} attempts: rate", rows / spent, "rows/s"),
        Result("what the files take of the tables and indexes", filed / size, "share", SMALLEST),
        Result("a person's calls: tables", live[0] * 1e3, "ms"),
        Result("a person's calls: files", asked[0] * 1e3, "ms"),
        Result("a campaign's day: tables", live[1] * 1e3, "ms"),
        Result("a campaign's day: files", asked[1] * 1e3, "ms"),
    ]
    for what, before, during in (
        (f"authorize {BATCH} calls", quiet.authorize + after.authorize, busy.authorize),
        (f"journal {2 * BATCH} records", quiet.journal + after.journal, busy.journal),
    ):
        p99 = percentile(sorted(before), 0.99), percentile(sorted(during), 0.99)
        results += [
            Result(f"{what}: p99 without an archive at work", p99[0] * 1e3, "ms"),
            Result(f"{what}: p99 beside one, {len(during)} times", p99[1] * 1e3, "ms"),
            Result(f"{what}: beside over without", p99[1] / p99[0], "times", SLOWER),
        ]
    return results


def main() -> int:
    chosen = report.options(__doc__ or "")
    return report.report("history", chosen, measure(chosen.scale))


if __name__ == "__main__":
    sys.exit(main())
