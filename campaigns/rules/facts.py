"""What the decision wants to know of leads, read in one query: whoever asks the rules asks with these facts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, text

from campaigns.rules.decision import NEVER_CALLED, Barred, Called, Consent, Facts

ISO_3166_2 = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")

# A lead and its number, and what bars it, of leads `l`. Each part is a probe of a primary key or of
# `consent_of_number`: the cost does not depend on how long the do-not-call lists or the history are. OFFSET 0 keeps the
# planner to that when its statistics are old, as after a load.
BEGINNINGS = ", ".join(
    f"left(n.e164, {length})" for length in range(3, 17)
)  # two digits, to all of the longest number
COLUMNS = """
l.id AS lead_id, l.lease, l.lease_owner, l.lease_number, l.campaign_id, l.customer_id, l.region, l.zones, l.open,
    COALESCE(l.ready_at, l.next_at) AS next_at, n.id AS number_id, n.e164, n.attempts, n.ordinal,
    n.done,
    x.until AS locked_until, x.reason AS lock, b.entries AS dnc, s.entries AS consents, k.at AS called_at,
    k.campaigns AS called_by, k.life, c.at AS customer_at, c.campaigns AS customer_by, c.life AS customer_life
"""
PARTS = f"""
CROSS JOIN LATERAL (SELECT id, e164, attempts, ordinal, done FROM number WHERE lead_id = l.id OFFSET 0) n
LEFT JOIN LATERAL (SELECT until, reason FROM lock_out WHERE e164 = n.e164 OFFSET 0) x ON true
LEFT JOIN LATERAL (SELECT life, at, campaigns FROM called WHERE party = n.e164 OFFSET 0) k ON true
LEFT JOIN LATERAL (
    SELECT life, at, campaigns FROM called WHERE party = 'customer ' || l.customer_id OFFSET 0
) c ON true
LEFT JOIN LATERAL (
    SELECT json_agg(json_build_array(e.layer, e.pattern, e.source, e.reason, e.expires_at)) AS entries FROM (
        SELECT d.layer, d.e164 AS pattern, d.source, d.reason, d.expires_at FROM dnc d
        WHERE d.e164 = n.e164 AND d.campaign_id IN (0, l.campaign_id)
        UNION ALL
        SELECT p.layer, p.prefix || '…', p.source, p.reason, p.expires_at FROM dnc_prefix p
        WHERE p.prefix = ANY(ARRAY[{BEGINNINGS}]) AND p.campaign_id IN (0, l.campaign_id)
    ) e
) b ON true
LEFT JOIN LATERAL (
    SELECT json_agg(json_build_array(o.id, o.given_at, LEAST(o.expires_at, o.withdrawn_at))) AS entries
    FROM consent o WHERE o.e164 = n.e164
) s ON true
"""
FACTS = f"""
SELECT {COLUMNS}, v.change FROM lead l {PARTS}
JOIN campaign g ON g.id = l.campaign_id
JOIN campaign_version v ON v.campaign_id = g.id AND v.version = g.version
"""
OF_LEADS = text(FACTS + "WHERE l.id = ANY(:leads)")
OF_LEASES = text(FACTS + "WHERE l.lease = ANY(CAST(:ids AS uuid[]))")

# The leads, and then the calls to their numbers and customers, locked until the attempts are on record: what is read
# after that no other engine changes before we do. A party that was never called gets its row here.
HOLD = text("""
WITH held AS MATERIALIZED (
    SELECT id, customer_id FROM lead WHERE lease = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE
) SELECT n.e164, h.customer_id FROM held h
CROSS JOIN LATERAL (SELECT e164 FROM number WHERE lead_id = h.id OFFSET 0) n
""")
HOLD_PARTIES = text("""
INSERT INTO called (party) SELECT p FROM unnest(CAST(:parties AS text[])) p ORDER BY p COLLATE "C"
ON CONFLICT (party) DO UPDATE SET life = called.life
""")
COUNT_CALLS = text("""
UPDATE called k SET life = k.life + c.calls, (at, campaigns) = (
    SELECT array_agg(t ORDER BY o), array_agg(g ORDER BY o) FROM (
        SELECT u.t, u.g, u.o FROM unnest(k.at, k.campaigns) WITH ORDINALITY u (t, g, o) WHERE u.t > :oldest
        UNION ALL SELECT :now, w.g, 1000000 + w.o FROM unnest(c.campaigns) WITH ORDINALITY w (g, o)
    ) kept
) FROM (
    SELECT party, count(*) AS calls, array_agg(campaign) AS campaigns
    FROM unnest(CAST(:parties AS text[]), CAST(:campaigns AS bigint[])) AS q (party, campaign) GROUP BY party
) c WHERE k.party = c.party
""")


def party_of(customer_id: str) -> str:
    """The key under which the calls to a customer are kept; a number's is the number itself."""
    return f"customer {customer_id}"


