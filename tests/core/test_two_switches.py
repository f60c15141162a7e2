"""One engine with two switches: a seat is where its customers are, and nobody dials for seats on the other one."""

from __future__ import annotations

import pytest

from campaigns.config import Inbound, Manual
from cti.messages import (
    Assign,
    DialNumber,
    DialPreviewed,
    LogIn,
    Pause,
    Ready,
    RedialPhone,
    Reply,
    ScreenPop,
    SeatStatus,
)
from dialer.core.lines import SwitchLines
from dialer.core.seat import SeatState
from dialer.core.seats import leg_uid
from dialer.switch import port
from tests.core.test_callbacks import mine
from tests.core.world import CALLED, CAMPAIGN, SWITCH, UP, Channel, World, config, lead, replace_config

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


def test_a_caller_is_of_the_campaign_on_their_switch_whatever_another_ones_priority(world: World) -> None:
    hotline = {"inbound": Inbound((CALLED,)), "priority": 1}
    world.core.configure(1, replace_config(config(), **hotline), world.at)
    world.core.configure(
        2, replace_config(config(), name=THERE, switch=OTHER, inbound=Inbound((CALLED,))), world.at
    )
    seat_of(world, THERE)
    world.channels["1700000000.9"] = Channel("1700000000.9", UP)
    world.event(port.CalledIn(world.at, OTHER, "1700000000.9", CALLED, "13800138000"))
    world.look_up()
    assert [m.campaign for m in world.told if isinstance(m, ScreenPop)] == [THERE]


def test_a_persons_callback_is_called_over_the_switch_of_their_phone_or_left_to_others(world: World) -> None:
    seat_of(world, THERE, CAMPAIGN)
    callbacks = world.core.callbacks
    assert (callbacks.persons(CAMPAIGN), callbacks.persons(THERE)) == ([1], [])
    callbacks.due(THERE, mine(9), world.at)
    world.run()
    assert world.freed == [mine(9).call_id] and world.core.seats.by_user[1].state is SeatState.READY
    assert not [m for m in world.told if isinstance(m, ScreenPop)]


def test_a_number_is_dialed_by_hand_only_where_the_phone_is(world: World) -> None:
    manual = Manual(("+861*",))
    world.core.configure(1, replace_config(config(), manual=manual), world.at)
    world.core.configure(2, replace_config(config(), name=THERE, switch=OTHER, manual=manual), world.at)
    seat_of(world, THERE, CAMPAIGN)
    assert [m for m in world.told if isinstance(m, SeatStatus)][-1].dials == (CAMPAIGN,)
    there = DialNumber(user_id=1, campaign=THERE, number="13912345678")
    refused = world.core.commands.number_to_dial(there, world.at)
    assert isinstance(refused, Reply) and (refused.code, refused.detail) == ("other_switch", THERE)
    here = DialNumber(user_id=1, campaign=CAMPAIGN, number="13912345678")
    assert world.core.commands.dial_by_hand(here, lead(9), world.at).ok
    assert world.core.calls.by_id[lead(9).call_id].switch == SWITCH


def test_who_has_a_customer_on_the_screen_does_not_dial_once_the_campaign_has_left_their_switch(
    world: World,
) -> None:
    world.core.configure(1, replace_config(config(mode="preview"), switch=(SWITCH, OTHER)), world.at)
    assert [seat_of(world, CAMPAIGN) for _ in range(2)] == [SWITCH, OTHER]
    for user in (1, 2):
        assert world.core.show(user, lead(user), CAMPAIGN, world.at)
    world.core.configure(1, replace_config(config(mode="preview"), switch=SWITCH), world.at)
    for user, code in ((1, "ok"), (2, "other_switch")):
        assert world.command(DialPreviewed(user_id=user, call_id=lead(user).call_id)).code == code
    [call] = world.core.calls.by_id.values()
    assert call.switch == SWITCH


def test_a_seat_is_not_given_to_campaigns_where_its_phone_can_not_be_had(world: World) -> None:
    """It serves them from its next log-in on, and who wanted it so is told."""
    seat_of(world, CAMPAIGN)
    seat = world.core.seats.by_user[1]
    assert world.command(Assign(user_id=1, campaigns=(THERE,))).code == "other_switch"
    assert seat.campaigns == (CAMPAIGN,) and 1 in world.core.campaigns[CAMPAIGN].idle
    assert world.command(Assign(user_id=1, campaigns=(THERE, CAMPAIGN))).ok
    assert seat.campaigns == (THERE, CAMPAIGN)
    world.command(Pause(user_id=1))
    assert world.command(Assign(user_id=1, campaigns=(THERE,))).code == "other_switch"


