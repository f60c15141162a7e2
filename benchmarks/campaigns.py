"""What lists and history cost: `python -m benchmarks.campaigns [--scale S] [--json FILE]`.

At scale 1, on an embedded PostgreSQL: a list of 250,000 rows is imported as `dialer import` does it, beside `COPY` of
the leads and numbers that came of it into the same tables; then with ten million leads and fifty million attempts
there, beside an empty system; one engine, and four side by side, lease 1,000 leads at a time from it; calls go on at
100 a second while lists come in, while a query counts to itself on one processor, and while neither does, by turns; and
a list of five million rows is imported, for the memory it takes, beside one of a tenth as many. Each list is another
one. Where it is, it says on standard error.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Engine, text

from benchmarks import report
from benchmarks.engine import memory_mb
from benchmarks.history import CALLS_PER_S, Calls, Latencies
from benchmarks.past import BARRED, CAMPAIGNS, add_campaigns, bar_some, make_past, write_list
from benchmarks.report import Result, percentile
from campaigns import database
from campaigns.hopper import Hopper
from campaigns.lists.importing import Request, import_list
from campaigns.lists.loading import Policy
from dialer import garbage

LEADS, ATTEMPTS, LONG = 10_000_000, 50_000_000, 5_000_000
ROWS, FEWEST_ROWS = 250_000, 20_000  # of a list that is timed
ROUNDS = 3  # of imports; the medians count
NICE = 10  # as `dialer import` steps back behind calls; what is timed beside COPY does not
LEASERS, LEASED, LEASES = 4, 1_000, 50  # engines, leads of a lease, leases of each
LONGEST_S = 600.0  # for which there are leads to call
TURNS, TURN_S = 4, 20.0  # of calls without an import, and with one
ROWS_PER_S = 20_000  # rows of a list that lasts as long as a turn, at least
COPY_SHARE, SLOWER, LEASE_MS, MEMORY, BESIDE = 0.5, 1.3, 30.0, 1.2, 1.1

LEAD = "id, campaign_id, list_id, name, attributes, zones, region, customer_id"
NUMBER = "lead_id, campaign_id, e164, kind, ordinal"
LIST = "INSERT INTO list (campaign_id, name, source, imported_at) VALUES (1, 'copied', 'copied', now())"
HELD = text("SELECT count(*) AS leads, count(DISTINCT lease) AS leases FROM lead WHERE lease IS NOT NULL")

COUNT = text("SELECT count(*) FROM generate_series(1, 200000)")

SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to: rows of the list, leads that went in, and the most memory of the process, in MB."""

    rows: int
    accepted: int
    spent_s: float
    peak_mb: float

    @property
    def rate(self) -> float:
        return self.rows / self.spent_s


class Server:
    """An embedded PostgreSQL, and databases in it that are as good as new."""

    def __init__(self, folder: Path, barred: int) -> None:
        self.folder = folder
        self.url = database.start_embedded(folder / "pg")
        self._admin = database.connect(self.url, pool_size=1)
        self._run("CREATE DATABASE empty")
        engine = database.connect(self.url_of("empty"))
        database.migrate(engine)
        bar_some(engine, barred, datetime.now(UTC))
        engine.dispose()

    def url_of(self, name: str) -> str:
        return self.url.replace("/postgres?", f"/{name}?", 1)

    def create(self, name: str) -> str:
        """A database without leads, but with the do-not-call list; its URL."""
        self._run(f"CREATE DATABASE {name} TEMPLATE empty")
        return self.url_of(name)

    @contextmanager
    def empty(self, name: str) -> Iterator[str]:
        """One with a campaign, for a while."""
        url = self.create(name)
        engine = database.connect(url)
        add_campaigns(engine, 1, datetime.now(UTC))
        engine.dispose()
        try:
            yield url
        finally:
            self._run(f"DROP DATABASE {name}")

    def stop(self) -> None:
        self._admin.dispose()

    def _run(self, statement: str) -> None:
        with self._admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text(statement))


class Lists:
    """Lists of which none has a number that is on another."""

    def __init__(self, folder: Path, people: int) -> None:
        self._folder = folder
        self._people = people
        self._next = 0

    def new(self, rows: int) -> Path:
        path = self._folder / f"{self._next}.csv"
        write_list(path, self._next, rows, self._people)
        self._next += rows
        return path


def importing(url: str, request: Request, nice: int, done: Any) -> None:
    """In a process of its own: one import, as the command line does it."""
    os.nice(nice)
    engine = database.connect(url, pool_size=2)
    began = time.perf_counter()
    result = import_list(engine, request, datetime.now(UTC))
    spent = time.perf_counter() - began
    engine.dispose()
    done.put(Imported(result.rows, result.accepted, spent, memory_mb(os.getpid(), "VmHWM")))


