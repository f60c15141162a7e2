"""The chance that a person answers, by segment and hour of the called party's day, from finished calls. Pure.

Calls are counted in cells: hour, kind of number, weekday, region, list. A cell's chance is estimated on five levels,
each within the one before: the campaign, the hour, the hour for this kind of number, on this weekday, in this region,
for this list. On each level a chance is taken to be beta-distributed around that of the level above, with the strength
that the data show: the method of moments for the beta-binomial (J. C. Kleinman, "Proportions with extraneous variance:
single and independent samples", JASA 68, 1973; empirical Bayes as in Gelman et al., "Bayesian Data Analysis", 3rd ed.,
chapter 5). A cell with few calls is as its parent is; where segments do not differ the strength is large, and so is
the caution. Old calls fade with a half-life of :data:`HALF_LIFE_D` days.

An order is drawn by Thompson sampling (W. R. Thompson, Biometrika 25, 1933): level by level a chance is drawn from
what is known of it, so hours of which little is known are tried as often as they may turn out the best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

HALF_LIFE_D = 30.0  # seasons change how people can be reached; a month of calls is enough for hours
WEAKEST, STRONGEST = 2.0, 2_000.0  # pseudo-calls of a parent: from "tells little" to "the same"
PRIOR_CALLS, PRIOR_RATE = 4.0, 0.25  # of the campaign itself, before its first calls


class Segment(NamedTuple):
    """Whom calls are to, as far as the best time may depend on it."""

    kind: str  # of the number: mobile, home, work, phone
    weekday: int  # 0: Monday, for the called party
    region: str  # ISO 3166-2, or the zone
    list_name: str


@dataclass(frozen=True, slots=True)
class Cell:
    """Finished calls in one segment and hour; they fade, so they are no whole numbers."""

    segment: Segment
    hour: int
    calls: float
    answers: float
    at: datetime | None = None  # faded to this instant

    def faded(self, now: datetime) -> Cell:
        """The cell as it counts at `now`."""
        days = max(0.0, (now - self.at).total_seconds() / 86_400.0) if self.at is not None else 0.0
        share = 0.5 ** (days / HALF_LIFE_D)
        return Cell(self.segment, self.hour, self.calls * share, self.answers * share, now)


Key = tuple[int | str, ...]


def _key(segment: Segment, hour: int, level: int) -> Key:
    return (hour, *segment)[:level]


LEVELS = range(6)  # how many parts of (hour, kind, weekday, region, list) are looked at


class Chances:
    """What cells say. Build once, ask and draw often."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        found = list(cells)
        self.hours: Sequence[int] = sorted({each.hour for each in found if each.calls > 0})
        self._keys: list[list[Key]] = []
        self._parents: list[np.ndarray] = []
        self._calls: list[np.ndarray] = []
        self._answers: list[np.ndarray] = []
        self._strength: list[float] = []
        self._means: list[np.ndarray] = []
        places: dict[Key, int] = {(): 0}
        for level in LEVELS:
            sums: dict[Key, list[float]] = {} if level else {(): [0.0, 0.0]}
            for each in found:
                total = sums.setdefault(_key(each.segment, each.hour, level), [0.0, 0.0])
                total[0] += each.calls
                total[1] += each.answers
            keys = list(sums)
            counts = np.array([sums[key] for key in keys], float).reshape(-1, 2)
            above = np.array([places[key[:-1]] for key in keys], int)
            self._keys.append(keys)
            self._parents.append(above)
            self._calls.append(counts[:, 0])
            self._answers.append(counts[:, 1])
            if level == 0:
                self._strength.append(PRIOR_CALLS)
                means = np.array([PRIOR_RATE])
            else:
                means = self._means[-1][above]
                self._strength.append(_strength(counts[:, 0], counts[:, 1], means))
            self._means.append(self._posterior(level, means))
            places = {key: place for place, key in enumerate(keys)}
        self._places = [{key: place for place, key in enumerate(keys)} for keys in self._keys]

    def _posterior(self, level: int, above: np.ndarray) -> np.ndarray:
        strength = self._strength[level]
        return (self._answers[level] + strength * above) / (self._calls[level] + strength)

    def mean(self, segment: Segment, hour: int) -> float:
        """The estimated chance."""
        return self._read(self._means, segment, hour)

    def draw(self, chance: np.random.Generator) -> Draw:
        """Chances as they may be, by Thompson sampling."""
        drawn: list[np.ndarray] = []
        for level in LEVELS:
            above = np.array([PRIOR_RATE]) if level == 0 else drawn[-1][self._parents[level]]
            strength = self._strength[level]
            alpha = self._answers[level] + strength * above
            beta = self._calls[level] - self._answers[level] + strength * (1 - above)
            drawn.append(chance.beta(np.maximum(alpha, 1e-3), np.maximum(beta, 1e-3)))
        return Draw(self, drawn)

    def _read(self, values: Sequence[np.ndarray], segment: Segment, hour: int) -> float:
        """The value of the deepest level that is known."""
        value = values[0][0]
        for level in LEVELS[1:]:
            place = self._places[level].get(_key(segment, hour, level))
            if place is None:
                break
            value = values[level][place]
        return float(value)


