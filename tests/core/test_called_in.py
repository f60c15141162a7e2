"""Customers who call in: the same seats have them, before those who are dialed; the law's counts are not about them."""

from __future__ import annotations

from datetime import timedelta

from campaigns.config import Inbound
from campaigns.records import AttemptConnected, AttemptEnded, CalledIn
from campaigns.values import InFlight
from cti.messages import Complete, Dispose, Hold, LogIn, Transfer
from dialer.core.call import CallState
from dialer.core.effects import Drop, Send
from dialer.core.seat import SeatState
from dialer.switch import port
from pacing.contract import Room
from tests.core.world import CALLED, CAMPAIGN, SWITCH, UP, Channel, World, config, lead


def world(**changes: object) -> World:
    return World(
        config(inbound=Inbound((CALLED,), wait_limit_s=30.0), wrap_up_s=5.0, wrap_up_extensions=2, **changes)
    )


def taken(world: World, user: int = 1) -> str:
    """A customer calls in and has the seat; their channel."""
    world.seat(user)
    uid = world.call_in()
    world.look_up()
    world.join_all()
    return uid


def test_a_customer_who_calls_in_is_shown_and_then_joined() -> None:
    here = world()
    uid = taken(here)
    (pop,) = here.pops()
    assert (pop.inbound, pop.customer, pop.campaign) == (True, "客户77", CAMPAIGN)
    assert here.core.seats.by_user[1].state is SeatState.TALKING
    called = [r for r in here.records if isinstance(r, CalledIn)]
    assert [(r.number, r.channel, r.campaign_id) for r in called] == [("+8613800138000", uid, 1)]
    assert any(isinstance(r, AttemptConnected) for r in here.records)
    here.hang_up(uid)
    assert here.core.seats.by_user[1].state is SeatState.WRAP_UP
    assert list(here.outcomes().values()) == ["connected"]
    (ended,) = [r for r in here.records if isinstance(r, AttemptEnded)]
    assert ended.retry_at == ended.at + timedelta(seconds=15.0), "as long as wrap-up can last"


def test_nobody_on_the_lists_is_shown_by_number_alone_and_so_is_all_when_the_database_is_slow() -> None:
    here = world()
    here.seat(1)
    here.call_in()
    here.look_up(known=False)
    assert (here.pops()[0].customer, here.pops()[0].number) == ("", "+8613800138000")
    here.seat(2)
    here.call_in(caller="13900139000")
    here.pass_time(1.5)  # the answer never comes
    assert here.pops()[1].number == "+8613900139000"
    here.look_up()  # or too late: the seat has them by their number
    assert here.core.seats.by_user[2].state is SeatState.CONNECTING


def test_a_withheld_number_is_a_customer_too() -> None:
    here = world()
    here.seat(1)
    here.call_in(caller="")
    here.look_up(known=False)
    assert here.pops()[0].number == ""


def test_a_caller_whom_nobody_can_call_back_is_shown_by_number_too() -> None:
    here = world()
    for user, (caller, number) in enumerate((("62551234", "+8662551234"), ("95588", "+8695588")), 1):
        here.seat(user)
        here.call_in(caller=caller)
        here.look_up(known=False)
        assert here.pops()[-1].number == number


def test_it_is_said_again_and_stays_one_call() -> None:
    here = world()
    uid = here.call_in()
    here.look_up()
    here.event(port.CalledIn(here.at, SWITCH, uid, CALLED, "13800138000"))
    assert len(here.core.calls.by_id) == 1
    assert here.core.campaigns[CAMPAIGN].counts.called_in == 1


def test_who_called_in_is_before_who_was_dialed() -> None:
    here = world(mode="ratio", ratio=3.0)
    (call_id,) = here.dial()
    here.answer(port.CALL_PREFIX + call_id)
    here.call_in()
    here.look_up()
    here.seat(1)
    assert [pop.inbound for pop in here.pops()] == [True]


