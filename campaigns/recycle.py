"""What an outcome means for the number and the lead: when it may be tried again, or that it is done. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from campaigns.config import CampaignConfig
from campaigns.values import Outcome

SOON_S = 60.0  # as long as a cancelled call's delay by default


@dataclass(frozen=True, slots=True)
class After:
    """`retry_at` None: not again by itself. `locked_until` bars the number. `final` takes the lead out."""

    retry_at: datetime | None = None
    locked_until: datetime | None = None
    final: bool = False


def after_no_call(config: CampaignConfig, at: datetime) -> After:
    """Decide what follows a call that no switch took: nobody was rung, the lead is as before and comes again soon."""
    return After(retry_at=at + timedelta(seconds=config.rules.retry_s.get(Outcome.CANCELLED.value, SOON_S)))


def after_outcome(config: CampaignConfig, outcome: Outcome, attempts: int, at: datetime) -> After:
    """Decide what follows an attempt, the `attempts`-th on this number, that ended at `at`.

    A connected call is the agent's to judge: it is final unless the disposition says otherwise. A number that does
    not exist is final. An abandoned one is locked out, whatever its retry delay.
    """
    rules = config.rules
    if outcome in (Outcome.CONNECTED, Outcome.INVALID):
        return After(final=True)
    locked = at + timedelta(seconds=rules.lock_out_s) if outcome is Outcome.ABANDONED else None
    delay = rules.retry_s.get(outcome.value)
    if delay is None or attempts >= rules.attempts:
        return After(locked_until=locked, final=True)
    retry = at + timedelta(seconds=delay)
    return After(retry_at=max(retry, locked) if locked is not None else retry, locked_until=locked)
