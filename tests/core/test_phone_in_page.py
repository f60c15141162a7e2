"""A seat whose phone is in its page: its password, its lost line, and where it goes on when the line is back."""

from __future__ import annotations

import pytest

from cti.messages import HangUp, LogIn, LogOut, OpenPhone, Pause, PhoneLost, RedialPhone
from dialer.core.effects import Bar
from dialer.core.seat import SeatState
from tests.core.world import SWITCH, World

SEAT = 7
WSS = "wss://pbx.example:8089/ws"


@pytest.fixture
def world() -> World:
    world = World()
    lines = world.core.switches[SWITCH]
    lines.softphone, lines.softphone_endpoint = WSS, "{phone}-web"
    return world


def state(world: World) -> SeatState:
    return world.core.seats.by_user[SEAT].state


def back(world: World) -> None:
    """The page has registered again, asks for its leg and picks it up."""
    assert world.command(RedialPhone(user_id=SEAT, resume=True)).ok
    world.answer(world.core.seats.by_user[SEAT].leg)


def talking(world: World) -> str:
    world.seat(SEAT)
    (call,) = world.dial()
    world.answer(f"zdc-{call}")
    world.join_all()
    assert state(world) is SeatState.TALKING
    return call


def test_each_log_in_has_a_password_of_its_own_and_the_log_out_ends_it(world: World) -> None:
    first = world.command(OpenPhone(user_id=SEAT, phone="seat007")).phone
    second = world.command(OpenPhone(user_id=SEAT, phone="seat007")).phone
    assert first is not None and second is not None
    assert (first.switch, first.url, first.endpoint) == (SWITCH, WSS, "seat007-web")
    assert first.password != second.password and len(first.password) >= 32
    world.command(LogIn(user_id=SEAT, name="u", phone="seat007-web", campaigns=()))
    world.command(LogOut(user_id=SEAT))
    assert Bar(SWITCH, "seat007-web") in world.done


def test_where_no_switch_has_one_or_the_user_has_no_phone_there_is_no_password(world: World) -> None:
    assert world.command(OpenPhone(user_id=SEAT, phone="")).code == "no_softphone"
    world.link_down()
    assert world.command(OpenPhone(user_id=SEAT, phone="seat007")).code == "switch_down"
    assert World().command(OpenPhone(user_id=SEAT, phone="seat007")).code == "no_softphone"


def test_a_phone_that_somebody_is_at_work_with_is_not_taken_from_them(world: World) -> None:
    assert world.command(LogIn(user_id=SEAT, name="u", phone="seat007-web", campaigns=())).ok
    refused = world.command(OpenPhone(user_id=SEAT + 1, phone="seat007"))
    assert (refused.code, refused.detail, refused.phone) == ("phone_taken", "seat007-web", None)
    assert world.command(OpenPhone(user_id=SEAT, phone="seat007")).ok  # their page, loaded anew
    assert world.command(OpenPhone(user_id=SEAT + 1, phone="seat008")).ok
    world.command(LogOut(user_id=SEAT))
    assert world.command(OpenPhone(user_id=SEAT + 1, phone="seat007")).ok  # the next one at this desk


def test_a_ready_seat_is_ready_again_when_its_line_is_back(world: World) -> None:
    world.seat(SEAT)
    old = world.core.seats.by_user[SEAT].leg
    assert world.command(PhoneLost(user_id=SEAT)).ok
    assert state(world) is SeatState.NO_PHONE
    assert old in world.dropped
    assert not world.core.campaigns["spring"].idle
    world.hang_up(old)  # the switch says so only now
    assert state(world) is SeatState.NO_PHONE
    back(world)
    assert state(world) is SeatState.READY
    world.check()


