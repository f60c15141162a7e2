"""Callbacks that are due: for a person, then for anyone, then over. The lead of a waiting callback is in lane 0.

While a personal callback waits for its person, the lead itself is not ready before `anyone_at`: only
:data:`OF_PERSONS` finds it sooner. So whoever leases by the order of leads needs to know nothing of callbacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from campaigns.prepared import Prepared
from campaigns.rules import facts

# One a person: who is busy with one customer has no use for a second one. The oldest that is due comes first.
OF_PERSONS = Prepared(
    "callbacks_of_persons",
    "bigint, timestamptz, bigint[], bigint",
    f"""
WITH due AS MATERIALIZED (
    SELECT DISTINCT ON (c.user_id) c.user_id, c.lead_id, c.due_at FROM callback c JOIN lead o ON o.id = c.lead_id
    WHERE c.campaign_id = $1 AND c.done_at IS NULL AND c.due_at <= $2 AND c.expires_at > $2 AND c.personal
        AND c.user_id = ANY($3) AND o.open AND o.lease IS NULL
    ORDER BY c.user_id, c.due_at
), picked AS MATERIALIZED (
    SELECT l.*, d.user_id, d.due_at FROM due d JOIN lead l ON l.id = d.lead_id
    WHERE l.open AND l.lease IS NULL FOR UPDATE OF l SKIP LOCKED
)
SELECT {facts.columns("$4", "l.place")}, l.user_id, l.due_at
FROM (SELECT *, row_number() OVER (ORDER BY due_at, user_id) AS place FROM picked) l {facts.NUMBERS}
""",
)
# One that its person puts off.
PUT_OFF = text("""
UPDATE callback c SET due_at = GREATEST(c.due_at, :not_before), anyone_at = GREATEST(c.anyone_at, :not_before)
FROM lead l WHERE l.lease = ANY(CAST(:ids AS uuid[])) AND c.lead_id = l.id AND c.done_at IS NULL
""")
LIST_LANE = "COALESCE((SELECT lane FROM list WHERE id = l.list_id), l.lane)"
# The lead is one like others from now on; it does not wait for a person any more.
EXPIRED = text(f"""
WITH over AS (
    UPDATE callback SET done_at = expires_at
    WHERE campaign_id = :campaign AND done_at IS NULL AND due_at <= :now AND expires_at <= :now RETURNING lead_id
) UPDATE lead l SET lane = {LIST_LANE} FROM over WHERE l.id = over.lead_id AND l.lane = 0
""")
SOON = text("""
SELECT c.id, c.user_id, c.due_at, l.name, n.e164 FROM callback c JOIN lead l ON l.id = c.lead_id
JOIN LATERAL (SELECT e164 FROM number WHERE lead_id = l.id ORDER BY ordinal, id LIMIT 1) n ON true
WHERE c.campaign_id = :campaign AND c.done_at IS NULL AND c.personal AND c.user_id = ANY(:users)
    AND c.due_at > :now AND c.due_at <= :until ORDER BY c.due_at
""")
# What leads wait for: the callback that holds each of them.
WAITING = text("""
SELECT DISTINCT ON (c.lead_id) c.lead_id, c.due_at, c.anyone_at, c.personal, c.user_id, u.name FROM callback c
LEFT JOIN app_user u ON u.id = c.user_id WHERE c.lead_id = ANY(:leads) AND c.done_at IS NULL
ORDER BY c.lead_id, c.anyone_at DESC
""")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A callback that is not done: when it is due, and from when on anyone may call; until then `person`, if named."""

    due_at: datetime
    anyone_at: datetime
    person: str

    def __str__(self) -> str:
        due = f"a callback, due at {self.due_at:%F %T}Z"
        return f"{due}: for {self.person} until {self.anyone_at:%F %T}Z" if self.person else due


@dataclass(frozen=True, slots=True)
class Coming:
    """A person's callback that is due soon."""

    id: int
    user_id: int
    due_at: datetime
    customer: str
    number: str


def waiting(connection: Connection, leads: Sequence[int]) -> dict[int, Waiting]:
    """Which of these leads wait for a callback, and for which."""
    return {
        row.lead_id: Waiting(
            row.due_at, row.anyone_at, (row.name or f"user {row.user_id}") if row.personal else ""
        )
        for row in connection.execute(WAITING, {"leads": list(leads)})
    }


def coming(
    connection: Connection, campaign_id: int, users: Sequence[int], now: datetime, until: datetime
) -> list[Coming]:
    """The callbacks of these persons that are due by `until`, the soonest first."""
    values = {"campaign": campaign_id, "users": list(users), "now": now, "until": until}
    return [
        Coming(row.id, row.user_id, row.due_at, row.name, row.e164)
        for row in connection.execute(SOON, values)
    ]
