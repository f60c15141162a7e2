"""Pauses have a reason and a limit that the page can count down to; wrap-up may last longer where it may."""

from __future__ import annotations

import pytest

from cti.messages import MoreTime, Pause, SeatStatus
from cti.pauses import PauseReason, faults
from dialer.core.seat import SeatState
from tests.core.test_in_call import talking
from tests.core.world import World, config


def status(world: World) -> SeatStatus:
    return [m for m in world.told if isinstance(m, SeatStatus)][-1]


def test_a_pause_says_when_it_should_be_over() -> None:
    world = World()
    talking(world)
    assert world.command(Pause(user_id=7, reason="gossip")).code == "unknown_reason"
    assert world.command(Pause(user_id=7, reason="lunch")).ok
    world.hang_up(f"zdc-{world.core.seats.by_user[7].call}")
    world.pass_time(30.0)
    assert (status(world).state, status(world).reason) == ("paused", "lunch")
    until = status(world).until
    assert until is not None and until == status(world).since + 3_600.0
    world.pass_time(4_000.0)
    assert world.core.seats.by_user[7].state is SeatState.PAUSED  # a person ends a pause, not the clock


def test_wrap_up_lasts_longer_as_often_as_the_campaign_allows() -> None:
    world = World(config(wrap_up_s=30.0, wrap_up_extensions=1))
    call_id = talking(world)
    assert world.command(MoreTime(user_id=7)).code == "no_more_time"
    world.hang_up(f"zdc-{call_id}")
    assert (status(world).state, status(world).more) == ("wrap_up", 1)
    world.pass_time(20.0)
    assert world.command(MoreTime(user_id=7)).ok
    assert (status(world).more, status(world).until) == (0, status(world).since + 60.0)
    assert world.command(MoreTime(user_id=7)).code == "no_more_time"
    world.pass_time(20.0)
    assert world.core.seats.by_user[7].state is SeatState.WRAP_UP
    world.pass_time(21.0)
    assert world.core.seats.by_user[7].state is SeatState.READY


@pytest.mark.parametrize(
    ("reason", "key"),
    [
        (PauseReason(code="Tea", label={"en": "Tea", "zh": "茶"}), "pause[0].code"),
        (PauseReason(code="page_lost", label={"en": "Tea", "zh": "茶"}), "pause[0].code"),
        (PauseReason(code="tea", label={"en": "Tea"}), "pause[0].label"),
        (PauseReason(code="tea", label={"en": "Tea", "zh": "茶"}, limit_s=float("nan")), "pause[0].limit_s"),
    ],
)
def test_a_reason_that_makes_no_sense_is_told(reason: PauseReason, key: str) -> None:
    assert [found for found, _ in faults((reason,))] == [key]
