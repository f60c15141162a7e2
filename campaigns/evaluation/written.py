"""What messages gained: customers whom a step wrote to beside those it held out, by what both bought afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from campaigns.evaluation.intervals import (
    Interval,
    Sample,
    at_any_time,
    difference,
    difference_of_means,
)

# Both were permitted at that moment: only chance tells them apart. Who was written to counts whether it arrived or not,
# and both from the instant at which it was due.
HELD_OUT = text("""
SELECT m.step, m.held_out, count(*) AS customers, count(*) FILTER (WHERE b.orders > 0) AS buyers,
    COALESCE(sum(b.amount), 0) AS revenue, COALESCE(sum(b.amount * b.amount), 0) AS squares
FROM (
    SELECT DISTINCT ON (m.step, l.customer_id) m.step, l.customer_id, m.due_at, m.state = 'not_sent' AS held_out
    FROM message m JOIN lead l ON l.id = m.lead_id
    WHERE m.campaign_id = :campaign AND m.due_at >= :since AND m.due_at < :until AND l.customer_id IS NOT NULL
        AND (m.state IN ('sending', 'sent', 'failed') OR m.state = 'not_sent' AND m.reason = 'held_out')
    ORDER BY m.step, l.customer_id, m.due_at
) m CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE amount >= 0) AS orders, COALESCE(sum(amount), 0) AS amount FROM purchase p
    WHERE p.customer_id = m.customer_id AND p.unit_id = ANY(:units)
        AND p.at >= m.due_at AND p.at < m.due_at + CAST(:days AS interval)
) b GROUP BY m.step, m.held_out ORDER BY m.step
""")


@dataclass(frozen=True, slots=True)
class StepGain:
    """Customers whom a step wrote to beside those it held out: shares of buyers, and revenue a customer.

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
    arms: dict[str, dict[bool, Any]] = {}
    for row in connection.execute(HELD_OUT, values):
        arms.setdefault(row.step, {})[row.held_out] = row
    gains = []
    for step, each in arms.items():
        if True not in each or False not in each:
            continue
        written, held = each[False], each[True]
        buyers = written.buyers, written.customers, held.buyers, held.customers
        spent = [Sample(arm.customers, float(arm.revenue), float(arm.squares)) for arm in (written, held)]
        gains.append(
            StepGain(
                step, written.customers, written.buyers, held.customers, held.buyers,
                difference(*buyers), at_any_time(*buyers), difference_of_means(*spent),
            )
        )  # fmt: skip
    return tuple(gains)
