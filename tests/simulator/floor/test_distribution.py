"""Families of times: the means and spreads that were asked for, and what can't be drawn is refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import PCG64, Generator

from simulator.floor.distribution import (
    Constant,
    Distribution,
    Empirical,
    Exponential,
    Gamma,
    Lognormal,
    Mixture,
    Part,
    Uniform,
)

COUNT = 200_000


@pytest.mark.parametrize(
    ("of", "cv"),
    [
        (Constant(5.0), 0.0),
        (Uniform(2.0, 8.0), 0.3464),
        (Exponential(30.0), 1.0),
        (Lognormal(120.0, 1.0), 1.0),
        (Lognormal(20.0, 0.6), 0.6),
        (Gamma(12.0, 0.5), 0.5),
        (Empirical((1.0, 3.0, 5.0)), 0.5443),
        (Mixture((Part(3.0, Constant(10.0)), Part(1.0, Constant(50.0)))), 0.866),
    ],
)
def test_mean_and_spread_are_those_asked_for(of: Distribution, cv: float) -> None:
    drawn = of.draw(Generator(PCG64(1)), COUNT)
    assert of.faults() == []
    assert drawn.min() >= 0
    assert drawn.mean() == pytest.approx(of.mean(), rel=0.02)
    assert drawn.std() / drawn.mean() == pytest.approx(cv, abs=0.02)


def test_a_mixture_holds_its_parts_in_their_weights() -> None:
    of = Mixture((Part(9.0, Constant(30.0)), Part(1.0, Exponential(900.0))))
    drawn = of.draw(Generator(PCG64(2)), COUNT)
    assert np.mean(drawn == 30.0) == pytest.approx(0.9, abs=0.005)


@pytest.mark.parametrize(
    ("of", "says"),
    [
        (Constant(-1.0), "mean_s must not be negative"),
        (Uniform(3.0, 1.0), "in order"),
        (Exponential(0.0), "mean_s must be above 0, is 0"),
        (Lognormal(10.0, 0.0), "cv must be above 0"),
        (Gamma(float("nan"), 0.5), "mean_s must be above 0"),
        (Empirical(()), "at least one time"),
        (Mixture((Part(0.0, Constant(1.0)),)), "weight above 0"),
        (Mixture((Part(1.0, Exponential(-1.0)),)), "mean_s must be above 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_reason(of: Distribution, says: str) -> None:
    assert says in "; ".join(of.faults())
