"""A campaign takes customers by a segment: whom it calls goes on a list of its own, whom it holds out is on record.

Who is held out is said by a hash of the customer alone: whoever is held out at one share is held out, of whatever
segment, at every share that is larger. So what happened to them owes nothing to calls by any segment. A customer whom a
campaign once took or held out is not taken by it again. In which order customers are taken is random, so a budget cuts
nobody off whom one could foresee, and those held out are of the same kind as those called.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from psycopg2.extras import execute_values
from sqlalchemy import Engine, text

from campaigns.config import CampaignsError
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.partitions import calls_since
from campaigns.segments.compiling import Compiler
from campaigns.segments.language import MOST_DAYS, Count
from campaigns.segments.store import CUSTOMERS, SegmentStore, looked_at
from campaigns.store import CampaignStore, NoSuchCampaign

TAKE_MS = 600_000
MOST_TAKEN = 1_000_000  # at a time: whom was taken is kept in memory until the end
MOST_HELD_OUT = 0.5
LONGEST_NAME = 200  # of a list
BUCKETS = 1_000_000
CHUNK = 5_000

NUMBERS = """
CROSS JOIN LATERAL (
    SELECT array_agg(e164 ORDER BY ordinal, id) AS e164s, array_agg(kind ORDER BY ordinal, id) AS kinds
    FROM number WHERE lead_id = l.id AND NOT done
) n
"""
# Where a customer stands in the random order. It is gone through part by part, each three times all before it: a small
# budget looks at few customers, and all of them are looked at in five turns.
PLACE = "md5('taken ' || COALESCE(l.customer_id, l.id::text)) COLLATE \"C\""
PARTS = (("", "01"), ("01", "04"), ("04", "10"), ("10", "40"), ("40", "g"))
# Nobody whom the campaign has, or has held out. OFFSET 0: each is looked up, as in campaigns/segments/compiling.py.
TAKEN = """
SELECT c.*, mod(('x' || substr(md5('held out ' || c.party), 1, 8))::bit(32)::bigint, {buckets}) AS bucket FROM (
    SELECT COALESCE('customer ' || l.customer_id, n.e164s[1]) AS party, l.name, l.attributes, l.zones, l.region,
        l.customer_id, n.e164s, n.kinds, {place} AS place
    {customers} AND {place} >= :since AND {place} < :until AND {rested} AND n.e164s IS NOT NULL
        AND NOT EXISTS (SELECT FROM lead t WHERE t.campaign_id = :campaign AND t.customer_id = l.customer_id OFFSET 0)
) c
WHERE NOT EXISTS (SELECT FROM segment_member m WHERE m.campaign_id = :campaign AND m.party = c.party OFFSET 0)
    AND NOT EXISTS (SELECT FROM number x WHERE x.campaign_id = :campaign AND x.e164 = ANY(c.e164s) OFFSET 0)
ORDER BY c.place
"""
TAKE = """
INSERT INTO segment_take (segment_id, segment, version, campaign_id, list_name, hold_out, taken_at, taken_by, called,
    held_out)
VALUES (%(segment)s, %(name)s, %(version)s, %(campaign)s, %(list)s, %(hold_out)s, %(at)s, %(who)s, %(called)s,
    %(held_out)s)
RETURNING id
"""
MEMBERS = (
    "INSERT INTO segment_member (campaign_id, party, take_id, held_out) VALUES %s ON CONFLICT DO NOTHING"
)


class CanNotTake(CampaignsError):
    """What was asked for makes no sense. The text says what."""


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"list_name": "list"}):
    """Whom a campaign is to take: customers of a `segment`, onto a new `list`.

    At most `budget` are called; the share `hold_out` of those who fit is held out and called by nobody of this
    campaign; nobody is taken whom an agent talked to in the last `rest_days`.
    """

    segment: str
    campaign: str
    list_name: str
    budget: int = 10_000
    hold_out: float = 0.1
    rest_days: int = 30


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of it: customers to be called, held out, and those whom the import did not let in."""

    take_id: int
    called: int
    held_out: int
    left_out: int


