"""Leads into the tables: by COPY into a stage, judged there in chunks, and in one transaction for all of a list.

So a list is there whole or not at all, and memory does not grow with it. What an import changes in leads that were
there before is only written down in that transaction, and done after it in short ones: a lead that is locked for
minutes would hold up the calls.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from campaigns.audit import write_through
from campaigns.by_hand import CALLER
from campaigns.config import CampaignsError, parse
from campaigns.lanes import of_list
from campaigns.lists.changing import change_leads, end_unfinished
from campaigns.lists.copying import COPY, copy_lines
from campaigns.lists.reading import Fault
from campaigns.lists.rows import Row
from campaigns.messages.permission import announced_by
from campaigns.order import MOST_RANK
from campaigns.rules.known import LENGTHS

log = structlog.get_logger(__name__)

CHUNK = 10_000  # rows judged at a time
SOON = timedelta(days=30)
IMPORTS = 0x7A68_6C69  # "zhli": the first half of the keys that imports lock
TURN_S = 0.2  # between two looks whether it is one's turn
ENOUGH = 0.01  # of the leads there were: fewer new ones change nothing of how they are looked for

CREATE = f"""
INSERT INTO list (campaign_id, name, source, imported_at, announces, first_lead, lane)
SELECT %(campaign)s, %(name)s, %(source)s, %(at)s, %(announces)s, last_value + CAST(is_called AS int),
    {of_list("%(campaign)s", "%(name)s")}
FROM lead_id_seq RETURNING id, first_lead, lane
"""
CONFIG = """
SELECT v.text FROM campaign c JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version
WHERE c.id = %(campaign)s
"""
KNOWN_BATCH = """
SELECT id, finished_at IS NOT NULL FROM list
WHERE campaign_id = %(campaign)s AND name = %(name)s AND source = %(source)s AND undone_at IS NULL
"""
STAGE = """
CREATE TEMPORARY TABLE stage (lead_id bigint DEFAULT nextval('lead_id_seq'), row bigint, numbers text[], kinds text[],
    name text, attributes jsonb, zones text[], region text, customer_id text) ON COMMIT DROP;
CREATE TEMPORARY TABLE stage_number (row bigint, place smallint, e164 text, kind text, lead_id bigint, why text)
    ON COMMIT DROP
"""

# Where a number or a customer is known already; whoever keeps more history adds it here. A chunk's numbers are looked
# for together: PostgreSQL goes through each index once for each campaign, not for each number and campaign.
CAMPAIGNS = {"campaign": "ARRAY[%(campaign)s]::bigint[]", "system": "ARRAY(SELECT id FROM campaign)"}
LISTED = "ANY((SELECT numbers FROM listed)::text[])"
TAKEN = f"""
SELECT DISTINCT ON (e164) e164, lead_id FROM number
WHERE campaign_id = ANY({{campaigns}}) AND e164 = {LISTED}
ORDER BY e164, campaign_id <> %(campaign)s
"""
ARCHIVED = {
    "campaign": f"SELECT e164 FROM archived_number WHERE e164 = {LISTED} AND campaign_id = %(campaign)s",
    "system": f"SELECT e164 FROM archived_number WHERE e164 = {LISTED}",
}
CUSTOMER = {
    "campaign": """
        SELECT id FROM lead WHERE customer_id = e.customer_id AND campaign_id = %(campaign)s
        UNION ALL SELECT 0 FROM archived_number a WHERE a.customer_id = e.customer_id AND a.campaign_id = %(campaign)s
    """,
    "system": """
        (SELECT id FROM lead WHERE customer_id = e.customer_id ORDER BY campaign_id <> %(campaign)s, id LIMIT 1)
        UNION ALL SELECT 0 FROM archived_number a WHERE a.customer_id = e.customer_id
    """,
}
# The do-not-call lists, which campaigns/rules asks again at every call. An entry that ends soon keeps nobody out: the
# list may still be called then.
BARRED = f"""
SELECT e164 FROM dnc WHERE e164 = {LISTED} AND campaign_id IN (0, %(campaign)s)
    AND (expires_at IS NULL OR expires_at > %(soon)s)
"""
BEGINNINGS = ", ".join(f"left(e.e164, {length})" for length in LENGTHS)
BARRED_PREFIX = f"""
%(prefixes)s AND EXISTS (SELECT FROM dnc_prefix p
    WHERE p.prefix = ANY(ARRAY[{BEGINNINGS}]) AND p.campaign_id IN (0, %(campaign)s)
    AND (p.expires_at IS NULL OR p.expires_at > %(soon)s))