class Draw:
    """One draw of all chances."""

    def __init__(self, chances: Chances, drawn: Sequence[np.ndarray]) -> None:
        self._chances = chances
        self._drawn = drawn

    def gain(self, segment: Segment, hour: int) -> float:
        """How much likelier an answer is in this hour than in an hour of this segment's day taken at random.

        The chance itself would put first whoever answers easily at any time, and leave the others for last: an order
        that looks better for as long as the list is fresh.
        """
        hours = self._chances.hours or [hour]
        usual = sum(self._chances._read(self._drawn, segment, each) for each in hours) / len(hours)
        return self._chances._read(self._drawn, segment, hour) - usual


def _strength(calls: np.ndarray, answers: np.ndarray, means: np.ndarray) -> float:
    """How many calls a parent's chance is worth: 1/rho - 1, rho from the variance beyond the binomial's."""
    inside = (calls > 1) & (means > 0) & (means < 1)
    n, a, m = calls[inside], answers[inside], means[inside]
    pairs = float((n * (n - 1)).sum())
    if pairs <= 0:
        return STRONGEST
    beyond = float(((a - n * m) ** 2 / (m * (1 - m)) - n).sum())
    return STRONGEST if beyond <= 0 else float(np.clip(pairs / beyond - 1, WEAKEST, STRONGEST))


class Arm(NamedTuple):
    """Finished calls to leads that were ordered, or taken at random."""

    calls: float
    answers: float


@dataclass(frozen=True, slots=True)
class Uplift:
    """Answers a call of ordered leads over those of random ones, less 1, with the limits of its 95 % interval.

    The interval is that of a ratio of two proportions by its logarithm (D. Katz et al., "Obtaining confidence intervals
    for the risk ratio in cohort studies", Biometrics 34, 1978).
    """

    uplift: float
    low: float
    high: float


def uplift(ordered: Arm, random: Arm) -> Uplift | None:
    """What the order gained; None while one of the arms has no answer."""
    if not ordered.answers or not random.answers:
        return None
    ratio = (ordered.answers / ordered.calls) / (random.answers / random.calls)
    variance = sum(1 / arm.answers - 1 / arm.calls for arm in (ordered, random))
    spread = float(np.exp(1.959964 * np.sqrt(max(0.0, variance))))
    return Uplift(ratio - 1, ratio / spread - 1, ratio * spread - 1)


def pick(
    leads: Sequence[tuple[int, Segment, int, bool]], chances: Chances, count: int, chance: np.random.Generator
) -> list[int]:
    """Which of these leads (id, segment, hour, at random) come first: `count` of them.

    Those at random and those by order come in the proportion in which they stand here, so both are called at one pace.
    """
    if not leads:
        return []
    draw = chances.draw(chance)
    gains: dict[tuple[Segment, int], float] = {}
    ordered: list[tuple[float, float, int]] = []
    random: list[int] = []
    tie = chance.random(len(leads))
    for (lead, segment, hour, at_random), within in zip(leads, tie, strict=True):
        if at_random:
            random.append(lead)
            continue
        if (segment, hour) not in gains:
            gains[segment, hour] = draw.gain(segment, hour)
        ordered.append((-gains[segment, hour], float(within), lead))
    share = min(1.0, count / len(leads))
    ordered.sort()
    taken = [lead for _, _, lead in ordered[: round(share * len(ordered))]]
    left = count - len(taken)
    return taken + [int(each) for each in chance.permutation(random)[: max(0, left)]]


def by_segment(cells: Iterable[Cell]) -> Mapping[Segment, Mapping[int, Cell]]:
    """The cells of each segment by hour."""
    found: dict[Segment, dict[int, Cell]] = {}
    for each in cells:
        found.setdefault(each.segment, {})[each.hour] = each
    return found