def test_in_wrap_up_it_goes_on_with_that(world: World) -> None:
    call = talking(world)
    world.command(HangUp(user_id=SEAT, call_id=call))
    assert state(world) is SeatState.WRAP_UP
    world.command(PhoneLost(user_id=SEAT))
    back(world)
    assert state(world) is SeatState.WRAP_UP
    world.pass_time(120.0)
    assert state(world) is SeatState.READY
    world.check()


def test_in_a_call_the_customer_goes_to_another_and_the_agent_to_wrap_up(world: World) -> None:
    call = talking(world)
    world.seat(SEAT + 1)
    world.command(PhoneLost(user_id=SEAT))
    assert world.core.calls.by_id[call].seat == SEAT + 1
    back(world)
    assert state(world) is SeatState.WRAP_UP
    world.check()


def test_who_was_paused_or_pauses_meanwhile_stays_paused(world: World) -> None:
    world.seat(SEAT, ready=False)
    world.command(PhoneLost(user_id=SEAT))
    back(world)
    assert state(world) is SeatState.PAUSED
    world.seat(SEAT + 1)
    world.command(PhoneLost(user_id=SEAT + 1))
    world.command(Pause(user_id=SEAT + 1))
    world.command(RedialPhone(user_id=SEAT + 1, resume=True))
    world.answer(world.core.seats.by_user[SEAT + 1].leg)
    assert world.core.seats.by_user[SEAT + 1].state is SeatState.PAUSED


def test_a_ring_that_nobody_hears_is_given_up_and_tried_again(world: World) -> None:
    world.command(LogIn(user_id=SEAT, name="u", phone="seat007-web", campaigns=()))
    assert state(world) is SeatState.PHONE
    world.command(PhoneLost(user_id=SEAT))
    assert state(world) is SeatState.NO_PHONE
    back(world)
    assert state(world) is SeatState.PAUSED


def test_a_desk_phone_that_is_asked_for_by_hand_comes_back_paused(world: World) -> None:
    world.seat(SEAT)
    world.hang_up(world.core.seats.by_user[SEAT].leg)
    world.command(RedialPhone(user_id=SEAT))
    world.answer(world.core.seats.by_user[SEAT].leg)
    assert state(world) is SeatState.PAUSED


def lose_line(world: World) -> str:
    """In a call whose seat's phone is in the page, and a colleague is free."""
    world.seat(SEAT)
    world.core.seats.by_user[SEAT].phone = "seat007-web"
    (call,) = world.dial()
    world.answer(f"zdc-{call}")
    world.join_all()
    world.seat(SEAT + 1)
    world.hang_up(world.core.seats.by_user[SEAT].leg)
    assert state(world) is SeatState.NO_PHONE
    return call


def test_a_page_that_is_loaded_anew_has_its_customer_again_though_a_colleague_is_free(world: World) -> None:
    call = lose_line(world)
    world.pass_time(3.0)
    back(world)
    world.join_all()
    assert state(world) is SeatState.TALKING
    assert world.core.seats.by_user[SEAT].call == call
    assert [pop.user_id for pop in world.pops()] == [SEAT, SEAT]
    assert world.command(HangUp(user_id=SEAT, call_id=call)).ok
    world.hang_up(f"zdc-{call}")
    world.pass_time(10.0)
    assert world.outcomes() == {call: "connected"}
    world.check()


def test_who_waits_in_vain_for_the_page_is_given_to_a_colleague(world: World) -> None:
    call = lose_line(world)
    world.pass_time(4.0)
    assert world.core.seats.by_user[SEAT + 1].call == ""
    world.pass_time(2.0)
    world.join_all()
    assert world.core.seats.by_user[SEAT + 1].call == call
    back(world)
    assert state(world) is SeatState.WRAP_UP
    world.check()


def test_a_phone_on_a_desk_that_is_lost_costs_no_time(world: World) -> None:
    call = talking(world)
    world.seat(SEAT + 1)
    world.hang_up(world.core.seats.by_user[SEAT].leg)
    world.join_all()
    assert world.core.seats.by_user[SEAT + 1].call == call
    world.check()
