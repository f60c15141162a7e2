"""Intervals for shares, means and their differences. Pure.

- A share: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
- A difference of two shares: R. G. Newcombe, "Interval estimation for the difference between independent proportions",
  Statistics in Medicine 17, 1998, method 10.
- A share in several strata: Wilson's of the number of cases that would tell as much in one, as for complex surveys:
  C. Franco, R. J. A. Little, T. A. Louis and E. V. Slud, "Comparative study of confidence intervals for proportions in
  complex sample surveys", Journal of Survey Statistics and Methodology 7, 2019. Their difference is Newcombe's.
- A difference that is looked at again and again while it grows: an asymptotic confidence sequence, I. Waudby-Smith,
  D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas, "Time-uniform central limit theory and asymptotic confidence
  sequences", Annals of Statistics 52, 2024, theorem 2.2; of several strata
  theorem 2.5, for cases that are not all alike. It is wider than Newcombe's, and holds at all looks at once.
"""

from __future__ import annotations

from collections.abc import Sequence
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


# Of a stratum, hits and cases of one arm and of the other. The differences of several are averaged by their cases.
Shares = tuple[int, int, int, int]


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
        """Of one value; 0 where fewer than two tell of it."""
        return (
            max(0.0, self.squares - self.count * self.mean**2) / (self.count - 1) if self.count > 1 else 0.0
        )


def share(hits: float, count: float) -> Interval | None:
    """Of `count` cases `hits` did; None without a case."""
    if count <= 0:
        return None
    p, z2 = hits / count, Z * Z
    middle = (p + z2 / (2 * count)) / (1 + z2 / count)
    reach = Z * sqrt(p * (1 - p) / count + z2 / (4 * count * count)) / (1 + z2 / count)
    return Interval(p, max(0.0, middle - reach), min(1.0, middle + reach))


def difference(*strata: Shares) -> Interval | None:
    """The first share less the other one; None where one of them has no case."""
    if not _told(strata):
        return None
    weights = _weights([count + other for _, count, _, other in strata])
    one, other = (_share_of(weights, [(each[n], each[n + 1]) for each in strata]) for n in (0, 2))
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


def difference_of_means(*strata: tuple[Sample, Sample]) -> Interval | None:
    """The first mean less the other one, for many values in each; None where there are fewer than two in one."""
    told = [(one, other) for one, other in strata if min(one.count, other.count) >= 2]
    if not told:
        return None
    weights = _weights([one.count + other.count for one, other in told])
    gained = sum(weight * (one.mean - other.mean) for weight, (one, other) in zip(weights, told, strict=True))
    reach = Z * sqrt(sum(_variance_of_means(weights, arm) for arm in zip(*told, strict=True)))
    return Interval(gained, gained - reach, gained + reach)


def at_any_time(*strata: Shares) -> Interval | None:
    """The first share less the other one, good at every look while both grow; None where one of them has no case."""
    if not _told(strata):
        return None
    counts = [one + other for _, one, _, other in strata]
    weights = _weights(counts)
    gained = variance = 0.0
    for sign, n in ((1, 0), (-1, 2)):
        arm = [(each[n], each[n + 1]) for each in strata]
        gained += sign * sum(
            weight * hits / count for weight, (hits, count) in zip(weights, arm, strict=True)
        )
        variance += _variance_of_shares(weights, arm)
    # All are one sequence, each case weighted by how rare its arm is in its stratum.
    reach = reach_at_any_time(sum(counts), sum(counts) * variance)
    return Interval(gained, max(-1.0, gained - reach), min(1.0, gained + reach))


def reach_at_any_time(count: int, variance: float, alpha: float = ALPHA) -> float:
    """How far to both sides the mean of so many values reaches, at every look while they come."""
    widened = count * RHO_2 + 1
    return sqrt(variance * 2 * widened / (count * count * RHO_2) * log(sqrt(widened) / alpha))


def _told(strata: Sequence[Shares]) -> bool:
    return bool(strata) and all(count > 0 and other > 0 for _, count, _, other in strata)


def _weights(counts: Sequence[float]) -> list[float]:
    return [count / sum(counts) for count in counts]


def _share_of(weights: Sequence[float], strata: Sequence[tuple[int, int]]) -> Interval | None:
    """The average of shares, each by its weight."""
    p = within = alike = 0.0
    for weight, (hits, count) in zip(weights, strata, strict=True):
        of_stratum = hits / count
        p += weight * of_stratum
        within += weight**2 * of_stratum * (1 - of_stratum) / count
        alike += weight**2 / count
    # In strata of a few cases less is seen than there is: they vary at least as if all were alike.
    variance = max(within, p * (1 - p) * alike)
    count = p * (1 - p) / variance if variance else 1 / alike
    return share(p * count, count)


def _variance_of_means(weights: Sequence[float], strata: Sequence[Sample]) -> float:
    """Of the average of means, each by its weight."""
    within = sum(weight**2 * each.variance / each.count for weight, each in zip(weights, strata, strict=True))
    alike = sum(weight**2 / each.count for weight, each in zip(weights, strata, strict=True))
    pooled = sum(each.variance * (each.count - 1) for each in strata) / sum(each.count - 1 for each in strata)
    # As with shares: where few were seen they vary at least as if all strata were alike.
    return max(within, pooled * alike)


def _variance_of_shares(weights: Sequence[float], strata: Sequence[tuple[int, int]]) -> float:
    """Of the average of shares, each by its weight: as if all strata had the same one, the average by what each adds to
    the variance. As p (1 - p) is concave, that is no less than what they tell one by one.

    A hit and a miss are added in all (A. Agresti and B. Caffo, The American Statistician 54, 2000): the few cases of a
    beginning seem more alike than they are.
    """
    adds = [weight**2 / count for weight, (_, count) in zip(weights, strata, strict=True)]
    parts = _weights(adds)
    cases = 1 / sum(part**2 / count for part, (_, count) in zip(parts, strata, strict=True))
    seen = sum(part * hits / count for part, (hits, count) in zip(parts, strata, strict=True))
    p = (seen * cases + 1) / (cases + 2)
    return p * (1 - p) * sum(adds)
