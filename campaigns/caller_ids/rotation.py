"""The use of numbers over all engines: read and locked as calls are authorized, and written with their attempts.

What a campaign limits is kept in the database, in the transaction that records the attempt: no cap is passed by two
engines at once, or by a restart. Without limits turns are kept in memory, and the database is not asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from campaigns.caller_ids.choosing import EVER, Pools, Used, choose

HOLD = text("""
SELECT number, hour_calls, day_calls, run, last_at FROM caller_id_use
WHERE number = ANY(:numbers) ORDER BY number FOR UPDATE
""")
BEGIN = text("""
INSERT INTO caller_id_use (number) SELECT unnest(CAST(:numbers AS text[])) AS n ORDER BY n ON CONFLICT DO NOTHING
""")
KEEP = text("""
UPDATE caller_id_use u SET hour_calls = k.hour, day_calls = k.day, run = k.run, last_at = k.last
FROM unnest(CAST(:numbers AS text[]), CAST(:hours AS jsonb[]), CAST(:days AS jsonb[]), CAST(:runs AS int[]),
    CAST(:lasts AS timestamptz[])) AS k (number, hour, day, run, last)
WHERE u.number = k.number
""")
OUT = text("SELECT number FROM caller_id_watch WHERE out_at IS NOT NULL")
LOOK = timedelta(seconds=2)  # a number that is taken out, or put back, is so after that


@dataclass(frozen=True, slots=True)
class Party:
    """Whom a call is to, and the pools of the campaign as it is now."""

    pools: Pools
    region: str
    number: str
    customer_id: str | None

    @property
    def candidates(self) -> tuple[tuple[str, ...], ...]:
        return self.pools.for_party(self.region, self.number)


@dataclass(slots=True)
class Turn:
    """The numbers of one transaction's calls. What was taken is kept by :meth:`keep`, in the same transaction."""

    used: Mapping[str, Used]
    out: frozenset[str]
    counted: set[str] = field(default_factory=set)

    def take(self, party: Party, now: datetime) -> str | datetime:
        """As :func:`campaigns.caller_ids.choosing.choose`."""
        customer = party.customer_id or party.number
        found = choose(party.pools, party.candidates, customer, self.used, self.out, now)
        if isinstance(found, str) and found and party.pools.use.limited:
            self.counted.add(found)
        return found

    def keep(self, connection: Connection) -> None:
        """Write what was counted."""
        if not self.counted:
            return
        kept = [self.used[number] for number in sorted(self.counted)]
        values = {
            "numbers": [each.number for each in kept],
            "hours": [json.dumps(each.hour) for each in kept],
            "days": [json.dumps(each.day) for each in kept],
            "runs": [each.run for each in kept],
            "lasts": [each.last for each in kept],
        }
        connection.execute(KEEP, values)


class Rotation:
    """The turns of one engine. Used by one thread."""

    def __init__(self) -> None:
        self._used: dict[str, Used] = {}  # of campaigns without limits
        self._out: frozenset[str] = frozenset()
        self._looked = EVER

    def hold(self, connection: Connection, parties: Iterable[Party], now: datetime) -> Turn:
        """The turn of calls to these parties; locks the numbers that they may be shown, where they are limited."""
        limited: set[str] = set()
        others: set[str] = set()
        for party in parties:
            into = limited if party.pools.use.limited else others
            for numbers in party.candidates:
                into.update(numbers)
        if not limited and not others:
            return Turn({}, self._out)
        if abs(now - self._looked) >= LOOK:
            self._out = frozenset(connection.execute(OUT).scalars())
            self._looked = now
        for number in others - self._used.keys():
            self._used[number] = Used(number)
        return Turn(self._used | _held(connection, sorted(limited)), self._out)


def _held(connection: Connection, numbers: Sequence[str]) -> dict[str, Used]:
    if not numbers:
        return {}
    rows = connection.execute(HOLD, {"numbers": numbers}).all()
    if len(rows) < len(numbers):
        connection.execute(BEGIN, {"numbers": numbers})
        rows = connection.execute(HOLD, {"numbers": numbers}).all()
    return {
        row.number: Used(
            row.number, _counts(row.hour_calls), _counts(row.day_calls), row.run, row.last_at or EVER
        )
        for row in rows
    }


def _counts(stored: Mapping[str, int]) -> dict[int, int]:
    return {int(bucket): calls for bucket, calls in stored.items()}
