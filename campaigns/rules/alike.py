"""The rules asked about many leads at one instant: those that nothing is known of have one answer."""

from __future__ import annotations

from datetime import datetime

from campaigns.rules.decision import may_call
from campaigns.rules.facts import LeadRow, facts_of
from campaigns.rules.terms import Terms
from campaigns.values import Permit, Refusal


class Alike:
    """Answers of one campaign at `now`, of leads whose leases are ours.

    A lead that was never called, and that no list, lock or consent names, differs from others like it in what
    the terms ask about only by zones, region and number's region: the first one's answer is that of all. Of the others
    each is asked about.
    """

    def __init__(self, terms: Terms, now: datetime) -> None:
        self._terms = terms
        self._now = now
        self._known: dict[object, Permit | Refusal] = {}

    def ask(self, row: LeadRow, lead_attempts: int) -> Permit | Refusal:
        """May this number be called? The answer's `call_id` is empty."""
        if (
            lead_attempts
            or row.life is not None
            or row.customer_life is not None
            or row.dnc is not None
            or row.consents is not None
            or row.locked_until is not None
            or row.next_at > self._now
            or not row.open
            or row.done
        ):
            return may_call(facts_of(row, lead_attempts, "", leased=True), self._terms, self._now)
        regions = self._terms.regions_of(row.region, row.e164) if self._terms.regions else ()
        key = (tuple(row.zones), row.region, row.customer_id is None, tuple([r.code for r in regions]))
        found = self._known.get(key)
        if found is None:
            found = may_call(facts_of(row, 0, "", leased=True), self._terms, self._now)
            self._known[key] = found
        return found
