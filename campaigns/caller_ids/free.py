"""Whether customers could be shown a number, without taking one: for whoever leases, and for whoever asks why.

When a call is authorized the same is asked once more, in its turn; here others may be ahead.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, text

from campaigns.caller_ids.choosing import Pools, Used, whose_turn
from campaigns.caller_ids.rotation import OUT, counts
from campaigns.values import Refusal, RefusalReason

USED = text("""
SELECT caller_id AS number, hour_calls, day_calls, run, last_at FROM caller_id_use WHERE caller_id = ANY(:numbers)
""")


class Free:
    """The numbers of a campaign as they are now."""

    def __init__(self, pools: Pools, used: Mapping[str, Used], out: frozenset[str]) -> None:
        self._pools = pools
        self._out = out
        numbers = {*pools.fallback, *(number for pool in pools.pools for number in pool.numbers)}
        self._used = {number: used.get(number) or Used(number) for number in numbers}
        # Else no number ever rests, and nobody needs to be asked about.
        self._some_rest = bool(numbers) and (pools.use.limited or not out.isdisjoint(numbers))
        self._known: dict[object, datetime | None] = {}

    def until(self, region: str, number: str, customer_id: str | None, at: datetime) -> datetime | None:
        """From when on this customer may be shown a number, None: at `at`."""
        if not self._some_rest:
            return None
        candidates = self._pools.for_party(region, number)
        customer = customer_id or number
        key = (at, candidates, customer if self._pools.use.sticky else "")
        if key not in self._known:
            found = whose_turn(self._pools, candidates, customer, self._used, self._out, at)
            self._known[key] = found if isinstance(found, datetime) else None
        return self._known[key]

    def none_is(self, at: datetime) -> bool:
        """Whether there is no number for anyone, so that to ask about each customer is no use."""
        return (
            self._some_rest
            and bool(self._pools.fallback)  # a customer of no pool has no number to wait for without
            and all(
                number in self._out or used.free_at(self._pools.use, at) > at
                for number, used in self._used.items()
            )
        )


def free(connection: Connection, pools: Pools) -> Free:
    """How the numbers of these pools are."""
    numbers = [*pools.fallback, *(number for pool in pools.pools for number in pool.numbers)]
    if not numbers:
        return Free(pools, {}, frozenset())
    used: dict[str, Used] = {}
    if pools.use.limited:
        for row in connection.execute(USED, {"numbers": numbers}):
            used[row.number] = Used(
                row.number, counts(row.hour_calls), counts(row.day_calls), row.run, row.last_at
            )
    return Free(pools, used, frozenset(connection.execute(OUT).scalars()))


def rests(call_id: str, until: datetime) -> Refusal:
    """What is said of a call whose customer can be shown no number before `until`."""
    detail = "each caller-ID for this customer rests or has no calls left"
    return Refusal(call_id, RefusalReason.CALLER_ID, detail, until)
