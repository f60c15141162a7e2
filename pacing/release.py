"""When busy seats will be free: learned from how long this campaign's talks and wrap-ups last.

Theory of operation. Real talk times are no exponentials: many short refusals, a long tail. So each of the two
durations is a life table (Kaplan-Meier) over bins that grow with the duration, and what is still going on counts as not
ended yet, or short calls would look like the rule after every start. A seat that has talked for `a` seconds is free
within `u` more when the rest of its talk and a whole wrap-up fit into `u`: the residual distribution folded with that
of wrap-up.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacing import lifetable
from pacing.lifetable import Floats

FIRST_S = 0.5  # width of the first bin
GROWTH = 1.1
EDGES = np.concatenate(([0.0], FIRST_S * GROWTH ** np.arange(108)))  # up to four hours
BINS = len(EDGES) - 1
STARTS = EDGES.tolist()  # for one duration: numpy lets other threads have the interpreter for each search
STEPS = 36  # parts into which the time ahead is cut for folding

PRIOR_TALK_S, PRIOR_WRAP_S = 120.0, 20.0
PRIOR_WEIGHT = 4.0  # observations' worth of an exponential distribution
MEMORY = 1_500.0  # observations
RETURN_PRIOR = 8.0  # seats' worth of "comes back after wrap-up"


class LifeTable:
    """One duration's distribution from ended and unfinished observations."""

    def __init__(self, prior_mean_s: float) -> None:
        alive = np.exp(-EDGES / prior_mean_s)
        self._entered = PRIOR_WEIGHT * alive[:-1]
        self._ended = PRIOR_WEIGHT * (alive[:-1] - alive[1:])
        self._weight = 1.0
        self.count = 0
        self.refresh(np.zeros(0))

    def observe(self, duration_s: float, ended: bool = True) -> None:
        """An observation ended after `duration_s`, or was cut off there (the seat logged out)."""
        place = min(BINS - 1, max(0, bisect_right(STARTS, duration_s) - 1))
        self._weight *= 1.0 + 1.0 / MEMORY
        self._entered[:place] += self._weight
        if ended:
            self._entered[place] += self._weight
            self._ended[place] += self._weight
            self.count += 1

    def refresh(self, ongoing_s: Floats) -> None:
        """Draw up the survival curve, with the ages of what goes on now as observations that have not ended."""
        if self._weight > 1e6:
            self._entered /= self._weight
            self._ended /= self._weight
            self._weight = 1.0
        entered = self._entered
        if len(ongoing_s):
            entered = entered + self._weight * lifetable.reached(_places(ongoing_s), BINS)
        hazard = np.minimum(self._ended / np.maximum(entered, 1e-12), 1.0 - 1e-9)
        self._log_alive = np.concatenate(([0.0], np.cumsum(np.log1p(-hazard))))

    def log_survival(self, ages_s: Floats) -> Floats:
        """log P(it lasts longer than this); linear within a bin."""
        return np.interp(ages_s, EDGES, self._log_alive)

    def within(self, ages_s: Floats, more_s: Floats) -> Floats:
        """P(it ends within `more_s` | it has lasted `ages_s`). Shape (ages, more)."""
        instants = np.empty((len(ages_s), len(more_s) + 1))
        instants[:, 0] = ages_s
        np.add(ages_s[:, None], more_s[None, :], out=instants[:, 1:])
        alive = self.log_survival(instants)
        return -np.expm1(np.minimum(alive[:, 1:] - alive[:, :1], 0.0))

    def learned(self) -> dict[str, Any]:
        """What was learned, as plain numbers."""
        return {
            "entered": [round(float(v) / self._weight, 4) for v in self._entered],
            "ended": [round(float(v) / self._weight, 4) for v in self._ended],
            "count": self.count,
        }

    def restore(self, learned: Mapping[str, Any]) -> None:
        """Take what :meth:`learned` gave. Raises ValueError, and stays as it was, for anything else."""
        self._entered, self._ended = lifetable.read(learned, ("entered", "ended"), BINS)
        self._weight, self.count = 1.0, int(learned["count"])
        self.refresh(np.zeros(0))


