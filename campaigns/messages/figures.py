"""What came of a campaign's messages, step by step; those given up are sent again because a person says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, text

from campaigns.audit import write
from campaigns.store import CampaignStore, NoSuchCampaign

STEPS = text("""
SELECT step, channel, count(*) FILTER (WHERE state IN ('waiting', 'sending')) AS waiting,
    count(*) FILTER (WHERE state = 'sent') AS sent, count(delivered_at) AS delivered,
    count(*) FILTER (WHERE state = 'failed' OR bounced_at IS NOT NULL) AS failed, count(replied_at) AS replied,
    count(*) FILTER (WHERE state = 'not_sent' AND reason = 'held_out') AS held_out,
    count(*) FILTER (WHERE state = 'not_sent' AND reason <> 'held_out') AS not_sent
FROM message WHERE campaign_id = :campaign GROUP BY step, channel ORDER BY step, channel
""")
# Of what waits without a reason the time has not come, or it is next. The example is what is said most often.
REASONS = text("""
SELECT step, state, CASE WHEN reason <> '' THEN reason WHEN next_at > now() THEN 'not_due' ELSE 'next' END AS why,
    count(*) AS messages, mode() WITHIN GROUP (ORDER BY detail) AS example FROM message
WHERE campaign_id = :campaign AND (reason <> '' OR state = 'waiting') GROUP BY step, state, why
ORDER BY step, messages DESC, why
""")
# They are asked about anew, and have a week again. Where one was to announce a call, that came without.
AGAIN = text("""
UPDATE message SET state = 'waiting', reason = '', detail = '', tries = 0, due_at = :now, next_at = :now
WHERE campaign_id = :campaign AND state = 'failed' AND event <> 'before'
""")


@dataclass(frozen=True, slots=True)
class StepFigures:
    """The messages of one step. `failed` were given up, or the other end said that they did not arrive."""

    step: str
    channel: str
    waiting: int
    sent: int
    delivered: int
    failed: int
    replied: int
    held_out: int
    not_sent: int


@dataclass(frozen=True, slots=True)
class Why:
    """So many messages of a step wait, were not sent or did not arrive, for one reason."""

    step: str
    state: str
    reason: str
    messages: int
    example: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one campaign."""

    steps: Sequence[StepFigures]
    reasons: Sequence[Why]


def figures(engine: Engine, campaign: str) -> Figures:
    """Count a campaign's messages. Raises :class:`campaigns.store.NoSuchCampaign`."""
    values = {"campaign": _id(engine, campaign)}
    with engine.connect() as connection:
        return Figures(
            [StepFigures(*row) for row in connection.execute(STEPS, values)],
            [Why(*row) for row in connection.execute(REASONS, values)],
        )


def send_again(engine: Engine, campaign: str, now: datetime) -> int:
    """Have those that were given up sent again; returns how many. Raises :class:`campaigns.store.NoSuchCampaign`."""
    values = {"campaign": _id(engine, campaign), "now": now}
    with engine.begin() as connection:
        count = connection.execute(AGAIN, values).rowcount
        write(connection, "messages sent again", campaign, after={"sent_again": count})
        return count


def _id(engine: Engine, campaign: str) -> int:
    found = CampaignStore(engine).id_of(campaign)
    if found is None:
        raise NoSuchCampaign(f"there is no campaign {campaign!r}")
    return found
