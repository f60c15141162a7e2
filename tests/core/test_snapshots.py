"""What watchers are told: figures of every campaign in one pass, seats once and then only as they change."""

from __future__ import annotations

from collections import Counter

import pytest

from campaigns.parts import Figures, Told
from cti.figures import CampaignPart
from cti.messages import LogOut, Pause, Ready
from dialer.snapshots import Snapshots
from tests.core.world import CAMPAIGN, SWITCH, World, config, replace_config


def test_seats_are_told_once_and_then_only_as_they_change() -> None:
    world = World()
    world.seat(1)
    world.seat(2)
    snapshots = Snapshots(world.core)
    [campaign], floor = snapshots.take(world.at, {CAMPAIGN: 7}, {})
    assert floor is not None
    assert {(row.user_id, row.state, row.campaign) for row in floor.seats} == {
        (1, "ready", CAMPAIGN),
        (2, "ready", CAMPAIGN),
    }
    assert (campaign.campaign, campaign.leads_left, campaign.seats) == (CAMPAIGN, 7, {"ready": 2})
    assert snapshots.take(world.at + 5, {}, {})[1] is None
    world.command(Pause(user_id=2, reason="lunch"))
    floor = snapshots.take(world.at, {}, {})[1]
    assert floor is not None
    assert [(row.user_id, row.state, row.reason) for row in floor.seats] == [(2, "paused", "lunch")]
    world.command(LogOut(user_id=1))
    floor = snapshots.take(world.at, {}, {})[1]
    assert floor is not None
    assert (floor.seats, floor.gone) == ((), (1,))


def test_times_include_the_state_that_lasts_and_the_window_its_budget() -> None:
    world = World()
    world.seat(1)
    campaign = world.core.campaigns[CAMPAIGN]
    campaign.seed(world.at, 970, 0, 10, 0)
    [told], _ = Snapshots(world.core).take(world.at + 60, {}, {})
    assert told.idle_s == pytest.approx(campaign.counts.idle_s + 60)
    assert (told.window_answered, told.window_abandoned, told.window_s) == (980.0, 10.0, 30 * 86_400.0)
    assert told.budget == pytest.approx((0.03 * 980 - 10) / 0.97)
    assert told.trunk is not None and told.trunk.up


def test_every_seat_and_call_is_counted_for_the_campaign_it_works_for() -> None:
    world = World()
    for user in (1, 2, 3):
        world.seat(user)
    world.command(Pause(user_id=3))
    world.command(Ready(user_id=3))
    [told], floor = Snapshots(world.core).take(world.at, {}, {})
    assert floor is not None
    assert told.seats == Counter(row.state for row in floor.seats)
    assert sum(told.lines.values()) == len(world.core.calls.by_id)


def test_of_a_campaign_on_several_switches_it_says_who_has_which_part() -> None:
    world = World()
    world.seat(1)
    world.core.configure(1, replace_config(config(), switch=(SWITCH, "west", "north")), world.at)
    sharing = world.core.campaigns[CAMPAIGN].sharing
    assert sharing is not None
    west = Told("west", "two", True, 30, 2.5, Figures(connected=970, abandoned=10), Figures(), None)
    sharing.heard(world.at, [west], (SWITCH,))
    sharing.others = (west,)
    sharing.ledger_of(SWITCH).allowance.take(world.at, 4.5, 0, 45.0)
    [told], _ = Snapshots(world.core).take(world.at, {}, {})
    assert told.parts == (
        CampaignPart(SWITCH, world.core.name, True, 1, 4.5),
        CampaignPart("west", "two", False, 30),
        CampaignPart("north", "", False, 0),
    )
    assert (told.window_answered, told.window_abandoned) == (980.0, 10.0)  # the whole campaign's
    assert told.trunk is not None and told.trunk.switch == SWITCH
