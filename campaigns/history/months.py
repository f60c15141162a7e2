"""Where each month is: live, in a file, or gone. One row of the database tells, so it changes in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import msgspec
from sqlalchemy import Connection, text

from campaigns.history.files import Manifest
from campaigns.history.kinds import Kind
from campaigns.partitions import partition_name
from campaigns.reports.counting import NO_PERSON_IN

ALL = text("SELECT kind, month, state, manifest, live_until FROM archived_month ORDER BY month, kind")
SET = text("""
INSERT INTO archived_month (kind, month, state, generation, manifest, changed_at, live_until)
VALUES (:kind, :month, :state, :generation, CAST(:manifest AS jsonb), :at, :live_until)
ON CONFLICT (kind, month) DO UPDATE SET state = excluded.state, generation = excluded.generation,
    manifest = excluded.manifest, changed_at = excluded.changed_at, live_until = excluded.live_until
""")

FORGET_OUTCOMES = text("DELETE FROM archived_outcome WHERE month = :month")
OUTCOMES = f"""
INSERT INTO archived_outcome (month, campaign_id, outcome, code, attempts, connected, machines)
SELECT :month, a.campaign_id, COALESCE(a.outcome, ''), COALESCE(d.code, ''), count(*), count(a.connected_at),
    count(*) FILTER (WHERE {NO_PERSON_IN.format("a")})
FROM {{table}} a LEFT JOIN disposition d ON d.call_id = a.call_id AND d.leased_at = a.leased_at
    AND d.leased_at >= :since AND d.leased_at < :until
WHERE a.called_in IS NULL GROUP BY a.campaign_id, a.outcome, d.code
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


def count_outcomes(connection: Connection, table: str, month: date, since: datetime, until: datetime) -> None:
    """Keep what came of a month's attempts as counts."""
    forget_outcomes(connection, month)
    values = {"month": month, "since": since, "until": until}
    connection.execute(text(OUTCOMES.format(table=table)), values)


def forget_outcomes(connection: Connection, month: date) -> None:
    """The month's attempts are live again: they count by themselves."""
    connection.execute(FORGET_OUTCOMES, {"month": month})
