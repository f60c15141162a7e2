"""Measured times as distributions, where some were cut off before they ended, as by the end of the day."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulator.floor.distribution import Empirical

MOST = 400  # values in a distribution: a percentile of the tail is four of them


def weights(lasted_s: ArrayLike, ended: ArrayLike) -> NDArray[np.float64]:
    """How much each time stands for, together 1; one that was cut off stands for nothing.

    Its part goes to all that lasted longer, which is the estimate of Kaplan and Meier (1958) in the form of Efron
    (1967); the longest of all counts as ended. With several ways to end, the sums over each are those of Aalen and
    Johansen (1978).
    """
    times, whole = np.asarray(lasted_s, dtype=float), np.asarray(ended, dtype=bool)
    if not len(times):
        return np.zeros(0)
    order = np.lexsort((~whole, times))
    over = whole[order]
    over[-1] = True
    left = np.arange(len(times), 0, -1)
    stays = np.cumprod(np.where(over, 1.0 - 1.0 / left, 1.0))
    before = np.concatenate([[1.0], stays[:-1]])
    found = np.zeros(len(times))
    found[order] = np.where(over, before / left, 0.0)
    return found


def empirical(lasted_s: ArrayLike, weight: ArrayLike) -> Empirical:
    """The times with their weights as values that are drawn alike, of the same mean. Raises ValueError without any."""
    times, mass = np.asarray(lasted_s, dtype=float), np.asarray(weight, dtype=float)
    times, mass = times[mass > 0], mass[mass > 0]
    if not len(times):
        raise ValueError("there is nothing to draw from")
    order = np.argsort(times, kind="stable")
    times, mass = times[order], mass[order] / mass.sum()
    count = min(MOST, len(times))
    edges = np.concatenate([[0.0], np.cumsum(mass)])
    sums = np.concatenate([[0.0], np.cumsum(mass * times)])
    slices = np.diff(np.interp(np.linspace(0.0, edges[-1], count + 1), edges, sums)) * count
    return Empirical(tuple(round(float(value), 3) for value in slices))
