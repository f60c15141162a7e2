"""Intervals for shares, means and their differences. Pure.

- A share: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
- A difference of two shares: R. G. Newcombe, "Interval estimation for the difference between independent proportions",
  Statistics in Medicine 17, 1998, method 10.
- A difference that is looked at again and again while it grows: an asymptotic confidence sequence, I. Waudby-Smith,
  D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas, "Time-uniform central limit theory and asymptotic confidence
  sequences", Annals of Statistics 52, 2024, theorem 2.2. It is wider than Newcombe's, and holds at all looks at once.
"""

from __future__ import annotations

from math import log, sqrt
from typing import NamedTuple

Z = 1.959964  # two-sided 95 % of the normal distribution
ALPHA = 0.05
TUNED_FOR = 5_000  # customers at which the sequence is narrowest; the order of a campaign's list
RHO_2 = (-2 * log(ALPHA) + log(-2 * log(ALPHA)) + 1) / TUNED_FOR  # the paper's appendix B.2


class Interval(NamedTuple):
    """An estimate, and within which bounds it lies with 95 %."""

    estimate: float
    low: float
    high: float


class Sample(NamedTuple):
    """Customers (or calls): how many, the sum of their values, and the sum of the squares of these."""

    count: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    @property
    def variance(self) -> float:
        """Of one value."""
        return max(0.0, self.squares / self.count - self.mean**2) if self.count else 0.0


def share(hits: int, count: int) -> Interval | None:
    """Of `count` cases `hits` did; None without a case."""
    if count <= 0:
        return None
    p, z2 = hits / count, Z * Z
    middle = (p + z2 / (2 * count)) / (1 + z2 / count)
    reach = Z * sqrt(p * (1 - p) / count + z2 / (4 * count * count)) / (1 + z2 / count)
    return Interval(p, max(0.0, middle - reach), min(1.0, middle + reach))


def difference(hits: int, count: int, other_hits: int, other_count: int) -> Interval | None:
    """The first share less the other one; None where one of them has no case."""
    one, other = share(hits, count), share(other_hits, other_count)
    if one is None or other is None:
        return None
    gained = one.estimate - other.estimate
    below = sqrt((one.estimate - one.low) ** 2 + (other.high - other.estimate) ** 2)
    above = sqrt((one.high - one.estimate) ** 2 + (other.estimate - other.low) ** 2)
    return Interval(gained, gained - below, gained + above)


def mean(sample: Sample, times: float = 1.0) -> Interval | None:
    """The mean of many values, `times` so much; None with fewer than two."""
    if sample.count < 2:
        return None
    reach = Z * sqrt(sample.variance / sample.count) * times
    return Interval(sample.mean * times, sample.mean * times - reach, sample.mean * times + reach)


def difference_of_means(one: Sample, other: Sample) -> Interval | None:
    """The first mean less the other one, for many values in each; None with fewer than two in one."""
    if min(one.count, other.count) < 2:
        return None
    gained = one.mean - other.mean
    reach = Z * sqrt(one.variance / one.count + other.variance / other.count)
    return Interval(gained, gained - reach, gained + reach)


def at_any_time(hits: int, count: int, other_hits: int, other_count: int) -> Interval | None:
    """The first share less the other one, good at every look while both grow; None where one of them has no case."""
    if min(count, other_count) <= 0:
        return None
    gained, n = hits / count - other_hits / other_count, count + other_count
    # The two arms are one sequence, each case weighted by how rare its arm is.
    spread_2 = n * (_variance(hits, count) / count + _variance(other_hits, other_count) / other_count)
    reach = reach_at_any_time(n, spread_2)
    return Interval(gained, max(-1.0, gained - reach), min(1.0, gained + reach))


def reach_at_any_time(count: int, variance: float, alpha: float = ALPHA) -> float:
    """How far to both sides the mean of so many values reaches, at every look while they come."""
    widened = count * RHO_2 + 1
    return sqrt(variance * 2 * widened / (count * count * RHO_2) * log(sqrt(widened) / alpha))


def _variance(hits: int, count: int) -> float:
    """Of one case, with a hit and a miss added (A. Agresti and B. Caffo, The American Statistician 54, 2000): the few
    cases of a beginning seem more alike than they are."""
    p = (hits + 1) / (count + 2)
    return p * (1 - p)
