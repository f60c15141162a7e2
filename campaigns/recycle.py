"""What a result means for the number and the lead: when it may be tried again, or that it is done. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from campaigns.config import CampaignConfig
from campaigns.rules import calendar
from campaigns.rules.keys import NO_MORE_SAID, Recycle
from campaigns.values import Outcome

SOON_S = 60.0  # as long as a cancelled call's delay by default
# Parts of the day begin at these hours of the customer's clock: morning, afternoon, evening.
PARTS = (time(0), time(12), time(18))
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class After:
    """`retry_at` None: not again by itself. `locked_until` bars the number. `final` takes the lead out.

    `other_at` is when another number of the customer may be tried that was tried less often, None: as this one.
    `number_done` ends this number, and with the last of its numbers the lead; so does the `most`-th such result.
    """

    retry_at: datetime | None = None
    locked_until: datetime | None = None
    final: bool = False
    other_at: datetime | None = None
    number_done: bool = False
    most: int | None = None


def after_no_call(config: CampaignConfig, at: datetime) -> After:
    """Decide what follows a call that no switch took: nobody was rung, the lead is as before and comes again soon."""
    return After(retry_at=at + timedelta(seconds=config.rules.retry_s.get(Outcome.CANCELLED.value, SOON_S)))


def after_own_call(config: CampaignConfig, outcome: Outcome, at: datetime) -> After:
    """Decide what follows a customer's own call: what the campaign would do next stays as it was.

    Who was connected is called no sooner than the agent can have said what came of it.
    """
    if outcome is not Outcome.CONNECTED:
        return After()
    return After(retry_at=at + timedelta(seconds=config.wrap_up_s * (1 + config.wrap_up_extensions)))


def after_outcome(
    config: CampaignConfig, outcome: Outcome, attempts: int, at: datetime, zones: Sequence[str] = ()
) -> After:
    """Decide what follows an attempt, the `attempts`-th on this number, that ended at `at`.

    A connected call is the agent's to judge: it is final unless the disposition says otherwise. A number that does
    not exist is done; the customer's others are not. An abandoned one is locked out, whatever its retry delay, and so
    long the customer is not called at another number either. `zones` are the customer's.
    """
    rules = config.rules
    if outcome is Outcome.CONNECTED:
        return After(final=True)
    if outcome is Outcome.INVALID:
        return After(other_at=at, number_done=True)
    recycle = rules.recycle.get(outcome.value, NO_MORE_SAID)
    locked = at + timedelta(seconds=rules.lock_out_s) if outcome is Outcome.ABANDONED else None
    delay = rules.retry_s.get(outcome.value)
    retry, other = again(recycle, 0.0 if delay is None else delay, at, zones)
    if locked is not None:
        retry, other = max(retry, locked), max(other, locked)
    done = delay is None or attempts >= rules.attempts
    return After(
        retry_at=None if done else retry,
        locked_until=locked,
        other_at=other,
        number_done=done,
        most=recycle.most,
    )


def again(recycle: Recycle, delay_s: float, at: datetime, zones: Sequence[str]) -> tuple[datetime, datetime]:
    """When a number may be tried again after a result at `at`, and when another one of the customer's."""
    retry = at + timedelta(seconds=delay_s)
    other = retry if recycle.other_number_s is None else at + timedelta(seconds=recycle.other_number_s)
    if recycle.other_day_part and zones and calendar.known_zone(zones[0]):
        retry = other_part(at, retry, zones[0])
    return retry, other


def other_part(at: datetime, retry: datetime, zone: str) -> datetime:
    """`retry`, or the next part of the day when it is in the same part of a day as `at`, in the zone."""
    here = calendar.zone(zone)
    local = retry.astimezone(here)
    if _part(local) != _part(at.astimezone(here)):
        return retry
    following = _part(local) + 1
    day = local.date() + (DAY if following == len(PARTS) else timedelta())
    begins = datetime.combine(day, PARTS[following % len(PARTS)], here).astimezone(retry.tzinfo)
    if begins >= retry:
        return begins
    # The clock was put back over this hour: it comes a second time.
    return datetime.combine(day, PARTS[following % len(PARTS)].replace(fold=1), here).astimezone(retry.tzinfo)


def _part(local: datetime) -> int:
    return sum(local.time() >= begins for begins in PARTS) - 1
