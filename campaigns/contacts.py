"""What is shown to an agent beside a customer: their numbers and earlier contacts; and of the agent's own day."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, text

from campaigns.callbacks import CALLED_AT
from campaigns.ids import as_uuid, leased_at

MOST = 20  # contacts, or callbacks
OPEN_STATES = ("ready", "preview", "connecting", "talking", "asked", "wrap_up", "paused")

NUMBERS = text("""
SELECT e164, kind, done FROM number WHERE lead_id = :lead ORDER BY ordinal, id
""")
# The customer is the lead, and the leads of other lists that have the same customer id.
CONTACTS = text("""
SELECT a.call_id, a.dialed_at, a.outcome, a.talk_s, a.notes, COALESCE(a.e164, n.e164) AS number,
    c.name AS campaign, u.name AS agent
FROM (
    SELECT l.id FROM lead l WHERE l.id = :lead
    UNION SELECT o.id FROM lead l JOIN lead o ON o.customer_id = l.customer_id WHERE l.id = :lead
) l JOIN attempt a ON a.lead_id = l.id JOIN campaign c ON c.id = a.campaign_id
LEFT JOIN number n ON n.id = a.number_id LEFT JOIN app_user u ON u.id = a.user_id
WHERE a.ended_at IS NOT NULL AND a.call_id <> CAST(:call AS uuid)
    AND (CAST(:campaigns AS text[]) IS NULL OR c.name = ANY(:campaigns))
ORDER BY a.dialed_at DESC LIMIT :most
""")
VERDICTS = text("""
SELECT v.call_id, d.code, d.notes FROM unnest(CAST(:calls AS uuid[]), CAST(:times AS timestamptz[])) v (call_id, at)
JOIN disposition d ON d.call_id = v.call_id AND d.leased_at = v.at
""")
# What agents changed of the data of this customer, in whatever list.
EDITS = text("""
SELECT e.at, e.field, e.before, e.after, COALESCE(u.name, '') AS agent FROM (
    SELECT l.id FROM lead l WHERE l.id = :lead
    UNION SELECT o.id FROM lead l JOIN lead o ON o.customer_id = l.customer_id JOIN campaign c ON c.id = o.campaign_id
    WHERE l.id = :lead AND (CAST(:campaigns AS text[]) IS NULL OR c.name = ANY(:campaigns))
) l JOIN lead_edit e ON e.lead_id = l.id LEFT JOIN app_user u ON u.id = e.user_id
ORDER BY e.at DESC, e.id DESC LIMIT :most
""")
# Each line of the seat log lasts until the next one of its user.
DAY = text("""
SELECT state, reason, call_id, at, lead(at) OVER (ORDER BY at, id) AS until FROM seat_log
WHERE user_id = :user AND at >= :since ORDER BY at, id
""")
CALLBACKS = text(f"""
SELECT c.due_at, l.name AS customer, g.name AS campaign, ({CALLED_AT}) AS number
FROM callback c JOIN lead l ON l.id = c.lead_id JOIN campaign g ON g.id = c.campaign_id
WHERE g.name = ANY(:campaigns) AND c.done_at IS NULL AND c.user_id = :user AND c.personal AND c.expires_at > :now
    AND l.open
ORDER BY c.due_at LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class Number:
    """One of a customer's numbers. `done`: it is not called any more."""

    number: str
    kind: str
    done: bool


@dataclass(frozen=True, slots=True)
class Contact:
    """A call to the customer that is over."""

    at: datetime
    campaign: str
    number: str
    outcome: str
    talk_s: float | None
    agent: str
    code: str  # of the disposition, empty when there is none
    notes: str


@dataclass(frozen=True, slots=True)
class Edited:
    """One value that an agent changed: `field` is name, number, or attribute: and its name."""

    at: datetime
    agent: str
    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a customer beside the lead itself."""

    numbers: list[Number]
    contacts: list[Contact]
    edits: list[Edited]


@dataclass(frozen=True, slots=True)
class Due:
    """A callback that waits for its person."""

    at: datetime
    campaign: str
    customer: str
    number: str


@dataclass(frozen=True, slots=True)
class Day:
    """A user's day so far: calls had, seconds by state and by reason of pauses, verdicts, and callbacks to come."""

    calls: int
    seconds: dict[str, float]
    paused: dict[str, float]
    verdicts: dict[str, int]
    callbacks: list[Due]


class Contacts:
    """Reads them. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of_customer(self, lead_id: int, call_id: str, campaigns: Collection[str] | None) -> Known:
        """Numbers and contacts of a lead's customer, but this call; of these campaigns, None: of all."""
        seen = None if campaigns is None else list(campaigns)
        values = {"lead": lead_id, "call": as_uuid(call_id), "campaigns": seen, "most": MOST}
        with self._engine.connect() as connection:
            numbers = connection.execute(NUMBERS, {"lead": lead_id}).all()
            rows = connection.execute(CONTACTS, values).all()
            edits = connection.execute(EDITS, values).all()
            calls = [row.call_id.hex for row in rows]
            times = [leased_at(call) for call in calls]
            verdicts = {
                row.call_id: row for row in connection.execute(VERDICTS, {"calls": calls, "times": times})
            }
        return Known(
            [Number(row.e164, row.kind, row.done) for row in numbers],
            [
                Contact(
                    row.dialed_at,
                    row.campaign,
                    row.number or "",
                    row.outcome or "",
                    row.talk_s,
                    row.agent or "",
                    found.code if (found := verdicts.get(row.call_id)) is not None else "",
                    (found.notes if found is not None else "") or row.notes or "",
                )
                for row in rows
            ],
            [Edited(row.at, row.agent, row.field, row.before, row.after) for row in edits],
        )

    def day(self, user_id: int, since: datetime, now: datetime, campaigns: Collection[str]) -> Day:
        """A user's own day from `since` on."""
        values = {"user": user_id, "now": now, "campaigns": list(campaigns), "most": MOST}
        with self._engine.connect() as connection:
            log = connection.execute(DAY, {"user": user_id, "since": since}).all()
            calls = sorted({row.call_id for row in log if row.state == "talking" and row.call_id})
            times = [leased_at(call) for call in calls]
            verdicts = connection.execute(VERDICTS, {"calls": calls, "times": times}).all()
            due = connection.execute(CALLBACKS, values).all()
        seconds: dict[str, float] = {}
        paused: dict[str, float] = {}
        for row in log:
            if row.state not in OPEN_STATES:
                continue
            spent = ((row.until or now) - row.at).total_seconds()
            seconds[row.state] = seconds.get(row.state, 0.0) + spent
            if row.state == "paused":
                paused[row.reason] = paused.get(row.reason, 0.0) + spent
        codes: dict[str, int] = {}
        for row in verdicts:
            codes[row.code] = codes.get(row.code, 0) + 1
        callbacks = [Due(row.due_at, row.campaign, row.customer, row.number or "") for row in due]
        return Day(len(calls), seconds, paused, codes, callbacks)
