"""Leases that an engine holds: kept, given back when they were never dialed, and found again after a crash."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, text

from campaigns import callbacks
from campaigns.ids import LEASED_AT, leased_at
from campaigns.records import (
    RECORDING_NOT_PAUSED,
    RECORDING_NOT_RESUMED,
    RECORDING_PAUSED,
    RECORDING_RESUMED,
)
from campaigns.rules.facts import LeadRow
from campaigns.rules.held import ANYONE_AT
from campaigns.trials.assigning import ARM_OF
from campaigns.values import InFlight, Lead

LEASE_S = (
    300.0  # outlives a database that is away for some minutes; a dead engine's leases are taken over at start
)
STRAY_S = 60.0  # longer than a lease takes to be given out, and than three turns of renewing

# A lead that the journal, say, is just writing is left for the next turn: in what order that locks leads nobody knows,
# and who waits for one while holding others would be half of a deadlock.
RENEW = text("""
UPDATE lead l SET lease_until = :until FROM (
    SELECT id FROM lead WHERE lease = ANY(CAST(:ids AS uuid[])) AND lease_owner = :owner FOR UPDATE SKIP LOCKED
) ours WHERE l.id = ours.id
""")

# A lead whose attempt is on record is not released: only its outcome takes the lease away. The leads are locked by a
# statement of its own, so that an attempt which was being recorded is seen by the next one's snapshot.
HOLD = text("SELECT id FROM lead WHERE lease = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")
RELEASE = text(f"""
UPDATE lead l SET lease = NULL, lease_owner = NULL, lease_until = NULL,
    next_at = GREATEST(l.next_at, COALESCE(CAST(:not_before AS timestamptz), l.next_at), {ANYONE_AT})
WHERE l.lease = ANY(CAST(:ids AS uuid[]))
    AND NOT EXISTS (SELECT FROM attempt a WHERE a.call_id = l.lease AND a.leased_at = ANY(:times))
""")

# When the oldest call in flight was leased, or two days ago: no partition before is read or locked.
OLDEST = text(f"""
SELECT LEAST(min({LEASED_AT}), CAST(:now AS timestamptz) - interval '2 days') FROM lead l WHERE l.lease IS NOT NULL
""")

# Ours that were not renewed with the others, undialed. A call's attempt is looked for by the time in its id, in one
# partition, and for each lead anew: a join might read the attempts of years.
STRAY = text(f"""
SELECT l.lease FROM lead l
WHERE l.lease IS NOT NULL AND l.lease_owner = :owner AND l.lease_until < :until
    AND (SELECT a.call_id FROM attempt a WHERE a.call_id = l.lease AND a.leased_at = {LEASED_AT}
        AND a.leased_at >= :oldest) IS NULL
""")

# What :func:`lead_of_row` wants of a lead `l` and its number `n`.
LEAD = f"""
    l.id AS lead_id, l.campaign_id, l.list_id, l.customer_id, l.name, l.attributes::text AS attributes,
    array_to_string(l.zones, ' ') AS zones, n.id AS number_id, n.e164, {ARM_OF} AS arm
"""
FLIGHT = f"""
    {LEAD}, n.attempts - (a.call_id IS NOT NULL AND a.called_in IS NULL)::int AS attempts,
    a.call_id IS NOT NULL AS dialed, a.switch, a.answered_at, a.connected_at, a.user_id,
    COALESCE(a.called_in, '') AS channel, COALESCE(a.notes, '') AS notes, COALESCE(a.answers, '{{}}') AS answers
"""
# The leases, however old: an engine may start again after days, or with a backup of last week; and the calls since the
# oldest of customers who called in whose lead is leased for another one.
IN_FLIGHT = text(f"""
SELECT l.lease AS call_id, l.lease_owner AS owner, {FLIGHT}
FROM lead l
LEFT JOIN LATERAL (SELECT * FROM attempt WHERE call_id = l.lease AND leased_at = {LEASED_AT}
    AND leased_at >= :oldest LIMIT 1) a ON true
JOIN number n ON n.lead_id = l.id AND n.id = COALESCE(a.number_id, l.lease_number, n.id)
WHERE l.lease IS NOT NULL AND (l.lease_owner = ANY(:owners) OR l.lease_until < :now OR a.switch = ANY(:switches))
UNION ALL
SELECT a.call_id, a.owner, {FLIGHT}
FROM attempt a JOIN lead l ON l.id = a.lead_id JOIN number n ON n.id = a.number_id
WHERE a.called_in IS NOT NULL AND a.outcome IS NULL AND (a.owner = ANY(:owners) OR a.switch = ANY(:switches))
    AND a.leased_at >= :oldest AND l.lease IS DISTINCT FROM a.call_id
