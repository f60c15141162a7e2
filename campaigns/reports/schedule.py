"""When a scheduled report is due and of which days, and that it is sent once: a row is written with the sending."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, text

# Another engine that is at it waits here, and then finds it done; a sending that failed leaves nothing.
CLAIM = text("""
INSERT INTO report_sent (name, until, sent_at) VALUES (:name, :until, :now) ON CONFLICT DO NOTHING RETURNING name
""")
SENT = text("SELECT EXISTS (SELECT FROM report_sent WHERE name = :name AND until = :until)")
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """The days of a report, both in it."""

    since: date
    until: date


def span_of(every: str, at: time, zone: ZoneInfo, now: datetime) -> Span:
    """The last days that are due: of a `day`, a `week` from Monday on, a `month`; from `at` on the day after."""
    local = now.astimezone(zone)
    today = local.date() if local.time() >= at else local.date() - DAY
    if every == "day":
        return Span(today - DAY, today - DAY)
    if every == "week":
        until = today - DAY * (today.weekday() + 1)
        return Span(until - 6 * DAY, until)
    until = today.replace(day=1) - DAY
    return Span(until.replace(day=1), until)


def was_sent(engine: Engine, name: str, span: Span) -> bool:
    """Whether a report of these days has gone out."""
    with engine.connect() as connection:
        return connection.execute(SENT, {"name": name, "until": span.until}).scalar_one()


@contextmanager
def sending(engine: Engine, name: str, span: Span, now: datetime) -> Iterator[bool]:
    """Whether it is ours to send. It counts as sent when the block ends without a fault."""
    with engine.begin() as connection:
        yield _claimed(connection, name, span, now)


def _claimed(connection: Connection, name: str, span: Span, now: datetime) -> bool:
    values = {"name": name, "until": span.until, "now": now}
    return connection.execute(CLAIM, values).scalar_one_or_none() is not None