def start_import(
    url: str, path: Path, campaign: int = 1, within: str = "campaign", nice: int = 0
) -> tuple[Any, Any]:
    """The process, and the queue that its :class:`Imported` will come by."""
    request = Request(
        str(path),
        path.stem,
        campaign,
        policy=Policy(within=within),
        rejects=path.with_suffix(".rejected.csv"),
    )
    done = SPAWN.Queue()
    process = SPAWN.Process(target=importing, args=(url, request, nice, done))
    process.start()
    return process, done


def end_import(process: Any, done: Any) -> Imported:
    process.join()
    if process.exitcode:
        raise SystemExit(f"an import ended with exit code {process.exitcode}")
    found = done.get(timeout=10)
    assert isinstance(found, Imported)
    return found


def run_import(url: str, path: Path, campaign: int = 1, within: str = "campaign") -> Imported:
    return end_import(*start_import(url, path, campaign, within))


# --- what a list costs ----------------------------------------------------------------------------------------


def copied(server: Server, engine: Engine, folder: Path) -> float:
    """Seconds that COPY takes for the leads and numbers of an import, into as new a database, all indexes kept."""
    tables = {"lead": LEAD, "number": NUMBER}
    with engine.connect() as connection, connection.connection.cursor() as cursor:
        for table, columns in tables.items():
            with (folder / table).open("wb") as file:
                cursor.copy_expert(f"COPY (SELECT {columns} FROM {table} ORDER BY id) TO STDOUT", file)
    with server.empty("copied") as url:
        into = database.connect(url, pool_size=1)
        with into.begin() as connection, connection.connection.cursor() as cursor:
            cursor.execute(LIST)
            began = time.perf_counter()
            for table, columns in tables.items():
                with (folder / table).open("rb") as file:
                    cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN", file)
            connection.commit()
            spent = time.perf_counter() - began
        into.dispose()
    return spent


def lists_come_in(server: Server, full: str, lists: Lists, rows: int) -> list[Result]:
    """Into an empty system and by COPY, and into the full one, by turns."""
    rates, shares, slower = [], [], {"campaign": [], "system": []}  # type: ignore[var-annotated]
    for n in range(ROUNDS):
        for within, times in slower.items():
            path = lists.new(rows)
            with server.empty("new") as url:
                alone = run_import(url, path, within=within)
                if within == "campaign":
                    engine = database.connect(url, pool_size=1)
                    raw_s = copied(server, engine, server.folder)
                    engine.dispose()
                    rates.append(alone.rate)
                    shares.append(raw_s / alone.spent_s)
            late = run_import(full, path, 2 + n, within)
            times.append(late.spent_s / alone.spent_s)
            say(f"import within the {within}: {alone.spent_s:.1f} s empty, {late.spent_s:.1f} s full")
    return [
        Result("import into an empty system", median(rates), "rows/s"),
        Result("its rate over that of COPY", median(shares), "times", COPY_SHARE, "at_least"),
        *(
            Result(f"full over empty, duplicates within the {within}", median(times), "times", SLOWER)
            for within, times in slower.items()
        ),
    ]