def on_both(world: World) -> None:
    """The campaign is on both switches from now on."""
    world.core.configure(1, replace_config(config(target=1.0), switch=(SWITCH, OTHER)), world.at)
    sharing = world.core.campaigns[CAMPAIGN].sharing
    assert sharing is not None
    for switch in (SWITCH, OTHER):
        sharing.ledger_of(switch).allowance.take(world.at, 100.0, 0, 45.0)


def test_seats_of_a_campaign_on_both_are_spread_and_each_is_called_for_over_its_own(world: World) -> None:
    on_both(world)
    assert [seat_of(world, CAMPAIGN) for _ in range(3)] == [SWITCH, OTHER, SWITCH]
    assert [world.core.decide(CAMPAIGN, world.at, switch).dial for switch in (SWITCH, OTHER)] == [2, 1]
    world.core.reserve([lead(1)], CAMPAIGN, world.at, switch=OTHER)
    [call] = world.core.calls.by_id.values()
    assert call.switch == OTHER
    assert [world.core.decide(CAMPAIGN, world.at, switch).dial for switch in (SWITCH, OTHER)] == [2, 0]


def test_what_was_on_its_way_when_a_campaign_was_put_on_both_is_its_first_switchs(world: World) -> None:
    seat_of(world, CAMPAIGN)
    seat_of(world, CAMPAIGN)
    world.core.reserve([lead(1)], CAMPAIGN, world.at)
    on_both(world)
    world.run()
    assert [part.in_air for part in world.core.campaigns[CAMPAIGN].parts] == [1, 0]
    assert [world.core.decide(CAMPAIGN, world.at, switch).dial for switch in (SWITCH, OTHER)] == [1, 0]


def test_a_switch_that_is_taken_from_a_campaign_dials_for_it_no_more(world: World) -> None:
    on_both(world)
    assert [seat_of(world, CAMPAIGN) for _ in range(2)] == [SWITCH, OTHER]
    world.core.reserve([lead(1)], CAMPAIGN, world.at, switch=OTHER)
    world.core.configure(1, replace_config(config(), switch=SWITCH), world.at)
    assert [world.core.decide(CAMPAIGN, world.at, switch).dial for switch in (SWITCH, OTHER)] == [1, 0]
    [call] = world.core.calls.by_id.values()
    world.core.refused(call.id, "dnc", world.at)
    assert [part.in_air for part in world.core.campaigns[CAMPAIGN].parts] == [0, 0]


def test_a_phone_that_does_not_answer_is_looked_for_on_the_other_switch(world: World) -> None:
    on_both(world)
    world.command(LogIn(user_id=1, name="u", phone="seat1", campaigns=(CAMPAIGN,), mode="nailed"))
    seat = world.core.seats.by_user[1]
    world.event(port.OriginateFailed(world.at, SWITCH, seat.leg, 0))
    world.command(RedialPhone(user_id=1))
    assert seat.switch == OTHER
    world.answer(seat.leg)
    world.command(Ready(user_id=1))
    assert [world.core.decide(CAMPAIGN, world.at, switch).dial for switch in (SWITCH, OTHER)] == [0, 1]


def test_a_page_that_was_there_before_its_switch_has_its_phone_again_when_that_is_taken_over(
    world: World,
) -> None:
    on_both(world)
    world.core.switches[OTHER].ours = world.core.switches[OTHER].up = False  # its engine has just died
    world.command(LogIn(user_id=1, name="u", phone="seat1", campaigns=(CAMPAIGN,), mode="nailed"))
    seat = world.core.seats.by_user[1]
    assert seat.switch == SWITCH
    world.event(port.OriginateFailed(world.at, SWITCH, seat.leg, 0))
    leg = leg_uid(1)
    found = port.Snapshot({leg: port.Channel(leg, "PJSIP/seat1-00000001", UP)}, {})
    world.core.switches[OTHER].ours = True
    world.event(port.LinkUp(world.at, OTHER, "22", found))
    seat = world.core.seats.by_user[1]
    assert (seat.switch, seat.leg, seat.leg_up, seat.state) == (OTHER, leg, True, SeatState.PAUSED)
    world.command(Ready(user_id=1))
    assert [world.core.decide(CAMPAIGN, world.at, switch).dial for switch in (SWITCH, OTHER)] == [0, 1]
