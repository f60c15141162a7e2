"""Imports as they were made, and taken back as a whole.

A lead that nobody called goes, with its numbers. One that was called or written to, or is being called, stays with its
attempts and is closed: what was done is on record and can't be undone. What the import changed in other leads is as it
was before. Whom a segment had put on the list and who is gone was not taken; nor was who was held out beside them, when
all of them are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, Row, text

from campaigns.audit import write
from campaigns.by_hand import OF_CALLERS
from campaigns.ids import LAST_LEASED_AT, LEASED_AT
from campaigns.lists.changing import HOLD, SAID

BATCH = 500  # leads in one transaction: whoever calls them waits no longer than that takes

IMPORTS = text("""
SELECT l.id, c.name AS campaign, l.name, l.source, l.imported_at, l.accepted, l.duplicates, l.rejected, l.updated,
    l.finished_at, l.undone_at
FROM list l JOIN campaign c ON c.id = l.campaign_id
WHERE (CAST(:campaign AS bigint) IS NULL OR l.campaign_id = :campaign)
    AND (CAST(:before AS bigint) IS NULL OR l.id < :before)
ORDER BY l.id DESC LIMIT :limit
""")
OF_LIST = text("""
SELECT id, first_lead, last_lead FROM list WHERE campaign_id = :campaign AND name = :name AND undone_at IS NULL
ORDER BY id DESC
""")
CHANGES = text("""
SELECT lead_id FROM list_change WHERE list_id = :list AND before IS NOT NULL ORDER BY lead_id LIMIT :limit
""")
# Whether a list that came between changed the like: after the list of `c`, and before the one that found the lead so.
BETWEEN = """EXISTS (SELECT FROM list_change e WHERE e.lead_id = c.lead_id AND e.list_id > c.list_id
        AND (t.found_by IS NULL OR e.list_id < t.found_by) AND e.before <> 'null' AND ({}))"""


def _back(column: str, changed: str) -> str:
    """A value as it was before the list, where it is still what the list made of it and no list between changed it."""
    return f"""CASE WHEN s.{column} IS NOT DISTINCT FROM {SAID[column].format("b")} AND NOT {BETWEEN.format(changed)}
        THEN b.{column} ELSE s.{column} END"""


# When a lead `l` was taken back: no earlier than the call it is in, which may have begun since, by an engine's clock.
TAKEN_BACK_AT = f"GREATEST(CAST(:at AS timestamptz), {LEASED_AT}, {LAST_LEASED_AT})"
# Value by value, so that what a person or a later list changed stays; of the lead now, and of the lead as each later
# list found it, to which that list's undo goes back. `b` is the lead before, `s` the one that is looked at. Who was
# called since goes on by what came of it, unless they had only called in before; and who waits for a callback goes on
# waiting. A zone goes with its numbers.
RESTORED = text(f"""
WITH back AS MATERIALIZED (
    SELECT c.lead_id, t.found_by, {_back("name", "e.replaces OR e.name <> ''")} AS name, (
            SELECT COALESCE(jsonb_object_agg(key, value) FILTER (WHERE value IS NOT NULL), '{{}}') FROM (
                SELECT key, CASE WHEN s.attributes -> key IS NOT DISTINCT FROM ({SAID["attributes"].format("b")}) -> key
                        AND NOT {BETWEEN.format("e.replaces OR jsonb_exists(e.attributes, key)")}
                    THEN b.attributes -> key ELSE s.attributes -> key END AS value
                FROM jsonb_object_keys(s.attributes || b.attributes) key
            ) each
        ) AS attributes, b.zones || ARRAY(
            SELECT zone FROM unnest(s.zones) zone WHERE zone <> ALL (b.zones) AND (zone <> ALL (c.zones)
                OR {BETWEEN.format("zone = ANY (e.zones)")}
                OR EXISTS (SELECT FROM number n WHERE n.lead_id = c.lead_id AND (n.e164 = ANY (c.numbers)
                    OR EXISTS (SELECT FROM lead_edit x WHERE x.lead_id = c.lead_id AND x.field = 'number'
                        AND x.after = n.e164))))
        ) AS zones, {_back("region", "e.replaces OR e.region <> ''")} AS region,
        {_back("customer_id", "e.customer_id IS NOT NULL")} AS customer_id,
        CASE WHEN p.returns THEN b.list_id ELSE s.list_id END AS list_id,
        CASE WHEN NOT p.returns OR s.lane = 0 THEN s.lane ELSE (
            SELECT CASE WHEN u.uncalled AND b.lane < 0 THEN -lane ELSE lane END FROM list WHERE id = b.list_id
        ) END AS lane, CASE WHEN p.returns THEN COALESCE(b.rank, s.rank) ELSE s.rank END AS rank,
        CASE WHEN u.uncalled THEN b.open WHEN u.closes THEN false ELSE s.open END AS open,
        CASE WHEN u.uncalled THEN b.next_at ELSE s.next_at END AS next_at,
        CASE WHEN u.uncalled THEN b.ready_at WHEN NOT u.closes THEN s.ready_at END AS ready_at,
        CASE WHEN u.uncalled THEN b.taken_back_at WHEN u.closes THEN {TAKEN_BACK_AT} ELSE s.taken_back_at END
            AS taken_back_at
    FROM list_change c JOIN lead l ON l.id = c.lead_id CROSS JOIN LATERAL (
        SELECT CAST(NULL AS bigint) AS found_by, to_jsonb(l) AS lead
        UNION ALL SELECT d.list_id, d.before FROM list_change d
        WHERE d.lead_id = c.lead_id AND d.list_id > c.list_id AND d.before <> 'null'
    ) t CROSS JOIN LATERAL jsonb_populate_record(CAST(NULL AS lead), t.lead) s
    CROSS JOIN LATERAL jsonb_populate_record(CAST(NULL AS lead), c.before) b
    CROSS JOIN LATERAL (SELECT c.replaces AND NOT {BETWEEN.format("e.replaces")} AS returns) p
    CROSS JOIN LATERAL (
        SELECT p.returns AND s.lane <> 0 AND s.lease IS NULL AND s.last_call IS NOT DISTINCT FROM b.last_call
            AS uncalled, p.returns AND s.lane <> 0 AND b.list_id = {OF_CALLERS} AND NOT b.open AS closes
    ) u WHERE c.list_id = :list AND c.lead_id = ANY(:leads) AND c.before <> 'null'
), found AS (
    UPDATE list_change d SET before = d.before || (to_jsonb(back) - 'lead_id' - 'found_by') FROM back
    WHERE d.list_id = back.found_by AND d.lead_id = back.lead_id
)
UPDATE lead l SET name = back.name, attributes = back.attributes, zones = back.zones, region = back.region,
    customer_id = back.customer_id, list_id = back.list_id, lane = back.lane, rank = back.rank, open = back.open,
    next_at = back.next_at, ready_at = back.ready_at, taken_back_at = back.taken_back_at