def take(engine: Engine, wish: Wish, who: str, now: datetime) -> Taken:
    """Take them, all or none.

    Raises :class:`CanNotTake`, :class:`campaigns.segments.compiling.TooFarBack` and what names that are not there
    raise.
    """
    if not 1 <= wish.budget <= MOST_TAKEN:
        raise CanNotTake(f"the budget must be between 1 and {MOST_TAKEN:,}, is {wish.budget:,}")
    if not 0 <= wish.hold_out <= MOST_HELD_OUT:
        raise CanNotTake(f"the share held out must be between 0 and {MOST_HELD_OUT}, is {wish.hold_out}")
    if not 0 <= wish.rest_days <= MOST_DAYS:
        raise CanNotTake(f"days of rest are between 0 and {MOST_DAYS:,}, not {wish.rest_days:,}")
    name = wish.list_name
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise CanNotTake(f"a list needs a name, of at most {LONGEST_NAME} characters, none of them a control")
    segment = SegmentStore(engine).find(wish.segment)
    campaign = CampaignStore(engine).id_of(wish.campaign)
    if campaign is None:
        raise NoSuchCampaign(f"there is no campaign {wish.campaign!r}")
    members: dict[str, bool] = {}  # whether held out, by party
    called = 0

    def rows() -> Iterator[Row]:
        nonlocal called
        for each in _fitting(engine, segment.text, segment.unit_id, campaign, wish.rest_days, now):
            if called >= wish.budget or len(members) >= MOST_TAKEN:
                break
            if each.party in members:
                continue
            members[each.party] = held_out = each.bucket < wish.hold_out * BUCKETS
            if not held_out:
                called += 1
                yield Row(
                    called, tuple(each.e164s), each.name, each.attributes, tuple(each.zones), tuple(each.kinds),
                    each.customer_id, each.region,
                )  # fmt: skip

    take_id = 0

    def keep(cursor: Any) -> None:
        nonlocal take_id
        values = {
            "segment": segment.segment_id, "name": segment.name, "version": segment.version, "campaign": campaign,
            "list": wish.list_name, "hold_out": wish.hold_out, "at": now, "who": who, "called": called,
            "held_out": len(members) - called,
        }  # fmt: skip
        cursor.execute(TAKE, values)
        take_id = cursor.fetchone()[0]
        given = [(campaign, party, take_id, held_out) for party, held_out in members.items()]
        execute_values(cursor, MEMBERS, given, page_size=CHUNK)

    source = f"segment {segment.name}, version {segment.version}"
    counts = store_rows(engine, campaign, wish.list_name, source, now, rows(), keep)
    return Taken(take_id, counts.accepted, len(members) - called, called - counts.accepted)


def _fitting(
    engine: Engine, words: str, unit_id: int, campaign: int, rest_days: int, now: datetime
) -> Iterator[Any]:
    """Whom the segment fits and the campaign may take, in random order."""
    with engine.connect() as connection:
        connection.execute(text(f"SET LOCAL statement_timeout = {TAKE_MS}"))
        conditions, values = looked_at(connection, words, unit_id, now)
        rested = "true"
        if rest_days:
            compiler = Compiler(now, calls_since(connection), "r")
            rested = compiler.sql(Count("connects", "=", Decimal(0), rest_days))
            values |= compiler.values
        customers = CUSTOMERS.format(beside=NUMBERS, conditions=conditions, few="OFFSET 0")
        sql = text(TAKEN.format(customers=customers, rested=rested, buckets=BUCKETS, place=PLACE))
        streamed = connection.execution_options(stream_results=True, max_row_buffer=CHUNK)
        for since, until in PARTS:
            yield from streamed.execute(sql, values | {"campaign": campaign, "since": since, "until": until})
