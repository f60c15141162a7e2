"""Half hours of archived months, counted from the files: after an upgrade, and when something came in late.

The job that holds the archive does it, since only then no file changes. A month's rows, with a day before and after
them, are laid in tables that last as long as the transaction, and counted by the statements that count live ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import structlog
from sqlalchemy import text

from campaigns.history.archive import Job
from campaigns.history.files import NULL, to_csv
from campaigns.history.kinds import ATTEMPT, DISPOSITION, KINDS, SEAT_LOG, Kind
from campaigns.history.months import all_months
from campaigns.partitions import bounds, month_of
from campaigns.reports.counting import (
    HALF_HOUR,
    HALF_HOUR_OF,
    Source,
    count_calls,
    count_seats,
    half_hour_of,
)
from campaigns.reports.rolling import ALONE, FILED, LOCK, SNAPSHOT, TABLES, TAKEN

log = structlog.get_logger(__name__)

DAY = timedelta(days=1)
IN_FILES = Source("filed_attempt", "filed_disposition", "filed_seat_log")
DUE = text(
    "SELECT DISTINCT kind, half_hour FROM rollup_due WHERE kind <> 'callbacks' ORDER BY half_hour DESC"
)
INDEXES = {
    ATTEMPT.table: ("(campaign_id, dialed_at)",),
    DISPOSITION.table: ("(call_id)",),
    SEAT_LOG.table: ("(at)", "(user_id, at)"),
}
DIALED = text(f"""
SELECT DISTINCT {HALF_HOUR_OF.format("dialed_at")} FROM filed_attempt
WHERE leased_at >= :begin AND leased_at < CAST(:begin AS timestamptz) + interval '30 minutes'
""")


def settle(job: Job, now: datetime) -> int:
    """Count what is due of months that are in files; what is of months that are gone is due no more.

    Gives the number of half hours.
    """
    counted = 0
    for month, due in _due(job).items():
        counted += _count_month(job, month, due, now)
        log.info("an archived month was counted for reports", month=f"{month:%Y-%m}", half_hours=len(due))
    return counted


def _due(job: Job) -> dict[date, list[tuple[str, datetime]]]:
    """What :func:`campaigns.reports.rolling.roll` leaves, by month."""
    with job.work.begin():
        filed = {kind: set(job.work.execute(FILED, {"kinds": of}).scalars()) for kind, of in TABLES.items()}
        rows = job.work.execute(DUE).all()
    due: dict[date, list[tuple[str, datetime]]] = {}
    for row in rows:
        month, before = month_of(row.half_hour.date()), month_of((row.half_hour - DAY).date())
        if {month, before} & filed[row.kind]:
            due.setdefault(month, []).append((row.kind, row.half_hour))
    return due


def _count_month(job: Job, month: date, due: Sequence[tuple[str, datetime]], now: datetime) -> int:
    with job.work.begin():
        job.work.execute(SNAPSHOT)
        if not job.work.execute(ALONE, {"key": LOCK}).scalar_one():
            return 0  # the daemon's turn is on: next time
        states = {(m.kind, m.month): m for m in all_months(job.work)}
        gone = {
            kind for kind in KINDS if (m := states.get((kind, month))) is not None and m.state == "expired"
        }
        for table in KINDS:
            _lay(job, KINDS[table], month)
        calls: set[datetime] = set()
        seats: set[datetime] = set()
        for kind, begin in due:
            job.work.execute(TAKEN, {"kind": kind, "begin": begin, "end": begin + HALF_HOUR})
            if gone.intersection(TABLES[kind]):
                continue
            if kind == "calls":
                calls |= set(job.work.execute(DIALED, {"begin": begin}).scalars())
            elif kind == "stays":
                seats.add(begin)
            else:
                last = min(
                    half_hour_of(begin + DAY), half_hour_of(bounds(month)[1] - HALF_HOUR), half_hour_of(now)
                )
                seats |= {begin + n * HALF_HOUR for n in range(max(0, (last - begin) // HALF_HOUR) + 1)}
        # From the first that is due to the last at once: the month is read as a whole anyway.
        if calls:
            count_calls(job.work, min(calls), max(calls) + HALF_HOUR, IN_FILES)
        if seats:
            count_seats(job.work, min(seats), max(seats) + HALF_HOUR, now, IN_FILES)
    return len(calls) + len(seats)


def _lay(job: Job, kind: Kind, month: date) -> None:
    """A kind's rows of a month and the days next to it, out of files and live tables, as one table."""
    table = f"filed_{kind.table}"
    begin, end = bounds(month)
    since, until = begin - DAY, end + DAY
    job.work.execute(text(f"CREATE TEMP TABLE {table} (LIKE {kind.table} INCLUDING DEFAULTS) ON COMMIT DROP"))
    filed = {m.month: m for m in all_months(job.work) if m.kind == kind.table and m.state != "restored"}
    for at, m in filed.items():
        if m.state == "archived" and at in {month_of(month, n) for n in (-1, 0, 1)}:
            path = job.files.scratch / f"{table}.csv"
            to_csv(job.duck, m.manifest.layout, job.files.path(m.manifest), path, (since, until))
            with path.open("rb") as file:
                job.work.connection.cursor().copy_expert(
                    f"COPY {table} ({m.manifest.layout.names}) FROM STDIN (FORMAT csv, NULL '{NULL}')", file
                )
            path.unlink()
    live = (
        f"INSERT INTO {table} ({kind.names}) SELECT {kind.names} FROM {kind.table} WHERE {kind.time} >= :since"
        f" AND {kind.time} < :until"
        f" AND date_trunc('month', {kind.time} AT TIME ZONE 'UTC')::date <> ALL(CAST(:filed AS date[]))"
    )
    job.work.execute(text(live), {"since": since, "until": until, "filed": sorted(filed)})
    for index in INDEXES[kind.table]:
        job.work.execute(text(f"CREATE INDEX ON {table} {index}"))
    job.work.execute(text(f"ANALYZE {table}"))
