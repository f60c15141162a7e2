"""The books: what the tables say of every call, lead and seat, for comparing with a switch's own log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, text

from campaigns.ids import as_uuid

ATTEMPTS = text("""
SELECT a.call_id, a.lead_id, n.e164, a.outcome, a.dialed_at, a.answered_at, a.connected_at, a.ended_at, a.wait_s,
    a.user_id
FROM attempt a JOIN number n ON n.id = a.number_id WHERE a.leased_at >= :since ORDER BY a.dialed_at, a.call_id
""")
LEASED = text("SELECT count(*) FROM lead WHERE lease IS NOT NULL")
AT_REST = text("""
SELECT NOT EXISTS (SELECT FROM lead WHERE lease IS NOT NULL) AND NOT EXISTS (SELECT FROM attempt WHERE outcome IS NULL)
""")
OUTCOMES = text("""
SELECT c.name, a.outcome, count(*) AS calls FROM attempt a JOIN campaign c ON c.id = a.campaign_id
WHERE a.leased_at >= :since GROUP BY 1, 2
""")
# A finished call that still holds its lead, or one without an outcome that does not.
ASTRAY = text("""
SELECT a.call_id FROM attempt a LEFT JOIN lead l ON l.lease = a.call_id
WHERE a.leased_at >= :since AND a.called_in IS NULL AND (a.outcome IS NULL) <> (l.id IS NOT NULL)
ORDER BY a.call_id
""")
# A lead that is in nobody's hands knows its last call, and while it is open when it may be called again.
FORGOTTEN = text("""
SELECT l.id FROM lead l JOIN LATERAL (
    SELECT a.call_id FROM attempt a WHERE a.lead_id = l.id AND a.called_in IS NULL AND a.outcome IS NOT NULL
    ORDER BY a.ended_at DESC, a.dialed_at DESC LIMIT 1
) a ON true
WHERE l.lease IS NULL AND (l.last_call IS DISTINCT FROM a.call_id OR l.open AND NOT isfinite(l.next_at))
ORDER BY l.id
""")
# What was withdrawn before it was dialed is `cancelled`, as is what was hung up before the answer: only the latter
# counts on the number, and the tables do not tell them apart.
MISCOUNTED = text("""
SELECT n.e164 FROM number n LEFT JOIN LATERAL (
    SELECT count(*) AS most, count(*) FILTER (WHERE outcome IS DISTINCT FROM 'cancelled') AS least
    FROM attempt WHERE number_id = n.id AND called_in IS NULL
) a ON true LEFT JOIN called k ON k.party = n.e164 LEFT JOIN LATERAL (
    SELECT sum(o.attempts) AS calls FROM number o WHERE o.e164 = n.e164
        AND o.campaign_id = ANY(ARRAY(SELECT id FROM campaign))
) o ON true
WHERE n.attempts NOT BETWEEN a.least AND a.most OR COALESCE(k.life, 0) <> o.calls
ORDER BY n.e164
""")
CALLED_AT_ONCE = text("""
SELECT count(*) FROM (
    SELECT a.dialed_at < lag(a.ended_at) OVER (PARTITION BY a.lead_id ORDER BY a.dialed_at) AS early
    FROM attempt a WHERE a.leased_at >= :since
) x WHERE early
""")
# A callback is one call more at the number at which it was promised.
OVER_CAP = text("""
SELECT count(*) FROM number n WHERE n.attempts > :cap AND n.attempts > :cap + (
    SELECT count(*) FROM callback c WHERE c.lead_id = n.lead_id AND c.number_id = n.id
        AND (c.called_at IS NOT NULL OR c.done_at IS NULL))
""")
CALLED_ON_DNC = text("""
SELECT count(*) FROM attempt a JOIN number n ON n.id = a.number_id JOIN dnc d ON d.e164 = n.e164
    AND d.campaign_id IN (0, a.campaign_id)
WHERE a.leased_at >= :since AND a.dialed_at > d.at
""")
LAST_STATES = text("""
SELECT DISTINCT ON (user_id) user_id, state FROM seat_log ORDER BY user_id, id DESC
""")
VERDICTS = text("SELECT call_id, code, notes FROM disposition WHERE call_id = ANY(CAST(:ids AS uuid[]))")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of the table of attempts, with the number (E.164) that was called."""

    call_id: str
    lead_id: int
    number: str
    outcome: str | None
    dialed_at: datetime
    answered_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    wait_s: float | None
    user_id: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an agent said of a call."""

    code: str
    notes: str


class Accounts:
    """Questions for the books of one database, from `since` on. Every method blocks."""

    def __init__(self, engine: Engine, since: datetime) -> None:
        self._engine = engine
        self._since = since

    def attempts(self) -> dict[str, Attempt]:
        """Every attempt, by call id, in the order of dialing."""
        with self._engine.connect() as connection:
            rows = connection.execute(ATTEMPTS, {"since": self._since}).all()
        return {row.call_id.hex: Attempt(row.call_id.hex, *row[1:]) for row in rows}

    def leased(self) -> int:
        """Leads that are still in somebody's hands."""
        return self._count(LEASED)

    def at_rest(self) -> bool:
        """Whether no lead is in anyone's hands, and every call has its outcome."""
        with self._engine.connect() as connection:
            return connection.execute(AT_REST).scalar_one()

    def outcomes(self) -> dict[tuple[str, str | None], int]:
        """How many calls by campaign and outcome, None while they are on."""
        with self._engine.connect() as connection:
            rows = connection.execute(OUTCOMES, {"since": self._since})
            return {(row.name, row.outcome): row.calls for row in rows}

    def astray(self) -> list[str]:
        """Calls without an outcome whose lead is in nobody's hands, and calls that are over and still hold it."""
        with self._engine.connect() as connection:
            return [row.call_id.hex for row in connection.execute(ASTRAY, {"since": self._since})]

    def forgotten(self) -> list[int]:
        """Leads that do not know their last call, or are open after it without a time at which they come again."""
        with self._engine.connect() as connection:
            return [row.id for row in connection.execute(FORGOTTEN)]

    def miscounted(self) -> list[str]:
        """Numbers whose counts of calls are not those of their attempts."""
        with self._engine.connect() as connection:
            return [row.e164 for row in connection.execute(MISCOUNTED)]

    def called_at_once(self) -> int:
        """Attempts that began before the lead's last one had ended."""
        return self._count(CALLED_AT_ONCE)

    def called_on_dnc(self) -> int:
        """Attempts on numbers that were on the do-not-call list at that moment."""
        return self._count(CALLED_ON_DNC)

    def over_cap(self, cap: int) -> int:
        """Numbers with more attempts than the cap and the callbacks that were promised at them."""
        with self._engine.connect() as connection:
            return connection.execute(OVER_CAP, {"cap": cap}).scalar_one()

    def seat_states(self) -> dict[int, str]:
        """The last state of every seat in the log."""
        with self._engine.connect() as connection:
            return {row.user_id: row.state for row in connection.execute(LAST_STATES)}

    def verdicts(self, call_ids: Sequence[str]) -> Mapping[str, Verdict]:
        """What agents said of these calls, as far as they did."""
        with self._engine.connect() as connection:
            rows = connection.execute(VERDICTS, {"ids": [str(as_uuid(each)) for each in call_ids]}).all()
        return {row.call_id.hex: Verdict(row.code, row.notes) for row in rows}

    def _count(self, query) -> int:  # type: ignore[no-untyped-def]
        with self._engine.connect() as connection:
            return connection.execute(query, {"since": self._since}).scalar_one()
