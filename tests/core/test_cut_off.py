"""Nobody who has answered is hung up on in silence: another seat has them, or they hear the message, abandoned."""

from __future__ import annotations

import pytest

from cti.messages import DialPreviewed, HangUp, LogOut
from dialer.core.call import CallState
from dialer.core.seat import SeatState
from tests.core.world import CAMPAIGN, World, config, lead

LI, WU = 1, 2


def answered(world: World) -> str:
    """A customer whom the first seat is to have; the call's id."""
    [call_id] = world.dial()
    world.answer(f"zdc-{call_id}")
    assert world.core.seats.by_user[LI].state is SeatState.CONNECTING
    return call_id


def hears_the_message(world: World, call_id: str) -> bool:
    return [(s.uid, s.context) for s in world.sent] == [(f"zdc-{call_id}", "zhudong-safe-harbour")]


@pytest.mark.parametrize("mode", ["nailed", "ring"])
@pytest.mark.parametrize("leaves", [LogOut, HangUp])
def test_who_was_to_have_a_seat_that_leaves_has_the_next_one(
    mode: str, leaves: type[LogOut | HangUp]
) -> None:
    world = World()
    world.seat(LI, mode)
    world.seat(WU)
    call_id = answered(world)
    assert world.command(LogOut(LI) if leaves is LogOut else HangUp(LI, call_id)).ok
    world.join_all()
    world.check()
    assert world.core.calls.by_id[call_id].seat == WU and world.dropped.count(f"zdc-{call_id}") == 0
    assert world.core.seats.by_user[WU].state is SeatState.TALKING


def test_who_has_the_only_seat_and_is_hung_up_on_hears_the_message() -> None:
    world = World()
    world.seat(LI)
    call_id = answered(world)
    assert world.command(HangUp(LI, call_id)).ok
    world.check()
    assert hears_the_message(world, call_id) and world.core.seats.by_user[LI].state is SeatState.READY
    world.hang_up(f"zdc-{call_id}")
    assert world.outcomes() == {call_id: "abandoned"}
    assert world.core.campaigns[CAMPAIGN].ledger.given_up == 1.0


def test_who_has_the_only_seat_and_it_is_logged_out_hears_the_message_when_their_time_is_up() -> None:
    world = World()
    world.seat(LI)
    call_id = answered(world)
    world.command(LogOut(LI))
    assert world.core.calls.by_id[call_id].state is CallState.WAITING
    world.pass_time(2.5)
    assert hears_the_message(world, call_id)


def test_who_was_previewed_and_answers_as_their_agent_hangs_up_is_not_offered_again() -> None:
    world = World(config(mode="preview"))
    world.seat(LI)
    world.seat(WU)
    assert world.core.show(LI, lead(9), CAMPAIGN, world.at)
    world.command(DialPreviewed(LI, lead(9).call_id))
    world.core.permitted(lead(9).call_id, "", world.at)
    world.run()
    world.answer(f"zdc-{lead(9).call_id}")
    assert world.command(HangUp(LI, lead(9).call_id)).ok
    world.check()
    assert hears_the_message(world, lead(9).call_id)
    assert {seat.state for seat in world.core.seats.by_user.values()} == {SeatState.READY}


def test_who_called_while_there_was_no_link_and_is_let_go_of_was_abandoned() -> None:
    """Nothing can be played to them; it is on record all the same that they had no seat."""
    world = World(config(mode="preview"))
    world.seat(LI)
    assert world.core.show(LI, lead(9), CAMPAIGN, world.at)
    world.command(DialPreviewed(LI, lead(9).call_id))
    world.core.permitted(lead(9).call_id, "", world.at)
    world.run()
    world.link_down()
    world.answer(f"zdc-{lead(9).call_id}")
    world.command(LogOut(LI))
    world.pass_time(10.0)
    world.check()
    assert world.outcomes() == {lead(9).call_id: "abandoned"}


def test_who_talks_to_a_seat_that_is_logged_out_is_hung_up_on_and_was_connected() -> None:
    world = World()
    world.seat(LI)
    call_id = answered(world)
    world.join_all()
    world.command(LogOut(LI))
    world.hang_up(f"zdc-{call_id}")
    assert world.outcomes() == {call_id: "connected"}
