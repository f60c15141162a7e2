"""May this lead be called now? One pure function, asked when a lead is leased and again at the moment of dialing.

Whoever wants to know why, or when, asks the same function: nothing else decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import msgspec

from campaigns.rules import calendar
from campaigns.rules.keys import NO_CAPS, Caps
from campaigns.rules.terms import RegionTerms, Terms
from campaigns.values import Permit, Refusal, RefusalReason

DAY, HOURS_24 = timedelta(days=1), timedelta(hours=24)
DAYS_30 = timedelta(days=30, hours=1)  # thirty calendar days, one of which may have 25 hours
LONGEST_DAY = timedelta(hours=50)  # what lies further back is of another day: none has more than 25 hours
ROUNDS = 1_000  # of asking when: each ends later than the one before


@dataclass(frozen=True, slots=True)
class Barred:
    """An entry of a do-not-call layer that the number falls under. `until` None: for good."""

    layer: str
    pattern: str  # the number, or the prefix it begins with
    source: str = ""
    reason: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent on record, from `given_at` on; `until` is when it ends or was withdrawn, None: it does not end."""

    id: int
    given_at: datetime
    until: datetime | None = None


class Called(msgspec.Struct, frozen=True, gc=False):
    """The calls to a number or a customer: those of the last 30 days as (instant, campaign), and how many ever."""

    recent: tuple[tuple[datetime, int], ...] = ()
    life: int = 0


NEVER_CALLED = Called()


class Facts(msgspec.Struct, frozen=True):
    """What is known of a lead and its number at this moment. Instants are aware."""

    call_id: str
    zones: tuple[str, ...]  # IANA; the called party may be in any of them
    attempts: int  # made so far on this number in this campaign
    number: str = ""  # E.164, with +
    region: str = ""  # ISO 3166-2 of the lead's address, empty when not known
    campaign_id: int = 0
    next_at: datetime | None = None  # not before
    locked_until: datetime | None = None
    lock: str = "abandoned"  # what locked it out: abandoned, refusal
    dnc: tuple[Barred, ...] = ()
    consents: tuple[Consent, ...] = ()
    called: Called = NEVER_CALLED  # the number, by any campaign
    customer: Called | None = (
        None  # the customer, at any number; None: there is no more to know than of the number
    )
    customer_attempts: int | None = None  # made so far in this campaign on any number of the customer
    leased: bool = True  # the lease is still ours
    in_call: bool = False  # another call to any number of the customer is not over
    callback: bool = False  # the lead waits for a callback; `next_at` is when it is anyone's
    promised: bool = False  # and the callback was promised at this number: one call more is owed
    open: bool = True  # the campaign has not finished with this lead
    number_open: bool = True  # nor with this number


def may_call(facts: Facts, terms: Terms, now: datetime) -> Permit | Refusal:
    """Permit or refuse a call at `now` (aware). The first reason found is named; nothing permits by default."""
    return next(refusals(facts, terms, now), None) or Permit(facts.call_id, now)


def refusals(facts: Facts, terms: Terms, now: datetime) -> Iterator[Refusal]:
    """Every reason why a call may not be placed at `now`, the ones that do not pass by themselves first.

    `until` of a refusal is the first instant from which this reason alone does not hold, all else being as it is; None
    when time alone does not end it.
    """

    def refuse(reason: RefusalReason, detail: str, until: datetime | None = None) -> Refusal:
        return Refusal(facts.call_id, reason, detail, until)

    if not facts.leased:
        yield refuse(RefusalReason.LEASE_LOST, "the lease is not ours any more")
    if not terms.running:
        yield refuse(RefusalReason.CAMPAIGN_STOPPED, "the campaign does not run")
    if not facts.open:
        yield refuse(RefusalReason.FINISHED, "the campaign has finished with this lead")
    if not terms.reach(facts.number):
        yield refuse(RefusalReason.DESTINATION, "none of the destinations that the campaign may call")
    for entry in facts.dnc:
        if entry.until is None or entry.until > now:
            yield refuse(RefusalReason.DNC, _barred_spoken(entry), entry.until)
    if facts.attempts >= terms.attempts and not facts.promised:
        yield refuse(
            RefusalReason.ATTEMPTS, f"{facts.attempts} attempts were made, the cap is {terms.attempts}"
        )
    if not facts.number_open:
        yield refuse(RefusalReason.NUMBER_DONE, "the number does not exist, or enough came of it")
    if not facts.zones or not all(calendar.known_zone(zone) for zone in facts.zones):
        yield refuse(RefusalReason.NO_ZONE, "the time zone of the called party is not known")
        return
    if terms.consent and consent_of(facts, now) is None:
        coming = [c.given_at for c in facts.consents if c.given_at > now and c.until != c.given_at]
        yield refuse(
            RefusalReason.CONSENT, "no consent of this number is on record", min(coming, default=None)
        )
    if facts.locked_until is not None and facts.locked_until > now:
        reason = RefusalReason.REFUSED if facts.lock == "refusal" else RefusalReason.LOCK_OUT
        yield refuse(reason, f"locked out until {facts.locked_until:%F %T}Z", facts.locked_until)
    regions = terms.regions_of(facts.region, facts.number)
    yield from _caps_reached(facts, terms, regions, now)
    if facts.in_call:
        yield refuse(RefusalReason.IN_CALL, "another call to this customer is not over")
    if facts.next_at is not None and facts.next_at > now:
        reason = RefusalReason.CALLBACK if facts.callback else RefusalReason.RETRY_DELAY
        yield refuse(reason, f"not before {facts.next_at:%F %T}Z", facts.next_at)
    hours = terms.opening(regions, facts.zones, now)
    if not hours.open:
        where = ", ".join(facts.zones[:3])
        yield refuse(
            RefusalReason.WINDOW,
            f"outside the calling hours in {where}: {hours_spoken(facts, terms, now)}",
            hours.until,
        )


