"""The intervals: as published, and true to what they promise in simulated campaigns whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from campaigns.evaluation.intervals import Sample, at_any_time, difference, difference_of_means, mean, share

RUNS = 200


def test_the_published_examples() -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, and the paper on differences.
    for hits, count, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
    ):
        found = share(hits, count)
        assert found is not None
        assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    for (a, m, b, n), low, high in (
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((10, 10, 0, 20), 0.6791, 1.0),
    ):
        gained = difference(a, m, b, n)
        assert gained is not None
        assert (gained.low, gained.high) == pytest.approx((low, high), abs=5e-5)


def test_of_nothing_nothing_is_said() -> None:
    assert share(0, 0) is None and difference(0, 0, 1, 2) is None
    one, two = Sample(1, 1, 1), Sample(2, 2, 2)
    assert mean(one) is None and difference_of_means(one, two) is None and at_any_time(1, 2, 0, 0) is None


def customers(chance: np.random.Generator, count: int, rate: float) -> np.ndarray:
    return (chance.random(count) < rate).astype(float)


def arms(called: np.ndarray, out: np.ndarray) -> tuple[int, int, int, int]:
    return int(called.sum()), len(called), int(out.sum()), len(out)


def test_a_known_gain_is_within_the_interval_in_95_of_100_campaigns() -> None:
    held = 0
    for seed in range(RUNS):
        chance = np.random.default_rng(seed)
        called, out = customers(chance, 9_000, 0.05), customers(chance, 1_000, 0.03)
        found = at_any_time(*arms(called, out))
        assert found is not None
        held += found.low <= 0.02 <= found.high
    assert held >= 0.95 * RUNS


def test_the_interval_of_one_look_is_nearly_as_wide_as_it_must_be() -> None:
    held = 0
    for seed in range(2_000):
        chance = np.random.default_rng(seed)
        called, out = chance.binomial(9_000, 0.05), chance.binomial(1_000, 0.03)
        found = difference(called, 9_000, out, 1_000)
        assert found is not None
        held += found.low <= 0.02 <= found.high
    assert 0.935 <= held / 2_000 <= 0.965


def test_who_looks_every_day_is_fooled_in_at_most_5_of_100_campaigns_without_effect() -> None:
    fooled = by_one_look = 0
    for seed in range(RUNS):
        chance = np.random.default_rng(seed)
        called, out = customers(chance, 9_000, 0.05), customers(chance, 1_000, 0.05)
        wrong = peeked = False
        for day in range(1, 41):
            some = called[: day * 225], out[: day * 25]
            found, once = at_any_time(*arms(*some)), difference(*arms(*some))
            assert found is not None and once is not None
            wrong |= found.low > 0 or found.high < 0
            peeked |= once.low > 0 or once.high < 0
        fooled += wrong
        by_one_look += peeked
    assert fooled <= 0.05 * RUNS
    assert by_one_look > 0.10 * RUNS, "it is the many looks that this interval is for"


def test_revenue_is_compared_by_customer() -> None:
    held = 0
    for seed in range(RUNS):
        chance = np.random.default_rng(seed)
        called, out = (
            customers(chance, n, rate) * chance.lognormal(4, 1, n)
            for n, rate in ((20_000, 0.06), (4_000, 0.05))
        )
        found = difference_of_means(*(Sample(len(x), x.sum(), (x * x).sum()) for x in (called, out)))
        assert found is not None
        held += found.low <= 0.01 * np.exp(4.5) <= found.high
    assert held >= 0.92 * RUNS