"""
PREFIXES = "SELECT EXISTS (SELECT FROM dnc_prefix)"

SAME_CUSTOMER = """
SELECT e.row, t.id, CASE WHEN e.again THEN 'file' ELSE 'list' END FROM (
    SELECT row, customer_id, row_number() OVER (PARTITION BY customer_id ORDER BY row) > 1 AS again
    FROM stage WHERE customer_id IS NOT NULL
) e LEFT JOIN LATERAL ({taken} LIMIT 1) t ON true WHERE e.again OR t.id IS NOT NULL
"""
# `why` is null for a number that goes in. What is known of a number stands beside its rows and is told to them in one
# sort; joins and EXISTS would be planned for as many rows as the tables had before the import, or for going through
# all of a do-not-call list at each chunk.
JUDGE = f"""
WITH listed AS MATERIALIZED (
    SELECT ARRAY(SELECT DISTINCT unnest(numbers) FROM stage) AS numbers
), offered AS (
    SELECT row, place, numbers[place] AS e164, kinds[place] AS kind
    FROM (SELECT row, numbers, kinds, generate_subscripts(numbers, 1) AS place FROM stage) s
)
INSERT INTO stage_number
SELECT e.row, e.place, e.e164, e.kind, e.lead_id, CASE
    WHEN e.barred OR {BARRED_PREFIX} THEN 'barred' WHEN e.again THEN 'file' WHEN e.lead_id IS NOT NULL THEN 'list'
    WHEN e.archived THEN 'archive' END
FROM (
    SELECT row, place, e164, kind, max(lead_id) OVER same AS lead_id, bool_or(barred) OVER same AS barred,
        bool_or(archived) OVER same AS archived,
        row_number() OVER (PARTITION BY e164 ORDER BY row, place) > 1 AS again
    FROM (
        SELECT row, place, e164, kind, NULL::bigint AS lead_id, false AS barred, false AS archived FROM offered
        UNION ALL SELECT NULL, NULL, e164, NULL, lead_id, false, false FROM ({{taken}}) t
        UNION ALL SELECT NULL, NULL, e164, NULL, NULL, true, false FROM ({BARRED}) b
        UNION ALL SELECT NULL, NULL, e164, NULL, NULL, false, true FROM ({{archived}}) a
    ) n WINDOW same AS (PARTITION BY e164)
) e WHERE e.row IS NOT NULL
"""
NOT_IN = "SELECT row, place, e164, lead_id, why FROM stage_number WHERE why IS NOT NULL ORDER BY row, place"
# A score beyond the ranks that there are counts as the last of them, one that is no number as none.
RANK = f"""
COALESCE(-round(CASE jsonb_typeof({{attributes}} -> {{score}})
    WHEN 'number' THEN LEAST(GREATEST(CAST({{attributes}} ->> {{score}} AS numeric), -{MOST_RANK}), {MOST_RANK})
    WHEN 'string' THEN CASE WHEN {{attributes}} ->> {{score}} ~ '^[+-]?[0-9]{{{{1,9}}}}([.][0-9]{{{{1,9}}}})?$'
        THEN LEAST(GREATEST(CAST({{attributes}} ->> {{score}} AS numeric), -{MOST_RANK}), {MOST_RANK}) END
END), 0)
"""
LEADS = f"""
INSERT INTO lead (id, campaign_id, list_id, name, attributes, zones, region, customer_id, lane, rank)
OVERRIDING SYSTEM VALUE
SELECT s.lead_id, %(campaign)s, %(list)s, s.name, s.attributes, s.zones, s.region, s.customer_id, %(lane)s,
    {RANK.format(attributes="s.attributes", score="%(score)s")} FROM stage s
WHERE EXISTS (SELECT FROM stage_number n WHERE n.row = s.row AND n.why IS NULL) ORDER BY s.lead_id
"""
NUMBERS = """
INSERT INTO number (lead_id, campaign_id, e164, kind, ordinal)
SELECT s.lead_id, %(campaign)s, n.e164, n.kind, n.place FROM stage_number n JOIN stage s USING (row)
WHERE n.why IS NULL ORDER BY n.row, n.place
"""
CALLERS = f"SELECT id FROM lead l WHERE id = ANY(%(leads)s) AND campaign_id = %(campaign)s AND {CALLER}"
CHANGE = f"""
INSERT INTO list_change (list_id, lead_id, replaces, name, attributes, zones, region, customer_id, numbers, kinds,
    rank)
