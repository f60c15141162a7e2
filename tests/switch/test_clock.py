"""How late an event was heard is told by the switch's own clock, and not believed beyond reason."""

from __future__ import annotations

from time import monotonic

import pytest

from dialer.switch.clock import LATEST_S, SwitchClock

AHEAD = 1_700_000_000.0  # a switch's time, less ours


def quick() -> tuple[SwitchClock, float]:
    clock, now = SwitchClock(), monotonic()
    clock.told(f"{now + AHEAD:.6f}", now)
    return clock, now


def test_an_event_that_was_held_up_happened_when_it_was_stamped() -> None:
    clock, now = quick()
    assert clock.happened(f"{now + AHEAD:.6f}", now + 4.0) == pytest.approx(now, abs=0.3)


def test_what_comes_in_time_happened_when_it_was_heard() -> None:
    clock, now = quick()
    assert clock.happened(f"{now + AHEAD:.6f}", now + 0.1) == now + 0.1


@pytest.mark.parametrize("stamp", ["", None, "soon", "nan", "inf", "-1e999", "12"])
def test_a_stamp_that_says_nothing_is_nothing(stamp: str | None) -> None:
    clock, now = quick()
    assert clock.happened(stamp, now + 4.0) == now + 4.0


def test_a_clock_that_was_set_back_makes_nothing_late() -> None:
    clock, now = quick()
    assert clock.happened(f"{now + AHEAD - LATEST_S - 1.0:.6f}", now) == now


def test_a_slow_ping_and_a_strange_one_tell_no_time() -> None:
    clock, now = SwitchClock(), monotonic()
    clock.told(f"{now + AHEAD:.6f}", now - 5.0)
    clock.told("nan", now)
    assert clock.happened(f"{now + AHEAD:.6f}", now + 4.0) == now + 4.0
