"""The intervals: as published, and true to what they promise in simulated campaigns whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from campaigns.evaluation.held_out import Arm, Gained, compared
from campaigns.evaluation.intervals import (
    Interval,
    Sample,
    at_any_time,
    difference,
    difference_of_means,
    mean,
    share,
)

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
        gained = difference((a, m, b, n))
        assert gained is not None
        assert (gained.low, gained.high) == pytest.approx((low, high), abs=5e-5)


def test_of_nothing_nothing_is_said() -> None:
    assert share(0, 0) is None and difference((0, 0, 1, 2)) is None
    one, two = Sample(1, 1, 1), Sample(2, 2, 2)
    assert mean(one) is None and difference_of_means((one, two)) is None
    assert at_any_time((1, 2, 0, 0)) is None and at_any_time() is None


def customers(chance: np.random.Generator, count: int, rate: float) -> np.ndarray:
    return (chance.random(count) < rate).astype(float)


def arms(called: np.ndarray, out: np.ndarray) -> tuple[int, int, int, int]:
    return int(called.sum()), len(called), int(out.sum()), len(out)


def test_a_known_gain_is_within_the_interval_in_95_of_100_campaigns() -> None:
    held = 0
    for seed in range(RUNS):
        chance = np.random.default_rng(seed)
        called, out = customers(chance, 9_000, 0.05), customers(chance, 1_000, 0.03)
        found = at_any_time(arms(called, out))
        assert found is not None
        held += found.low <= 0.02 <= found.high
    assert held >= 0.95 * RUNS


def test_the_interval_of_one_look_is_nearly_as_wide_as_it_must_be() -> None:
    held = 0
    for seed in range(2_000):
        chance = np.random.default_rng(seed)
        called, out = chance.binomial(9_000, 0.05), chance.binomial(1_000, 0.03)
        found = difference((called, 9_000, out, 1_000))
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
            found, once = at_any_time(arms(*some)), difference(arms(*some))
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
        one, other = (Sample(len(x), x.sum(), (x * x).sum()) for x in (called, out))
        found = difference_of_means((one, other))
        assert found is not None
        held += found.low <= 0.01 * np.exp(4.5) <= found.high
    assert held >= 0.92 * RUNS


# Customers, the share held out, and the share that buys anyway: fewest were held out in the best month.
TAKES = ((9_000, 0.05, 0.10), (2_000, 0.5, 0.01), (500, 0.2, 0.03), (3_000, 0.0, 0.06))


def spent(chance: np.random.Generator, count: int, rate: float) -> Arm:
    """What so many customers bought, of whom so many buy."""
    amounts = customers(chance, count, rate) * chance.lognormal(4, 1, count)
    return Arm(count, int((amounts > 0).sum()), float(amounts.sum()), float((amounts * amounts).sum()))


def taken(chance: np.random.Generator, gain: float) -> Gained:
    return compared(
        {
            held: spent(chance, round(count * (share if held else 1 - share)), rate + (0 if held else gain))
            for held in (False, True)
        }
        for count, share, rate in TAKES
    )


def fooled(found: Interval | None, truth: float) -> bool:
    assert found is not None
    return not found.low <= truth <= found.high


@pytest.mark.parametrize("gain", [0.0, 0.01])
def test_takes_of_other_shares_and_seasons_pass_for_no_gain_and_hide_none(gain: float) -> None:
    found = [taken(np.random.default_rng(seed), gain) for seed in range(RUNS)]
    assert all(each.held_out.customers == 1_550 for each in found), "the one that held nobody out is left out"
    assert sum(fooled(each.looked, gain) for each in found) <= 0.05 * RUNS
    assert sum(fooled(each.buyers, gain) for each in found) <= 0.08 * RUNS
    # Few bought of those held out, for very different amounts: as often as with the first take alone.
    assert sum(fooled(each.revenue, gain * np.exp(4.5)) for each in found) <= 0.12 * RUNS
    heap = [
        difference(
            (each.reached.buyers, each.reached.customers, each.held_out.buyers, each.held_out.customers)
        )
        for each in found
    ]
    assert sum(fooled(each, gain) for each in heap) > 0.9 * RUNS, "this is what the strata are for"


def test_who_looks_while_takes_come_is_fooled_in_at_most_5_of_100_campaigns_without_effect() -> None:
    wrong = 0
    for seed in range(RUNS):
        chance = np.random.default_rng(seed)
        bought = [
            (customers(chance, round(n * (1 - share)), rate), customers(chance, round(n * share), rate))
            for n, share, rate in TAKES
            if share
        ]
        counts = [(0, 0, 0, 0)] * len(bought)
        for take, (called, out) in enumerate(bought):
            for part in (0.25, 0.5, 0.75, 1.0):
                counts[take] = arms(called[: round(part * len(called))], out[: round(part * len(out))])
                if fooled(at_any_time(*counts[: take + 1]), 0.0):
                    wrong += 1
                    break
            else:
                continue
            break
    assert wrong <= 0.05 * RUNS


@pytest.mark.parametrize("takes", [((30, 3, 0.05),) * 60, ((3_000, 300, 0.01), (1_000, 1, 0.5))])
def test_who_looks_after_takes_of_a_few_held_out_is_fooled_in_at_most_5_of_100_campaigns_without_effect(
    takes: tuple[tuple[int, int, float], ...],
) -> None:
    wrong = 0
    for seed in range(RUNS):
        chance, come = np.random.default_rng(seed), []
        looks = []
        for count, out, rate in takes:
            come.append((chance.binomial(count - out, rate), count - out, chance.binomial(out, rate), out))
            looks.append(at_any_time(*come))
        wrong += any(fooled(each, 0.0) for each in looks)
    assert wrong <= 0.05 * RUNS


def test_takes_that_are_alike_tell_as_much_as_one_of_them_all() -> None:
    several, one = (
        at_any_time(*[(3, 27, 0, 3), (0, 27, 1, 3), (0, 27, 0, 3)] * 20),
        at_any_time((60, 1_620, 20, 180)),
    )
    assert several is not None and several == pytest.approx(one)


def test_many_small_takes_pass_for_no_gain() -> None:
    chance, wrong = np.random.default_rng(1), 0
    for _ in range(1_000):
        takes = [(chance.binomial(180, 0.05), 180, chance.binomial(20, 0.05), 20) for _ in range(10)]
        takes += [(chance.binomial(210, 0.02), 210, chance.binomial(90, 0.02), 90) for _ in range(10)]
        wrong += fooled(difference(*takes), 0.0)
    assert wrong <= 0.065 * 1_000


@pytest.mark.parametrize(
    "takes",
    [((30, 2, 0.1), (30, 3, 0.1), (30, 4, 0.1), (30, 5, 0.1)) * 15, ((900, 3, 0.1), (40, 20, 0.1)) * 10],
)
def test_many_takes_of_a_few_held_out_pass_for_no_gain_in_revenue(
    takes: tuple[tuple[int, int, float], ...],
) -> None:
    """Every buyer spends as much: what different amounts do to an interval is told above."""
    wrong = 0
    for seed in range(400):
        chance = np.random.default_rng(seed)
        bought = [
            [(int(chance.binomial(n, rate)), n) for n in (count - out, out)] for count, out, rate in takes
        ]
        samples = [[Sample(n, 100.0 * hits, 100.0**2 * hits) for hits, n in arms] for arms in bought]
        wrong += fooled(difference_of_means(*((one, other) for one, other in samples)), 0.0)
    assert wrong <= 0.07 * 400


def test_one_stratum_is_what_it_is_by_itself() -> None:
    chance = np.random.default_rng(1)
    called, out = spent(chance, 900, 0.05), spent(chance, 100, 0.03)
    found = compared([{False: called, True: out}])
    shares = called.buyers, called.customers, out.buyers, out.customers
    means = Sample(*called[:1], *called[2:]), Sample(*out[:1], *out[2:])
    assert (found.reached, found.held_out, found.looked) == (called, out, at_any_time(shares))
    assert found.buyers == pytest.approx(difference(shares))
    assert found.revenue == pytest.approx(difference_of_means(means))


def test_without_anybody_held_out_nothing_is_said_of_a_gain() -> None:
    assert compared([]) == (Arm(), Arm(), None, None, None)
    alone = Arm(10, 2, 20.0, 200.0)
    assert compared([{False: alone}, {False: alone}]) == (Arm(20, 4, 40.0, 400.0), Arm(), None, None, None)