SELECT %(list)s, l.id, c.replaces, s.name, s.attributes, s.zones, s.region, s.customer_id,
    COALESCE(n.numbers, '{{}}'), COALESCE(n.kinds, '{{}}'),
    {RANK.format(attributes="s.attributes", score="%(score)s")}
FROM unnest(%(rows)s::bigint[], %(leads)s::bigint[], %(replaces)s::bool[]) AS c (row, lead_id, replaces)
JOIN stage s ON s.row = c.row JOIN lead l ON l.id = c.lead_id AND l.campaign_id = %(campaign)s
LEFT JOIN (
    SELECT row, array_agg(e164 ORDER BY place) AS numbers, array_agg(kind ORDER BY place) AS kinds
    FROM stage_number WHERE why IS NULL GROUP BY row
) n ON n.row = c.row
ON CONFLICT DO NOTHING RETURNING lead_id
"""
ZONES = """
INSERT INTO campaign_zone (campaign_id, zone) SELECT %(campaign)s, unnest(%(zones)s::text[]) ON CONFLICT DO NOTHING
"""
COUNTED = """
UPDATE list SET accepted = %(accepted)s, rejected = %(rejected)s, duplicates = %(duplicates)s,
    last_lead = (SELECT last_value FROM lead_id_seq), finished_at = %(finished)s WHERE id = %(list)s
"""

GREW = text("SELECT :added >= :enough * reltuples FROM pg_class WHERE oid = 'lead'::regclass")
# An autovacuum that is at work would be cancelled for whoever waits for it, and would begin anew.
ANALYZE = text("ANALYZE (SKIP_LOCKED) lead, number")


class AlreadyIn(CampaignsError):
    """What comes once is in already: the list whose id this has."""

    def __init__(self, list_id: int) -> None:
        super().__init__(f"it is in already, as import {list_id}")
        self.list_id = list_id


class OnDuplicate(StrEnum):
    """What an import does with a row whose customer is there already.

    Who is there only because they called in, and whom no agent has finished with, becomes the row in any case.
    """

    SKIP = "skip"  # leave what is there
    UPDATE = "update"  # what the row says is added to the lead, which stays where and as it is
    REPLACE = (
        "replace"  # the lead becomes the row, in the new list, to be called again; its attempts count on
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """How duplicates are found, and what becomes of them. A number is in a campaign once, whatever the policy."""

    by: str = "number"  # or customer
    within: str = "campaign"  # or system
    on_duplicate: OnDuplicate = OnDuplicate.SKIP


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one chunk. Rows of `duplicates` and `barred` stay out; `left_out` are numbers of others."""

    accepted: list[tuple[Row, tuple[str, ...]]]  # with the numbers that went in
    duplicates: list[tuple[Row, Fault]]
    barred: list[tuple[Row, Fault]]
    left_out: list[tuple[int, Fault]]


@dataclass(slots=True)
class Counts:
    """What went in so far."""

    list_id: int
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    zones: set[str] = field(default_factory=set)


