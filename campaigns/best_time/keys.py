"""What a campaign's file says of the best time to call."""

from __future__ import annotations

from collections.abc import Callable

from campaigns.rules.keys import Part


class BestTime(Part, frozen=True):
    """`order`: ready leads whose time is now come first. `random_share` of the leads is called at random instead, to
    learn from and to measure against; which those are never changes."""

    order: bool = False
    random_share: float = 0.1


def check_best_time(best_time: BestTime, score: str, check: Callable[[bool, str, str], None]) -> None:
    """Tell `check` of what makes no sense."""
    share = best_time.random_share
    check(0.01 <= share <= 0.9, "best_time.random_share", f"must be between 0.01 and 0.9, is {share}")
    check(
        not (best_time.order and score),
        "best_time.order",
        "and order.score would both say who is called first",
    )
