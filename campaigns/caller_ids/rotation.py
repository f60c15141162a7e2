"""The use of numbers over all engines: known as calls are authorized, and written with their attempts.

What a campaign limits is written in the transaction that records the attempt, and engines take turns: no cap is passed
by two of them at once, or by a restart. An engine knows what it wrote itself, and reads only what others wrote since.
Without limits turns are kept in memory, and the database is not asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from campaigns.caller_ids.choosing import EVER, Pools, Used, choose

ROTATION_LOCK = 0x7A646372  # an advisory lock: "zdcr"
# What other engines have written since we looked, once it is our turn: two statements, so that the second one sees what
# the lock waited for. `change` grows under the lock; the scan is of some hundred rows.
NEWER = text("""
SELECT pg_advisory_xact_lock(:key);
SELECT caller_id AS number, hour_calls, day_calls, run, last_at, change FROM caller_id_use
WHERE change > :seen AND (owner <> :owner OR :seen = 0)
""")
KEEP = text("""
INSERT INTO caller_id_use (caller_id, hour_calls, day_calls, run, last_at, owner, change)
SELECT *, :owner, nextval('caller_id_change') FROM unnest(CAST(:numbers AS text[]), CAST(:hours AS jsonb[]),
    CAST(:days AS jsonb[]), CAST(:runs AS int[]), CAST(:lasts AS timestamptz[]))
ON CONFLICT (caller_id) DO UPDATE SET hour_calls = excluded.hour_calls, day_calls = excluded.day_calls,
    run = excluded.run, last_at = excluded.last_at, owner = excluded.owner, change = excluded.change
""")
OUT = text("SELECT caller_id FROM caller_id_watch WHERE out_at IS NOT NULL")
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

    owner: str
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
            "owner": self.owner,
        }
        connection.execute(KEEP, values)


class Rotation:
    """The turns of one engine named `owner`. Used by one thread."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._free: dict[str, Used] = {}  # of campaigns without limits
        self._limited: dict[str, Used] = {}
        self._seen = 0  # the last change of another engine that is in `_limited`; 0: all is read anew
        self._settled = True
        self._out: frozenset[str] = frozenset()
        self._looked = EVER

    def hold(self, connection: Connection, parties: Iterable[Party], now: datetime) -> Turn:
        """The turn of calls to these parties. Where one of them is limited, other engines' turns wait for its end."""
        if not self._settled:
            self._limited, self._seen = {}, 0
        self._settled = False
        limited: set[str] = set()
        others: set[str] = set()
        for party in parties:
            into = limited if party.pools.use.limited else others
            for numbers in party.candidates:
                into.update(numbers)
        if not limited and not others:
            return Turn(self._owner, {}, self._out)
        if abs(now - self._looked) >= LOOK:
            self._out = frozenset(connection.execute(OUT).scalars())
            self._looked = now
        if limited:
            self._catch_up(connection)
        used = {number: self._free.setdefault(number, Used(number)) for number in others}
        used |= {number: self._limited.setdefault(number, Used(number)) for number in limited}
        return Turn(self._owner, used, self._out)

    def settled(self) -> None:
        """The transaction of the last turn is committed; without this what was counted in it is read anew."""
        self._settled = True

    def _catch_up(self, connection: Connection) -> None:
        values = {"key": ROTATION_LOCK, "seen": self._seen, "owner": self._owner}
        for row in connection.execute(NEWER, values):
            self._limited[row.number] = Used(
                row.number, counts(row.hour_calls), counts(row.day_calls), row.run, row.last_at
            )
            self._seen = max(self._seen, row.change)


def counts(stored: Mapping[str, int]) -> dict[int, int]:
    """Calls by bucket, as they are stored."""
    return {int(bucket): calls for bucket, calls in stored.items()}