class ReleaseModel:
    """Talk, wrap-up, and whether a seat comes back."""

    def __init__(self) -> None:
        self.talk, self.wrap = LifeTable(PRIOR_TALK_S), LifeTable(PRIOR_WRAP_S)
        self._wraps, self._talks = 3.0, 3.0  # talks that were followed by wrap-up, of all
        self._returns, self._leaves = RETURN_PRIOR, 0.0
        self.refresh(np.ones(1), np.zeros(0), np.zeros(0), None)

    def talked(self, duration_s: float, wrap_follows: bool) -> None:
        """A talk is over."""
        self.talk.observe(duration_s)
        self._talks += 1.0 - self._talks / MEMORY
        self._wraps += wrap_follows - self._wraps / MEMORY

    def wrapped(self, duration_s: float) -> None:
        """A wrap-up is over."""
        self.wrap.observe(duration_s)

    def came_back(self, back: bool) -> None:
        """A busy seat is done: idle again, or away."""
        self._returns += back - self._returns / MEMORY
        self._leaves += (not back) - self._leaves / MEMORY

    @property
    def returns(self) -> float:
        """The share of busy seats that come back idle when they are done."""
        return self._returns / (self._returns + self._leaves)

    def refresh(
        self, times_s: Floats, talking_s: Floats, wrapping_s: Floats, wrap_limit_s: float | None
    ) -> None:
        """Draw up the tables for these instants ahead (ascending), given the ages of what goes on now."""
        self.talk.refresh(talking_s)
        self.wrap.refresh(wrapping_s)
        self._times, self._wrap_limit_s = times_s, wrap_limit_s
        ahead = max(float(times_s[-1]), 1e-3)
        cuts = np.linspace(0.0, ahead, STEPS + 1)
        ends = np.diff(self.talk.within(EDGES[:-1], cuts), axis=1)  # P(the talk ends in this part)
        # left for wrap-up, from the middle of the part
        rest = times_s[None, :] - (cuts[:-1] + cuts[1:])[:, None] / 2
        wrapped = np.where(rest >= 0.0, -np.expm1(self.wrap.log_survival(np.maximum(rest, 0.0))), 0.0)
        if wrap_limit_s is not None:
            wrapped = np.where(rest >= wrap_limit_s, 1.0, wrapped)
        share = self._wraps / self._talks
        follows = share * wrapped + (1.0 - share) * (rest >= 0.0)
        self._after_talk: Floats = np.clip(ends @ follows, 0.0, 1.0)

    def free(self, talking_s: Floats, wrapping_s: Floats) -> Floats:
        """P(free) at each instant of the last refresh, talking seats first. Shape (seats, times)."""
        after_talk = self._after_talk.take(_places(talking_s), axis=0)
        after_wrap = self.wrap.within(wrapping_s, self._times)
        if self._wrap_limit_s is not None:
            after_wrap[wrapping_s[:, None] + self._times[None, :] >= self._wrap_limit_s] = 1.0
        found = np.concatenate((after_talk, after_wrap))
        found *= self.returns
        return found

    def learned(self) -> dict[str, Any]:
        """What was learned, as plain numbers."""
        return {
            "talk": self.talk.learned(),
            "wrap": self.wrap.learned(),
            "shares": [self._wraps, self._talks, self._returns, self._leaves],
        }

    def restore(self, learned: Mapping[str, Any]) -> None:
        """Take what :meth:`learned` gave. Raises ValueError for anything else."""
        shares = [float(v) for v in learned["shares"]]
        if (
            len(shares) != 4
            or not all(math.isfinite(v) and v >= 0 for v in shares)
            or shares[1] + shares[2] <= 0
        ):
            raise ValueError("the shares of wrap-ups and returns are not what was saved")
        self.talk.restore(learned["talk"])
        self.wrap.restore(learned["wrap"])
        self._wraps, self._talks, self._returns, self._leaves = shares


def _places(durations_s: Floats) -> NDArray[np.intp]:
    """The bins of these durations."""
    return np.minimum(np.maximum(EDGES.searchsorted(durations_s, "right") - 1, 0), BINS - 1)
