"""How many answer and how many seats become free, held against counting it out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pacing.crowd import EXACT, Surplus

INSTANTS = 10
EVENLY = np.full(INSTANTS, 1 / INSTANTS)


def chances(members: int, seed: int) -> NDArray[np.float64]:
    """They grow with the time, as chances to have answered do."""
    return np.sort(np.random.default_rng(seed).random((members, INSTANTS)), axis=1)


def counted_out(answers: NDArray[np.float64], frees: NDArray[np.float64], number: int) -> float:
    """P(answers - frees >= number), averaged over the instants, one member after the other."""
    found = []
    for instant in range(INSTANTS):
        pmf = np.ones(1)
        for chance in [*answers[:, instant], *(1.0 - frees[:, instant])]:
            pmf = np.convolve(pmf, [1.0 - chance, chance])
        found.append(pmf[max(0, number + len(frees)) :].sum())
    return float(np.mean(found))


@pytest.mark.parametrize(
    ("calls", "seats"), [(0, 0), (0, 3), (1, 0), (2, 5), (12, 12), (15, 0), (30, EXACT - 30)]
)
def test_few_are_counted_exactly(calls: int, seats: int) -> None:
    answers, frees = chances(calls, 1), chances(seats, 2)
    surplus = Surplus(answers, frees, EVENLY)
    for number in range(-seats - 1, calls + 2):
        assert surplus.at_least(number) == pytest.approx(counted_out(answers, frees, number), abs=1e-12)


def test_calls_are_added_to_few_without_end() -> None:
    answers, frees = chances(2, 3), chances(3, 4)
    surplus = Surplus(answers, frees, EVENLY)
    for more in range(1, 91):
        new = chances(1, 100 + more)
        surplus.add(new[0])
        answers = np.concatenate((answers, new))
        if more % 10 == 0:
            number = round(float(answers.mean(axis=1).sum())) - 1
            assert surplus.at_least(number) == pytest.approx(counted_out(answers, frees, number), abs=1e-12)


@pytest.mark.parametrize(("calls", "seats"), [(0, 3), (6, 5), (60, 90)])
def test_people_from_elsewhere_take_seats_like_so_many_rare_answers(calls: int, seats: int) -> None:
    answers, frees = chances(calls, 1), chances(seats, 2)
    mean = np.linspace(0.1, 2.0, INSTANTS)
    rare = np.tile(mean / 400, (400, 1))  # a Poisson number, but for half a percent
    surplus = Surplus(answers, frees, EVENLY, mean)
    middle = round(float((answers.sum(axis=0) - frees.sum(axis=0)).mean()))
    for number in range(middle - 3, middle + 6):
        expected = counted_out(np.concatenate((answers, rare)), frees, number)
        assert surplus.at_least(number) == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize(("calls", "seats"), [(EXACT + 1, 0), (60, 90), (700, 600)])
def test_many_are_nearly_normal(calls: int, seats: int) -> None:
    answers, frees = chances(calls, 5), chances(seats, 6)
    surplus = Surplus(answers, frees, EVENLY)
    new = chances(1, 7)
    surplus.add(new[0])
    answers = np.concatenate((answers, new))
    middle = round(float((answers.sum(axis=0) - frees.sum(axis=0)).mean()))
    for number in range(middle - 8, middle + 9, 4):
        assert surplus.at_least(number) == pytest.approx(counted_out(answers, frees, number), abs=2e-3)


def test_many_with_tiny_chances_are_not_taken_for_a_normal_crowd() -> None:
    answers = np.full((200, INSTANTS), 0.002)
    surplus = Surplus(answers, np.zeros((0, INSTANTS)), EVENLY)
    for number in (1, 2, 3):
        exact = counted_out(answers, np.zeros((0, INSTANTS)), number)
        assert 0.0 <= surplus.at_least(number) <= max(2.0 * exact, exact + 0.15)
