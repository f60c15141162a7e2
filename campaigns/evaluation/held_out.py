"""Customers who were to be reached beside those held out, each where chance parted them: how many, and the gain. Pure.

A stratum is whom one draw parted, at one share. From one to the next the share held out differs, and the season, and
how long there was to buy: all in one heap, that would pass for a gain or a loss. So each stratum is compared by itself,
and the differences are averaged by its customers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from campaigns.evaluation.intervals import Interval, Sample, at_any_time, difference, difference_of_means


class Arm(NamedTuple):
    """Customers, how many of them bought, for how much, and the sum of the squares of what each spent."""

    customers: int = 0
    buyers: int = 0
    revenue: float = 0.0
    squares: float = 0.0


class Gained(NamedTuple):
    """Both arms of what was compared, and what the first one gained: in the share of buyers, and in revenue a customer.

    `looked` is as `buyers`, and good however often one looks. None: there is nothing to compare.
    """

    reached: Arm
    held_out: Arm
    buyers: Interval | None
    looked: Interval | None
    revenue: Interval | None


def compared(strata: Iterable[Mapping[bool, Any]]) -> Gained:
    """What was gained over those held out. Of each stratum a row by whether its customers were, with what :class:`Arm`
    has.

    A stratum that has one arm alone tells of no difference, and is left out where another one has both.
    """
    parted = [(_arm(each.get(False)), _arm(each.get(True))) for each in strata]
    told = [arms for arms in parted if all(arm.customers for arm in arms)] or parted
    shares = [(one.buyers, one.customers, other.buyers, other.customers) for one, other in told]
    spent = [(_spent(one), _spent(other)) for one, other in told]
    return Gained(
        _sum(one for one, _ in told),
        _sum(other for _, other in told),
        difference(*shares),
        at_any_time(*shares),
        difference_of_means(*spent),
    )


def _spent(arm: Arm) -> Sample:
    return Sample(arm.customers, arm.revenue, arm.squares)


def _arm(row: Any) -> Arm:
    return Arm() if row is None else Arm(row.customers, row.buyers, float(row.revenue), float(row.squares))


def _sum(arms: Iterable[Arm]) -> Arm:
    return Arm(*(sum(each) for each in zip(*arms, strict=True)))
