"""What messages gained: customers whom a step wrote to beside those it held out, by what both bought afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from campaigns.evaluation.held_out import compared
from campaigns.evaluation.intervals import Interval

# Both were permitted at that moment: only chance tells them apart. Who was written to counts whether it arrived or not,
# and both from the instant at which it was due.
HELD_OUT = text("""
SELECT m.step, m.hold_out, m.held_out, count(*) AS customers, count(*) FILTER (WHERE b.orders > 0) AS buyers,
    COALESCE(sum(b.amount), 0) AS revenue, COALESCE(sum(b.amount * b.amount), 0) AS squares
FROM (
    SELECT DISTINCT ON (m.step, l.customer_id) m.step, l.customer_id, m.due_at, m.hold_out,
        m.state = 'not_sent' AS held_out
    FROM message m JOIN lead l ON l.id = m.lead_id
    WHERE m.campaign_id = :campaign AND m.due_at >= :since AND m.due_at < :until AND l.customer_id IS NOT NULL
        AND (m.state IN ('sending', 'sent', 'failed') OR m.state = 'not_sent' AND m.reason = 'held_out')
    ORDER BY m.step, l.customer_id, m.due_at
) m CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE amount >= 0) AS orders, COALESCE(sum(amount), 0) AS amount FROM purchase p
    WHERE p.customer_id = m.customer_id AND p.unit_id = ANY(:units)
        AND p.at >= m.due_at AND p.at < m.due_at + CAST(:days AS interval)
) b GROUP BY m.step, m.hold_out, m.held_out ORDER BY m.step
""")


@dataclass(frozen=True, slots=True)
class StepGain:
    """Customers whom a step wrote to beside those it held out: shares of buyers, and revenue a customer.

    While the step held out another share it is compared by itself, and what was gained is the average by customers.

    `looked` is as `buyers_gained`, and good however often one looks before it is decided.
    """

    step: str
    written: int
    written_buyers: int
    held_out: int
    held_out_buyers: int
    buyers_gained: Interval | None
    looked: Interval | None
    revenue_gained: Interval | None


def gained_by_messages(connection: Connection, values: dict[str, Any]) -> tuple[StepGain, ...]:
    """Each step that held somebody out; `values` are those of :func:`campaigns.evaluation.calls.asked_of`."""
    shares: dict[str, dict[float | None, dict[bool, Any]]] = {}
    for row in connection.execute(HELD_OUT, values):
        shares.setdefault(row.step, {}).setdefault(row.hold_out, {})[row.held_out] = row
    gains = []
    for step, each in shares.items():
        found = compared(each.values())
        written, held_out = found.reached, found.held_out
        if not written.customers or not held_out.customers:
            continue
        gains.append(
            StepGain(
                step, written.customers, written.buyers, held_out.customers, held_out.buyers,
                found.buyers, found.looked, found.revenue,
            )
        )  # fmt: skip
    return tuple(gains)
