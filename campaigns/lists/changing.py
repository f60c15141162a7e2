"""What an import changes in leads that were there: written down with it, made after it, a few leads at a time.

So the import itself is there whole or not at all, and no lead waits for the end of a long one.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, text

BATCH = 500  # leads of one transaction

UNFINISHED = text("""
SELECT id FROM list WHERE campaign_id = :campaign AND finished_at IS NULL AND undone_at IS NULL ORDER BY id
""")
DUE = text("""
SELECT lead_id FROM list_change WHERE list_id = :list AND before IS NULL ORDER BY lead_id LIMIT :limit FOR UPDATE
""")
HOLD = text("SELECT id FROM lead WHERE id = ANY(:leads) ORDER BY id FOR UPDATE")
KEEP = text("""
UPDATE list_change c SET before = to_jsonb(l) FROM lead l
WHERE c.list_id = :list AND c.lead_id = ANY(:leads) AND l.id = c.lead_id
""")
# What a lead's values become by a change `c`; `{0}` is the lead before it.
SAID = {
    "name": "CASE WHEN c.replaces OR c.name <> '' THEN c.name ELSE {0}.name END",
    "attributes": "CASE WHEN c.replaces THEN c.attributes ELSE {0}.attributes || c.attributes END",
    "region": "CASE WHEN c.replaces OR c.region <> '' THEN c.region ELSE {0}.region END",
    "customer_id": "COALESCE(c.customer_id, {0}.customer_id)",
}
# The lead keeps its numbers, so their zones too: a call must be lawful in all of them. One that waits for a promised
# callback goes on waiting for it.
CHANGED = text(f"""
UPDATE lead l SET {", ".join(f"{column} = {value.format('l')}" for column, value in SAID.items())},
    zones = c.zones || ARRAY(SELECT zone FROM unnest(l.zones) zone WHERE zone <> ALL (c.zones)),
    list_id = CASE WHEN c.replaces THEN c.list_id ELSE l.list_id END,
    rank = CASE WHEN c.replaces THEN c.rank ELSE l.rank END, open = l.open OR c.replaces,
    lane = CASE WHEN w.again THEN (SELECT CASE WHEN announces AND l.last_call IS NULL THEN -lane ELSE lane END
        FROM list WHERE id = c.list_id) ELSE l.lane END,
    next_at = CASE WHEN w.again THEN '-infinity' ELSE l.next_at END,
    ready_at = CASE WHEN NOT w.again THEN l.ready_at END,
    taken_back_at = CASE WHEN NOT c.replaces THEN l.taken_back_at END
FROM list_change c CROSS JOIN LATERAL (
    SELECT c.replaces AND NOT EXISTS (SELECT FROM callback k WHERE k.lead_id = c.lead_id AND k.done_at IS NULL) AS again
) w WHERE c.list_id = :list AND c.lead_id = ANY(:leads) AND l.id = c.lead_id
""")
ADDED = text("""
INSERT INTO number (lead_id, campaign_id, e164, kind, ordinal)
SELECT c.lead_id, l.campaign_id, u.e164, u.kind, 10 + u.place FROM list_change c JOIN lead l ON l.id = c.lead_id
CROSS JOIN LATERAL unnest(c.numbers, c.kinds) WITH ORDINALITY AS u (e164, kind, place)
WHERE c.list_id = :list AND c.lead_id = ANY(:leads) ON CONFLICT (campaign_id, e164) DO NOTHING
""")
GONE = text(
    "UPDATE list_change SET before = 'null' WHERE list_id = :list AND lead_id = ANY(:leads) AND before IS NULL"
)
FINISHED = text("""
UPDATE list SET finished_at = :at, updated = (SELECT count(*) FROM list_change WHERE list_id = :list) WHERE id = :list
""")


def end_unfinished(engine: Engine, campaign_id: int, at: datetime) -> None:
    """Make the changes that imports into this campaign wrote down and, broken off, did not come to."""
    with engine.connect() as connection:
        unfinished = connection.execute(UNFINISHED, {"campaign": campaign_id}).scalars().all()
    for list_id in unfinished:
        change_leads(engine, list_id, at)


def change_leads(engine: Engine, list_id: int, at: datetime) -> None:
    """Make the changes that an import wrote down, a few leads at a time; what is made already stays made.

    The changes at hand are locked, so two that are at it share the work.
    """
    while True:
        with engine.begin() as connection:
            leads = connection.execute(DUE, {"list": list_id, "limit": BATCH}).scalars().all()
            values = {"list": list_id, "leads": leads}
            if not leads:
                connection.execute(FINISHED, {"list": list_id, "at": at})
                return
            connection.execute(HOLD, {"leads": leads})
            connection.execute(KEEP, values)
            connection.execute(CHANGED, values)
            connection.execute(ADDED, values)
            connection.execute(GONE, values)  # leads that went in the meantime
