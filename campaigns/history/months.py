"""Where each month is: live, in a file, or gone. One row of the database tells, so it changes in one commit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import msgspec
from sqlalchemy import Connection, text

from campaigns.history.files import Manifest
from campaigns.history.kinds import ATTEMPT, Kind
from campaigns.partitions import partition_name

ALL = text("SELECT kind, month, state, manifest, live_until FROM archived_month ORDER BY month, kind")
SET = text("""
INSERT INTO archived_month (kind, month, state, generation, manifest, changed_at, live_until)
VALUES (:kind, :month, :state, :generation, CAST(:manifest AS jsonb), :at, :live_until)
ON CONFLICT (kind, month) DO UPDATE SET state = excluded.state, generation = excluded.generation,
    manifest = excluded.manifest, changed_at = excluded.changed_at, live_until = excluded.live_until
""")

# Who is in a month's attempts, added to those whom the archive knows; a few at a time, so that no call's commit has
# to bring a heap of log to the disk first.
PEOPLE = """
CREATE TEMPORARY TABLE people ON COMMIT DROP AS
SELECT row_number() OVER () AS place, e164, campaign_id, max(customer_id) AS customer_id, count(*) AS attempts,
    max(dialed_at) AS last_at
FROM ({rows}) x WHERE e164 IS NOT NULL GROUP BY e164, campaign_id
"""
KNOWN = text("""
INSERT INTO archived_number (e164, campaign_id, customer_id, attempts, last_at)
SELECT e164, campaign_id, customer_id, attempts, last_at FROM people WHERE place > :after AND place <= :upto
ON CONFLICT (e164, campaign_id) DO UPDATE SET attempts = archived_number.attempts + excluded.attempts,
    customer_id = COALESCE(excluded.customer_id, archived_number.customer_id),
    last_at = GREATEST(archived_number.last_at, excluded.last_at)
""")
AT_ONCE = 5_000
PAUSE_S = 0.05
# And taken from them. `{rows}`: e164, campaign_id.
UNKNOWN = """
WITH gone AS (
    SELECT e164, campaign_id, count(*) AS attempts FROM ({rows}) x WHERE e164 IS NOT NULL GROUP BY e164, campaign_id
), fewer AS (
    UPDATE archived_number n SET attempts = n.attempts - g.attempts FROM gone g
    WHERE n.e164 = g.e164 AND n.campaign_id = g.campaign_id AND n.attempts > g.attempts
)
DELETE FROM archived_number n USING gone g
WHERE n.e164 = g.e164 AND n.campaign_id = g.campaign_id AND n.attempts <= g.attempts
"""
FORGET_OUTCOMES = text("DELETE FROM archived_outcome WHERE month = :month")
OUTCOMES = """
INSERT INTO archived_outcome (month, campaign_id, outcome, code, attempts, connected, machines)
SELECT :month, a.campaign_id, COALESCE(a.outcome, ''), COALESCE(d.code, ''), count(*), count(a.connected_at),
    count(*) FILTER (WHERE a.amd = 'MACHINE')
FROM {table} a LEFT JOIN disposition d ON d.call_id = a.call_id AND d.leased_at = a.leased_at
    AND d.leased_at >= :since AND d.leased_at < :until
GROUP BY a.campaign_id, a.outcome, d.code
"""


@dataclass(frozen=True, slots=True)
class Month:
    """A month that has left, or had left, the live tables."""

    kind: str
    month: date
    state: str
    manifest: Manifest
    live_until: date | None

    @property
    def table(self) -> str:
        return partition_name(self.kind, self.month)


def all_months(connection: Connection) -> Sequence[Month]:
    """Every month that is not simply live, oldest first."""
    return [
        Month(r.kind, r.month, r.state, msgspec.convert(r.manifest, Manifest), r.live_until)
        for r in connection.execute(ALL)
    ]


def set_state(
    connection: Connection, manifest: Manifest, state: str, at: datetime, live_until: date | None = None
) -> None:
    """Say where a month is from now on."""
    values = {
        "kind": manifest.kind,
        "month": manifest.month,
        "state": state,
        "generation": manifest.generation,
        "manifest": msgspec.json.encode(manifest).decode(),
        "at": at,
        "live_until": live_until,
    }
    connection.execute(SET, values)


def source(kind: Kind, table: str) -> str:
    """The statement for a table's rows as they are archived."""
    return kind.source.replace("{table}", table)


def know(connection: Connection, table: str) -> None:
    """Count the people in a table of attempts among those whom the archive knows."""
    people = connection.execute(text(PEOPLE.format(rows=source(ATTEMPT, table)))).rowcount
    connection.execute(text("CREATE INDEX ON people (place)"))
    for after in range(0, people, AT_ONCE):
        connection.execute(KNOWN, {"after": after, "upto": after + AT_ONCE})
        time.sleep(PAUSE_S)


def unknow(connection: Connection, rows: str) -> None:
    """Take those in `rows` out of the count; who is in the archive no more is forgotten."""
    connection.execute(text(UNKNOWN.format(rows=rows)))


def count_outcomes(connection: Connection, table: str, month: date, since: datetime, until: datetime) -> None:
    """Keep what came of a month's attempts as counts."""
    forget_outcomes(connection, month)
    values = {"month": month, "since": since, "until": until}
    connection.execute(text(OUTCOMES.format(table=table)), values)


def forget_outcomes(connection: Connection, month: date) -> None:
    """The month's attempts are live again: they count by themselves."""
    connection.execute(FORGET_OUTCOMES, {"month": month})