def parties(number: str, customer_id: str | None) -> tuple[str, ...]:
    """Whom a call is counted for."""
    return (number, party_of(customer_id)) if customer_id else (number,)


class LeadRow(NamedTuple):
    """A row of :data:`COLUMNS` as the driver gives it, and what a lead that is picked has more."""

    lead_id: int
    lease: UUID | None
    lease_owner: str | None
    lease_number: int | None
    campaign_id: int
    customer_id: str | None
    region: str
    zones: list[str]
    open: bool
    next_at: datetime
    number_id: int
    e164: str
    attempts: int
    ordinal: int
    done: bool
    locked_until: datetime | None
    lock: str | None
    dnc: list[Any] | None
    consents: list[Any] | None
    called_at: list[datetime] | None
    called_by: list[int] | None
    life: int | None
    customer_at: list[datetime] | None
    customer_by: list[int] | None
    customer_life: int | None
    place: int  # in the order of calling
    name: str
    attributes: str  # JSON
    list_id: int
    lane: int


def facts_of(
    row: Row[Any] | LeadRow,
    lead_attempts: int,
    call_id: str,
    leased: bool,
    just: Mapping[str, Sequence[tuple[datetime, int]]] | None = None,
) -> Facts:
    """A row of :data:`FACTS` as the decision takes it.

    `lead_attempts` are those of :func:`attempts_of`; `just` are calls by party, as (instant, campaign), that are
    permitted already in this transaction.
    """

    def called(
        party: str, at: Sequence[datetime] | None, by: Sequence[int] | None, life: int | None
    ) -> Called:
        now = tuple(just.get(party, ())) if just else ()
        if life is None and not now:
            return NEVER_CALLED
        return Called(tuple(zip(at or (), by or (), strict=True)) + now, (life or 0) + len(now))

    return Facts(
        call_id=call_id,
        zones=tuple(row.zones),
        attempts=row.attempts,
        number=row.e164,
        region=row.region if row.region and ISO_3166_2.fullmatch(row.region) else "",
        campaign_id=row.campaign_id,
        next_at=row.next_at,
        locked_until=row.locked_until,
        lock=row.lock or "",
        dnc=tuple(Barred(*each[:4], until=_time(each[4])) for each in row.dnc or ()),
        consents=tuple(
            Consent(each[0], datetime.fromisoformat(each[1]), _time(each[2])) for each in row.consents or ()
        ),
        called=called(row.e164, row.called_at, row.called_by, row.life),
        customer=called(party_of(row.customer_id), row.customer_at, row.customer_by, row.customer_life)
        if row.customer_id
        else None,
        customer_attempts=lead_attempts,
        leased=leased,
        open=row.open,
        number_open=not row.done,
    )


def attempts_of(rows: Iterable[Row[Any] | LeadRow]) -> Mapping[int, int]:
    """The attempts on all numbers of each lead, by lead; a lead's numbers are all among the rows."""
    found: dict[int, int] = {}
    for row in rows:
        found[row.lead_id] = found.get(row.lead_id, 0) + row.attempts
    return found


def of_leads(connection: Connection, leads: Sequence[int]) -> Sequence[Row[Any]]:
    """The facts of leads, in no order; of one with several numbers a row for each."""
    return connection.execute(OF_LEADS, {"leads": list(leads)}).all()


def _time(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)
