"""What is on record of the numbers and customers that the rules are asked about, read by key in one statement.

Of most of them nothing is: so what there is comes back by key, and not as columns of each lead. A thousand keys go
through an index at once, in its order, which takes a third of the time of a thousand look-ups.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection

from campaigns.prepared import Prepared, array, text_array
from campaigns.rules.decision import NEVER_CALLED, Barred, Called, Consent

LENGTHS = range(3, 17)  # of prefixes: two digits, to all of the longest number
CALLED, LOCKED, BARRED, BARRED_PREFIX, CONSENTED = range(5)
# The cost does not depend on how long the lists or the history are. Of the numbers' beginnings only those are looked
# for that are as long as some prefix is. A call is not over while its lead has it for a lease.
READ = Prepared(
    "on_record",
    "text[], text[], bigint[]",
    f"""
SELECT {CALLED}, party, life::bigint, NULL::timestamptz, NULL::timestamptz, NULL::text[], at, campaigns,
    (SELECT replace(l.lease::text, '-', '') FROM lead l WHERE l.lease = k.last_call)
FROM called k WHERE party = ANY($1 || $2)
UNION ALL
SELECT {LOCKED}, e164, NULL, NULL, until, ARRAY[reason], NULL, NULL, NULL FROM lock_out WHERE e164 = ANY($1)
UNION ALL
SELECT {LOCKED}, e164, NULL, NULL, until, ARRAY['refusal'], NULL, NULL, NULL FROM refusal_lock WHERE e164 = ANY($1)
UNION ALL
SELECT {BARRED}, e164, campaign_id, NULL, expires_at, ARRAY[layer, e164, source, reason], NULL, NULL, NULL
FROM dnc WHERE e164 = ANY($1) AND campaign_id = ANY($3)
UNION ALL
SELECT {BARRED_PREFIX}, prefix, campaign_id, NULL, expires_at, ARRAY[layer, prefix || '…', source, reason], NULL, NULL,
    NULL
FROM dnc_prefix WHERE campaign_id = ANY($3) AND prefix = ANY(ARRAY(
    SELECT DISTINCT left(e164, length) FROM (
        SELECT length FROM generate_series({LENGTHS[0]}, {LENGTHS[-1]}) length
        WHERE EXISTS (SELECT FROM dnc_prefix p WHERE length(p.prefix) = length) OFFSET 0
    ) lengths CROSS JOIN unnest($1) e164
))
UNION ALL
SELECT {CONSENTED}, e164, id, given_at, LEAST(expires_at, withdrawn_at), NULL, NULL, NULL, NULL FROM consent
WHERE e164 = ANY($1)
""",
)


class Party(Protocol):
    """A lead's number, as far as something may be on record of it."""

    @property
    def lead_id(self) -> int: ...

    @property
    def call_id(self) -> str: ...

    @property
    def e164(self) -> str: ...

    @property
    def customer_id(self) -> str | None: ...

    @property
    def campaign_id(self) -> int: ...


class Known(msgspec.Struct, frozen=True, gc=False):
    """What is on record of one number, and of its customer."""

    locked_until: datetime | None = None
    lock: str = ""
    dnc: tuple[Barred, ...] = ()
    consents: tuple[Consent, ...] = ()
    called: Called = NEVER_CALLED
    customer: Called = NEVER_CALLED


NOTHING = Known()


class OnRecord:
    """What was found."""

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self._called: dict[str, Called] = {}
        self._locked: dict[str, tuple[datetime, str]] = {}
        self._barred: dict[str, list[tuple[int, Barred]]] = {}
        self._prefixes: dict[str, list[tuple[int, Barred]]] = {}
        self._consents: dict[str, list[Consent]] = {}
        self._in_call: dict[str, str] = {}
        for kind, key, number, since, until, texts, at, campaigns, call_id in rows:
            if kind == CALLED:
                self._called[key] = Called(tuple(zip(at, campaigns, strict=True)), number)
                if call_id is not None:
                    self._in_call[key] = call_id
            elif kind == LOCKED:
                lock = until, texts[0]
                self._locked[key] = max(self._locked.get(key, lock), lock)
            elif kind == CONSENTED:
                self._consents.setdefault(key, []).append(Consent(number, since, until))
            else:
                into = self._barred if kind == BARRED else self._prefixes
                into.setdefault(key, []).append((number, Barred(*texts, until=until)))
        self._named = self._locked.keys() | self._barred.keys() | self._consents.keys()
        self._lengths = sorted({len(prefix) for prefix in self._prefixes})

    def of(self, party: Party) -> Known:
        """What the rules want to know of this number and its customer, for a call by this campaign."""
        number = party.e164
        customer = party_of(party.customer_id) if party.customer_id else ""
        called = self._called.get(number, NEVER_CALLED)
        of_customer = self._called.get(customer, NEVER_CALLED)
        if number not in self._named and not self._lengths:
            if called is NEVER_CALLED and of_customer is NEVER_CALLED:
                return NOTHING
            return Known(called=called, customer=of_customer)
        barred = [
            entry
            for entries in (
                self._barred.get(number, ()),
                *(self._prefixes.get(number[:length], ()) for length in self._lengths),
            )
            for campaign, entry in entries
            if campaign in (0, party.campaign_id)
        ]
        return Known(
            *self._locked.get(number, (None, "")),
            tuple(barred),
            tuple(self._consents.get(number, ())),
            called,
            of_customer,
        )

    def in_call(self, asked: Iterable[Party]) -> set[int]:
        """Those leads of these to any of whose numbers, or to whose customer, another lead's call is not over.

        All numbers of a lead must be among them.
        """
        found: set[int] = set()
        if self._in_call:
            for each in asked:
                calls = (self._in_call.get(party) for party in parties(each.e164, each.customer_id))
                if any(call_id is not None and call_id != each.call_id for call_id in calls):
                    found.add(each.lead_id)
        return found


def on_record(connection: Connection, asked: Iterable[Party]) -> OnRecord:
    """What there is of these. The transaction must have run :data:`campaigns.prepared.PLANNED`."""
    numbers: set[str] = set()
    customers: set[str] = set()
    campaigns = {0}
    for party in asked:
        numbers.add(party.e164)
        campaigns.add(party.campaign_id)
        if party.customer_id:
            customers.add(party_of(party.customer_id))
    if not numbers:
        return OnRecord(())
    return OnRecord(READ.run(connection, text_array(numbers), text_array(customers), array(campaigns)))


def party_of(customer_id: str) -> str:
    """The key under which the calls to a customer are kept; a number's is the number itself."""
    return f"customer {customer_id}"


def parties(number: str, customer_id: str | None) -> tuple[str, ...]:
    """Whom a call is counted for."""
    return (number, party_of(customer_id)) if customer_id else (number,)
