"""The books: what the tables say of every call and every lead, for comparing with a switch's own log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, text

ATTEMPTS = text("""
SELECT call_id, lead_id, campaign_id, outcome, answered_at, connected_at, ended_at, user_id, harbour_played
FROM attempt WHERE leased_at >= :since
""")
LEASED = text("SELECT count(*) FROM lead WHERE lease IS NOT NULL")
CALLED_AT_ONCE = text("""
SELECT count(*) FROM (
    SELECT a.dialed_at < lag(a.ended_at) OVER (PARTITION BY a.lead_id ORDER BY a.dialed_at) AS early
    FROM attempt a WHERE a.leased_at >= :since
) x WHERE early
""")
OVER_CAP = text("SELECT count(*) FROM number WHERE attempts > :cap")
CALLED_ON_DNC = text("""
SELECT count(*) FROM attempt a JOIN number n ON n.id = a.number_id JOIN dnc d ON d.e164 = n.e164
    AND d.campaign_id IN (0, a.campaign_id)
WHERE a.leased_at >= :since AND a.dialed_at > d.at
""")
LAST_STATES = text("""
SELECT DISTINCT ON (user_id) user_id, state FROM seat_log ORDER BY user_id, id DESC
""")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of the table of attempts."""

    call_id: str
    outcome: str | None
    answered: bool
    connected: bool
    user_id: int | None


class Accounts:
    """Questions for the books of one database, from `since` on. Every method blocks."""

    def __init__(self, engine: Engine, since: datetime) -> None:
        self._engine = engine
        self._since = since

    def attempts(self) -> dict[str, Attempt]:
        """Every attempt, by call id."""
        with self._engine.connect() as connection:
            rows = connection.execute(ATTEMPTS, {"since": self._since}).all()
        return {
            r.call_id.hex: Attempt(
                r.call_id.hex, r.outcome, r.answered_at is not None, r.connected_at is not None, r.user_id
            )
            for r in rows
        }

    def leased(self) -> int:
        """Leads that are still in somebody's hands."""
        return self._count(LEASED)

    def called_at_once(self) -> int:
        """Attempts that began before the lead's last one had ended."""
        return self._count(CALLED_AT_ONCE)

    def called_on_dnc(self) -> int:
        """Attempts on numbers that were on the do-not-call list at that moment."""
        return self._count(CALLED_ON_DNC)

    def over_cap(self, cap: int) -> int:
        """Numbers with more attempts than the cap."""
        with self._engine.connect() as connection:
            return connection.execute(OVER_CAP, {"cap": cap}).scalar_one()

    def seat_states(self) -> dict[int, str]:
        """The last state of every seat in the log."""
        with self._engine.connect() as connection:
            return {r.user_id: r.state for r in connection.execute(LAST_STATES)}

    def _count(self, query) -> int:  # type: ignore[no-untyped-def]
        with self._engine.connect() as connection:
            return connection.execute(query, {"since": self._since}).scalar_one()
