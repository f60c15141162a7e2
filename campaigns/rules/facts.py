"""What the decision wants to know of leads: whoever asks the rules asks with these facts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from campaigns.prepared import PLANNED, Prepared, array
from campaigns.rules.decision import Called, Facts
from campaigns.rules.known import Known, party_of
from campaigns.rules.terms import Terms

CALLBACKS = 0  # the lane of leads that wait for a callback
ISO_3166_2 = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")

# The number of a lead `l` at which its customer was promised the callback that it waits for. The index of a lead's
# callbacks is the only one that serves: a plan that is kept might go by that of all that wait, which were few then.
PROMISED = f"""
CASE WHEN l.lane = {CALLBACKS}
    THEN (SELECT max(c.number_id) FILTER (WHERE c.done_at IS NULL) FROM callback c WHERE c.lead_id = l.id) END
"""
# A lead `l` and its number `n`, as :class:`LeadRow` has them. OFFSET 0 keeps the planner to one look-up for each lead
# when its statistics are old, as after a load.
NUMBERS = """
CROSS JOIN LATERAL (SELECT id, e164, attempts, ordinal, done FROM number WHERE lead_id = l.id OFFSET 0) n
"""


def columns(change: str, place: str, next_at: str = "COALESCE(l.ready_at, l.next_at)") -> str:
    """The columns of :class:`LeadRow`, of which the version and the place are not the lead's."""
    return f"""
l.id, COALESCE(replace(l.lease::text, '-', ''), ''), l.lease_owner, l.lease_number, l.campaign_id, l.customer_id,
    l.region, array_to_string(l.zones, ' '), l.open, {next_at}, n.id, n.e164, n.attempts, n.ordinal, n.done, {change},
    {place}, l.name, l.attributes::text, l.list_id, l.lane, {PROMISED}
"""


FACTS = f"""
SELECT {columns("v.change", "0")} FROM lead l {NUMBERS}
JOIN campaign g ON g.id = l.campaign_id
JOIN campaign_version v ON v.campaign_id = g.id AND v.version = g.version
"""
OF_LEADS = Prepared("facts_of_leads", "bigint[]", f"{FACTS} WHERE l.id = ANY($1)")
OF_LEASES = Prepared("facts_of_leases", "uuid[]", f"{FACTS} WHERE l.lease = ANY($1)")

# The leads, and then the calls to their numbers and customers, locked until the attempts are on record: what is read
# after that no other engine changes before we do. A party that was never called gets its row here.
HOLD = Prepared(
    "hold",
    "uuid[]",
    """
WITH held AS MATERIALIZED (
    SELECT id, customer_id FROM lead WHERE lease = ANY($1) ORDER BY id FOR UPDATE
)
INSERT INTO called (party) SELECT p FROM (
    SELECT n.e164 FROM held h CROSS JOIN LATERAL (SELECT e164 FROM number WHERE lead_id = h.id OFFSET 0) n
    UNION SELECT 'customer ' || customer_id FROM held WHERE customer_id IS NOT NULL
) parties (p) ORDER BY p COLLATE "C"
ON CONFLICT (party) DO UPDATE SET life = called.life
""",
    PLANNED,
)


MADE = text("""
SELECT l.campaign_id, l.customer_id, sum(n.attempts)::int AS made FROM lead l JOIN number n ON n.lead_id = l.id
WHERE l.customer_id = ANY(:customers) AND l.campaign_id = ANY(:campaigns) GROUP BY 1, 2
""")


class LeadRow(NamedTuple):
    """A lead with one of its numbers: a row for each."""

    lead_id: int
    call_id: str  # its lease; empty when nobody has it
    lease_owner: str | None
    lease_number: int | None
    campaign_id: int
    customer_id: str | None
    region: str
    zones: str  # with blanks between them
    open: bool
    next_at: datetime | None  # or since when it was ready, before the rules put it off; None: it is ready
    number_id: int
    e164: str
    attempts: int
    ordinal: int
    done: bool
    change: int  # of the campaign's version
    place: int  # in the order of calling
    name: str
    attributes: str  # JSON
    list_id: int
    lane: int
    promised: int | None  # the id of the number that is called back

    @property
    def turn(self) -> tuple[bool, int, int, int]:
        """Where the number comes among those of its lead: first the one that is called back, then the least tried."""
        return self.number_id != self.promised, self.attempts, self.ordinal, self.number_id


def facts_of(
    row: LeadRow,
    known: Known,
    lead_attempts: int,
    call_id: str,
    leased: bool = True,
    in_call: bool = False,
    just: Mapping[str, Sequence[tuple[datetime, int]]] | None = None,
) -> Facts:
    """A row, and what is on record of its number and customer, as the decision takes it.

    `lead_attempts` are those of :func:`attempts_of`; `in_call` tells whether another call to the customer is not over;
    `just` are calls by party, as (instant, campaign), that are permitted already in this transaction.
    """

    def called(party: str, before: Called) -> Called:
        now = tuple(just.get(party, ())) if just else ()
        return Called(before.recent + now, before.life + len(now)) if now else before

    return Facts(
        call_id=call_id,
        zones=tuple(row.zones.split()),
        attempts=row.attempts,
        number=row.e164,
        region=row.region if row.region and ISO_3166_2.fullmatch(row.region) else "",
        campaign_id=row.campaign_id,
        next_at=row.next_at,
        locked_until=known.locked_until,
        lock=known.lock,
        dnc=known.dnc,
        consents=known.consents,
        called=called(row.e164, known.called),
        customer=called(party_of(row.customer_id), known.customer) if row.customer_id else None,
        customer_attempts=lead_attempts,
        leased=leased,
        in_call=in_call,
        callback=row.lane == CALLBACKS,
        promised=row.number_id == row.promised,
        open=row.open,
        number_open=not row.done,
    )


def attempts_of(
    connection: Connection, rows: Sequence[LeadRow], terms: Mapping[int, Terms]
) -> Mapping[int, int]:
    """The attempts of the campaign on all numbers of each lead, by lead; a lead's numbers are all among the rows.

    Where a cap counts a customer's calls for good, those on all of the customer's leads. `terms` by version.
    """
    found: dict[int, int] = {}
    for row in rows:
        found[row.lead_id] = found.get(row.lead_id, 0) + row.attempts
    capped = [row for row in rows if row.customer_id and terms[row.change].customer_here.life is not None]
    if capped:
        asked = {
            "customers": list({row.customer_id for row in capped}),
            "campaigns": list({row.campaign_id for row in capped}),
        }
        made = {(each.campaign_id, each.customer_id): each.made for each in connection.execute(MADE, asked)}
        for row in capped:
            found[row.lead_id] = made[row.campaign_id, row.customer_id]
    return found


def of_leads(connection: Connection, leads: Sequence[int]) -> list[LeadRow]:
    """Leads by id, in no order. The transaction must have run :data:`campaigns.prepared.PLANNED`."""
    return [LeadRow._make(row) for row in OF_LEADS.run(connection, array(leads))]


def of_leases(connection: Connection, call_ids: Sequence[str]) -> list[LeadRow]:
    """Leads by their leases, in no order. The transaction must have run :data:`campaigns.prepared.PLANNED`."""
    return [LeadRow._make(row) for row in OF_LEASES.run(connection, array(call_ids))]
