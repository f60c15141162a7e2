"""Customers who call in: who it is, and their call on record."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, text

from campaigns import by_hand
from campaigns.ids import leased_at
from campaigns.leases import LEAD, LEASE_S, lead_of_row
from campaigns.records import CalledIn
from campaigns.values import Lead

WHO = text(f"""
SELECT {LEAD}, n.attempts FROM number n JOIN lead l ON l.id = n.lead_id
WHERE n.campaign_id = :campaign AND n.e164 = :number
""")
# The number is the attempt's own where it is not the lead's.
RECORDED = text("""
INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at, answered_at,
    called_in, e164)
SELECT CAST(:call AS uuid), :leased_at, :campaign, lead_id, id, :switch, :owner, :at, :at, :channel, :e164 FROM number
WHERE campaign_id = :campaign AND e164 = :number
ON CONFLICT DO NOTHING
""")
# The customer is in a call, so no other is placed to them: their lead has this one for a lease. One that waited to be
# dialed is not dialed; one that is being dialed stays with that call.
HOLD = text("SELECT lease FROM lead WHERE id = :lead FOR UPDATE")
LEASED = text("""
UPDATE lead SET last_call = CAST(:call AS uuid), lease = CAST(:call AS uuid), lease_owner = :owner, lease_until = :until
WHERE id = :lead AND NOT EXISTS (
    SELECT FROM attempt a WHERE a.call_id = lease AND a.leased_at = CAST(:held AS timestamptz)
)
""")
PARTIES = text("""
INSERT INTO called (party, last_call)
SELECT p, CAST(:call AS uuid) FROM (
    SELECT e164 AS p FROM number WHERE lead_id = :lead AND e164 <> ''
    UNION SELECT CAST(:e164 AS text) WHERE :e164 <> ''
    UNION SELECT 'customer ' || customer_id FROM lead WHERE id = :lead AND customer_id IS NOT NULL
) parties ORDER BY p COLLATE "C"
ON CONFLICT (party) DO UPDATE SET last_call = excluded.last_call
""")


def who(connection: Connection, campaign_id: int, number: str, call_id: str) -> Lead | None:
    """The customer on the campaign's lists who has this number (E.164)."""
    row = connection.execute(WHO, {"campaign": campaign_id, "number": number}).first() if number else None
    return None if row is None else lead_of_row(row, call_id, row.arm)


def record(connection: Connection, call: CalledIn) -> None:
    """Put the call among the attempts; a caller whom nobody knows becomes a lead that is not called of itself."""
    number, e164 = call.number, None
    try:
        lead = by_hand.caller(connection, call.campaign_id, number, call.at)
    except by_hand.Importing:
        # Other records wait behind this one; its lead is that of those who withhold their number.
        number, e164, lead = "", number, by_hand.caller(connection, call.campaign_id, "", call.at)
    asked = {
        "call": call.call_id,
        "leased_at": leased_at(call.call_id),
        "campaign": call.campaign_id,
        "lead": lead,
        "number": number,
        "e164": e164,
        "switch": call.switch,
        "owner": call.owner,
        "at": call.at,
        "channel": call.channel,
        "until": call.at + timedelta(seconds=LEASE_S),
    }
    held = connection.execute(HOLD, asked).scalar_one_or_none()
    connection.execute(LEASED, {**asked, "held": leased_at(held.hex) if held else None})
    connection.execute(PARTIES, asked)
    connection.execute(RECORDED, asked)
