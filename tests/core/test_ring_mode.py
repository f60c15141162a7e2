"""Seats whose phone is rung for each customer, and phones that nobody picks up."""

from __future__ import annotations

from campaigns.config import Inbound
from cti.messages import Dispose, Pause, Ready
from tests.core.world import CALLED, World, config


def floor() -> World:
    here = World(config(wrap_up_s=5.0))
    here.seat(1, "ring")
    return here


def customer(here: World) -> str:
    """A customer answers; their channel."""
    [call_id] = here.dial()
    here.answer(f"zdc-{call_id}")
    return f"zdc-{call_id}"


def in_vain(here: World, waits_s: float = 2.5) -> None:
    """A customer for whom the phone rings until they have waited so long, or the limit is over."""
    uid = customer(here)
    assert here.core.seats.by_user[1].state == "connecting"
    here.pass_time(waits_s)
    here.hang_up(uid)
    here.check()


def seat(here: World) -> tuple[str, str]:
    found = here.core.seats.by_user[1]
    return found.state, found.reason


def test_a_phone_that_nobody_picks_up_is_rung_for_two_customers_and_for_no_third() -> None:
    here = floor()
    in_vain(here)
    assert seat(here) == ("ready", "")
    in_vain(here)
    assert seat(here) == ("paused", "phone_no_answer")
    assert here.screens[1].pop is None  # and no result is asked for
    customer(here)
    assert len(here.pops()) == 2
    here.check()


def test_who_is_at_the_phone_again_begins_anew() -> None:
    here = floor()
    in_vain(here)
    in_vain(here)
    here.command(Ready(user_id=1))
    in_vain(here)
    assert seat(here) == ("ready", "")


def test_who_picks_up_between_two_was_only_slow() -> None:
    here = floor()
    in_vain(here)
    uid = customer(here)
    here.answer(here.core.seats.by_user[1].leg)
    here.join_all()
    here.hang_up(uid)
    here.pass_time(5.0)
    in_vain(here)
    assert seat(here) == ("ready", "")


def test_customers_who_hardly_wait_say_little_of_the_phone() -> None:
    here = floor()
    for _ in range(5):
        in_vain(here, 0.5)
    assert seat(here) == ("ready", "")


def test_a_caller_who_puts_down_while_the_phone_rings_says_nothing_of_it() -> None:
    here = World(config(inbound=Inbound((CALLED,), wait_limit_s=30.0)))
    here.seat(1, "ring")
    for _ in range(2):
        uid = here.call_in()
        here.look_up()
        assert here.core.seats.by_user[1].state == "connecting"
        here.pass_time(5.0)
        here.hang_up(uid)
    assert seat(here) == ("ready", "")


def test_a_pause_that_was_asked_for_keeps_its_reason() -> None:
    here = floor()
    in_vain(here)
    uid = customer(here)
    here.command(Pause(user_id=1, reason="lunch"))
    here.pass_time(2.5)
    here.hang_up(uid)
    assert seat(here) == ("paused", "lunch")


def test_who_never_met_the_customer_owes_no_result_and_may_give_the_one_before() -> None:
    here = floor()
    uid = customer(here)
    here.answer(here.core.seats.by_user[1].leg)
    here.join_all()
    here.hang_up(uid)
    here.pass_time(5.0)
    assert seat(here) == ("ready", "")
    customer(here)
    here.hang_up(here.core.seats.by_user[1].leg)  # declined on the phone
    assert seat(here) == ("paused", "phone_no_answer")
    assert here.screens[1].pop is None
    assert here.command(Dispose(user_id=1, call_id=uid.removeprefix("zdc-"), code="sold")).ok
    here.check()
