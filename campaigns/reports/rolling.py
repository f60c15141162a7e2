"""The roll-ups kept up to date: what is due is taken, counted anew and written, in one transaction.

Theory of operation. Whoever writes an attempt, a disposition, a line of the seat log or a callback leaves a mark for
its half hour in the same transaction (triggers of the database do). A turn takes marks and counts their half hours in
one snapshot: what it sees of the marks it sees of the rows, and a mark that comes later is there for the next turn.
A turn that is killed has done nothing. One at a time works on a database, by an advisory lock. The newest half hours
come first, so that after an upgrade today's figures do not wait for those of years.

Half hours of months that are in files are left to :mod:`campaigns.reports.filed`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, text

from campaigns.reports.counting import (
    HALF_HOUR,
    HALF_HOUR_OF,
    ID_FROM,
    LONGEST_STATE,
    count_callbacks,
    count_calls,
    count_seats,
    half_hour_of,
)

LOCK = 0x7A68_7564_6F6E_6703  # "zhudong" and a number, next to that of the archive
LONGEST_RUN = timedelta(days=1)
MOST_S = 2.0  # of one transaction, which keeps dead rows of all tables from being cleared

SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
ALONE = text("SELECT pg_try_advisory_xact_lock(:key)")
# Of months that are live, and so is the day before: a call may have been leased in it, a seat's state begun.
DUE = text("""
SELECT DISTINCT half_hour FROM rollup_due WHERE kind = :kind
    AND date_trunc('month', half_hour AT TIME ZONE 'UTC')::date <> ALL(CAST(:filed AS date[]))
    AND date_trunc('month', (half_hour - interval '1 d') AT TIME ZONE 'UTC')::date <> ALL(CAST(:filed AS date[]))
ORDER BY half_hour DESC LIMIT :most
""")
TAKEN = text("DELETE FROM rollup_due WHERE kind = :kind AND half_hour >= :begin AND half_hour < :end")
FILED = text("SELECT month FROM archived_month WHERE kind = ANY(:kinds) AND state <> 'restored'")
STAYS = text("""
INSERT INTO rollup_due SELECT 'stays', half_hour
FROM generate_series(CAST(:first AS timestamptz), CAST(:last AS timestamptz), interval '30 minutes') half_hour
""")
SEEN = text("SELECT seats_until FROM rollup_seen")
SEEN_UNTIL = text("UPDATE rollup_seen SET seats_until = :now")
STANDING = text("""
SELECT seats_until AS as_of, (SELECT count(DISTINCT (kind, half_hour)) FROM rollup_due) AS due FROM rollup_seen
""")
# When the calls were dialed whose ids were made in this half hour: they are found by those.
DIALED = text(f"""
SELECT DISTINCT {HALF_HOUR_OF.format("dialed_at")} FROM attempt
WHERE call_id >= {ID_FROM.format(":begin")} AND call_id < {ID_FROM.format(":end")}
    AND leased_at >= :begin AND leased_at < :end
""")
# By whose months, when they are in files, a kind is left to another job.
TABLES = {
    "calls": ["attempt", "disposition"],
    "seats": ["seat_log"],
    "stays": ["seat_log"],
    "callbacks": [],
}
# Refusals are appended; those of half hours that are over come together as one row each.
ADDED_UP = text("""
WITH gone AS (
    DELETE FROM rollup_refusal WHERE half_hour IN (
        SELECT half_hour FROM rollup_refusal WHERE half_hour >= :since AND half_hour < :before
        GROUP BY half_hour, campaign_id, reason
        HAVING count(*) > 1
    ) RETURNING *
) INSERT INTO rollup_refusal
SELECT half_hour, campaign_id, reason, sum(calls) FROM gone GROUP BY half_hour, campaign_id, reason
""")
LOOKED_BACK = timedelta(days=2)  # for those of a daemon that stood still
SETTLED = timedelta(hours=2)  # after which no transaction appends to a half hour any more
MOST = 1_000  # half hours of a kind that a turn looks at


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn did: how many half hours it counted."""

    counted: int
    more: bool  # it stopped before it was through


