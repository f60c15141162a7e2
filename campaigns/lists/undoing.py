"""Imports as they were made, and taken back as a whole.

A lead that nobody called goes, with its numbers. One that was called or written to, or is being called, stays with its
attempts and is closed: what was done is on record and can't be undone. What the import changed in other leads is as it
was before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, Row, text

from campaigns.audit import write

BATCH = 1_000  # leads in one transaction: whoever calls them waits no longer than that takes

IMPORTS = text("""
SELECT l.id, c.name AS campaign, l.name, l.source, l.imported_at, l.accepted, l.duplicates, l.rejected, l.updated,
    l.finished_at, l.undone_at
FROM list l JOIN campaign c ON c.id = l.campaign_id
WHERE CAST(:campaign AS bigint) IS NULL OR l.campaign_id = :campaign ORDER BY l.id
""")
OF_LIST = text("""
SELECT id, first_lead, last_lead FROM list WHERE campaign_id = :campaign AND name = :name AND undone_at IS NULL
ORDER BY id DESC
""")
CHANGES = text("""
SELECT lead_id FROM list_change WHERE list_id = :list AND before IS NOT NULL ORDER BY lead_id LIMIT :limit
""")
RESTORED = text("""
UPDATE lead l SET name = c.before->>'name', attributes = c.before->'attributes',
    zones = ARRAY(SELECT jsonb_array_elements_text(c.before->'zones')), region = c.before->>'region',
    customer_id = c.before->>'customer_id', list_id = CAST(c.before->>'list_id' AS bigint),
    lane = COALESCE(CAST(c.before->>'lane' AS smallint), l.lane),
    rank = COALESCE(CAST(c.before->>'rank' AS smallint), l.rank),
    open = CASE WHEN c.replaces AND l.last_call IS NOT DISTINCT FROM CAST(c.before->>'last_call' AS uuid)
        THEN CAST(c.before->>'open' AS boolean) ELSE l.open END
FROM list_change c WHERE c.list_id = :list AND c.lead_id = ANY(:leads) AND l.id = c.lead_id AND c.before <> 'null'
""")
NUMBERS_BACK = text("""
DELETE FROM number n USING list_change c WHERE c.list_id = :list AND c.lead_id = ANY(:leads)
    AND n.lead_id = c.lead_id AND n.e164 = ANY(c.numbers) AND n.attempts = 0
    AND NOT EXISTS (SELECT FROM lead l WHERE l.lease_number = n.id AND l.lease IS NOT NULL AND l.id = n.lead_id)
""")
CHANGES_GONE = text("DELETE FROM list_change WHERE list_id = :list AND lead_id = ANY(:leads)")
NEVER_DUE = text("DELETE FROM list_change WHERE list_id = :list AND before IS NULL")
LEADS = text("""
SELECT id FROM lead WHERE id > :after AND id <= :last AND list_id = :list ORDER BY id LIMIT :limit FOR UPDATE
""")
CALLED = text("""
SELECT l.id FROM lead l WHERE l.id = ANY(:leads) AND (l.lease IS NOT NULL OR l.last_call IS NOT NULL
    OR EXISTS (SELECT FROM number n WHERE n.lead_id = l.id AND n.attempts > 0)
    OR EXISTS (SELECT FROM attempt a WHERE a.lead_id = l.id)
    OR EXISTS (SELECT FROM message m WHERE m.lead_id = l.id))
""")
CLOSED = text("UPDATE lead SET open = false, ready_at = NULL WHERE id = ANY(:leads)")
NUMBERS_GONE = text("DELETE FROM number WHERE lead_id = ANY(:leads)")
LEADS_GONE = text("DELETE FROM lead WHERE id = ANY(:leads)")
UNDONE = text("UPDATE list SET undone_at = :at WHERE id = :list")


@dataclass(frozen=True, slots=True)
class Undone:
    """What taking a list back came to."""

    imports: int
    removed: int  # leads that nobody called
    closed: int  # leads that were called: they stay with their attempts
    restored: int  # other leads, as they were before the import


def imports(engine: Engine, campaign_id: int | None = None) -> Sequence[Row]:  # type: ignore[type-arg]
    """The imports on record, the first one first."""
    with engine.connect() as connection:
        return connection.execute(IMPORTS, {"campaign": campaign_id}).all()


def undo(engine: Engine, campaign_id: int, name: str, at: datetime) -> Undone:
    """Take back all imports into the list of this name, the last one first.

    Done a few leads at a time beside the calls: broken off, it goes on when it is asked for again.
    """
    with engine.connect() as connection:
        found = connection.execute(OF_LIST, {"campaign": campaign_id, "name": name}).all()
    removed = closed = restored = 0
    for each in found:
        restored += _restore(engine, each.id)
        gone, kept = _remove(engine, each.id, each.first_lead or 0, each.last_lead or 0)
        removed += gone
        closed += kept
        with engine.begin() as connection:
            connection.execute(UNDONE, {"list": each.id, "at": at})
            told = {"removed": gone, "closed": kept}
            write(connection, "list undone", f"list {each.id}: {name}", after=told, at=at)
    return Undone(len(found), removed, closed, restored)


def _restore(engine: Engine, list_id: int) -> int:
    with engine.begin() as connection:
        connection.execute(NEVER_DUE, {"list": list_id})
    restored = 0
    while True:
        with engine.begin() as connection:
            leads = connection.execute(CHANGES, {"list": list_id, "limit": BATCH}).scalars().all()
            if not leads:
                return restored
            values = {"list": list_id, "leads": leads}
            restored += connection.execute(RESTORED, values).rowcount
            connection.execute(NUMBERS_BACK, values)
            connection.execute(CHANGES_GONE, values)


def _remove(engine: Engine, list_id: int, first: int, last: int) -> tuple[int, int]:
    removed = closed = 0
    after = first - 1
    while True:
        with engine.begin() as connection:
            values = {"after": after, "last": last, "list": list_id, "limit": BATCH}
            leads = connection.execute(LEADS, values).scalars().all()
            if not leads:
                return removed, closed
            called = set(connection.execute(CALLED, {"leads": leads}).scalars())
            gone = [lead for lead in leads if lead not in called]
            connection.execute(CLOSED, {"leads": sorted(called)})
            connection.execute(NUMBERS_GONE, {"leads": gone})
            connection.execute(LEADS_GONE, {"leads": gone})
            removed += len(gone)
            closed += len(called)
            after = leads[-1]
