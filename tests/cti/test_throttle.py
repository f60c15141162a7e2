"""Failed log-ins are slowed down, and nobody can be locked out by a stranger's few tries."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from cti.throttle import KEPT, PER_LOGIN, PER_PAIR, PER_SOURCE, WINDOW_S, LogInThrottle


async def answer(right: bool) -> bool:
    return right


async def fail(throttle: LogInThrottle, login: str, source: str, now: float = 0.0) -> None:
    assert not await throttle.tried(login, source, now, answer(False))


async def test_five_mistakes_from_one_place_wait_until_the_first_is_out_of_the_window() -> None:
    throttle = LogInThrottle()
    for n in range(PER_PAIR):
        assert throttle.wait_s("lina", "10.0.0.1", float(n)) == 0
        await fail(throttle, "lina", "10.0.0.1", float(n))
    assert throttle.wait_s("LiNa ", "10.0.0.1", 10.0) == WINDOW_S - 10.0
    assert throttle.wait_s("lina", "10.0.0.1", WINDOW_S + 0.1) == 0


async def test_the_agent_at_their_own_desk_is_not_locked_out_by_a_stranger() -> None:
    throttle = LogInThrottle()
    for n in range(PER_PAIR):
        await fail(throttle, "lina", "203.0.113.9", float(n))
    assert throttle.wait_s("lina", "10.0.0.1", 10.0) == 0


async def test_many_names_from_one_place_are_slowed_down_whatever_they_are() -> None:
    throttle = LogInThrottle()
    await fail(throttle, "", "203.0.113.9")
    for n in range(PER_SOURCE - 1):
        await fail(throttle, f"user{n}", "203.0.113.9")
    assert throttle.wait_s("another", "203.0.113.9", 1.0) > 0
    assert throttle.wait_s("another", "203.0.113.8", 1.0) == 0


async def test_an_office_whose_people_are_let_in_may_mistype_more_often() -> None:
    """A thousand behind one router: one in ten mistypes, and some have forgotten what they once knew."""
    throttle, office = LogInThrottle(), "10.0.0.1"
    for n in range(1_000):
        if n % 10 == 0:
            await fail(throttle, f"agent{n}", office, n / 10)
        if n % 20 == 0:
            for _ in range(3):
                await fail(throttle, f"forgot{n}", office, n / 10)
        assert throttle.wait_s(f"agent{n}", office, n / 10) == 0
        assert await throttle.tried(f"agent{n}", office, n / 10, answer(True))
    assert throttle.wait_s("late", office, 100.0) == 0
    # They were let in long ago: what their names were good for is over with the window.
    now = 100.0 + WINDOW_S
    for n in range(PER_SOURCE):
        assert throttle.wait_s("late", office, now) == 0
        await fail(throttle, f"user{n}", office, now)
    assert throttle.wait_s("late", office, now + 1.0) == WINDOW_S - 1.0


async def test_one_name_lifts_the_limit_of_its_address_once() -> None:
    throttle = LogInThrottle()
    for _ in range(3):
        assert await throttle.tried("Mallory", "203.0.113.9", 0.0, answer(True))
    for n in range(PER_SOURCE + 1):
        assert throttle.wait_s("another", "203.0.113.9", 1.0) == 0
        await fail(throttle, f"user{n}", "203.0.113.9", 1.0)
    assert throttle.wait_s("another", "203.0.113.9", 1.0) > 0


async def test_that_an_address_has_to_wait_is_told_once() -> None:
    throttle = LogInThrottle()
    with capture_logs() as told:
        for n in range(PER_SOURCE + 5):  # the last of them were under way
            await fail(throttle, f"user{n}", "203.0.113.9")
    [line] = told
    assert (line["log_level"], line["source"], line["failures"]) == ("warning", "203.0.113.9", PER_SOURCE)
    assert line["wait_s"] == WINDOW_S


async def test_one_name_from_many_places_is_slowed_down() -> None:
    throttle = LogInThrottle()
    for n in range(PER_LOGIN):
        await fail(throttle, "lina", f"203.0.113.{n}")
    assert throttle.wait_s("lina", "198.51.100.1", 1.0) > 0


async def test_of_many_tries_at_once_no_more_are_let_through_and_an_office_begins_its_day_at_once() -> None:
    throttle, known = LogInThrottle(), asyncio.Event()

    async def later(right: bool) -> bool:
        await known.wait()
        return right

    async def log_in(login: str, right: bool) -> bool | None:
        if throttle.wait_s(login, "10.0.0.1", 0.0) > 0:
            return None
        return await throttle.tried(login, "10.0.0.1", 0.0, later(right))

    guesses = [asyncio.create_task(log_in("lina", False)) for _ in range(3 * PER_PAIR)]
    office = [asyncio.create_task(log_in(f"agent{n}", True)) for n in range(3 * PER_SOURCE)]
    await asyncio.sleep(0)
    known.set()
    assert (await asyncio.gather(*guesses)).count(None) == 2 * PER_PAIR
    assert all(await asyncio.gather(*office))
    assert throttle.wait_s("agent0", "10.0.0.1", 1.0) == 0


async def test_success_forgives_mistypes_and_is_no_failure_itself() -> None:
    throttle = LogInThrottle()
    for _ in range(PER_PAIR - 1):
        await fail(throttle, "lina", "10.0.0.1")
    for _ in range(PER_LOGIN):
        assert throttle.wait_s("lina", "10.0.0.1", 1.0) == 0
        assert await throttle.tried("lina", "10.0.0.1", 1.0, answer(True))
    assert throttle.wait_s("lina", "10.0.0.1", 1.0) == 0


async def test_what_could_not_be_checked_is_no_failure() -> None:
    async def away() -> bool:
        raise OSError

    throttle = LogInThrottle()
    for _ in range(PER_LOGIN):
        with pytest.raises(OSError):
            await throttle.tried("lina", "10.0.0.1", 0.0, away())
    assert throttle.wait_s("lina", "10.0.0.1", 1.0) == 0


async def test_memory_is_bounded() -> None:
    throttle = LogInThrottle()
    for n in range(KEPT):
        await fail(throttle, f"user{n}", f"10.{n}")
    assert len(throttle._failures) <= KEPT
