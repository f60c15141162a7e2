"""What the arms of a trial came to, beside each other: shares with intervals, and differences good at every look. Pure.

An arm whose chance grew as it did well has met other customers than one whose chance shrank: later ones, say. Each
customer therefore counts by how rare their arm was when it was chosen (D. G. Horvitz and D. J. Thompson, JASA 47,
1952), less what all convert on average. These values are one sequence, and its mean is the difference of two arms; the
interval is that of campaigns/evaluation/intervals.py for who looks again and again, and theorem 2.5 of its paper has it
hold for chances that depend on what came before. With several arms beside the first, 5 % is shared among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from campaigns.evaluation.intervals import ALPHA, Interval, reach_at_any_time, share


class Counted(NamedTuple):
    """Customers of an arm who were talked to, of those who came to it with this chance; and who of them converted."""

    arm: str
    chance: float
    customers: int
    converts: int


@dataclass(frozen=True, slots=True)
class ArmResult:
    """What came of an arm. `gained` is what a customer's chance to convert gains over the first arm, at every look;
    of the first one itself there is none. `chance` is that of whoever is new now."""

    arm: str
    chance: float
    customers: int
    converts: int
    rate: Interval | None
    gained: Interval | None


def compare(
    arms: Sequence[str], chances: dict[str, float], counts: Sequence[Counted]
) -> tuple[ArmResult, ...]:
    """The arms in their order, each compared with the first."""
    customers = {arm: sum(each.customers for each in counts if each.arm == arm) for arm in arms}
    converts = {arm: sum(each.converts for each in counts if each.arm == arm) for arm in arms}
    found = []
    for arm in arms:
        gained = None
        if arm != arms[0] and customers[arm] and customers[arms[0]]:
            gained = difference(arm, arms[0], counts, ALPHA / (len(arms) - 1))
        rate = share(converts[arm], customers[arm])
        found.append(ArmResult(arm, chances.get(arm, 0.0), customers[arm], converts[arm], rate, gained))
    return tuple(found)


def difference(arm: str, other: str, counts: Sequence[Counted], alpha: float) -> Interval:
    """What an arm has over another one, good at every look while the customers come."""
    count = sum(each.customers for each in counts)
    usual = sum(each.converts for each in counts) / count
    total = cautious = squares = 0.0
    for each in counts:
        if each.arm not in (arm, other):
            continue
        weight = (1 if each.arm == arm else -1) / each.chance
        total += weight * (each.converts - each.customers * usual)
        # A hit and a miss more, as in intervals.py: the few of a beginning seem more alike than they are.
        of_arm = [(one.customers, one.converts) for one in counts if one.arm == each.arm]
        p = (sum(hits for _, hits in of_arm) + 1) / (sum(n for n, _ in of_arm) + 2)
        cautious += weight * each.customers * (p - usual)
        squares += weight * weight * each.customers * (p * (1 - p) + (p - usual) ** 2)
    gained = total / count
    reach = reach_at_any_time(count, max(0.0, squares / count - (cautious / count) ** 2), alpha)
    return Interval(max(-1.0, min(1.0, gained)), max(-1.0, gained - reach), min(1.0, gained + reach))
