"""Failed log-ins are slowed down, and nobody can be locked out by a stranger's few tries."""

from __future__ import annotations

from cti.throttle import KEPT, PER_LOGIN, PER_PAIR, PER_SOURCE, WINDOW_S, LogInThrottle


def test_five_mistakes_from_one_place_wait_until_the_first_is_out_of_the_window() -> None:
    throttle = LogInThrottle()
    for n in range(PER_PAIR):
        assert throttle.wait_s("lina", "10.0.0.1", float(n)) == 0
        throttle.failed("lina", "10.0.0.1", float(n))
    assert throttle.wait_s("LiNa ", "10.0.0.1", 10.0) == WINDOW_S - 10.0
    assert throttle.wait_s("lina", "10.0.0.1", WINDOW_S + 0.1) == 0


def test_the_agent_at_their_own_desk_is_not_locked_out_by_a_stranger() -> None:
    throttle = LogInThrottle()
    for n in range(PER_PAIR):
        throttle.failed("lina", "203.0.113.9", float(n))
    assert throttle.wait_s("lina", "10.0.0.1", 10.0) == 0


def test_many_names_from_one_place_are_slowed_down() -> None:
    throttle = LogInThrottle()
    for n in range(PER_SOURCE):
        throttle.failed(f"user{n}", "203.0.113.9", 0.0)
    assert throttle.wait_s("another", "203.0.113.9", 1.0) > 0


def test_one_name_from_many_places_is_slowed_down() -> None:
    throttle = LogInThrottle()
    for n in range(PER_LOGIN):
        throttle.failed("lina", f"203.0.113.{n}", 0.0)
    assert throttle.wait_s("lina", "198.51.100.1", 1.0) > 0


def test_success_forgives_mistypes() -> None:
    throttle = LogInThrottle()
    for _ in range(PER_PAIR):
        throttle.failed("lina", "10.0.0.1", 0.0)
    throttle.succeeded("lina", "10.0.0.1")
    assert throttle.wait_s("lina", "10.0.0.1", 1.0) == 0


def test_memory_is_bounded() -> None:
    throttle = LogInThrottle()
    for n in range(KEPT):
        throttle.failed(f"user{n}", f"10.{n}", 0.0)
    assert len(throttle._failures) <= KEPT
