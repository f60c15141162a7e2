"""The rules asked about many leads at one instant: those that are alike in all that the rules ask have one answer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from campaigns.rules.decision import DAYS_30, Called, may_call
from campaigns.rules.facts import LeadRow, facts_of
from campaigns.rules.known import NOTHING, Known
from campaigns.rules.terms import Terms
from campaigns.values import Permit, Refusal

NEVER_REACHED = 1 << 62  # calls


class Alike:
    """Answers of one campaign at `now`, of leads whose leases are ours.

    A lead that no list, lock or consent names, and whose calls so far reach no cap, differs from others like it in what
    the terms ask about only by zones, region, number's region, attempts and whether it is called back: the first one's
    answer is that of all. Of the others each is asked about.
    """

    def __init__(self, terms: Terms, now: datetime) -> None:
        self._terms = terms
        self._now = now
        self._known: dict[object, Permit | Refusal] = {}
        caps = (
            terms.number,
            terms.customer,
            terms.number_here,
            terms.customer_here,
            *(region.number for region in terms.regions),
        )
        # A party with fewer calls than each of these reaches no cap, whichever cap it is.
        self._calls = _least(
            each for cap in caps for each in (cap.day, cap.hours_24, cap.days_30) if each is not None
        )
        self._life = _least(cap.life for cap in caps if cap.life is not None)
        gap_s = max((cap.gap_s or 0.0 for cap in caps), default=0.0)
        self._counted_from = now - DAYS_30  # no cap looks further back
        self._apart_from = now - timedelta(seconds=gap_s) if gap_s else None

    def ask(self, row: LeadRow, known: Known, lead_attempts: int, in_call: bool) -> Permit | Refusal:
        """May this number be called? The answer's `call_id` is empty."""
        if (
            in_call
            or (row.next_at is not None and row.next_at > self._now)
            or not row.open
            or row.done
            or not self._terms.reach(row.e164)
            or (
                known is not NOTHING
                and (
                    known.dnc
                    or known.consents
                    or known.locked_until is not None
                    or not self._reach_no_cap(known.called)
                    or not self._reach_no_cap(known.customer)
                )
            )
        ):
            about = facts_of(row, known, lead_attempts, "", in_call=in_call)
            return may_call(about, self._terms, self._now)
        regions = self._terms.regions_of(row.region, row.e164) if self._terms.regions else ()
        key = (
            row.zones,
            row.region,
            row.customer_id is None,
            row.attempts,
            row.number_id == row.promised,
            lead_attempts,
            tuple(map(id, regions)),
        )
        found = self._known.get(key)
        if found is None:
            found = may_call(facts_of(row, known, lead_attempts, ""), self._terms, self._now)
            self._known[key] = found
        return found

    def _reach_no_cap(self, called: Called) -> bool:
        if called.life >= self._life:
            return False
        if not called.recent:
            return True
        last = max(called.recent)[0]
        return (len(called.recent) < self._calls or last < self._counted_from) and (
            self._apart_from is None or last <= self._apart_from
        )


def _least(limits: Iterable[int]) -> int:
    return min(limits, default=NEVER_REACHED)