def test_no_seat_in_time_is_missed_and_no_abandoned_call() -> None:
    here = world()
    uid = here.call_in()
    here.look_up()
    here.pass_time(29.0)
    assert not here.sent
    here.pass_time(2.0)
    assert here.sent == [Send(SWITCH, uid, "zhudong-busy")]
    here.hang_up(uid)
    assert list(here.outcomes().values()) == ["missed"]
    campaign = here.core.campaigns[CAMPAIGN]
    assert (campaign.counts.abandoned, campaign.counts.humans, campaign.ledger.rate) == (0, 0, 0.0)


def test_who_leaves_while_waiting_is_missed() -> None:
    here = world()
    uid = here.call_in()
    here.hang_up(uid)  # before anybody has said who it is
    here.look_up()
    assert list(here.outcomes().values()) == ["missed"]
    (ended,) = [r for r in here.records if isinstance(r, AttemptEnded)]
    assert (ended.retry_at, ended.locked_until, ended.final, ended.dialed) == (None, None, False, True)


def test_a_number_that_no_campaign_has_is_left_to_the_dialplan() -> None:
    here = world()
    here.call_in(called="10086")
    assert not here.core.calls.by_id
    assert here.core.anomalies["call_to_unknown_number"] == 1


def test_a_caller_can_be_held_and_given_to_a_colleague() -> None:
    here = world()
    uid = taken(here)
    here.seat(2)
    (call,) = here.core.calls.by_id.values()
    assert here.command(Hold(user_id=1, call_id=call.id, on=True)).ok
    assert here.sent[-1] == Send(SWITCH, uid, "zhudong-hold")
    assert here.command(Transfer(user_id=1, call_id=call.id, to_user=2)).ok
    here.pass_time(0.5)
    here.join_all()
    assert here.command(Complete(user_id=1, call_id=call.id)).ok
    here.join_all()
    assert (call.state, call.seat) == (CallState.CONNECTED, 2)


def test_the_agents_verdict_is_on_record() -> None:
    here = world()
    taken(here)
    (call,) = here.core.calls.by_id.values()
    assert here.command(Dispose(user_id=1, call_id=call.id, code="sold", hang_up=True)).ok
    assert Drop(SWITCH, call.uid) in here.done


def test_pacing_dials_less_while_a_customer_who_called_in_waits() -> None:
    here = world()
    here.seat(1)
    campaign = here.core.campaigns[CAMPAIGN]
    room = Room(free_lines=10)
    assert campaign.decide(campaign.part(SWITCH), here.at, room, draining=False).dial == 1
    here.call_in()  # not looked up yet, and so without a seat
    assert campaign.decide(campaign.part(SWITCH), here.at, room, draining=False).dial == 0


def test_pacing_has_the_seats_back_while_a_customer_hears_that_all_are_busy() -> None:
    here = world()
    uid = here.call_in()
    here.look_up()
    here.pass_time(31.0)
    assert here.sent == [Send(SWITCH, uid, "zhudong-busy")]
    here.seat(1)
    campaign = here.core.campaigns[CAMPAIGN]
    room = Room(free_lines=10)
    assert campaign.decide(campaign.part(SWITCH), here.at, room, draining=False).dial == 1
    here.hang_up(uid)
    assert campaign.decide(campaign.part(SWITCH), here.at, room, draining=False).dial == 1


def test_after_a_restart_a_waiting_caller_has_a_seat_and_a_talking_one_keeps_it() -> None:
    here = world()
    here.seat(1)
    here.channels["1.1"] = Channel("1.1", UP)
    waits = InFlight("a" * 32, 1, lead(5), "x", dialed=True, switch=SWITCH, channel="1.1")
    gone = InFlight("b" * 32, 1, lead(6), "x", dialed=True, switch=SWITCH, channel="1.2")
    here.core.recover([waits, gone], {1: LogIn(1, "u1", "seat1", (CAMPAIGN,), "nailed")}, here.at)
    here.link_up()
    here.join_all()
    assert [pop.inbound for pop in here.pops()] == [True]
    assert here.core.seats.by_user[1].state is SeatState.TALKING
    assert here.outcomes() == {lead(6).call_id: "lost"}
