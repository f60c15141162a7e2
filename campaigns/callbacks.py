"""Callbacks that are due: for a person, then for their team, then for anyone, then over.

The lead of a waiting callback is in lane 0. While a personal one waits for its person, the lead itself is not ready
before `anyone_at`: only :data:`OF_PERSONS` finds it sooner. So whoever leases by the order of leads needs to know
nothing of callbacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from campaigns.prepared import UNHURRIED, Prepared
from campaigns.rules import facts

MOST_DUE = 20  # callbacks of a person that are looked at for one that the rules permit
DUE = """
c.campaign_id = $1 AND c.done_at IS NULL AND c.due_at <= $2 AND c.expires_at > $2 AND c.personal
    AND EXISTS (SELECT FROM lead o WHERE o.id = c.lead_id AND o.open AND o.lease IS NULL)
"""
# Their own come before those of colleagues of their unit who did not take them in time, and the oldest that is due
# first: so many, of which the rules may refuse some. Of several colleagues one is asked; what is due besides comes at
# the next look.
OF_PERSONS = Prepared(
    "callbacks_of_persons",
    "bigint, timestamptz, bigint[], bigint",
    f"""
WITH due AS MATERIALIZED (
    SELECT user_id, lead_id, due_at, row_number() OVER (PARTITION BY user_id ORDER BY stands_in, due_at) AS turn FROM (
        SELECT DISTINCT ON (lead_id) user_id, lead_id, due_at, stands_in FROM (
            SELECT c.user_id, c.lead_id, c.due_at, false AS stands_in FROM callback c
            WHERE {DUE} AND c.user_id = ANY($3)
            UNION ALL
            SELECT u.id, c.lead_id, c.due_at, true FROM callback c JOIN app_user p ON p.id = c.user_id
            JOIN app_user u ON u.unit_id = p.unit_id AND u.id = ANY($3)
            WHERE {DUE} AND c.team_at <= $2
        ) each ORDER BY lead_id, stands_in, user_id
    ) one
), picked AS MATERIALIZED (
    SELECT l.*, d.user_id, d.due_at, d.turn FROM due d JOIN lead l ON l.id = d.lead_id
    WHERE d.turn <= {MOST_DUE} AND l.open AND l.lease IS NULL FOR UPDATE OF l SKIP LOCKED
)
SELECT {facts.columns("$4", "l.place", "l.due_at")}, l.user_id
FROM (SELECT *, row_number() OVER (ORDER BY turn, due_at, user_id) AS place FROM picked) l {facts.NUMBERS}
""",
    UNHURRIED,
)
# One that its person puts off.
PUT_OFF = text("""
UPDATE callback c SET due_at = GREATEST(c.due_at, :not_before), team_at = GREATEST(c.team_at, :not_before),
    anyone_at = GREATEST(c.anyone_at, :not_before)
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
# The number at which the customer of a callback `c` is called, as far as one can say before the rules are asked.
CALLED_AT = """
SELECT e164 FROM number WHERE lead_id = c.lead_id
ORDER BY done, id IS DISTINCT FROM c.number_id, attempts, ordinal, id LIMIT 1
"""
SOON = text(f"""
SELECT c.id, c.user_id, c.due_at, l.name, n.e164 FROM callback c JOIN lead l ON l.id = c.lead_id
JOIN LATERAL ({CALLED_AT}) n ON true
WHERE c.campaign_id = :campaign AND c.done_at IS NULL AND c.personal AND l.open AND c.user_id = ANY(:users)
    AND c.due_at > :now AND c.due_at <= :until ORDER BY c.due_at
""")
# What leads wait for: the callback that holds each of them.
WAITING = text("""
SELECT DISTINCT ON (c.lead_id) c.lead_id, c.due_at, c.team_at, c.anyone_at, c.personal, c.user_id, u.name
FROM callback c LEFT JOIN app_user u ON u.id = c.user_id WHERE c.lead_id = ANY(:leads) AND c.done_at IS NULL
ORDER BY c.lead_id, c.anyone_at DESC
""")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A callback that is not done: when it is due, and from when on anyone may call.

    If it is for a `person`, it is for them alone until then, or until `team_at` and then for their team.
    """

    due_at: datetime
    team_at: datetime | None
    anyone_at: datetime
    person: str

    def __str__(self) -> str:
        due = f"a callback, due at {self.due_at:%F %T}Z"
        if not self.person:
            return due
        team = f"until {self.team_at:%F %T}Z, then their team " if self.team_at is not None else ""
        return f"{due}: for {self.person} {team}until {self.anyone_at:%F %T}Z"


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
            row.due_at,
            row.team_at,
            row.anyone_at,
            (row.name or f"user {row.user_id}") if row.personal else "",
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
