"""Which number a customer is shown: the pool of their region, and in it the one whose turn it is. Pure.

Turns go to the number that was used least recently, so use is even from any moment on, also beside a number that was
added later. A customer's own number (`sticky`) is the first by rendezvous hashing (Thaler and Ravishankar, "Using
name-based mappings to increase hit rates", IEEE/ACM Trans. Networking 6(1), 1998): nothing is stored, and a pool that
grows or shrinks by one number of n gives another number to one customer of n.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from campaigns.caller_ids.keys import Pool, Use
from campaigns.config import CampaignConfig

# Calls are counted in buckets: an hour is the bucket of now and the twelve before it, so a cap holds within any hour.
BUCKET_S, DAY_BUCKET_S = 300, 3600
IN_HOUR, IN_DAY = 3600 // BUCKET_S, 86_400 // DAY_BUCKET_S
EVER = datetime.min.replace(tzinfo=UTC)
APART = timedelta(microseconds=1)  # calls of one batch, so that turns go on within it


@dataclass(slots=True)
class Used:
    """What a number was used for: calls by bucket of five minutes and of an hour, and the run without a rest."""

    number: str
    hour: dict[int, int] = field(default_factory=dict)
    day: dict[int, int] = field(default_factory=dict)
    run: int = 0
    last: datetime = EVER

    def free_at(self, use: Use, now: datetime) -> datetime:
        """When it may be used, no later than `now` if it may be now."""
        free = now
        if use.per_hour is not None:
            free = max(free, _free_at(self.hour, use.per_hour, IN_HOUR, BUCKET_S, now))
        if use.per_day is not None:
            free = max(free, _free_at(self.day, use.per_day, IN_DAY, DAY_BUCKET_S, now))
        if use.burst is not None and use.rest_s is not None and self.run >= use.burst:
            free = max(free, self.last + timedelta(seconds=use.rest_s))
        return free

    def take(self, use: Use, now: datetime, turn: datetime) -> None:
        """Count a call at `now`; `turn` is later than that of the others, by microseconds within one batch."""
        rested = use.rest_s is not None and now >= self.last + timedelta(seconds=use.rest_s)
        self.run = 1 if rested else self.run + 1
        self.last = turn
        for counts, span, width in ((self.hour, IN_HOUR, BUCKET_S), (self.day, IN_DAY, DAY_BUCKET_S)):
            bucket = int(now.timestamp()) // width
            counts[bucket] = counts.get(bucket, 0) + 1
            for old in [each for each in counts if each < bucket - span]:
                del counts[old]


def _free_at(counts: Mapping[int, int], most: int, span: int, width: int, now: datetime) -> datetime:
    # A bucket that lies after `now` counts as well: a clock that was set back must not forget a call.
    first = int(now.timestamp()) // width - span
    kept = sorted(each for each in counts if each >= first)
    total = sum(counts[each] for each in kept)
    free = now
    for bucket in kept:
        if total < most:
            break
        total -= counts[bucket]
        free = datetime.fromtimestamp((bucket + span + 1) * width, UTC)
    return free


@dataclass(frozen=True, slots=True)
class Pools:
    """A campaign's pools; the last is the fallback. Made once for each version of the campaign."""

    use: Use
    pools: tuple[Pool, ...]
    fallback: tuple[str, ...]
    by_region: Mapping[str, int]
    by_prefix: Mapping[str, int]
    lengths: tuple[int, ...]  # of prefixes, the longest first

    def place_of(self, region: str, number: str) -> int | None:
        """The pool of a customer: that of the region of their address, else of their number; None: the fallback."""
        place = self.by_region.get(region) if region else None
        for length in self.lengths if place is None else ():
            if (place := self.by_prefix.get(number[:length])) is not None:
                break
        return place

    def for_party(self, region: str, number: str) -> tuple[tuple[str, ...], ...]:
        """The numbers that a customer may be shown, the better ones first."""
        place = self.place_of(region, number)
        return (self.fallback,) if place is None else (self.pools[place].numbers, self.fallback)

    def named(self) -> Mapping[str, tuple[str, ...]]:
        """The numbers of each pool by the pool's name: what it is for."""
        found = {", ".join((*pool.regions, *pool.prefixes)): pool.numbers for pool in self.pools}
        return found | {"": self.fallback} if self.fallback else found


def pools_of(config: CampaignConfig) -> Pools:
    """The pools of a checked configuration."""
    pools = config.caller_id_pools
    prefixes = {each: place for place, pool in enumerate(pools) for each in pool.prefixes}
    return Pools(
        use=config.caller_id,
        pools=pools,
        fallback=config.caller_ids,
        by_region={each: place for place, pool in enumerate(pools) for each in pool.regions},
        by_prefix=prefixes,
        lengths=tuple(sorted({len(each) for each in prefixes}, reverse=True)),
    )


def choose(
    pools: Pools,
    candidates: Sequence[Sequence[str]],
    customer: str,
    used: Mapping[str, Used],
    out: Collection[str],
    now: datetime,
) -> str | datetime:
    """The number that a customer is shown, taken and counted; or from when on there will be one.

    Without any number of the campaign's it is empty: the switch chooses.
    """
    found = whose_turn(pools, candidates, customer, used, out, now)
    if found is None:
        return ""
    if isinstance(found, datetime):
        return found
    best, last = found
    best.take(pools.use, now, max(now, last + APART))
    return best.number


def whose_turn(
    pools: Pools,
    candidates: Sequence[Sequence[str]],
    customer: str,
    used: Mapping[str, Used],
    out: Collection[str],
    now: datetime,
) -> tuple[Used, datetime] | datetime | None:
    """The number that a customer would be shown, and when one of its pool was used last; or when there will be one.

    None: the campaign has no number. A pool whose numbers all rest is helped out by the fallback; not where customers
    keep their number: they wait for it, unless it was taken out.
    """
    if not any(candidates):
        return None
    until: datetime | None = None
    for numbers in candidates:
        there = [used[number] for number in numbers if number not in out]
        if pools.use.sticky and there:
            there = [max(there, key=lambda each: _affinity(customer, each.number))]
        best: Used | None = None
        for each in there:
            free = each.free_at(pools.use, now)
            if free > now:
                until = free if until is None else min(until, free)
            elif best is None or (each.last, each.number) < (best.last, best.number):
                best = each
        if best is not None:
            return best, max(each.last for each in there)
        if pools.use.sticky and there:
            break
    # All are taken out: a person puts one back.
    return until if until is not None else now + timedelta(hours=1)


def _affinity(customer: str, number: str) -> bytes:
    return blake2b(f"{customer}\n{number}".encode(), digest_size=8).digest()
