"""Leads that were picked: which of them the rules permit, and what becomes of those that they refuse."""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from campaigns.caller_ids.free import Free, rests
from campaigns.reports.counting import HALF_HOUR_OF
from campaigns.rules import facts
from campaigns.rules.alike import Alike
from campaigns.rules.held import HOLD_BACK
from campaigns.rules.known import on_record
from campaigns.values import Permit, Refusal, RefusalReason
from campaigns.versions import KnownTerms

# For reports: appended, so that no engine waits for another's row.
REFUSED = text(f"""
INSERT INTO rollup_refusal (half_hour, campaign_id, reason, calls)
SELECT {HALF_HOUR_OF.format("CAST(:now AS timestamptz)")}, l.campaign_id, r.reason, count(*)
FROM unnest(CAST(:of AS bigint[]), CAST(:reasons AS text[])) AS r (lead, reason) JOIN lead l ON l.id = r.lead
GROUP BY l.campaign_id, r.reason
""")

# When a lead comes again that waits for something other than time.
RELOOK = {
    RefusalReason.CONSENT: timedelta(hours=1),
    RefusalReason.WINDOW: timedelta(hours=1),
    RefusalReason.IN_CALL: timedelta(seconds=30),
}
# What closes a lead, where there is no instant at which it ends.
NEVER = frozenset(
    {
        RefusalReason.DNC,
        RefusalReason.ATTEMPTS,
        RefusalReason.NUMBER_DONE,
        RefusalReason.NO_ZONE,
        RefusalReason.DESTINATION,
        RefusalReason.CAP_LIFE,
    }
)


def judged(
    connection: Connection,
    known: KnownTerms,
    rows: list[facts.LeadRow],
    candidates: list[facts.LeadRow],
    limit: int,
    change: int,
    numbers: Free,
    now: datetime,
) -> tuple[dict[int, facts.LeadRow], list[tuple[int, Refusal]]]:
    """Up to `limit` of the candidates that may be called, by lead, and what else was refused.

    `rows` are all numbers of their leads.
    """
    terms = known.terms(change)
    rules, attempts = Alike(terms, now), facts.attempts_of(connection, rows, {change: terms})
    record = on_record(connection, rows)
    in_call = record.in_call(rows)
    permitted: dict[int, facts.LeadRow] = {}
    refused = []
    for row in candidates:
        if len(permitted) == limit:
            break
        lead = row.lead_id
        if lead in permitted:
            continue
        answer = rules.ask(row, record.of(row), attempts[lead], lead in in_call)
        if isinstance(answer, Permit):
            until = numbers.until(row.region, row.e164, row.customer_id, now)
            if until is None:
                permitted[lead] = row
                continue
            answer = rests("", until)
        refused.append((lead, answer))
    return permitted, refused


def for_good(refusal: Refusal) -> bool:
    """Whether it closes the lead, if it is so for all numbers."""
    return refusal.until is None and refusal.reason in NEVER


def hold_back(
    connection: Connection,
    refused: Sequence[tuple[int, Refusal]],
    now: datetime,
    others: Container[int] = (),
) -> None:
    """Give refused leads back, not before the rules may permit them; those that they never will are closed.

    A lead with several refusals, one for each number, comes again when the first of them may end. A lead of
    `others`, with numbers that were not asked about, comes again at once: the next lease asks about all of them.
    """
    if not refused:
        return
    held: dict[int, tuple[bool, datetime]] = {}  # closed, and until when
    for lead_id, r in refused:
        closed = for_good(r)
        until = r.until or now + RELOOK.get(r.reason, timedelta())
        if lead_id in others:
            closed, until = False, now
        held[lead_id] = min(held.get(lead_id, (closed, until)), (closed, until))
    values = {
        "leads": list(held),
        "untils": [until for _, until in held.values()],
        "opens": [not closed for closed, _ in held.values()],
    }
    connection.execute(HOLD_BACK, values)
    said = {
        "now": now,
        "of": [lead for lead, _ in refused],
        "reasons": [str(r.reason) for _, r in refused],
    }
    connection.execute(REFUSED, said)
