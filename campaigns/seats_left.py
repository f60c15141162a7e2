"""The seats of an engine that died: its log ends with what they did then, though they did it no longer."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Engine, text

from campaigns.ownership import LEASE_S
from campaigns.reports.counting import LONGEST_STATE

# An engine was heard a lease's length before `until`, its last life before `before`. A line that is later than that is
# all that is known. A row that is just written is of a seat that is at work again. What was longer ago than a state is
# counted for (campaigns/reports/counting.py) needs no line, and may be of a month that is in files.
LEFT = text("""
WITH here AS (
    SELECT s.user_id,
        GREATEST(s.at, CASE WHEN s.engine = :name THEN e.before ELSE e.until END - make_interval(secs => :lease)) AS at
    FROM seat_now s JOIN engine e ON e.name = s.engine
    WHERE s.state <> 'offline' AND (
        s.engine = :name AND s.at < :began
        OR s.engine <> :name AND s.engine = ANY(:others) AND e.until < clock_timestamp()
    ) FOR UPDATE OF s SKIP LOCKED
), gone AS (
    UPDATE seat_now s SET state = 'offline' FROM here WHERE s.user_id = here.user_id
    RETURNING here.at, s.user_id, s.session_id
)
INSERT INTO seat_log (at, user_id, session_id, state, reason, call_id)
SELECT at, user_id, session_id, 'offline', 'engine_gone', '' FROM gone
WHERE at > clock_timestamp() - make_interval(days => :days)
""")


def end_seats(engine: Engine, name: str, others: Collection[str] = (), began: datetime | None = None) -> int:
    """Say of the seats that dead engines left that they are offline: of `others`, and of the last life of `name`.

    `began`: when this life did, by the clock that its records have; None where its last life's are told of already.
    Since when they are offline is when their engine was heard last. Whose page comes back is there again by a line of
    its own. Returns how many lines there were to say.
    """
    values = {
        "name": name,
        "began": began,
        "others": list(others),
        "lease": LEASE_S,
        "days": LONGEST_STATE.days,
    }
    with engine.begin() as connection:
        return connection.execute(LEFT, values).rowcount
