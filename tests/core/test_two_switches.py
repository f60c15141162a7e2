"""One engine with two switches: a seat is where its customers are, and nobody dials for seats on the other one."""

from __future__ import annotations

import pytest

from cti.messages import LogIn, Ready
from dialer.core.lines import SwitchLines
from tests.core.world import CAMPAIGN, SWITCH, World, config, replace_config

OTHER = "other"  # the switch that was configured second
THERE = "summer"  # the campaign on it


@pytest.fixture
def world() -> World:
    made = World()
    made.core.switches[OTHER] = SwitchLines(OTHER, 50, 1000.0, "PJSIP/{number}@carrier", "PJSIP/{endpoint}")
    made.core.switches[OTHER].up = True
    made.core.configure(2, replace_config(config(), name=THERE, switch=OTHER), made.at)
    return made


def seat_of(world: World, *campaigns: str) -> str:
    """The switch that a new seat of these campaigns, ready for customers, is on."""
    user_id = len(world.core.seats.by_user) + 1
    world.command(
        LogIn(user_id=user_id, name="u", phone=f"seat{user_id}", campaigns=campaigns, mode="nailed")
    )
    seat = world.core.seats.by_user[user_id]
    world.answer(seat.leg)
    world.command(Ready(user_id=user_id))
    return seat.switch


def test_a_seat_is_on_the_switch_of_its_campaigns(world: World) -> None:
    assert seat_of(world, THERE) == OTHER
    assert seat_of(world, CAMPAIGN) == SWITCH
    assert seat_of(world, THERE, CAMPAIGN) == SWITCH  # of both: the first that was configured
    assert seat_of(world) == SWITCH


def test_nobody_dials_for_seats_on_another_switch(world: World) -> None:
    seat_of(world, THERE, CAMPAIGN)
    assert world.core.decide(THERE, world.at).dial == 0
    assert world.core.decide(CAMPAIGN, world.at).dial == 1


def test_while_its_switch_is_away_a_seat_of_both_is_on_the_other_one(world: World) -> None:
    world.core.switches[SWITCH].up = False
    assert seat_of(world, THERE, CAMPAIGN) == OTHER
