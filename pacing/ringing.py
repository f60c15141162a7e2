"""When, and whether, a dialed number is answered by a person: learned from how the campaign's own dials ended.

Theory of operation. Dials that ring are competing risks (a person answers, or the dial ends otherwise) followed by
their age since they were dialed, in bins of half a second: hazards of a life table (Kaplan-Meier, cause-specific), so
dials that end early tell nothing about the ages they never reached. The shape of the table is learned slowly. Its
level, the share of people, moves by the hour and by the list, so it has a second, faster estimate: answers seen over
answers the table expected for the same exposure (a standardised ratio). The fast one counts as far as it contradicts
the slow one. Per list there is a ratio of its own, drawn to the whole by its lack of data.

Dials that fail before they ring tell of the trunk, or of numbers that are none, and nothing of people: they are in none
of this, or ten minutes of a trunk that is away would stand in the table for days. How many ring at all is followed
apart, and fast; what is said of a new dial is multiplied by it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacing import lifetable
from pacing.hours import Hours
from pacing.lifetable import Floats

BIN_S = 0.5
BINS = 260  # up to 130 s; older dials are as the oldest
PLACES = np.arange(BINS)
EDGES: Floats = np.arange(BINS + 1, dtype=np.float64) * BIN_S
QUANTILES = 10  # the answer time of a new dial is represented by so many equally likely instants
PARTS = (np.arange(QUANTILES) + 0.5) / QUANTILES

PRIOR_DIALS = 6.0
PRIOR_ANSWERS = 0.3  # share of people before anything is known
PRIOR_RING_S, PRIOR_RING_SHAPE = 10.0, 3  # an Erlang distribution

MEMORY_DIALS = 5_000.0  # of the shape
SLOW_ANSWERS, FAST_ANSWERS = 250.0, 20.0  # of the level
MATURE_DIALS = 200  # from here on the table stands well enough to measure a level against it
LEVEL_PRIOR = 6.0  # expected answers' worth of "as in the table"
LIST_PRIOR = 25.0  # and of "as in the other lists"
LIST_DIALS = 1_000.0  # memory of a list's level
LISTS = 500  # lists remembered
RINGING_DIALS = 100.0  # memory of the share of dials that ring
# No less is believed of a trunk that is away: the first dials on its return would be as many as if hardly one rang.
FEWEST_RING = 0.2
CONTRADICTS, CONVINCED = 2.0, 3.5  # standard deviations between which the fast level takes over

NOTHING: Floats = np.zeros(0)


class AnswerModel:
    """Learns from dials that ended; gives probabilities for those in the air and for a new one."""

    def __init__(self, ring_limit_s: float = 25.0) -> None:
        cdf = _erlang_cdf(EDGES, PRIOR_RING_S / PRIOR_RING_SHAPE, PRIOR_RING_SHAPE)
        cdf = np.where(ring_limit_s < EDGES, cdf[np.searchsorted(EDGES, ring_limit_s)], cdf)
        person = PRIOR_DIALS * PRIOR_ANSWERS * np.diff(cdf)
        other = PRIOR_DIALS * 0.2 * np.diff(cdf)
        last = min(BINS - 1, int(ring_limit_s / BIN_S))
        other[last] += PRIOR_DIALS - person.sum() - other.sum()
        reached = PRIOR_DIALS - np.concatenate(([0.0], np.cumsum(person + other)[:-1]))
        self._person, self._other, self._reached = person, other, np.maximum(reached, 1e-9)
        self._weight = 1.0  # of the next dial; grows instead of everything else shrinking
        self._slow, self._fast = [0.0, 0.0], [0.0, 0.0]  # answers seen, answers expected
        self._hours = Hours()
        self._lists: dict[Hashable, list[float]] = {}
        # Answers the table expected: of ended dials; and of all, when the level was measured last.
        self._ended_exposure = self._measured = 0.0
        self._seen = 0  # answers since then
        self.rings = 1.0  # share of new dials that get as far as ringing
        self.dials = 0
        # A decision asks several things about the same ages: the array last asked about, and its bins.
        self._asked, self._asked_places = NOTHING, NOTHING.astype(np.intp)
        self.refresh()

    # --- learning -------------------------------------------------------------------------------------------------

    def ended(self, age_s: float, person: bool, list_id: Hashable | None = None) -> None:
        """A dial that rang came to its end: a person answered after `age_s` seconds, or it ended otherwise."""
        place = min(BINS - 1, max(0, int(age_s / BIN_S)))
        self.dials += 1
        self.rings += (1.0 - self.rings) / RINGING_DIALS
        self._hours.ended(person)
        self._weight *= 1.0 + 1.0 / MEMORY_DIALS
        self._reached[: place + 1] += self._weight
        (self._person if person else self._other)[place] += self._weight
        self._ended_exposure += float(self._exposure[place])
        self._seen += person
        if list_id is not None and self.dials > MATURE_DIALS:
            self._learn_list(list_id, person, float(self._exposure[place]))

    def failed(self) -> None:
        """A dial failed before it rang."""
        self.rings = max(FEWEST_RING, self.rings - self.rings / RINGING_DIALS)

    def was_no_person(self, age_s: float, list_id: Hashable | None = None) -> None:
        """Take back that a person answered at this age: it was a machine."""
        place = min(BINS - 1, max(0, int(age_s / BIN_S)))
        moved = min(self._weight, float(self._person[place]))
        self._person[place] -= moved
        self._other[place] += moved
        self._seen -= 1
        if list_id in self._lists:
            self._lists[list_id][0] = max(0.0, self._lists[list_id][0] - 1.0)

    def enter_hour(self, hour: int) -> None:
        """It is this hour of the day now: as many more or fewer answer as on the days before."""
        step = self._hours.enter(hour)
        self._slow[0] = max(0.0, (self._slow[0] + LEVEL_PRIOR) * step - LEVEL_PRIOR)
        self._fast[0] *= step

    def advance(self, ages_s: Floats) -> None:
        """Measure the level: answers since the last time against those the table expected of everybody in the air."""
        exposure = self._ended_exposure + self._exposure_of(ages_s)
        expected, self._measured = max(0.0, exposure - self._measured), exposure
        if self.dials >= MATURE_DIALS:
            for level, memory in ((self._slow, SLOW_ANSWERS), (self._fast, FAST_ANSWERS)):
                keep = math.exp(-expected / memory)
                level[0] = max(0.0, level[0] * keep + self._seen)
                level[1] = level[1] * keep + expected
        self._seen = 0

    def refresh(self, ages_s: Floats = NOTHING) -> None:
        """Draw up the tables anew, with the dials in the air as observations that have not ended.

        A tenth of a millisecond; ask for it every few dozen dials.
        """
        if self.dials:
            self.advance(ages_s)
        if self._weight > 1e6:
            scale = 1.0 / self._weight
            self._person, self._other = self._person * scale, self._other * scale
            self._reached = self._reached * scale
            self._weight = 1.0
        in_air = lifetable.reached(self._places(ages_s), BINS)
        reached = np.maximum(self._reached + self._weight * in_air, 1e-12)
        person, other = self._person / reached, self._other / reached
        excess = np.maximum(1.0, person + other)
        person, other = person / excess, other / excess
        alive = np.concatenate(([1.0], np.cumprod(np.maximum(1.0 - person - other, 0.0))))
        answered = np.concatenate(([0.0], np.cumsum(alive[:-1] * person)))
        # Answers the table expects of a dial that ended in a bin; of one that is in the air in it, a part of the last.
        self._hazard: Floats = person
        self._exposure: Floats = np.cumsum(person)
        self._ended_exposure, self._measured = 0.0, self._exposure_of(ages_s)
        self._share = float(answered[-1])  # of dials that ring, answered by a person, as in the table
        # Each bin's answers are a Poisson number. What no dial has been through yet is known from the prior alone: the
        # first dials of a day are all young, and what they did so far says little of how many will answer.
        variance = float(alive[:-1] ** 2 @ (self._person * self._weight / reached**2))
        self._table_deviation = min(1.0, math.sqrt(variance) / max(self._share, 1e-9))
        rises = np.concatenate(([True], answered[1:] > answered[:-1]))
        self.times: Floats = (
            np.interp(PARTS * self._share, answered[rises], EDGES[rises])
            if self._share > 1e-9
            else np.zeros(QUANTILES)
        )
        """When a new dial is answered, if it is: equally likely instants, seconds from now."""
        self._later = np.concatenate((answered, np.full(BINS, answered[-1])))
        self._left = left = np.where(
            alive[:-1] > 1e-9, alive[:-1], np.inf
        )  # where nobody is left nobody answers
        # bin of age x instant: answered until then
        self._by_age: Floats = self._by(PLACES, self.times)
        self._new = PARTS * self._share
        self._ever: Floats = np.minimum((answered[-1] - answered[:-1]) / left, 1.0)

    # --- asking ---------------------------------------------------------------------------------------------------

    @property
    def share(self) -> float:
        """Of new dials, answered by a person, as in the table and as many as ring now."""
        return self.rings * self._share

    def level(self) -> tuple[float, float]:
        """How many times as many people answer now as the table says, and the standard deviation of that estimate."""
        seen, expected = self._slow
        slow = (seen + LEVEL_PRIOR) / (expected + LEVEL_PRIOR)
        deviation = math.sqrt(seen + LEVEL_PRIOR) / (expected + LEVEL_PRIOR)
        seen, expected = self._fast
        if expected > 0.0:
            off = abs(seen - slow * expected) / math.sqrt(slow * expected + 1.0)
            share = min(1.0, max(0.0, (off - CONTRADICTS) / (CONVINCED - CONTRADICTS)))
            fast = (seen + 2.0 * slow) / (expected + 2.0)
            slow = (1.0 - share) * slow + share * fast
            deviation = (1.0 - share) * deviation + share * math.sqrt(seen + 2.0) / (expected + 2.0)
        return slow, math.hypot(
            deviation if self.dials >= MATURE_DIALS else 0.0, slow * self._table_deviation
        )

    def list_level(self, list_id: Hashable | None) -> float:
        """The same for a list, relative to all."""
        found = self._lists.get(list_id)
        return 1.0 if found is None else (found[0] + LIST_PRIOR) / (found[1] + LIST_PRIOR)

    def answers(self, ages_s: Floats, factors: Floats, levels: Floats) -> Floats:
        """P(a dial of this age has been answered by a person) at each of `times` from now, at each level.

        `factors` (dials,) are those of the dials' lists. Shape (dials, levels times instants), level by level.
        """
        rows = self._by_age.take(self._places(ages_s), axis=0)
        scales = (factors[:, None] * levels)[:, :, None]
        found = (rows[:, None, :] * scales).reshape(len(rows), rows.shape[1] * len(levels))
        return np.minimum(found, 1.0, out=found)

    def expected(self, ages_s: Floats, levels: Floats | float, times_s: Floats) -> Floats:
        """How many of these dials are answered by a person until each of `times_s` from now, on average. (times,)."""
        return np.broadcast_to(levels, ages_s.shape) @ self._by(self._places(ages_s), times_s)

    def ever(self, ages_s: Floats, levels: Floats | float) -> Floats:
        """P(a dial of this age is answered by a person at all). Shape (dials,)."""
        return np.minimum(self._ever.take(self._places(ages_s)) * levels, 1.0)

    def new(self, levels: Floats) -> Floats:
        """P(a new dial has been answered by a person) at each of `times`, at each level. Shape (levels * times,)."""
        return np.minimum(np.outer(self.rings * levels, self._new).ravel(), 1.0)

    # --- keeping --------------------------------------------------------------------------------------------------

    def learned(self) -> dict[str, Any]:
        """What was learned, as plain numbers. Lists are left out: their ids are the caller's."""
        scale = 1.0 / self._weight
        return {
            "person": [round(float(v) * scale, 4) for v in self._person],
            "other": [round(float(v) * scale, 4) for v in self._other],
            "reached": [round(float(v) * scale, 4) for v in self._reached],
            "slow": list(self._slow),
            "hours": self._hours.learned(),
            "dials": self.dials,
        }

    def restore(self, learned: Mapping[str, Any]) -> None:
        """Take what :meth:`learned` gave. Raises ValueError, and stays as it was, for anything else."""
        person, other, reached = lifetable.read(learned, ("person", "other", "reached"), BINS)
        slow = [float(v) for v in learned["slow"]]
        if len(slow) != 2 or not all(math.isfinite(v) and v >= 0 for v in slow):
            raise ValueError("the level of answers is not what was saved")
        hours = Hours()
        hours.restore(learned["hours"])
        self._hours = hours
        self._person, self._other, self._reached = person, other, np.maximum(reached, 1e-9)
        self._weight, self._slow, self.dials = 1.0, slow, int(learned["dials"])
        self.refresh()

    # --- within ---------------------------------------------------------------------------------------------------

    def _places(self, ages_s: Floats) -> NDArray[np.intp]:
        """The bins of these ages. The array is known again by being the same one: it must not change in place."""
        if ages_s is not self._asked:
            self._asked = ages_s
            self._asked_places = np.minimum((np.maximum(ages_s, 0.0) / BIN_S).astype(np.intp), BINS - 1)
        return self._asked_places

    def _exposure_of(self, ages_s: Floats) -> float:
        """Answers the table expected so far of dials in the air: in its own bin of each for as long as it is in it."""
        places = self._places(ages_s)
        ahead = np.minimum(np.maximum(places + 1.0 - ages_s / BIN_S, 0.0), 1.0)
        return float(self._exposure.take(places).sum() - ahead @ self._hazard.take(places))

    def _by(self, places: NDArray[np.intp], times_s: Floats) -> Floats:
        """P(a dial in this bin is answered by a person until then). Shape (places, times)."""
        # The curve of those who have answered, further on by so many bins and a part of one.
        bins = np.minimum(times_s / BIN_S, BINS - 1.0)
        whole_bins = bins.astype(np.intp)
        reached = places[:, None] + whole_bins
        by: Floats = self._later.take(reached)
        by += (self._later.take(reached + 1) - by) * (bins - whole_bins)
        by -= self._later.take(places)[:, None]
        by /= self._left.take(places)[:, None]
        return np.minimum(np.maximum(by, 0.0), 1.0)

    def _learn_list(self, list_id: Hashable, person: bool, expected: float) -> None:
        found = self._lists.pop(list_id, None) or [0.0, 0.0]
        found[0] += person - found[0] / LIST_DIALS
        found[1] += expected * self.level()[0] - found[1] / LIST_DIALS
        self._lists[list_id] = found  # the one heard of last stands last
        if len(self._lists) > LISTS:
            del self._lists[next(iter(self._lists))]


def _erlang_cdf(times: Floats, scale: float, shape: int) -> Floats:
    x = times / scale
    terms = np.array([x**k / math.factorial(k) for k in range(shape)])
    return 1.0 - np.exp(-x) * terms.sum(axis=0)
