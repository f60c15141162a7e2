"""The events that wait for a company's own systems, in the database: what is due, what was taken, what was given up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, text

from campaigns.audit import write

LAST_ID = 2**63 - 1
MOST_NAMED = 20  # in a line of the audit log
DEAD_LIFE = timedelta(days=30)  # of what was given up; it names customers
LEFT_ALONE = timedelta(days=1)  # what a sender has given up long before, so that nobody sends it any more

ADD = text("""
INSERT INTO webhook_delivery (engine, hook, call_id, kind, body, since, next_at)
SELECT :engine, hook, call_id, kind, body, :at, :at
FROM unnest(CAST(:hooks AS text[]), CAST(:calls AS uuid[]), CAST(:kinds AS text[]), CAST(:bodies AS text[]))
    WITH ORDINALITY AS v (hook, call_id, kind, body, n) ORDER BY n
""")
# Of each call the first one only: the next waits until that is taken or given up.
DUE = text("""
SELECT id, call_id, kind, body, since, tries FROM webhook_delivery d
WHERE engine = :engine AND hook = :hook AND dead_at IS NULL AND next_at <= :now AND NOT EXISTS (
    SELECT FROM webhook_delivery e WHERE e.engine = d.engine AND e.hook = d.hook AND e.call_id = d.call_id
        AND e.dead_at IS NULL AND e.id < d.id)
ORDER BY id LIMIT :limit
""")
TAKEN = text("DELETE FROM webhook_delivery WHERE id = :id")
LATER = text("UPDATE webhook_delivery SET tries = tries + 1, next_at = :next, fault = :fault WHERE id = :id")
GIVEN_UP = text(
    "UPDATE webhook_delivery SET tries = tries + 1, dead_at = :now, fault = :fault WHERE id = :id AND dead_at IS NULL"
)
# The first one of each call, as in DUE: the next one is tried before it is given up as well.
OVERDUE = text("""
UPDATE webhook_delivery d SET dead_at = :now,
    fault = CASE WHEN d.tries = 0 THEN 'its turn did not come' ELSE d.fault END
WHERE engine = :engine AND hook = ANY(:hooks) AND dead_at IS NULL AND since < :before AND NOT EXISTS (
    SELECT FROM webhook_delivery e WHERE e.engine = d.engine AND e.hook = d.hook AND e.call_id = d.call_id
        AND e.dead_at IS NULL AND e.id < d.id)
RETURNING hook
""")
WAITING = text(
    "SELECT hook, count(*) AS waiting FROM webhook_delivery WHERE engine = :engine AND dead_at IS NULL GROUP BY hook"
)
DEAD = text("""
SELECT id, hook, replace(call_id::text, '-', '') AS call_id, kind, since, dead_at, tries, fault
FROM webhook_delivery WHERE dead_at IS NOT NULL ORDER BY id
""")
AGAIN = text("""
UPDATE webhook_delivery SET dead_at = NULL, tries = 0, since = :now, next_at = :now
WHERE dead_at IS NOT NULL AND (CAST(:ids AS bigint[]) IS NULL OR id = ANY(CAST(:ids AS bigint[])))
""")
LEFT = text("""
WITH gone AS (
    UPDATE webhook_delivery SET dead_at = :now, fault = 'no engine sends to this webhook any more'
    WHERE dead_at IS NULL AND since < :before AND NOT (engine = :engine AND hook = ANY(:hooks)) RETURNING id
)
SELECT hook, count(gone.id) AS given_up FROM webhook_delivery LEFT JOIN gone USING (id)
WHERE dead_at IS NULL AND NOT (engine = :engine AND hook = ANY(:hooks)) GROUP BY hook
""")
SWEPT = text("DELETE FROM webhook_delivery WHERE dead_at < :before")


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """An event for a hook; `body` is JSON."""

    hook: str
    call_id: str
    kind: str
    body: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One that is due."""

    delivery_id: int
    call_id: str
    kind: str
    body: str
    since: datetime
    tries: int


@dataclass(frozen=True, slots=True)
class DeadDelivery:
    """One that was given up, and why."""

    delivery_id: int
    hook: str
    call_id: str
    kind: str
    since: datetime
    dead_at: datetime
    tries: int
    fault: str


class WebhookStore:
    """The deliveries of one engine."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def add(self, new: Sequence[NewDelivery], now: datetime) -> None:
        """Keep these, in this order."""
        values = {
            "engine": self._name,
            "hooks": [each.hook for each in new],
            "calls": [each.call_id for each in new],
            "kinds": [each.kind for each in new],
            "bodies": [each.body for each in new],
            "at": now,
        }
        with self._engine.begin() as connection:
            connection.execute(ADD, values)

    def due(self, hook: str, now: datetime, limit: int) -> list[Delivery]:
        """The first ones of their calls that may be sent now."""
        values = {"engine": self._name, "hook": hook, "now": now, "limit": limit}
        with self._engine.connect() as connection:
            return [
                Delivery(r.id, r.call_id.hex, r.kind, r.body, r.since, r.tries)
                for r in connection.execute(DUE, values)
            ]

    def taken(self, delivery_id: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(TAKEN, {"id": delivery_id})

    def later(self, delivery_id: int, next_at: datetime, fault: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(LATER, {"id": delivery_id, "next": next_at, "fault": fault})

    def given_up(self, delivery_id: int, now: datetime, fault: str) -> bool:
        """Keep it apart; False: it was already."""
        with self._engine.begin() as connection:
            values = {"id": delivery_id, "now": now, "fault": fault}
            return connection.execute(GIVEN_UP, values).rowcount == 1

    def overdue(self, hooks: Sequence[str], before: datetime, now: datetime) -> Counter[str]:
        """Give up what is from before, of these hooks; how many of each."""
        values = {"engine": self._name, "hooks": list(hooks), "before": before, "now": now}
        with self._engine.begin() as connection:
            return Counter(connection.execute(OVERDUE, values).scalars())

    def sweep(self, hooks: Sequence[str], now: datetime) -> dict[str, int]:
        """Give up what waits for hooks or engines that are no more, and remove what was given up long ago.

        `hooks` are this engine's. Returns how many were given up of each hook that any wait for: 0 before their time.
        """
        values = {"engine": self._name, "hooks": list(hooks), "now": now, "before": now - LEFT_ALONE}
        with self._engine.begin() as connection:
            connection.execute(SWEPT, {"before": now - DEAD_LIFE})
            return {row.hook: row.given_up for row in connection.execute(LEFT, values)}

    def waiting(self) -> dict[str, int]:
        """How many wait, by hook."""
        with self._engine.connect() as connection:
            return {row.hook: row.waiting for row in connection.execute(WAITING, {"engine": self._name})}


def dead(engine: Engine) -> list[DeadDelivery]:
    """All that were given up, of whichever engine."""
    with engine.connect() as connection:
        return [DeadDelivery(*row) for row in connection.execute(DEAD)]


def send_again(engine: Engine, ids: Sequence[int] | None, now: datetime) -> int:
    """Have these sent again, all without `ids`; returns how many."""
    with engine.begin() as connection:
        count = connection.execute(AGAIN, {"ids": None if ids is None else list(ids), "now": now}).rowcount
        which = "all" if ids is None else ", ".join(map(str, ids[:MOST_NAMED]))
        write(connection, "webhook events sent again", which, after={"sent_again": count})
        return count
