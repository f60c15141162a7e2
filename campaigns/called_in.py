"""Customers who call in: who it is, their call on record, and those who were in a call when an engine stopped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from campaigns import by_hand
from campaigns.ids import leased_at
from campaigns.records import CalledIn
from campaigns.values import InFlight, Lead

LEASE = timedelta(minutes=5)
OLDEST_CALL = timedelta(days=2)  # no call in flight is older: it bounds the partitions that are looked at

_COLUMNS = (
    "l.id, l.campaign_id, l.list_id, l.customer_id, l.name, l.attributes, l.zones, n.id AS number_id, n.e164"
)
WHO = text(f"""
SELECT {_COLUMNS} FROM number n JOIN lead l ON l.id = n.lead_id
WHERE n.campaign_id = :campaign AND n.e164 = :number
""")
RECORDED = text("""
INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at, answered_at,
    called_in)
SELECT CAST(:call AS uuid), :leased_at, :campaign, lead_id, id, :switch, :owner, :at, :at, :channel FROM number
WHERE campaign_id = :campaign AND e164 = :number
ON CONFLICT DO NOTHING
""")
# The customer is in a call, so no other is placed to them: their lead has this one for a lease. One that waited to be
# dialed is not dialed; one that is being dialed stays with that call.
HOLD = text("SELECT FROM lead WHERE id = :lead FOR UPDATE")
LEASED = text("""
UPDATE lead SET last_call = CAST(:call AS uuid), lease = CAST(:call AS uuid), lease_owner = :owner, lease_until = :until
WHERE id = :lead AND NOT EXISTS (SELECT FROM attempt a WHERE a.call_id = lease AND a.leased_at >= :oldest)
""")
PARTIES = text("""
INSERT INTO called (party, last_call)
SELECT p, CAST(:call AS uuid) FROM (
    SELECT e164 AS p FROM number WHERE lead_id = :lead AND e164 <> ''
    UNION SELECT 'customer ' || customer_id FROM lead WHERE id = :lead AND customer_id IS NOT NULL
) parties ORDER BY p COLLATE "C"
ON CONFLICT (party) DO UPDATE SET last_call = excluded.last_call
""")
# Those whose leads are leased for them are among the leases.
OPEN = text(f"""
SELECT a.call_id, a.owner, a.switch, a.called_in, a.connected_at, a.user_id, {_COLUMNS}
FROM attempt a JOIN lead l ON l.id = a.lead_id JOIN number n ON n.id = a.number_id
WHERE a.called_in IS NOT NULL AND a.outcome IS NULL AND a.owner = :owner AND a.leased_at >= :oldest
    AND l.lease IS DISTINCT FROM a.call_id
""")


def who(connection: Connection, campaign_id: int, number: str, call_id: str) -> Lead | None:
    """The customer on the campaign's lists who has this number (E.164)."""
    row = connection.execute(WHO, {"campaign": campaign_id, "number": number}).first() if number else None
    return None if row is None else _lead(row, call_id)


def record(connection: Connection, call: CalledIn) -> None:
    """Put the call among the attempts; a caller whom nobody knows becomes a lead that is not called of itself."""
    asked = {
        "call": call.call_id,
        "leased_at": leased_at(call.call_id),
        "campaign": call.campaign_id,
        "lead": by_hand.caller(connection, call.campaign_id, call.number, call.at),
        "number": call.number,
        "switch": call.switch,
        "owner": call.owner,
        "at": call.at,
        "channel": call.channel,
        "until": call.at + LEASE,
        "oldest": call.at - OLDEST_CALL,
    }
    connection.execute(HOLD, asked)
    connection.execute(LEASED, asked)
    connection.execute(PARTIES, asked)
    connection.execute(RECORDED, asked)


def in_flight(connection: Connection, owner: str, now: datetime) -> Sequence[InFlight]:
    """Calls of callers whose end this engine has not recorded, beside those that have a lease."""
    return [
        InFlight(
            call_id=row.call_id.hex,
            campaign_id=row.campaign_id,
            lead=_lead(row, row.call_id.hex),
            owner=row.owner,
            dialed=True,
            switch=row.switch,
            seat_user_id=row.user_id if row.connected_at is not None else None,
            channel=row.called_in,
        )
        for row in connection.execute(OPEN, {"owner": owner, "oldest": now - OLDEST_CALL})
    ]


def _lead(row: Row[Any], call_id: str) -> Lead:
    return Lead(
        call_id=call_id,
        campaign_id=row.campaign_id,
        lead_id=row.id,
        number_id=row.number_id,
        number=row.e164,
        name=row.name,
        zones=tuple(row.zones),
        attempts=0,
        attributes=row.attributes,
        list_id=row.list_id,
        customer_id=row.customer_id or "",
    )