""")
# The last word on the recordings of these calls.
PAUSED = text("""
SELECT subject FROM (
    SELECT DISTINCT ON (subject) subject, action FROM audit
    WHERE at >= :since AND subject = ANY(:calls) AND action = ANY(:all) ORDER BY subject, at DESC, id DESC
) last WHERE action = ANY(:paused)
""")
TAKE_OVER = text("""
UPDATE lead SET lease_owner = :owner, lease_until = :until WHERE lease = ANY(CAST(:ids AS uuid[]))
""")
# The calls themselves, of which the engine that had them can tell nothing from now on.
TAKE_OVER_CALLS = text("""
UPDATE attempt SET owner = :owner WHERE call_id = ANY(CAST(:ids AS uuid[])) AND leased_at = ANY(:times)
""")


class Leases:
    """Those of the engine named `owner`. Safe to use from several threads."""

    def __init__(self, engine: Engine, owner: str) -> None:
        self._engine = engine
        self._owner = owner

    def renew(self, call_ids: Collection[str], now: datetime) -> int:
        """Keep these leases, but for those that somebody is just writing; returns how many are ours still."""
        until = now + timedelta(seconds=LEASE_S)
        with self._engine.begin() as connection:
            values = {"ids": list(call_ids), "owner": self._owner, "until": until}
            return connection.execute(RENEW, values).rowcount

    def stray(self, held: Collection[str], now: datetime) -> list[str]:
        """Leases of ours that nobody here holds: the database's reply was lost, and they are leased all the same.

        Found once those that are held have been renewed for :data:`STRAY_S` without them.
        """
        values: dict[str, Any] = {
            "owner": self._owner,
            "until": now + timedelta(seconds=LEASE_S - STRAY_S),
        }
        with self._engine.connect() as connection:
            values["oldest"] = _oldest(connection, now)
            return [
                lease.hex for lease in connection.execute(STRAY, values).scalars() if lease.hex not in held
            ]

    def release(self, call_ids: Sequence[str], not_before: datetime | None = None) -> None:
        """Give leases back that were never dialed."""
        times = [leased_at(call_id) for call_id in call_ids]
        with self._engine.begin() as connection:
            connection.execute(HOLD, {"ids": list(call_ids)})
            if not_before is not None:
                connection.execute(callbacks.PUT_OFF, {"ids": list(call_ids), "not_before": not_before})
            connection.execute(RELEASE, {"ids": list(call_ids), "times": times, "not_before": not_before})

    def in_flight(
        self, now: datetime, others: Iterable[str] = (), switches: Iterable[str] = ()
    ) -> list[InFlight]:
        """What this engine and `others`, and any whose leases ran out, had in flight, and whatever is on `switches`."""
        values: dict[str, Any] = {
            "owners": [self._owner, *others],
            "switches": list(switches),
            "now": now,
        }
        with self._engine.connect() as connection:
            values["oldest"] = _oldest(connection, now)
            rows = connection.execute(IN_FLIGHT, values).all()
            paused = _paused(connection, [row.call_id.hex for row in rows if row.connected_at is not None])
        return [
            InFlight(
                call_id=row.call_id.hex,
                campaign_id=row.campaign_id,
                lead=lead_of_row(row, row.call_id.hex, row.arm),
                owner=row.owner,
                dialed=row.dialed,
                switch=row.switch or "",
                seat_user_id=row.user_id if row.connected_at is not None else None,
                channel=row.channel,
                answered_at=row.answered_at,
                connected_at=row.connected_at,
                notes=row.notes,
                answers=msgspec.json.decode(row.answers, type=dict[str, str]),
                paused=row.call_id.hex in paused,
            )
            for row in rows
        ]

    def take_over(self, call_ids: Sequence[str], now: datetime) -> int:
        """Make these leases ours."""
        values = {"owner": self._owner, "ids": list(call_ids), "until": now + timedelta(seconds=LEASE_S)}
        with self._engine.begin() as connection:
            connection.execute(TAKE_OVER_CALLS, values | {"times": [leased_at(each) for each in call_ids]})
            return connection.execute(TAKE_OVER, values).rowcount


def _oldest(connection: Connection, now: datetime) -> datetime:
    return connection.execute(OLDEST, {"now": now}).scalar_one()


def _paused(connection: Connection, calls: Sequence[str]) -> set[str]:
    """Those of these calls whose recordings are paused."""
    if not calls:
        return set()
    paused = [RECORDING_PAUSED, RECORDING_NOT_RESUMED]
    values = {
        "since": min(map(leased_at, calls)),
        "calls": calls,
        "all": [*paused, RECORDING_RESUMED, RECORDING_NOT_PAUSED],
        "paused": paused,
    }
    return set(connection.execute(PAUSED, values).scalars())


def lead_of_row(row: LeadRow | Row[Any], call_id: str, arm: str | None) -> Lead:
    """A lead with the one number, for this call: of the columns of :data:`LEAD`, and `attempts` made before it."""
    return Lead(
        call_id=call_id,
        campaign_id=row.campaign_id,
        lead_id=row.lead_id,
        number_id=row.number_id,
        number=row.e164,
        name=row.name,
        zones=tuple(row.zones.split()),
        attempts=row.attempts,
        attributes=msgspec.json.decode(row.attributes),
        list_id=row.list_id,
        customer_id=row.customer_id or "",
        arm=arm or "",
    )
