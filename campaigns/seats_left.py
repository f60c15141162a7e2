"""The seats of an engine that died: its log ends with what they did then, though they did it no longer."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Engine, text

from campaigns.ownership import LEASE_S

# An engine was heard a lease's length before `until`, its last life before `before`. A line that is later than that is
# all that is known. Ours are those of our last life.
LEFT = text("""
WITH gone AS (
    UPDATE seat_now s SET state = 'offline' FROM engine e
    WHERE e.name = s.engine AND s.state <> 'offline' AND (
        s.engine = :name AND s.at < :began
        OR s.engine <> :name AND s.engine = ANY(:others) AND e.until < clock_timestamp()
    )
    RETURNING s.user_id, s.session_id,
        GREATEST(s.at, CASE WHEN s.engine = :name THEN e.before ELSE e.until END - make_interval(secs => :lease)) AS at
)
INSERT INTO seat_log (at, user_id, session_id, state, reason, call_id)
SELECT at, user_id, session_id, 'offline', 'engine_gone', '' FROM gone
""")


def end_seats(engine: Engine, name: str, began: datetime, others: Collection[str] = ()) -> int:
    """Say of the seats that the last life of the engine `name` left that they are offline, and of `others` that died.

    `began`: when this life did, by the clock that its records have. Since when they are offline is when their engine
    was heard last. Whose page comes back is there again by a line of its own. Returns how many there were.
    """
    values = {"name": name, "began": began, "others": list(others), "lease": LEASE_S}
    with engine.begin() as connection:
        return connection.execute(LEFT, values).rowcount
