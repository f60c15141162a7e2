"""What an evaluation says of the next plan, with the truth known."""

from __future__ import annotations

from datetime import date, time

import numpy as np
import pytest

from campaigns.config import parse
from campaigns.evaluation.arms import Counted, compare
from campaigns.evaluation.evaluating import Row
from campaigns.plans.proposing import (
    CanNotPlan,
    Seen,
    best_arm,
    best_hours,
    narrowed,
    open_hours,
    outlook,
    text_of,
    verdict,
)
from campaigns.rules.keys import Window
from tests.campaigns.trials.test_trials import SCRIPTS
from tests.campaigns.world import CONFIG

LAW = CONFIG + '# why: the contract\n[rules]\nprofile = "cn-marketing"\n'
MONDAY, SUNDAY = date(2026, 11, 30), date(2026, 12, 6)


def hour(key: int, calls: int, conversions: int) -> Row:
    return Row(f"{key:02d}", calls, calls, conversions, None, 0.0, 0.0, 0.0, None, None, None, None)


def test_the_hours_that_convert_best_are_found_and_few_calls_prove_nothing() -> None:
    truth = {h: 0.08 if h in (10, 11, 17, 18, 19) else 0.02 for h in range(9, 20)}
    found = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        rows = [hour(h, 2_000, int(random.binomial(2_000, p))) for h, p in truth.items()]
        found += best_hours(rows) == (10, 11, 17, 18, 19)
    assert found >= 190
    lucky = [hour(h, 2_000, 100) for h in range(9, 19)] + [hour(19, 3, 3), hour(8, 2, 0)]
    assert 9 in best_hours(lucky) and 8 not in best_hours(lucky)
    assert best_hours([hour(9, 100, 0)] * 6) == best_hours([hour(9, 10, 5)]) == ()


def test_an_arm_is_proposed_and_luck_is_called_luck() -> None:
    def of(a: int, b: int, n: int) -> tuple[str, bool]:
        return best_arm(
            compare(["a", "b"], {"a": 0.5, "b": 0.5}, [Counted("a", 0.5, n, a), Counted("b", 0.5, n, b)])
        )

    assert of(10, 300, 1_000) == ("b", True)
    assert of(10, 12, 1_000) == ("b", False)
    assert of(300, 10, 1_000) == ("a", False)
    assert best_arm(()) == ("", False)


def test_windows_are_narrowed_within_the_law() -> None:
    config = parse(LAW, "x")
    windows = narrowed(config, (6, 10, 11, 23))
    assert windows["mon"] == [Window(start=time(10), end=time(12))]
    whole = open_hours(narrowed(config, ()), MONDAY, SUNDAY)
    assert 0 < open_hours(windows, MONDAY, SUNDAY) < whole
    assert open_hours(windows, MONDAY, MONDAY) == 2.0


def test_the_next_campaign_is_like_the_one_it_comes_from_in_its_hours_and_with_its_script() -> None:
    made = text_of(LAW, "next", "", (10, 11, 15), "")
    config = parse(made, "x")
    assert "# why: the contract" in made and (config.name, config.running) == ("next", False)
    assert config.rules.windows is not None
    assert config.rules.windows["mon"] == (
        Window(start=time(10), end=time(12)),
        Window(start=time(15), end=time(16)),
    )
    tried = parse(text_of(CONFIG + SCRIPTS, "next", "", (), "y"), "x")
    assert [step.code for step in tried.script] == ["b"] and not tried.trial.arms
    own = parse(text_of(CONFIG + SCRIPTS, "next", "", (), "x"), "x")
    assert [step.code for step in own.script] == ["a"] and not own.trial.arms
    assert parse(text_of(CONFIG + SCRIPTS, "next", "", (), ""), "x").trial.arms
    with pytest.raises(CanNotPlan):
        text_of(CONFIG + SCRIPTS, "next", "", (), "z")


def test_seats_are_reckoned_from_the_work_and_the_hours() -> None:
    seen = Seen(customers=1_000, talked=400, converted=40, calls=2_000, seat_hours=100.0, revenue=4_000.0)
    found = outlook(seen, None, 5_000, 40.0)
    assert (found.calls, found.talked, found.seat_hours, found.seats) == (10_000, 2_000, 500.0, 13)
    assert (found.conversions.estimate, found.revenue) == (pytest.approx(200), pytest.approx(20_000))
    for wrong in (Seen(10, 0, 0, 20, 1.0, 0.0), Seen(0, 0, 0, 0, 0.0, 0.0)):
        with pytest.raises(CanNotPlan):
            outlook(wrong, None, 100, 40.0)
    with pytest.raises(CanNotPlan):
        outlook(seen, None, 100, 0.0)


@pytest.mark.parametrize(
    ("share", "known", "customers"), [(0.05, 600, 3_000), (0.02, 2_000, 500), (0.3, 200, 200)]
)
def test_what_happens_lies_within_what_was_expected(share: float, known: int, customers: int) -> None:
    random, within, went = np.random.default_rng(7), 0, []
    for _ in range(200):
        seen = Seen(known, known, int(random.binomial(known, share)), known, 1.0, 0.0)
        plan = outlook(seen, None, customers, 10.0)
        hits = int(random.binomial(customers, share))
        within += plan.conversions.low <= hits <= plan.conversions.high
        happened = Seen(customers, customers, hits, customers, 1.0, 0.0)
        went.append(verdict(plan.conversions.estimate / customers, plan.known_from, happened))
    assert within >= 186 and went.count("expected") >= 186  # of 190 that are meant, but for chance
    assert verdict(share, known, Seen(29, 29, 29, 29, 1.0, 0.0)) == "early"
    assert verdict(share, known, Seen(1_000, 1_000, 900, 1_000, 1.0, 0.0)) == "better"
    assert verdict(0.3, 1_000, Seen(1_000, 1_000, 100, 1_000, 1.0, 0.0)) == "worse"
