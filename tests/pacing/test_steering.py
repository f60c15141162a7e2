"""The risk limit on its own, over a month of answers: where it ends, whatever happens to the engine meanwhile."""

from __future__ import annotations

import json
import random

import pytest

from pacing.steering import RiskLimit

ANSWERS = 20_000  # people who answer
BLAME = 1.6  # abandons for each that was predicted
AT_STAKE = 2.0


def month(target: float, restarts: bool) -> tuple[float, float]:
    """The share that was abandoned, in targets, and the limit in the middle of all answers, in targets.

    With `restarts` the engine is killed after every few dozen answers, and what was kept is some answers old.
    """
    chance, limit = random.Random(7), RiskLimit(target)
    lost, limits, kept = 0, list[float](), limit.learned()
    for answer in range(ANSWERS):
        if answer % 20 == 0:
            kept = json.loads(json.dumps(limit.learned()))
        if restarts and chance.random() < 1 / 50:
            limit = RiskLimit(target)
            limit.restore(kept)
        limits.append(limit.value / target)
        expected = min(1.0, BLAME * limit.value)
        abandoned = chance.random() < expected
        lost += abandoned
        limit.answered(abandoned, expected, AT_STAKE, binding=True)
    return lost / ANSWERS / target, sorted(limits)[ANSWERS // 2]


@pytest.mark.parametrize("target", [0.01, 0.02, 0.03])
def test_restarts_every_few_minutes_give_no_abandon_more_and_take_no_call(target: float) -> None:
    undisturbed, usual = month(target, restarts=False)
    share, limit = month(target, restarts=True)
    assert 0.9 <= undisturbed <= 1.0
    assert 0.85 <= share <= 1.0
    assert limit == pytest.approx(usual, rel=0.1)
