"""The monthly partitions of what grows with every call: made ahead of time, without a lock that a call would feel.

An attempt and its disposition lie in the month in which the call's id was made (`leased_at`, the time in the id); a
line of the seat log in the month of its own time. Months are those of UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from sqlalchemy import Connection, Engine, text

AHEAD = 2  # months
KEYS = {"attempt": "leased_at", "disposition": "leased_at", "seat_log": "at"}

ATTACHED = text("SELECT FROM pg_inherits WHERE inhrelid = to_regclass(:name)")
LAST_FILED = text("""
SELECT max(month) FROM archived_month WHERE kind IN ('attempt', 'disposition') AND state <> 'restored'
""")


def ensure_partitions(engine: Engine, today: date) -> None:
    """Make the partitions of all tables, from last month to two months ahead."""
    for offset in range(-1, AHEAD + 1):
        for table in KEYS:
            with engine.begin() as connection:
                make_partition(connection, table, month_of(today, offset))


def make_partition(connection: Connection, table: str, month: date) -> None:
    """Make one month's partition, if there is none.

    CREATE TABLE … PARTITION OF would lock the whole table against everyone; to attach one that is ready locks it
    against other changes of its partitions only.
    """
    name = partition_name(table, month)
    if connection.execute(ATTACHED, {"name": name}).first() is None:
        connection.execute(
            text(f"CREATE TABLE IF NOT EXISTS {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING INDEXES)")
        )
        attach(connection, table, month)


def attach(connection: Connection, table: str, month: date) -> None:
    """Make a table that stands by itself the partition of its month."""
    start, end = bounds(month)
    name = partition_name(table, month)
    connection.execute(
        text(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')")
    )


def calls_since(connection: Connection) -> datetime | None:
    """Since when all calls are in the live tables: older ones are in files, or gone. None: no month has left."""
    month: date | None = connection.execute(LAST_FILED).scalar_one()
    return None if month is None else bounds(month)[1]


def partition_name(table: str, month: date) -> str:
    return f"{table}_{month:%Y_%m}"


def bounds(month: date) -> tuple[datetime, datetime]:
    """The first instant of a month and that of the next."""
    return _midnight(month_of(month)), _midnight(month_of(month, 1))


def month_of(day: date, offset: int = 0) -> date:
    """The first day of the month that lies `offset` months after this day's."""
    months = day.year * 12 + day.month - 1 + offset
    return date(months // 12, months % 12 + 1, 1)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