FROM back WHERE back.found_by IS NULL AND l.id = back.lead_id
""")
# A number that was called, or written to, stays.
NUMBERS_BACK = text("""
DELETE FROM number n USING list_change c WHERE c.list_id = :list AND c.lead_id = ANY(:leads)
    AND n.lead_id = c.lead_id AND n.e164 = ANY(c.numbers) AND n.attempts = 0
    AND NOT EXISTS (SELECT FROM lead l WHERE l.lease_number = n.id AND l.lease IS NOT NULL AND l.id = n.lead_id)
    AND NOT EXISTS (SELECT FROM attempt a WHERE a.number_id = n.id AND a.lead_id = n.lead_id)
    AND NOT EXISTS (SELECT FROM message m WHERE m.number_id = n.id AND m.lead_id = n.lead_id)
""")
# Leads of lists that were taken back before, when a list that has now been taken back had them.
OF_UNDONE = text("""
SELECT l.id FROM list_change c JOIN lead l ON l.id = c.lead_id JOIN list i ON i.id = l.list_id
WHERE c.list_id = :list AND c.lead_id = ANY(:leads) AND c.replaces AND i.undone_at IS NOT NULL ORDER BY l.id
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
CLOSED = text(f"""
UPDATE lead l SET open = false, ready_at = NULL, taken_back_at = {TAKEN_BACK_AT} WHERE id = ANY(:leads)
""")
NUMBERS_GONE = text("DELETE FROM number WHERE lead_id = ANY(:leads)")
LEADS_GONE = text("DELETE FROM lead WHERE id = ANY(:leads)")
# The take by which a list came is of the same instant.
TAKES = text("""
SELECT t.id FROM segment_take t JOIN list i ON t.campaign_id = i.campaign_id AND t.list_name = i.name
    AND t.taken_at = i.imported_at WHERE i.id = :list
""")
# Of whom the campaign has no lead, and had none that was called and has left since. Each is looked up, as in
# campaigns/segments/compiling.py. An erased one is not to be found, and stays.
NOT_TAKEN = text("""
DELETE FROM segment_member m USING segment_take t
WHERE t.id = ANY(:takes) AND m.take_id = t.id AND NOT m.held_out AND NOT starts_with(m.party, 'erased:')
    AND NOT EXISTS (SELECT FROM lead l WHERE starts_with(m.party, 'customer ')
        AND l.customer_id = substr(m.party, 10) AND l.campaign_id = m.campaign_id OFFSET 0)
    AND NOT EXISTS (SELECT FROM number n WHERE n.e164 = m.party AND n.campaign_id = m.campaign_id OFFSET 0)
    AND NOT EXISTS (SELECT FROM archived_number a WHERE a.campaign_id = m.campaign_id AND a.last_at >= t.taken_at
        AND (a.e164 = m.party OR starts_with(m.party, 'customer ') AND a.customer_id = substr(m.party, 10)) OFFSET 0)
""")
NOT_HELD_OUT = text("""
DELETE FROM segment_member m WHERE m.take_id = ANY(:takes)
    AND NOT EXISTS (SELECT FROM segment_member k WHERE k.take_id = m.take_id AND NOT k.held_out)
""")
TAKES_GONE = text("""
DELETE FROM segment_take t WHERE t.id = ANY(:takes)
    AND NOT EXISTS (SELECT FROM segment_member m WHERE m.take_id = t.id)
""")
UNDONE = text("UPDATE list SET undone_at = :at WHERE id = :list")


