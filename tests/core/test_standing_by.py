"""An engine has some switches and stands by for others: who may sit here, and whom it calls for."""

from __future__ import annotations

from cti.messages import LogIn
from dialer.core.lines import SwitchLines
from dialer.snapshots import Snapshots
from tests.core.world import CAMPAIGN, SWITCH, World, config


def log_in(world: World, user: int, *campaigns: str) -> str:
    """`ok` when the seat was given, else why not."""
    command = LogIn(user_id=user, name="李娜", phone=f"seat{user}", campaigns=campaigns)
    return world.core.command(command, world.at).code


def with_another() -> World:
    """The campaign `theirs` is on a switch that another engine has."""
    world = World()
    lines = SwitchLines("second", 50, 1000.0, "PJSIP/{number}@carrier", "PJSIP/{endpoint}", ours=False)
    world.core.switches["second"] = lines
    world.core.configure(2, config(name="theirs", switch="second"), world.at)
    world.run()
    return world


def test_nobody_sits_at_an_engine_that_has_no_switch() -> None:
    world = World()
    world.core.switches[SWITCH].ours = False
    assert log_in(world, 1, CAMPAIGN) == log_in(world, 2) == "elsewhere"
    assert not world.core.may_dial(world.core.campaigns[CAMPAIGN])


def test_who_serves_the_others_campaigns_alone_sits_there() -> None:
    world = with_another()
    assert log_in(world, 1, "theirs") == "elsewhere"
    assert log_in(world, 2, "theirs", CAMPAIGN) == log_in(world, 3, "not yet applied") == "ok"
    assert {seat.switch for seat in world.core.seats.by_user.values()} == {SWITCH}
    assert [campaign.name for campaign in world.core.ours()] == [CAMPAIGN]


def test_a_campaign_without_a_switch_anywhere_sends_nobody_away() -> None:
    world = World()
    world.core.configure(3, config(name="lost", switch="nowhere"), world.at)
    assert log_in(world, 1, "lost") == "ok"


def test_the_console_says_of_anothers_campaign_that_it_is_elsewhere_and_nothing_of_its_switch() -> None:
    world = with_another()
    for name in (CAMPAIGN, "theirs"):
        world.core.decide(name, world.at)
    ours, theirs = Snapshots(world.core).take(world.at, {}, {})[0]
    assert ours.decision["bound"] == "seats" and ours.trunk is not None
    assert (theirs.decision["bound"], theirs.trunk) == ("elsewhere", None)


def test_a_switch_of_ours_that_is_not_reached_is_told_as_such() -> None:
    world = World()
    world.link_down()
    world.core.decide(CAMPAIGN, world.at)
    [told], _ = Snapshots(world.core).take(world.at, {}, {})
    assert told.decision["bound"] == "switch_down" and told.trunk is not None and not told.trunk.up
