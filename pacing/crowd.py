"""How many of a crowd will do a thing: tails of sums of independent, unequal chances, at several instants at once.

The chances are p[i, t]: that member i has done it by instant t. Few members are convolved exactly; for many the sum
is taken as nearly normal, with its skewness (the Edgeworth expansion to the first order, Feller II, XVI.4).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXACT = 44  # members that are convolved exactly
FEW = (
    1.5  # variance under which a normal shape is no good; many members with tiny chances are a Poisson number
)
ROOT_2PI = 2.5066282746310002


class Surplus:
    """The number of answers less the number of seats that become free, by each instant.

    `answers` (calls, times) and `frees` (seats, times) are chances. :meth:`at_least` asks about the sum, :meth:`add`
    puts one more call with chances (times,) into it.
    """

    def __init__(self, answers: Floats, frees: Floats) -> None:
        self._seats = len(frees)
        self._calls = len(answers)
        self._times = answers.shape[1]
        self._exact = self._seats + self._calls <= EXACT
        if self._exact:
            self._pmf = np.zeros((self._times, self._seats + self._calls + 1))  # of answers - frees + seats
            self._pmf[:, self._seats] = 1.0
            low = high = self._seats
            for chances in frees:
                self._shift_down(chances[:, None], low, high)
                low -= 1
            for chances in answers:
                self._shift_up(chances[:, None], low, high)
                high += 1
        else:
            up, down = answers * (1.0 - answers), frees * (1.0 - frees)
            self._mean = answers.sum(axis=0) - frees.sum(axis=0)
            self._variance = up.sum(axis=0) + down.sum(axis=0)
            self._third = (up * (1.0 - 2.0 * answers)).sum(axis=0) - (down * (1.0 - 2.0 * frees)).sum(axis=0)

    def add(self, chances: Floats) -> None:
        """One more call, answered with these chances by each instant."""
        if self._exact:
            pmf = np.zeros((self._times, self._pmf.shape[1] + 1))
            pmf[:, :-1] = self._pmf * (1.0 - chances)[:, None]
            pmf[:, 1:] += self._pmf * chances[:, None]
            self._pmf = pmf
        else:
            spread = chances * (1.0 - chances)
            self._mean = self._mean + chances
            self._variance = self._variance + spread
            self._third = self._third + spread * (1.0 - 2.0 * chances)
        self._calls += 1

    def at_least(self, number: int) -> Floats:
        """P(answers - frees >= number) at each instant. Shape (times,)."""
        if number > self._calls:
            return np.zeros(self._times)
        if number <= -self._seats:
            return np.ones(self._times)
        if self._exact:
            return np.clip(self._pmf[:, number + self._seats :].sum(axis=1), 0.0, 1.0)
        deviation = np.sqrt(np.maximum(self._variance, 1e-12))
        z = (number - 0.5 - self._mean) / deviation
        skew = self._third / deviation**3
        density = np.exp(-0.5 * z * z) / ROOT_2PI
        tail = 0.5 * _erfc(z / np.sqrt(2.0)) + density * skew * (z * z - 1.0) / 6.0
        if (self._variance < FEW).any():  # a shape that is not nearly normal: at least Cantelli's bound holds
            off = number - self._mean
            bound = np.where(off > 0.0, self._variance / (self._variance + off * off), 1.0)
            tail = np.where(self._variance < FEW, np.minimum(bound, np.maximum(tail, 0.0)), tail)
        return np.clip(tail, 0.0, 1.0)

    def _shift_down(self, chances: Floats, low: int, high: int) -> None:
        here = self._pmf[:, low : high + 1] * chances
        self._pmf[:, low : high + 1] -= here
        self._pmf[:, low - 1 : high] += here

    def _shift_up(self, chances: Floats, low: int, high: int) -> None:
        here = self._pmf[:, low : high + 1] * chances
        self._pmf[:, low : high + 1] -= here
        self._pmf[:, low + 1 : high + 2] += here


def _erfc(x: Floats) -> Floats:
    """The complementary error function to 1.5e-7 (Abramowitz and Stegun 7.1.26)."""
    a = np.abs(x)
    t = 1.0 / (1.0 + 0.3275911 * a)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    tail = series * np.exp(-a * a)
    return np.where(x >= 0.0, tail, 2.0 - tail)