@dataclass(frozen=True, slots=True)
class Undone:
    """What taking a list back came to."""

    imports: int
    removed: int  # leads that nobody called
    closed: int  # leads that were called: they stay with their attempts
    restored: int  # other leads, as they were before the import


def imports(
    engine: Engine, campaign_id: int | None = None, before: int | None = None, limit: int | None = None
) -> Sequence[Row]:  # type: ignore[type-arg]
    """The imports on record, the first one first: all, or the last `limit`, of those with ids below `before`."""
    values = {"campaign": campaign_id, "before": before, "limit": limit}
    with engine.connect() as connection:
        return connection.execute(IMPORTS, values).all()[::-1]


def undo(engine: Engine, campaign_id: int, name: str, at: datetime) -> Undone:
    """Take back all imports into the list of this name, the last one first.

    Done a few leads at a time beside the calls: broken off, it goes on when it is asked for again.
    """
    with engine.connect() as connection:
        found = connection.execute(OF_LIST, {"campaign": campaign_id, "name": name}).all()
    removed = closed = restored = 0
    for each in found:
        back, *first = _restore(engine, each.id, at)
        rest = _remove(engine, each.id, each.first_lead or 0, each.last_lead or 0, at)
        gone, kept = first[0] + rest[0], first[1] + rest[1]
        restored += back
        removed += gone
        closed += kept
        with engine.begin() as connection:
            _not_taken(connection, each.id)
            connection.execute(UNDONE, {"list": each.id, "at": at})
            told = {"removed": gone, "closed": kept}
            write(connection, "list undone", f"list {each.id}: {name}", after=told, at=at)
    return Undone(len(found), removed, closed, restored)


def _restore(engine: Engine, list_id: int, at: datetime) -> tuple[int, int, int]:
    """How many leads are as they were, and of lists taken back before, how many went and how many are closed."""
    with engine.begin() as connection:
        connection.execute(NEVER_DUE, {"list": list_id})
    restored = removed = closed = 0
    while True:
        with engine.begin() as connection:
            leads = connection.execute(CHANGES, {"list": list_id, "limit": BATCH}).scalars().all()
            if not leads:
                return restored, removed, closed
            values = {"list": list_id, "leads": leads, "at": at}
            connection.execute(HOLD, {"leads": leads})
            connection.execute(NUMBERS_BACK, values)
            back = connection.execute(RESTORED, values).rowcount
            gone, kept = _take_out(connection, connection.execute(OF_UNDONE, values).scalars().all(), at)
            connection.execute(CHANGES_GONE, values)
            restored += back - gone - kept
            removed += gone
            closed += kept


def _take_out(connection: Connection, leads: Sequence[int], at: datetime) -> tuple[int, int]:
    """Of leads that are locked, remove those that nobody called and close the others; how many of each."""
    called = set(connection.execute(CALLED, {"leads": leads}).scalars())
    gone = [lead for lead in leads if lead not in called]
    connection.execute(CLOSED, {"leads": sorted(called), "at": at})
    connection.execute(NUMBERS_GONE, {"leads": gone})
    connection.execute(LEADS_GONE, {"leads": gone})
    return len(gone), len(called)


def _remove(engine: Engine, list_id: int, first: int, last: int, at: datetime) -> tuple[int, int]:
    """How many leads of the list went, and how many are closed."""
    removed = closed = 0
    after = first - 1
    while True:
        with engine.begin() as connection:
            values = {"after": after, "last": last, "list": list_id, "limit": BATCH}
            leads = connection.execute(LEADS, values).scalars().all()
            if not leads:
                return removed, closed
            gone, kept = _take_out(connection, leads, at)
            removed += gone
            closed += kept
            after = leads[-1]


def _not_taken(connection: Connection, list_id: int) -> None:
    """Of a list that came by a segment: who is gone may be taken again, and counts for nothing."""
    takes = connection.execute(TAKES, {"list": list_id}).scalars().all()
    for statement in (NOT_TAKEN, NOT_HELD_OUT, TAKES_GONE):
        connection.execute(statement, {"takes": takes})
