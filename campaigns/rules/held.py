"""Leads that the rules hold back, and what lets them go before their time: then the hopper asks the rules anew.

The hopper puts a refused lead off until its reason ends, or closes it when the reason does not. What a person changes
may end a reason earlier: an entry taken off a do-not-call list, a consent, a campaign's new rules.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, text

# A callback that waits for a person goes on waiting for them. What was closed before is not let go.
ANYONE_AT = "(SELECT max(c.anyone_at) FROM callback c WHERE c.lead_id = l.id AND c.done_at IS NULL)"
HOLD_BACK = text(f"""
UPDATE lead l SET lease = NULL, lease_owner = NULL, lease_until = NULL,
    ready_at = CASE WHEN l.open THEN COALESCE(l.ready_at, l.next_at) ELSE l.ready_at END,
    next_at = GREATEST(l.next_at, h.until, {ANYONE_AT}), open = l.open AND h.open
FROM unnest(CAST(:leads AS bigint[]), CAST(:untils AS timestamptz[]), CAST(:opens AS boolean[]))
    AS h (lead, until, open)
WHERE l.id = h.lead
""")
LET_GO = "UPDATE lead SET next_at = ready_at, ready_at = NULL, open = true WHERE ready_at IS NOT NULL AND lease IS NULL"
# All campaigns are named, so that the index on (campaign_id, e164) serves.
OF_NUMBERS = """
SELECT lead_id FROM number WHERE e164 = ANY({numbers}) AND campaign_id = ANY(ARRAY(SELECT id FROM campaign))
"""
LET_NUMBERS_GO = text(f"{LET_GO} AND id IN ({OF_NUMBERS.format(numbers=':numbers')})")
LET_PREFIX_GO = text(f"""
{LET_GO} AND id IN (
    SELECT n.lead_id FROM lead h JOIN number n ON n.lead_id = h.id
    WHERE h.ready_at IS NOT NULL AND n.e164 LIKE :prefix || '%'
)
""")
LET_SOME_GO = text(f"""
{LET_GO} AND id IN (SELECT id FROM lead WHERE campaign_id = :campaign AND ready_at IS NOT NULL AND lease IS NULL
    LIMIT :limit FOR UPDATE SKIP LOCKED)
""")
CHUNK = 5_000


def let_numbers_go(connection: Connection, numbers: Sequence[str]) -> None:
    """Have the rules asked anew about the leads of these numbers."""
    connection.execute(LET_NUMBERS_GO, {"numbers": list(numbers)})


def let_prefix_go(connection: Connection, prefix: str) -> None:
    """Have the rules asked anew about the leads whose numbers begin so."""
    connection.execute(LET_PREFIX_GO, {"prefix": prefix})


def let_campaign_go(engine: Engine, campaign_id: int) -> None:
    """Have the rules asked anew about all leads of a campaign; some at a time, since they may be many."""
    while True:
        with engine.begin() as connection:
            values = {"campaign": campaign_id, "limit": CHUNK}
            if connection.execute(LET_SOME_GO, values).rowcount < CHUNK:
                return