class Loading:
    """One import: chunks in order, then the end; what was loaded is there when :meth:`finish` returns, not before.

    To make one waits until no other import of the campaign goes on. What comes `once` and is there under this name from
    this source raises :class:`AlreadyIn`, when what was left to be done of it is done.
    """

    def __init__(
        self,
        engine: Engine,
        campaign_id: int,
        name: str,
        source: str,
        at: datetime,
        policy: Policy | None = None,
        once: bool = False,
    ) -> None:
        self._engine = engine
        self._policy = policy or Policy()
        self._changes = self._policy.on_duplicate is not OnDuplicate.SKIP  # of leads that were there
        self._connection = engine.raw_connection()
        self._open = True
        self._cursor = self._connection.cursor()
        self._values: dict[str, Any] = {"campaign": campaign_id, "name": name, "source": source, "at": at}
        everywhere = self._policy.within == "system"
        # One import a campaign at a time; one that looks at all campaigns is alone.
        self._await_turn(f"SELECT pg_try_advisory_xact_lock{'' if everywhere else '_shared'}(%s, 0)", IMPORTS)
        self._await_turn("SELECT pg_try_advisory_xact_lock(%s, %s)", IMPORTS, campaign_id)
        if once:
            self._cursor.execute(KNOWN_BATCH, self._values)
            if (known := self._cursor.fetchone()) is not None:
                self.abandon()
                if not known[1]:
                    change_leads(engine, known[0], at)
                raise AlreadyIn(known[0])
        self._cursor.execute(CONFIG, self._values)
        config = parse(self._cursor.fetchone()[0], name)  # type: ignore[index]
        announces = announced_by(config) is not None
        self._cursor.execute(CREATE, self._values | {"announces": announces})
        list_id, self._first, lane = self._cursor.fetchone()  # type: ignore[misc]
        self.counts = Counts(list_id)
        self._cursor.execute(STAGE)
        self._cursor.execute(PREFIXES)
        self._values |= {
            "list": list_id,
            "lane": -lane if announces else lane,  # below 0 leads wait (campaigns/messages/announcing.py)
            "score": config.order.score,
            "soon": at + SOON,
            "prefixes": self._cursor.fetchone()[0],  # type: ignore[index]
        }
        within = self._policy.within
        taken = TAKEN.format(campaigns=CAMPAIGNS[within])
        self._judge = JUDGE.format(taken=taken, archived=ARCHIVED[within])
        self._same_customer = SAME_CUSTOMER.format(taken=CUSTOMER[within])

    def load(self, rows: Sequence[Row], lines: bytes) -> Judged:
        """Judge a chunk and put in what goes in; `lines` are :func:`campaigns.lists.copying.copy_lines` of the rows."""
        cursor, values = self._cursor, self._values
        cursor.execute("TRUNCATE stage, stage_number")
        # In one piece: after each the thread that reads the file must stand aside.
        cursor.copy_expert(COPY, io.BytesIO(lines), size=len(lines))
        known: dict[int, tuple[int | None, str]] = {}  # row to the lead it stands for, and where that is
        if self._policy.by == "customer":
            cursor.execute(self._same_customer, values)
            known = {row: (lead, why) for row, lead, why in cursor.fetchall()}
        if known and self._policy.on_duplicate is OnDuplicate.SKIP:
            cursor.execute("DELETE FROM stage WHERE row = ANY(%s)", (list(known),))
        cursor.execute(self._judge, values)
        cursor.execute(NOT_IN)
        out: dict[int, list[tuple[str, int | None, str]]] = {}
        for row, _, e164, lead, why in cursor.fetchall():
            out.setdefault(row, []).append((e164, lead, why))
        self._note_changes(out, known)
        cursor.execute(LEADS, values)
        cursor.execute(NUMBERS, values)
        judged = _judged(rows, known, out)
        self.counts.accepted += len(judged.accepted)
        self.counts.duplicates += len(judged.duplicates)
        self.counts.rejected += len(judged.barred)
        self.counts.zones.update(zone for row, _ in judged.accepted for zone in row.zones)
        return judged

    def finish(self, rejected: int, at: datetime, beside: Callable[[Any], None] | None = None) -> Counts:
        """Make it last, then change what was there. `rejected` rows never came here.

        What `beside` does with the driver's cursor becomes lasting with it, or not at all.
        """
        self.counts.rejected += rejected
        counted = {
            "accepted": self.counts.accepted,
            "rejected": self.counts.rejected,
            "duplicates": self.counts.duplicates,
            "finished": None if self._changes else at,
        }
        self._cursor.execute(ZONES, self._values | {"zones": sorted(self.counts.zones)})
        self._cursor.execute(COUNTED, self._values | counted)
        told = {key: counted[key] for key in ("accepted", "duplicates", "rejected")}
        subject = f"list {self.counts.list_id}: {self._values['name']}"
        write_through(self._cursor, self._engine, "list imported", subject, told)
        if beside is not None:
            beside(self._cursor)
        self._connection.commit()
        self._connection.close()
        self._open = False
        if self._changes:
            end_unfinished(self._engine, self._values["campaign"], at)  # what came before first
        _analyze(self._engine, self.counts.accepted)
        return self.counts

    def abandon(self) -> None:
        """Leave the tables as they were; what :meth:`finish` made last stays."""
        if self._open:
            self._connection.invalidate()  # the server rolls back, also when the connection is lost or busy
            self._open = False

    def _await_turn(self, lock: str, *key: int) -> None:
        """An import takes minutes: longer than a statement may, and one that waits can be broken off."""
        while True:
            self._cursor.execute(lock, key)
            if self._cursor.fetchone()[0]:  # type: ignore[index]
                return
            time.sleep(TURN_S)

    def _note_changes(
        self, out: dict[int, list[tuple[str, int | None, str]]], known: dict[int, tuple[int | None, str]]
    ) -> None:
        """Rows whose customer was there before this import are written down as changes, and are out of the stage.

        When duplicates are left alone, only those whose customer is there because they called in.
        """
        cursor, policy = self._cursor, self._policy.on_duplicate
        listed = {
            row: [lead for _, lead, why in numbers if lead and why == "list"] for row, numbers in out.items()
        }
        cursor.execute(
            CALLERS, self._values | {"leads": [lead for leads in listed.values() for lead in leads]}
        )
        callers = {lead for (lead,) in cursor.fetchall()}
        if policy is OnDuplicate.SKIP:
            if not callers:
                return
            listed = {row: [lead for lead in leads if lead in callers] for row, leads in listed.items()}
        found: dict[int, tuple[int | None, str]] = {
            row: (leads[0], "list") for row, leads in listed.items() if leads
        }
        for row, lead in found.items():
            known.setdefault(row, lead)
        changed = found if policy is OnDuplicate.SKIP else known
        there = {
            row: lead
            for row, (lead, why) in changed.items()
            if why == "list" and lead and (lead < self._first or lead in callers)
        }
        if there:
            self._changes = True
            replaces = [policy is OnDuplicate.REPLACE or lead in callers for lead in there.values()]
            asked = {"rows": list(there), "leads": list(there.values()), "replaces": replaces}
            cursor.execute(CHANGE, self._values | asked)
            zones = "SELECT DISTINCT unnest(zones) FROM stage WHERE row = ANY(%s)"
            cursor.execute(zones, (list(there),))
            self.counts.zones.update(zone for (zone,) in cursor.fetchall())
        for table in ("stage_number", "stage"):
            cursor.execute(f"DELETE FROM {table} WHERE row = ANY(%s)", (list(changed),))


