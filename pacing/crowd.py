"""How many of a crowd will do a thing: tails of sums of independent, unequal chances, at several instants at once.

The chances are p[i, t]: that member i has done it by instant t. Of few members the sum is known exactly: its generating
function on the unit circle is a product over the members, and a tail is one scalar product with it (Hong, Computational
Statistics & Data Analysis 59, 2013). For many it is taken as nearly normal, with its skewness (the Edgeworth expansion
to the first order, Feller II, XVI.4).
"""

from __future__ import annotations

from functools import cache
from math import ceil, erfc, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from pacing.lifetable import Floats

Complexes = NDArray[np.complex128]

EXACT = 44  # members whose sum is computed exactly
DEVIATIONS = 5.0  # above the mean a Poisson number practically never is
SPARE = 4  # calls that may be added before the circle is cut finer
# Variance under which a normal shape is no good: many members with tiny chances are a Poisson number.
FEW = 1.5
# Members whose powers are summed at a time: they stay in the cache, and BLAS wakes no second thread.
BLOCK = 512
NORMAL_AT = np.linspace(-8.0, 8.0, 3201)  # linear in between: off by less than 0.01 % of the tail up to 4
NORMAL_TAIL = np.array([0.5 * erfc(z * sqrt(0.5)) for z in NORMAL_AT.tolist()])
ONES = np.ones(BLOCK)
FROM_POWERS = np.array([[1.0, 0.0, 0.0], [1.0, -1.0, 0.0], [1.0, -3.0, 2.0]])
SIGNS = np.array([[-1.0], [1.0], [-1.0]])  # of the moments of what is taken away
FIRST_ORDER = 1.0 / (6.0 * sqrt(2.0 * pi))


class Surplus:
    """The number of answers less the number of seats that become free, by each instant.

    `answers` (calls, times) and `frees` (seats, times) are chances. `others` (times,) are mean numbers of people from
    elsewhere who take seats, too; they are taken as Poisson. :meth:`at_least` asks about the sum, averaged over the
    instants with `weights` (times,), and :meth:`add` puts one more call with chances (times,) into it.
    """

    def __init__(self, answers: Floats, frees: Floats, weights: Floats, others: Floats | None = None) -> None:
        self._seats = len(frees)
        self._calls = len(answers)  # and as many others as there can be
        self._weights = weights
        if others is not None:
            most = float(others.max())
            self._calls += ceil(most + DEVIATIONS * sqrt(most) + DEVIATIONS)
        self._exact = self._seats + self._calls <= EXACT
        if self._exact:
            self._cuts = 16
            while self._cuts <= self._seats + self._calls + SPARE:
                self._cuts *= 2
            # Answers less seats that become free: answers and seats that stay busy, less all seats.
            self._transform = _product(np.concatenate((answers, 1.0 - frees)), self._cuts)
            if others is not None:
                self._transform *= np.exp(others[:, None] * _circle(self._cuts)[0])
        else:
            self._moments = _moments(answers) + SIGNS * _moments(frees)
            if others is not None:
                self._moments += others  # all three are the mean
            self._shape_up()

    def add(self, chances: Floats) -> None:
        """One more call, answered with these chances by each instant."""
        self._calls += 1
        if self._exact:
            if self._seats + self._calls >= self._cuts:
                pmf = np.fft.irfft(self._transform, self._cuts)
                self._cuts *= 2
                self._transform = np.fft.rfft(pmf, self._cuts)
            self._transform = self._transform * (1.0 + chances[:, None] * _circle(self._cuts)[0])
        else:
            self._moments += _moments(chances[None, :])
            self._shape_up()

    def at_least(self, number: int) -> float:
        """P(answers - frees >= number), averaged over the instants."""
        if number > self._calls:
            return 0.0
        if number <= -self._seats:
            return 1.0
        if self._exact:
            tails = (self._transform @ _tails(self._cuts)[number + self._seats]).real
        else:
            z = (number - 0.5 - self._moments[0]) / self._deviation
            square = z * z
            tails = np.interp(z, NORMAL_AT, NORMAL_TAIL)
            tails += self._skewness * (square - 1.0) * np.exp(-0.5 * square)
            if self._few:  # not nearly normal: at least Cantelli's bound holds
                mean, variance = self._moments[0], self._moments[1]
                off = np.maximum(number - mean, 0.0)
                bound = np.where(variance < FEW, variance / (variance + off * off), 1.0)
                tails = np.minimum(tails, bound)
            tails = np.minimum(np.maximum(tails, 0.0), 1.0)
        return min(1.0, max(0.0, float(tails @ self._weights)))

    def _shape_up(self) -> None:
        """What a tail is made from, after the moments."""
        variance = np.maximum(self._moments[1], 1e-12, out=self._moments[1])
        self._deviation = np.sqrt(variance)
        self._skewness = FIRST_ORDER * self._moments[2] / (variance * self._deviation)
        self._few = float(variance.min()) < FEW


def _moments(chances: Floats) -> Floats:
    """Sums over the members of p, p(1-p) and p(1-p)(1-2p), at each instant. Shape (3, times)."""
    blocks = [_sums_of_powers(chances[at : at + BLOCK]) for at in range(0, len(chances), BLOCK)]
    return FROM_POWERS @ (blocks[0] if len(blocks) == 1 else sum(blocks, np.zeros((3, chances.shape[1]))))


def _sums_of_powers(chances: Floats) -> Floats:
    """Sums over at most `BLOCK` members of p, p² and p³, at each instant. Shape (3, times)."""
    powers = np.empty((3, *chances.shape))
    powers[0] = chances
    np.multiply(chances, chances, out=powers[1])
    np.multiply(powers[1], chances, out=powers[2])
    return ONES[: len(chances)] @ powers


def _product(chances: Floats, cuts: int) -> Complexes:
    """The transform of the sum's distribution, the product of its members' 1 + p·z. Shape (times, cuts / 2 + 1)."""
    members, times = chances.shape
    if members % 2:
        chances, members = np.concatenate((chances, np.zeros((1, times)))), members + 1
    # Two at a time, (1 + p·z)(1 + q·z) = 1 + (p + q)·z + pq·z²: half the work is real, and a matrix product.
    one, other = chances[0::2], chances[1::2]
    pairs = np.empty((members // 2, times, 2))
    np.add(one, other, out=pairs[:, :, 0])
    np.multiply(one, other, out=pairs[:, :, 1])
    factors = pairs @ _circle(cuts)
    factors += 1.0
    return np.multiply.reduce(factors, axis=0)


@cache
def _circle(cuts: int) -> Complexes:
    """z = w - 1 and z², for the points w of the unit circle's half, as numpy's rfft goes round it."""
    found = np.empty((2, cuts // 2 + 1), dtype=np.complex128)
    found[0] = np.exp(-2j * np.pi * np.arange(cuts // 2 + 1) / cuts) - 1.0
    found[1] = found[0] ** 2
    return found


@cache
def _tails(cuts: int) -> Complexes:
    """Row n: the weights that make P(sum >= n) of a transform, of which the real part counts."""
    points = np.arange(cuts // 2 + 1)
    waves = np.exp(2j * np.pi * np.outer(np.arange(cuts), points) / cuts)
    waves *= (
        np.where((points == 0) | (points == cuts // 2), 1.0, 2.0) / cuts
    )  # the other half is the conjugate
    return np.cumsum(waves[::-1], axis=0)[::-1]
