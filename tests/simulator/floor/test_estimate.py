"""Times that were cut off count for what lasted longer, and nothing is lost when values are made even."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulator.floor.estimate import MOST, empirical, weights
from simulator.floor.scenario import load, names
from simulator.floor.writing import as_toml


def test_weights_are_kaplan_and_meiers() -> None:
    """Worked by hand: 1, 2+, 3, 4+, 5: of five one ends, of three one, and the last takes what is left."""
    found = weights([1, 2, 3, 4, 5], [True, False, True, False, True])
    assert found == pytest.approx([1 / 5, 0, 4 / 15, 0, 8 / 15])
    assert weights([], []).size == 0
    assert weights([3, 1], [False, False]) == pytest.approx([1.0, 0.0])  # the longest counts as ended


def test_of_times_at_one_instant_the_ended_come_first() -> None:
    assert weights([2, 2], [False, True]) == pytest.approx([0.5, 0.5])


def test_cut_off_at_random_the_mean_is_found_again() -> None:
    chance = np.random.default_rng(1)
    whole, cut = chance.exponential(60.0, 20_000), chance.exponential(90.0, 20_000)
    lasted, ended = np.minimum(whole, cut), whole <= cut
    assert lasted[ended].mean() < 40.0  # who looks only at the ended ones is far off
    assert empirical(lasted, weights(lasted, ended)).mean() == pytest.approx(60.0, rel=0.03)


def test_with_two_ways_to_end_each_keeps_its_share() -> None:
    """Answers come early, no answers late, so a cut takes more of the late ones."""
    chance = np.random.default_rng(2)
    answered = chance.random(20_000) < 0.3
    whole = np.where(answered, chance.uniform(2, 15, 20_000), 25.0)
    cut = chance.uniform(0, 60, 20_000)
    lasted, ended = np.minimum(whole, cut), whole <= cut
    assert answered[ended].mean() > 0.33
    assert weights(lasted, ended)[answered].sum() == pytest.approx(0.3, abs=0.012)


def test_many_values_become_few_with_the_same_mean_and_spread() -> None:
    values = np.random.default_rng(3).lognormal(4.0, 0.9, 9_000)
    found = empirical(values, np.ones(9_000))
    assert len(found.values_s) == MOST
    assert found.mean() == pytest.approx(values.mean(), rel=1e-3)
    assert np.std(found.values_s) == pytest.approx(np.std(values), rel=0.1)
    assert empirical([3.0, 1.0], [1.0, 1.0]).values_s == (1.0, 3.0)
    with pytest.raises(ValueError, match="nothing to draw from"):
        empirical([1.0], [0.0])


@pytest.mark.parametrize("name", names())
def test_a_scenario_that_is_written_is_the_one_that_is_read(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.toml"
    file.write_text(as_toml(load(name)), encoding="utf-8")
    assert load(file) == load(name)
