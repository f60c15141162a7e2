"""May this lead be called now? One pure function, asked when a lead is leased and again at the moment of dialing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from campaigns.config import WEEKDAYS, CampaignConfig, Rules
from campaigns.values import Permit, Refusal, RefusalReason

HORIZON_DAYS = 8  # every weekday once, and one more


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a lead and its number at this moment. Instants are aware."""

    call_id: str
    zones: tuple[str, ...]  # IANA; the called party may be in any of them
    attempts: int  # made so far on this number in this campaign
    next_at: datetime | None = None  # not before
    locked_until: datetime | None = None
    on_dnc: bool = False
    leased: bool = True  # the lease is still ours
    open: bool = True  # the campaign has not finished with this lead


def may_call(facts: Facts, config: CampaignConfig, now: datetime) -> Permit | Refusal:
    """Permit or refuse a call at `now` (aware). The first reason found is named; nothing permits by default.

    The window must be open in every zone the number may be in (47 CFR 64.1200(c)(1) and its like speak of the
    called party's local time; a number that fits several zones is called only when all agree).
    """

    def refuse(reason: RefusalReason, detail: str, until: datetime | None = None) -> Refusal:
        return Refusal(facts.call_id, reason, detail, until)

    if not facts.leased:
        return refuse(RefusalReason.LEASE_LOST, "the lease is not ours any more")
    if not config.running or not facts.open:
        return refuse(
            RefusalReason.CAMPAIGN_STOPPED, "the campaign does not run, or has finished with this lead"
        )
    if facts.on_dnc:
        return refuse(RefusalReason.DNC, "the number is on the do-not-call list")
    if facts.attempts >= config.rules.attempts:
        return refuse(
            RefusalReason.ATTEMPTS, f"{facts.attempts} attempts were made, the cap is {config.rules.attempts}"
        )
    if facts.locked_until is not None and facts.locked_until > now:
        return refuse(
            RefusalReason.LOCK_OUT, f"locked out until {facts.locked_until:%F %T}Z", facts.locked_until
        )
    if facts.next_at is not None and facts.next_at > now:
        return refuse(RefusalReason.RETRY_DELAY, f"not before {facts.next_at:%F %T}Z", facts.next_at)
    if not facts.zones:
        return refuse(RefusalReason.NO_ZONE, "the time zone of the called party is not known")
    closed = [zone for zone in facts.zones if not is_open(config.rules, zone, now)]
    if closed:
        opens = next_open(config.rules, facts.zones, now)
        return refuse(RefusalReason.WINDOW, f"outside the calling window in {closed[0]}", opens)
    return Permit(facts.call_id, now)


def is_open(rules: Rules, zone: str, now: datetime) -> bool:
    """Whether the window is open at `now` in `zone`."""
    local = now.astimezone(_zone(zone))
    window = rules.windows.get(WEEKDAYS[local.weekday()])
    return window is not None and window.start <= local.time() < window.end


def next_open(rules: Rules, zones: tuple[str, ...], now: datetime) -> datetime | None:
    """The first instant from `now` on at which all `zones` are open, None when there is none within eight days."""
    starts = {now}
    for name in zones:
        zone = _zone(name)
        today = now.astimezone(zone).date()
        for offset in range(HORIZON_DAYS + 1):
            day = today + timedelta(days=offset)
            window = rules.windows.get(WEEKDAYS[day.weekday()])
            if window is not None:
                starts.add(datetime.combine(day, window.start, zone).astimezone(now.tzinfo))
    for start in sorted(starts):
        if start >= now and all(is_open(rules, name, start) for name in zones):
            return start
    return None


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