def memory(server: Server, lists: Lists, rows: int) -> list[Result]:
    """The most that the importing process held, with a list and with one ten times as long."""
    peaks = []
    for count in (rows // 10, rows):
        path = lists.new(count)
        with server.empty("long") as url:
            imported = run_import(url, path)
        path.unlink()
        peaks.append(imported.peak_mb)
        say(f"import of {count:,} rows: {imported.peak_mb:.0f} MB, {imported.rate:,.0f} rows/s")
    return [
        Result(f"peak memory, {rows:,} rows", peaks[1], "MB"),
        Result("the same over a tenth of the rows", peaks[1] / peaks[0], "times", MEMORY),
    ]


# --- calls ----------------------------------------------------------------------------------------------------


def leasing(url: str, owner: str, times: int, limit: int, start: Barrier, done: Any) -> None:
    """In a process of its own: one engine that leases, again and again."""
    engine = database.connect(url, pool_size=1)
    hopper = Hopper(engine, owner)
    hopper.lease(1, 1, datetime.now(UTC))  # connected, and the campaign's terms are known
    garbage.set_aside()  # as `dialer run` does when it is ready
    took, leads = [], []
    start.wait()
    for _ in range(times):
        began = time.perf_counter()
        found = hopper.lease(1, limit, datetime.now(UTC))
        took.append((time.perf_counter() - began) * 1000)
        leads += [lead.lead_id for lead in found]
    engine.dispose()
    done.put((took, leads))


def leased(url: str, engines: int, times: int) -> tuple[list[float], list[int]]:
    """Engines side by side: the milliseconds of each lease, sorted, and the leads."""
    start, done = SPAWN.Barrier(engines), SPAWN.Queue()
    processes = [
        SPAWN.Process(target=leasing, args=(url, f"engine-{n}", times, LEASED, start, done))
        for n in range(engines)
    ]
    for process in processes:
        process.start()
    found = [done.get(timeout=600) for _ in processes]
    for process in processes:
        process.join()
    return sorted(each for those, _ in found for each in those), [
        lead for _, those in found for lead in those
    ]


def leases(engine: Engine, url: str, times: int) -> list[Result]:
    """One engine, and then several. Raises SystemExit when a lead was leased twice, or there were too few."""
    alone, leads = leased(url, 1, times)
    took, more = leased(url, LEASERS, times)
    leads += more
    with engine.connect() as connection:
        held = connection.execute(HELD).one()
    wanted = (1 + LEASERS) * times * LEASED
    if len(set(leads)) != len(leads) or held.leads != held.leases or held.leads != len(leads) + 1 + LEASERS:
        raise SystemExit(f"{len(leads):,} leases of {len(set(leads)):,} leads, on record {held.leads:,}")
    if len(leads) != wanted:
        raise SystemExit(f"{wanted:,} leads were wanted, {len(leads):,} leased")
    what = f"lease {LEASED:,}, {LEASERS} engines side by side"
    return [
        Result(f"lease {LEASED:,}, one engine, p50", percentile(alone, 0.5), "ms"),
        Result(f"lease {LEASED:,}, one engine, p99", percentile(alone, 0.99), "ms"),
        Result(f"{what}, p50", percentile(took, 0.5), "ms"),
        Result(f"{what}, p99", percentile(took, 0.99), "ms", LEASE_MS),
        Result("leads leased, none of them twice", len(leads), "leads"),
    ]


def counting(url: str, seconds: float) -> None:
    """In a process of its own: the database's server is busy with a query that reads and locks nothing."""
    engine = database.connect(url, pool_size=1)
    end = time.monotonic() + seconds
    with engine.connect() as connection:
        while time.monotonic() < end:
            connection.execute(COUNT)
    engine.dispose()


def calls_beside(engine: Engine, url: str, lists: Lists, rows: int, turn_s: float) -> list[Result]:
    """Calls at a steady rate, while a list comes in, beside a query that counts, and without either, by turns."""
    alone, beside, counted = Latencies(), Latencies(), Latencies()
    calls = Calls(engine, 1)
    calls.go_on_for(min(turn_s, 2.0))
    for n in range(TURNS):
        alone.add(calls.go_on_for(turn_s))
        process, done = start_import(url, lists.new(rows), CAMPAIGNS - n % 2, nice=NICE)
        beside.add(calls.go_on_while(process.is_alive))
        imported = end_import(process, done)
        say(f"calls beside an import of {imported.spent_s:.1f} s")
        counter = SPAWN.Process(target=counting, args=(url, turn_s))
        counter.start()
        counted.add(calls.go_on_while(counter.is_alive))
        counter.join()
    results = []
    for what in ("lease", "authorize"):
        quiet, busy = (sorted(getattr(each, what)) for each in (alone, beside))
        for name, times in (("no import", quiet), ("an import", busy)):
            results.append(Result(f"{what} beside {name}, p50", percentile(times, 0.5) * 1000, "ms"))
            results.append(Result(f"{what} beside {name}, p99", percentile(times, 0.99) * 1000, "ms"))
        times = percentile(busy, 0.99) / percentile(quiet, 0.99)
        results.append(Result(f"{what} beside an import over none, p99", times, "times", BESIDE))
        times = percentile(sorted(getattr(counted, what)), 0.99) / percentile(quiet, 0.99)
        results.append(Result(f"{what} beside a query that counts, over without, p99", times, "times"))
    return results


# --- the run --------------------------------------------------------------------------------------------------


def measure(scale: float) -> list[Result]:
    small = min(1.0, scale)
    rows = max(FEWEST_ROWS, int(ROWS * small))
    turn_s = max(1.0, TURN_S * small)
    times = max(2, min(LEASES, int(10 * LEASES * scale)))
    ready = (1 + LEASERS) * (times * LEASED + 1) + int(CALLS_PER_S * LONGEST_S * small) + 2_000
    leads = max(int(LEADS * scale), 2 * ready)
    with report.scratch("campaigns") as folder:
        server = Server(folder, max(2_000, int(BARRED * small)))
        try:
            url = server.create("past")
            engine = database.connect(url)
            try:
                past = make_past(engine, leads, ready, int(ATTEMPTS * scale), datetime.now(UTC), say)
                lists = Lists(folder, past.people)
                results = lists_come_in(server, url, lists, rows)
                results += leases(engine, url, times)
                say(f"leased {(1 + LEASERS) * times * LEASED:,} leads")
                results += calls_beside(engine, url, lists, max(rows, int(ROWS_PER_S * turn_s)), turn_s)
            finally:
                engine.dispose()
            return [
                Result("leads and attempts there", past.leads, f"leads, {past.attempts:,} attempts"),
                *results,
                *memory(server, lists, max(10 * FEWEST_ROWS, int(LONG * scale))),
            ]
        finally:
            server.stop()


def say(what: str) -> None:
    """Tell on standard error where the run is."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def main() -> int:
    """Run it; 1 when a budget is broken."""
    chosen = report.options(__doc__ or "")
    return report.report("campaigns", chosen, measure(chosen.scale))


if __name__ == "__main__":
    sys.exit(main())