def store_rows(
    engine: Engine,
    campaign_id: int,
    name: str,
    source: str,
    at: datetime,
    rows: Iterable[Row],
    beside: Callable[[Any], None] | None = None,
) -> Counts:
    """Put rows that are made, not read, into a campaign as a new list; `beside` as in :meth:`Loading.finish`."""
    loading = Loading(engine, campaign_id, name, source, at)
    try:
        chunk: list[Row] = []
        for row in rows:
            chunk.append(row)
            if len(chunk) == CHUNK:
                loading.load(chunk, copy_lines(chunk))
                chunk = []
        if chunk:
            loading.load(chunk, copy_lines(chunk))
        return loading.finish(0, at, beside)
    except BaseException:
        loading.abandon()
        raise


def _analyze(engine: Engine, added: int) -> None:
    """Have the planner know of the leads, which are in whatever becomes of this: nobody is told that they are not."""
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if connection.execute(GREW, {"added": added, "enough": ENOUGH}).scalar_one():
                connection.execute(ANALYZE)
    except DBAPIError as fault:
        log.warning("import_not_analyzed", error=str(fault))


WHY = {
    "file": "stands further up in this file",
    "list": "is on a list already",
    "archive": "was called before, as the archive knows",
    "barred": "is on a do-not-call list",
}


def _judged(
    rows: Sequence[Row],
    known: dict[int, tuple[int | None, str]],
    out: dict[int, list[tuple[str, int | None, str]]],
) -> Judged:
    judged = Judged([], [], [], [])
    for row in rows:
        if row.left_out:
            judged.left_out.extend((row.row, fault) for fault in row.left_out)
        if row.row in known:
            judged.duplicates.append(
                (row, Fault(WHY[known[row.row][1]], "", row.customer_id or row.numbers[0]))
            )
            continue
        not_in = out.get(row.row)
        if not_in is None:
            judged.accepted.append((row, row.numbers))
            continue
        gone = {e164 for e164, _, _ in not_in}
        kept = tuple(e164 for e164 in row.numbers if e164 not in gone)
        if kept:
            judged.accepted.append((row, kept))
            judged.left_out.extend((row.row, Fault(WHY[why], "", e164)) for e164, _, why in not_in)
            continue
        e164, why = next(
            ((e164, why) for e164, _, why in not_in if why != "barred"), (not_in[0][0], "barred")
        )
        fate = judged.barred if why == "barred" else judged.duplicates
        fate.append((row, Fault(WHY[why], "", e164)))
    return judged
