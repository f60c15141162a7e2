"""The benchmark of an hour finds a leak, and takes noise for none."""

from __future__ import annotations

import random

import pytest

from benchmarks.load import GROWTH_MB, growth


def an_hour(leak_mb: float) -> list[tuple[float, float]]:
    """A sample each second: a start that takes memory, then a level that swings, and what leaks beside it."""
    chance = random.Random(1)
    return [
        (s, 200 + min(s, 300) / 3 + chance.gauss(0, 4) + leak_mb * s / 3_600)
        for s in map(float, range(3_600))
    ]


def test_a_leak_is_found_and_noise_is_none() -> None:
    assert growth(an_hour(0)) < GROWTH_MB / 2
    assert growth(an_hour(2 * GROWTH_MB)) == pytest.approx(2 * GROWTH_MB, rel=0.2)
