"""What agents typed or chose for the call on their screen and have not put on record yet: one draft a user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, text

LIFE = timedelta(days=1)  # a draft that nobody came back to in a working day

# `fields` is JSON in text: what is typed may hold a NUL, which jsonb refuses. A user who is gone has no draft.
KEEP = text("""
INSERT INTO draft (user_id, call_id, at, fields)
SELECT u.id, v.call_id, v.at, v.fields
FROM unnest(CAST(:users AS bigint[]), CAST(:calls AS uuid[]), CAST(:ats AS float8[]), CAST(:fields AS text[]))
    AS v (user_id, call_id, at, fields)
JOIN app_user u ON u.id = v.user_id
ON CONFLICT (user_id) DO UPDATE SET call_id = excluded.call_id, at = excluded.at, fields = excluded.fields
""")
DROP = text("DELETE FROM draft WHERE user_id = ANY(:users)")
OLD = text("DELETE FROM draft WHERE at < :before")
ALL = text("SELECT user_id, replace(call_id::text, '-', '') AS call_id, at, fields FROM draft")


@dataclass(frozen=True, slots=True)
class StoredDraft:
    """`at` is POSIX seconds, `fields` JSON."""

    user_id: int
    call_id: str
    at: float
    fields: str


class DraftStore:
    """The drafts in the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self, now: datetime) -> list[StoredDraft]:
        """Those of the last day; older ones are removed."""
        with self._engine.begin() as connection:
            connection.execute(OLD, {"before": (now - LIFE).timestamp()})
            return [StoredDraft(r.user_id, r.call_id, r.at, r.fields) for r in connection.execute(ALL)]

    def write(self, kept: Sequence[StoredDraft], dropped: Sequence[int]) -> None:
        """Keep these in place of their users' older ones, and drop those of these users."""
        with self._engine.begin() as connection:
            if dropped:
                connection.execute(DROP, {"users": list(dropped)})
            if kept:
                values = {
                    "users": [d.user_id for d in kept],
                    "calls": [d.call_id for d in kept],
                    "ats": [d.at for d in kept],
                    "fields": [d.fields for d in kept],
                }
                connection.execute(KEEP, values)
