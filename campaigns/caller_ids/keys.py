"""What a campaign's file says of caller-IDs: pools by region, how a number is used, and when no longer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from campaigns.rules.keys import DAY_S, Part

CALLER_ID = re.compile(r"\+?[0-9]{3,20}")
REGION = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")  # ISO 3166-2
PREFIX = re.compile(r"\+[0-9]{1,15}")
MOST_CALLS = 100_000


class Pool(Part, frozen=True):
    """Numbers for the customers of some regions: by the address (ISO 3166-2), else by how their number begins."""

    numbers: tuple[str, ...]
    regions: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


class Use(Part, frozen=True):
    """How a number is used. `per_hour`, `per_day`: the most calls within any hour, any 24 hours.

    After `burst` calls without a pause of `rest_s` it rests for `rest_s`. `sticky`: a customer always sees the same
    number. `take_out`: a number whose answers collapse is no longer used.
    """

    sticky: bool = False
    per_hour: int | None = None
    per_day: int | None = None
    burst: int | None = None
    rest_s: float | None = None
    take_out: bool = False

    @property
    def limited(self) -> bool:
        """Whether there is anything to count."""
        return any(each is not None for each in (self.per_hour, self.per_day, self.burst))


def check_caller_ids(
    fallback: Sequence[str], pools: Sequence[Pool], use: Use, check: Callable[[bool, str, str], None]
) -> None:
    """Tell `check` of what makes no sense."""
    seen: dict[str, str] = {}

    def once(each: str, key: str) -> None:
        check(each not in seen, key, f"{each!r} stands in {seen.get(each)}, too")
        seen[each] = key

    def numbers(given: Sequence[str], at: str) -> None:
        for index, number in enumerate(given):
            key = f"{at}[{index}]"
            check(bool(CALLER_ID.fullmatch(number)), key, f"{number!r} is no telephone number")
            once(number, key)

    numbers(fallback, "caller_ids")
    for index, pool in enumerate(pools):
        at = f"caller_id_pools[{index}]"
        check(bool(pool.numbers), f"{at}.numbers", "must name at least one number")
        numbers(pool.numbers, f"{at}.numbers")
        check(
            bool(pool.regions or pool.prefixes),
            at,
            "needs regions or prefixes; numbers for all are caller_ids",
        )
        for kind, shape, like in (("regions", REGION, "CN-SH"), ("prefixes", PREFIX, "+8621")):
            for place, each in enumerate(getattr(pool, kind)):
                key = f"{at}.{kind}[{place}]"
                check(bool(shape.fullmatch(each)), key, f"{each!r} must look like {like}")
                once(f"{each} of {kind}", key)
    for name in ("per_hour", "per_day", "burst"):
        most = getattr(use, name)
        check(
            most is None or 1 <= most <= MOST_CALLS,
            f"caller_id.{name}",
            f"must be between 1 and {MOST_CALLS}",
        )
    check(
        use.rest_s is None or 1.0 <= use.rest_s <= DAY_S,
        "caller_id.rest_s",
        f"must be between 1 and {DAY_S:.0f} (a day)",
    )
    check((use.burst is None) is (use.rest_s is None), "caller_id.burst", "and rest_s need each other")
