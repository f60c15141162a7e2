"""What is put on record of calls that are permitted, in the transaction that permits them: before they are placed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from campaigns.ids import leased_at
from campaigns.rules.basis import Basis, basis_of
from campaigns.rules.decision import DAYS_30, Facts, consent_of
from campaigns.rules.facts import LeadRow
from campaigns.rules.known import parties
from campaigns.rules.terms import Terms

# In one message: the attempts; the counts of their numbers; those of the calls to the number that is called, and to the
# customer. The lead's other numbers are theirs as well, but their calls are not.
RECORD = text("""
INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at, basis_id,
    consent_id, caller_id, arm)
SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:times AS timestamptz[]), CAST(:campaigns AS bigint[]),
    CAST(:leads AS bigint[]), CAST(:numbers AS bigint[]), CAST(:switches AS text[]),
    CAST(:owners AS text[]), CAST(:dialed AS timestamptz[]), CAST(:bases AS bigint[]),
    CAST(:consents AS bigint[]), CAST(:caller_ids AS text[]),
    CAST(:arms AS text[]));
UPDATE number SET attempts = attempts + 1 WHERE id = ANY(CAST(:numbers AS bigint[]));
UPDATE called k SET last_call = c.call_id, life = k.life + c.calls, (at, campaigns) = (
    SELECT COALESCE(array_agg(t ORDER BY o), '{}'), COALESCE(array_agg(g ORDER BY o), '{}') FROM (
        SELECT u.t, u.g, u.o FROM unnest(k.at, k.campaigns) WITH ORDINALITY u (t, g, o) WHERE u.t > :oldest
        UNION ALL SELECT :now, c.campaign, 1000000 WHERE c.calls > 0
    ) kept
) FROM unnest(CAST(:parties AS text[]), CAST(:by AS bigint[]), CAST(:last AS uuid[]), CAST(:calls AS int[]))
    AS c (party, campaign, call_id, calls) WHERE k.party = c.party
""")

REMEMBERED = DAYS_30 + timedelta(days=1)  # how long the calls to a party are kept one by one


@dataclass(frozen=True, slots=True)
class Dialed:
    """A call that is permitted: the lead and its number, what allowed it, and what the customer will see."""

    row: LeadRow
    about: Facts
    terms: Terms
    switch: str
    caller_id: str
    arm: str

    def basis(self, at: datetime) -> Basis:
        """What allowed it, as it is on record for all calls alike."""
        return basis_of(self.about, self.terms, self.row.change, at)


def record(
    connection: Connection,
    calls: Sequence[Dialed],
    owner: str,
    theirs: Mapping[int, set[str]],
    bases: Mapping[Basis, int],
    now: datetime,
) -> None:
    """Record the attempts, and count the calls to each number and customer.

    `theirs` are all numbers of each lead, and its customer; `bases` the ids of :meth:`Dialed.basis`.
    """
    rows = [call.row for call in calls]
    ids = [row.call_id for row in rows]
    called = [(party, row) for row in rows for party in theirs[row.lead_id]]
    values = {
        "ids": ids,
        "times": [leased_at(call_id) for call_id in ids],
        "campaigns": [row.campaign_id for row in rows],
        "leads": [row.lead_id for row in rows],
        "numbers": [row.number_id for row in rows],
        "switches": [call.switch for call in calls],
        "owners": [owner] * len(ids),
        "dialed": [now] * len(ids),
        "bases": [bases[call.basis(now)] for call in calls],
        "consents": [consent_of(call.about, now) for call in calls],
        "caller_ids": [call.caller_id for call in calls],
        "arms": [call.arm or None for call in calls],
        "parties": [party for party, _ in called],
        "by": [row.campaign_id for _, row in called],
        "last": [row.call_id for _, row in called],
        "calls": [int(party in parties(row.e164, row.customer_id)) for party, row in called],
        "now": now,
        "oldest": now - REMEMBERED,
    }
    connection.execute(RECORD, values)
