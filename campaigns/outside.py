"""How much agents call numbers of their own choice: by hand, and where they send customers outside. A guard against
toll fraud, in the database, so that it holds over engines and restarts: a stolen log-in costs a bounded sum.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from campaigns.ids import as_uuid
from campaigns.values import OutsideCaller, Refusal, RefusalReason

WITHIN = timedelta(hours=24)
LONGEST = timedelta(hours=4)  # what a call counts for whose end nobody heard

# An agent's calls are counted and added one after the other.
ALONE = text("SELECT pg_advisory_xact_lock(hashtext('outside'), CAST(:user AS int))")
# One by hand is a call once it was dialed, and ends as its attempt does.
CALLS = text("""
SELECT o.at, GREATEST(interval '0', LEAST(
        CASE WHEN o.by_hand IS NULL THEN o.ended_at ELSE a.ended_at END, :now, o.at + :longest
    ) - o.at) AS lasted
FROM outside_call o
LEFT JOIN attempt a ON a.call_id = o.by_hand AND a.leased_at > CAST(:since AS timestamptz) - interval '1 day'
WHERE o.user_id = :user AND o.at > :since AND (o.by_hand IS NULL OR a.call_id IS NOT NULL)
ORDER BY o.at
""")
ADD = text("""
INSERT INTO outside_call (uid, at, user_id, campaign_id, number, by_hand)
VALUES (:uid, :now, :user, :campaign, :number, :by_hand)
""")


def refusal(connection: Connection, by: OutsideCaller, now: datetime) -> Refusal | None:
    """Why this agent may not call outside now; None: they may. Nobody else adds a call of theirs meanwhile."""
    connection.execute(ALONE, {"user": by.user_id})
    asked = {"user": by.user_id, "now": now, "since": now - WITHIN, "longest": LONGEST}
    found = connection.execute(CALLS, asked).all()
    if len(found) >= by.calls:
        detail = f"{len(found)} calls within 24 hours, the cap is {by.calls}"
        until = found[-by.calls].at + WITHIN if by.calls else None
        return Refusal("", RefusalReason.OUTSIDE_CALLS, detail, until)
    left = sum((row.lasted for row in found), timedelta()) - timedelta(minutes=by.minutes)
    if left < timedelta():
        return None
    for row in found:
        left -= row.lasted
        if left < timedelta():
            detail = f"the cap of {by.minutes:g} minutes within 24 hours is reached"
            return Refusal("", RefusalReason.OUTSIDE_MINUTES, detail, row.at + WITHIN)
    return Refusal("", RefusalReason.OUTSIDE_MINUTES, "no minutes at all", None)


def add(
    connection: Connection,
    by: OutsideCaller,
    uid: str,
    campaign_id: int,
    number: str,
    now: datetime,
    by_hand: str | None = None,
) -> None:
    """Put a call on record that is placed now; `by_hand` is the id of the attempt that it will be."""
    of = {"user": by.user_id, "campaign": campaign_id, "number": number, "uid": uid, "now": now}
    connection.execute(ADD, {**of, "by_hand": None if by_hand is None else as_uuid(by_hand)})
