"""Many days as one line: intervals that hold what they promise."""

from __future__ import annotations

from math import isnan
from xml.etree import ElementTree

import numpy as np
import pytest

from simulator.floor import simulate_plainly
from simulator.floor.picture import draw
from simulator.floor.result import mean_interval, quantile, share_interval
from simulator.floor.summary import summary
from tests.simulator.floor.days import campaign, floor

TRIES = 2_000


def test_the_interval_of_a_mean_holds_it_nineteen_times_of_twenty() -> None:
    chance = np.random.default_rng(1)
    hits = 0
    for _ in range(TRIES):
        _, low, high = mean_interval(chance.normal(1.0, 0.5, 6).tolist())
        hits += low <= 1.0 <= high
    assert hits / TRIES == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("share", "alike"), [(0.03, 0.0), (0.03, 0.02), (0.002, 0.0), (0.3, 0.1)])
def test_the_interval_of_a_share_holds_it_also_where_trials_resemble_one_another(
    share: float, alike: float
) -> None:
    """Each half hour has a share of its own, beta distributed with correlation `alike` between its calls."""
    chance = np.random.default_rng(2)
    hits = 0
    for _ in range(TRIES):
        trials = chance.poisson(80, 48)
        shares = chance.beta(share * (1 / alike - 1), (1 - share) * (1 / alike - 1), 48) if alike else share
        found, low, high = share_interval(chance.binomial(trials, shares).tolist(), trials.tolist())
        assert low <= found <= high
        hits += low <= share <= high
    assert hits / TRIES > 0.92


def test_nobody_abandoned_is_not_no_risk() -> None:
    share, low, high = share_interval([0.0, 0.0], [50.0, 50.0])
    assert (share, low) == (0.0, 0.0)
    assert 0.03 < high < 0.7
    assert share_interval([0.0], [0.0]) == (0.0, 0.0, 1.0)


def test_one_day_alone_knows_no_spread() -> None:
    mean, low, high = mean_interval([0.5])
    assert mean == 0.5
    assert isnan(low)
    assert isnan(high)
    assert quantile(1) > quantile(5) > quantile(1_000) == pytest.approx(1.96)


def days() -> list:
    scenario = floor(campaign(person=0.3), seats=5, hours=2.0)
    return [simulate_plainly(scenario, 3.0, seed) for seed in (1, 2, 3)]


def test_a_summary_has_every_figure_and_goes_into_json() -> None:
    found = summary("ratio:3", days(), days())
    assert 0 < found.abandon.low < found.abandon.value < found.abandon.high < 1
    assert found.bound_share.value == 1.0
    assert found.total.answered == sum(day.answered for day in days())
    row = found.row()
    assert row["policy"] == "ratio:3"
    assert row["counts"]["dials"] == found.total.dials  # type: ignore[index]
    alone = summary("ratio:3", days()[:1], days()[:1])
    assert alone.row()["occupancy"]["low"] is None  # type: ignore[index]
    assert alone.abandon.low < alone.abandon.value < alone.abandon.high


def test_the_picture_has_a_mark_for_each_law_and_the_law_s_name() -> None:
    found = [summary(name, days(), days()) for name in ("one <law>", "another & more")]
    picture = draw(found, {"story": 0.03})
    tree = ElementTree.fromstring(picture)
    texts = {element.text for element in tree.iter() if element.tag.endswith("text")}
    assert {"story", "one <law>", "another & more"} <= texts
    assert len([element for element in tree.iter() if element.tag.endswith("circle")]) == 2 + 2
