"""A recorded span of a campaign, such as a day: who did what from when to when, and every attempt with its times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, text

# What a seat's states mean for its campaign: `dialer/core/seat.py` names the states, pacing's contract these four.
DOES = {
    "ready": "idle",
    "preview": "talk",
    "connecting": "talk",
    "talking": "talk",
    "wrap_up": "wrap",
    "phone": "away",
    "no_phone": "away",
    "paused": "away",
}
LONGEST_SHIFT = timedelta(days=1)  # a seat that began to do something earlier is not looked for
LONGEST_BUFFER = timedelta(days=1)  # between the lease, whose time finds the partition, and the dial

# The last line of a user holds until the next one, whatever campaign or session that is of. The end of what has none
# is the end that was asked for.
SEATS = text("""
SELECT user_id, session_id, state, reason, call_id, GREATEST(at, :since) AS start, LEAST(until, :until) AS stop FROM (
    SELECT s.*, lead(at, 1, :until) OVER (PARTITION BY user_id ORDER BY at, id) AS until
    FROM seat_log s WHERE at >= :from AND at < :until
) x
WHERE campaign_id = :campaign AND until > :since AND state <> 'offline'
ORDER BY start, id
""")
ATTEMPTS = text("""
SELECT a.call_id, l.list_id, a.dialed_at, a.answered_at, a.connected_at, a.ended_at, a.outcome, a.ring_s, a.wait_s,
    a.talk_s, a.user_id, a.amd, d.code
FROM attempt a LEFT JOIN lead l ON l.id = a.lead_id
LEFT JOIN disposition d ON d.call_id = a.call_id AND d.leased_at = a.leased_at
    AND d.leased_at >= :from AND d.leased_at < :until
WHERE a.campaign_id = :campaign AND a.dialed_at >= :since AND a.dialed_at < :until
    AND a.leased_at >= :from AND a.leased_at < :until
ORDER BY a.dialed_at, a.call_id
""")


@dataclass(frozen=True, slots=True)
class SeatInterval:
    """A seat in one state of its machine, for this campaign, from `start` to `stop`.

    `does` is idle, talk, wrap or away; `call_id` its customer's call, if it had one.
    """

    user_id: int
    session_id: str
    state: str
    reason: str
    call_id: str
    start: datetime
    stop: datetime

    @property
    def does(self) -> str:
        return DOES.get(self.state, "away")


@dataclass(frozen=True, slots=True)
class DialedCall:
    """One attempt. `ring_s` ends with the answer or the call, `wait_s` runs from the answer until a seat had it."""

    call_id: str
    list_id: int | None
    dialed_at: datetime
    answered_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    ring_s: float | None
    wait_s: float | None
    talk_s: float | None
    user_id: int | None
    amd: str | None
    code: str | None  # the agent's disposition


def seat_intervals(
    engine: Engine, campaign_id: int, since: datetime, until: datetime
) -> Sequence[SeatInterval]:
    """What the campaign's seats did between two instants, clipped to them, in the order of their starts.

    A seat that serves several campaigns stands with the one whose customer it has, else with the one whose pacing
    counts on it.
    """
    values = {"campaign": campaign_id, "since": since, "until": until, "from": since - LONGEST_SHIFT}
    with engine.connect() as connection:
        return [SeatInterval(*row) for row in connection.execute(SEATS, values)]


def dialed_calls(engine: Engine, campaign_id: int, since: datetime, until: datetime) -> Sequence[DialedCall]:
    """The campaign's attempts that were dialed between two instants, in order."""
    values = {"campaign": campaign_id, "since": since, "until": until, "from": since - LONGEST_BUFFER}
    with engine.connect() as connection:
        return [DialedCall(row.call_id.hex, *row[1:]) for row in connection.execute(ATTEMPTS, values)]