def roll(engine: Engine, now: datetime) -> Turn | None:
    """One turn; None when another job has it."""
    began, counted, more = time.monotonic(), 0, False
    with engine.begin() as connection:
        connection.execute(SNAPSHOT)
        if not connection.execute(ALONE, {"key": LOCK}).scalar_one():
            return None
        _let_time_pass(connection, now)
        connection.execute(ADDED_UP, {"before": half_hour_of(now - SETTLED), "since": now - LOOKED_BACK})
        _hold_on(connection, now)
        done: set[datetime] = set()
        for kind, begin, end in _due(connection):
            if time.monotonic() - began > MOST_S:
                more = True
                break
            connection.execute(TAKEN, {"kind": kind, "begin": begin, "end": end})
            counted += _count(connection, kind, begin, end, now, done)
    return Turn(counted, more)


def standing(engine: Engine) -> tuple[datetime, int]:
    """When the last turn was that counted, and how many half hours are due, in files or not."""
    with engine.connect() as connection:
        row = connection.execute(STANDING).one()
        return row.as_of, row.due


def _let_time_pass(connection: Connection, now: datetime) -> None:
    """Seats stay in their states without a line: what has passed since the last turn is due."""
    seen: datetime = connection.execute(SEEN).scalar_one()
    if seen < now:
        connection.execute(STAYS, {"first": half_hour_of(seen), "last": half_hour_of(now)})
        connection.execute(SEEN_UNTIL, {"now": now})


def _hold_on(connection: Connection, now: datetime) -> None:
    """A line of the seat log tells of the half hours after it too, whatever they were thought to be before."""
    for begin in _half_hours(connection, "seats"):
        connection.execute(TAKEN, {"kind": "seats", "begin": begin, "end": begin + HALF_HOUR})
        last = min(begin + LONGEST_STATE, half_hour_of(now))
        connection.execute(STAYS, {"first": begin, "last": max(begin, last)})


def _due(connection: Connection) -> Sequence[tuple[str, datetime, datetime]]:
    """What may be counted now: kind, from when, up to when; the newest first. Seats' half hours come in runs."""
    found = [(begin, kind) for kind in ("calls", "callbacks") for begin in _half_hours(connection, kind)]
    spans = [(begin + HALF_HOUR, begin, kind) for begin, kind in found]
    spans += [(end, begin, "stays") for begin, end in runs(_half_hours(connection, "stays"))]
    return [(kind, begin, end) for end, begin, kind in sorted(spans, reverse=True)]


def runs(half_hours: Iterable[datetime]) -> list[tuple[datetime, datetime]]:
    """Half hours that follow each other as one span, of a day at most."""
    found: list[tuple[datetime, datetime]] = []
    for begin in sorted(half_hours):
        if found and found[-1][1] == begin and begin - found[-1][0] < LONGEST_RUN:
            found[-1] = found[-1][0], begin + HALF_HOUR
        else:
            found.append((begin, begin + HALF_HOUR))
    return found


def _half_hours(connection: Connection, kind: str) -> Sequence[datetime]:
    filed = connection.execute(FILED, {"kinds": TABLES[kind]}).scalars().all()
    values = {"kind": kind, "filed": list(filed), "most": MOST}
    return connection.execute(DUE, values).scalars().all()


def _count(
    connection: Connection, kind: str, begin: datetime, end: datetime, now: datetime, done: set[datetime]
) -> int:
    if kind == "callbacks":
        count_callbacks(connection, begin)
        return 1
    if kind == "stays":
        count_seats(connection, begin, end, now)
        return (end - begin) // HALF_HOUR
    dialed = set(connection.execute(DIALED, {"begin": begin, "end": end}).scalars()) - done
    for half_hour in dialed:
        count_calls(connection, half_hour, half_hour + HALF_HOUR)
    done |= dialed
    return len(dialed)