def next_permit(facts: Facts, terms: Terms, now: datetime) -> datetime | None:
    """The first instant from `now` on at which the call would be permitted, all else being as it is; None: never.

    While a reason holds, no call is permitted before the instant at which it ends: so the latest of those is asked
    about next, until nothing holds.
    """
    at = now
    for _ in range(ROUNDS):
        found = list(refusals(facts, terms, at))
        if not found:
            return at
        ends = [refusal.until for refusal in found]
        if any(end is None for end in ends):
            return None
        at = max(end for end in ends if end is not None)
    return None


def hours_spoken(facts: Facts, terms: Terms, now: datetime) -> str:
    """The hours that hold at `now` in words, for each zone that sees another day or other hours."""
    laws = terms.laws(terms.regions_of(facts.region, facts.number))
    texts = {
        " and ".join(dict.fromkeys(law.spoken(now.astimezone(calendar.zone(zone)).date()) for law in laws))
        for zone in facts.zones
    }
    return ", ".join(sorted(texts))


def consent_of(facts: Facts, now: datetime) -> int | None:
    """The id of the consent that holds, the one given last."""
    held = [c for c in facts.consents if c.given_at <= now and (c.until is None or now < c.until)]
    return max(held, key=lambda c: (c.given_at, c.id)).id if held else None


# --- within ---------------------------------------------------------------------------------------------------


def _caps_reached(
    facts: Facts, terms: Terms, regions: Sequence[RegionTerms], now: datetime
) -> Iterator[Refusal]:
    number, mine = facts.called, facts.customer or facts.called
    life = facts.attempts if facts.customer_attempts is None else facts.customer_attempts
    asked = [("this number", terms.number, number)]
    asked += [(f"this number, in {region.code}", region.number, number) for region in regions]
    if terms.number_here != NO_CAPS:
        here = _only(number, facts.campaign_id, facts.attempts)
        asked.append(("this number by this campaign", terms.number_here, here))
    if facts.customer is not None or terms.customer != terms.number:
        asked.append(("this customer", terms.customer, mine))
    if terms.customer_here != NO_CAPS:
        here = _only(mine, facts.campaign_id, life)
        asked.append(("this customer by this campaign", terms.customer_here, here))
    for whom, caps, called in asked:
        if caps != NO_CAPS:
            yield from _cap_reached(facts, whom, caps, called, now)


def _cap_reached(facts: Facts, whom: str, caps: Caps, called: Called, now: datetime) -> Iterator[Refusal]:
    # What lies after `now` counts as well: a clock that was set back must not forget a call.
    calls = [at for at, _ in called.recent]
    calls.sort()
    if caps.life is not None and called.life >= caps.life:
        yield Refusal(
            facts.call_id, RefusalReason.CAP_LIFE, f"{called.life} calls to {whom}, the cap is {caps.life}"
        )
    if caps.day is not None and len(calls) >= caps.day and calls[-caps.day] >= now - LONGEST_DAY:
        free_at = max((_day_free(calls, zone, caps.day, now) for zone in facts.zones), default=now)
        if free_at > now:
            detail = f"{caps.day} calls to {whom} today, which is the cap"
            yield Refusal(facts.call_id, RefusalReason.CAP_DAY, detail, free_at)
    for cap, span, reason, words in (
        (caps.hours_24, HOURS_24, RefusalReason.CAP_24H, "24 hours"),
        (caps.days_30, DAYS_30, RefusalReason.CAP_30D, "30 days"),
    ):
        if cap is None or len(calls) < cap:
            continue
        free_at = calls[-cap] + span
        if free_at > now:
            detail = f"{cap} calls to {whom} within {words}, which is the cap"
            yield Refusal(facts.call_id, reason, detail, free_at)
    if caps.gap_s and calls:
        free_at = calls[-1] + timedelta(seconds=caps.gap_s)
        if free_at > now:
            detail = f"the last call to {whom} was less than {caps.gap_s:.0f} s ago"
            yield Refusal(facts.call_id, RefusalReason.GAP, detail, free_at)


def _day_free(calls: Sequence[datetime], zone: str, cap: int, now: datetime) -> datetime:
    """When a day's cap lets go in a zone: `now`, or the first instant of the day after the call that reached it."""
    here = calendar.zone(zone)
    full = sorted(at.astimezone(here).date() for at in calls)[-cap]
    if full < now.astimezone(here).date():
        return now
    midnight = datetime.combine(full + DAY, time(), here)
    # Midnight may come twice, or not at all when the clock jumps over it.
    starts = [midnight.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
    day = datetime.combine(starts[0].date(), time(), UTC)
    starts += [*calendar.clock_changes(zone, day - DAY), *calendar.clock_changes(zone, day)]
    return min(at for at in starts if at > now and at.astimezone(here).date() > full)


def _only(called: Called, campaign_id: int, life: int) -> Called:
    return Called(tuple(c for c in called.recent if c[1] == campaign_id), life)


def _barred_spoken(entry: Barred) -> str:
    """Such as `national do-not-call list (registry 2026-11), numbers +8610…: complaint`."""
    which = "" if not entry.pattern.endswith("…") else f", numbers {entry.pattern}"
    source = f" ({entry.source})" if entry.source else ""
    reason = f": {entry.reason}" if entry.reason else ""
    return f"on the {entry.layer} do-not-call list{source}{which}{reason}"
