"""The laws on the yardstick come to the figures that are known of them, and foresight bounds them all."""

from __future__ import annotations

import pytest

from simulator.floor import Result, load
from simulator.policies.registry import BOUND, UnknownPolicy, names, policy

SEEDS = (1, 2, 3)
pytestmark = pytest.mark.timeout(180)  # numba compiles once on a new machine


def days(scenario: str, law: str, seeds: tuple[int, ...] = SEEDS) -> list[Result]:
    return [policy(law).day(load(scenario), seed) for seed in seeds]


def occupancy(found: list[Result]) -> float:
    return sum(day.occupancy for day in found) / len(found)


def abandoned(found: list[Result]) -> float:
    return sum(day.abandoned for day in found) / sum(day.answered for day in found)


@pytest.mark.parametrize("seats", [5, 20, 100])
def test_progressive_fills_two_thirds_of_a_seat_s_time_and_abandons_nobody(seats: int) -> None:
    found = days(f"yardstick-{seats}", "progressive")
    assert occupancy(found) == pytest.approx(0.65, abs=0.02)
    assert abandoned(found) == 0


@pytest.mark.parametrize("seats", [5, 20])
def test_vicidial_ends_where_it_was_without_prediction_as_drops_throw_it_back(seats: int) -> None:
    found = days(f"yardstick-{seats}", "vicidial-hard")
    assert occupancy(found) == pytest.approx(0.64, abs=0.02)
    assert abandoned(found) == pytest.approx(0.03, abs=0.01)


@pytest.mark.parametrize(("seats", "busy", "lost"), [(5, 0.89, 0.36), (20, 0.90, 0.11), (100, 0.91, 0.003)])
def test_issabel_is_busy_at_any_size_and_pays_for_it_where_teams_are_small(
    seats: int, busy: float, lost: float
) -> None:
    found = days(f"yardstick-{seats}", "issabel", SEEDS if seats < 100 else SEEDS[:1])
    assert occupancy(found) == pytest.approx(busy, abs=0.02)
    assert abandoned(found) == pytest.approx(lost, abs=0.05)


@pytest.mark.parametrize(
    "scenario", ["yardstick-20", "team-of-3", "machine-detection", "blended", "few-lines"]
)
def test_foresight_abandons_next_to_nobody_and_is_busier_than_laws_that_guess(scenario: str) -> None:
    best = days(scenario, BOUND, (1,))
    assert abandoned(best) < 0.002
    for law in ("progressive", "wombat", "issabel"):
        assert occupancy(days(scenario, law, (1,))) < occupancy(best)


def test_foresight_minds_who_serves_whom() -> None:
    best = days("two-campaigns", BOUND, (1,))
    assert abandoned(best) < 0.03
    assert occupancy(best) > 0.98


def test_a_ratio_can_be_said() -> None:
    few, many = days("yardstick-5", "ratio:1.2", (1,)), days("yardstick-5", "ratio:4", (1,))
    assert occupancy(few) < occupancy(many)
    assert policy("wombat:2").name == "wombat:2"
    assert {"predictive", "progressive", "ratio", "wombat", BOUND} <= set(names())


@pytest.mark.parametrize("name", ["guesswork", "ratio:many", "ratio:99", "issabel:2", ""])
def test_an_unknown_law_is_refused(name: str) -> None:
    with pytest.raises(UnknownPolicy):
        policy(name)
