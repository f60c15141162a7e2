"""The benchmarks of pacing, at a size of seconds: what they print is what they say it is."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import optimum, pacing, yardstick
from benchmarks.report import Result


def by_name(results: list[Result]) -> dict[str, float]:
    return {result.what: result.value for result in results}


def test_no_rule_is_better_than_the_best_possible_and_progressive_is_what_renewal_theory_says() -> None:
    results = optimum.measure(0.1)
    best, limited, lost, progressive = (result.value for result in results)
    assert best - limited == pytest.approx(lost)
    assert 0.0 <= lost <= optimum.WORST_PP
    # Each seat by itself: talk and wrap-up, then dials of 18 s one after the other until one in four is answered.
    busy_s = optimum.TALK_S + optimum.WRAP_S
    dialing_s = optimum.PHASES * optimum.PHASE_S / optimum.ANSWERS
    assert progressive == pytest.approx(100 * busy_s / (busy_s + dialing_s), abs=0.02)
    assert progressive < limited


def test_the_risk_of_a_call_is_a_chance_that_grows_with_the_calls_before_it() -> None:
    of = optimum.centre(2, 5)
    risk = optimum.risks(of)
    assert (risk >= 0.0).all() and (risk <= 1.0).all()
    assert (risk[of.more] >= risk - 1e-9).all()
    nobody_in_air = of.in_air == 0.0
    assert risk[nobody_in_air & (of.idle == 2.0)] == pytest.approx(0.0)
    # Two seats in wrap-up, of which one is free sooner than the call is answered, or not in any of its three phases.
    ends, passes = 2 / optimum.WRAP_S, 1 / optimum.PHASE_S
    both_in_wrap_up = nobody_in_air & (of.idle == 0.0) & np.isclose(1.0 - of.stays, ends / of.steps_per_s)
    assert both_in_wrap_up.sum() == 1
    assert risk[both_in_wrap_up] == pytest.approx((passes / (passes + ends)) ** optimum.PHASES)


def test_decisions_and_the_filter_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "TEAMS", {5: None, 30: None})
    monkeypatch.setattr(pacing, "ROUNDS", 1)
    results = by_name(pacing.measure(0.01))
    for seats in (5, 30):
        (half,) = (
            value for what, value in results.items() if what.startswith(f"{seats} seats: predictive, p50")
        )
        assert 0.0 < half <= results[f"{seats} seats: predictive, p99"]
        assert results[f"{seats} seats: progressive, p50"] < half
    assert sum("filter: " in what or "dialer pace, " in what for what in results) == 5
    assert all(value > 0.0 for value in results.values())


def test_a_filter_that_answers_otherwise_than_it_did_is_not_timed() -> None:
    with pytest.raises(SystemExit, match="did not answer as it did"):
        pacing.in_process([b'{"t": 0, "decide": true}\n'], [None])


@pytest.mark.timeout(180)  # numba compiles once on a new machine
def test_the_yardstick_has_a_line_for_each_law_and_holds_ours_to_the_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(yardstick, "GOALS", {"yardstick-5": 80.0})
    monkeypatch.setattr(yardstick, "names", lambda: ["progressive", "predictive", "clairvoyant"])
    results = by_name(yardstick.measure(0.005))
    for law in ("predictive", "progressive", "clairvoyant"):
        assert 0.0 < results[f"yardstick-5, {law}: occupancy"] <= 100.0
    assert results["yardstick-5, progressive: abandoned"] == 0.0
    assert results["yardstick-5: goal for the occupancy"] == 80.0


def test_ours_is_held_to_the_target_from_five_days_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Day:
        occupancy, abandon_rate, connects_per_seat_hour = 0.8, 0.031, 20.0

    days = [Day()] * yardstick.FEWEST  # type: ignore[list-item]
    assert not all(result.ok for result in yardstick.figures("yardstick-5", "predictive", days))  # type: ignore[arg-type]
    assert all(result.ok for result in yardstick.figures("yardstick-5", "issabel", days))  # type: ignore[arg-type]
    assert all(result.ok for result in yardstick.figures("yardstick-5", "predictive", days[1:]))  # type: ignore[arg-type]
