"""A campaign's shadow looks on: it says what another configuration would do, and nothing it does reaches a call."""

from __future__ import annotations

import random

import pytest

from campaigns.config import Shadow
from dialer.core.shadow import MOST_PENDING
from pacing.contract import Decision, Mode
from pacing.shadow import Shadow as ShadowPacer
from tests.core.world import CAMPAIGN, SWITCH, World, config


def ask(world: World, follow: bool = True) -> Decision:
    """Pacing is asked, as in every turn of the engine's loop."""
    decision = world.core.decide(CAMPAIGN, world.at)
    if follow:
        world.core.campaigns[CAMPAIGN].part(SWITCH).shadow.follow()
    return decision


def calls(world: World) -> set[str]:
    return {uid for uid in world.originated if uid.startswith("zdc-")}


def a_day(world: World, turns: int = 400) -> list[int]:
    """Four seats at work, dials that pacing asked for, most of them answered; what it said each time."""
    chance, said = random.Random(3), []
    for user in range(1, 5):
        world.seat(user)
    for _ in range(turns):
        world.pass_time(0.5)
        said.append(ask(world).dial)
        world.dial(said[-1])
        for uid, channel in list(world.channels.items()):
            if uid.startswith("zdc-"):
                if channel.state == 0 and chance.random() < 0.3:
                    world.answer(uid) if chance.random() < 0.6 else world.hang_up(uid, 17)
                elif channel.bridge and chance.random() < 0.05:
                    world.hang_up(uid)
        world.join_all()
        world.check()
    return said


def test_a_shadow_with_a_higher_ratio_wants_more_lines_and_the_campaign_dials_as_without_it() -> None:
    alone = World(config(target=1.0))
    watched = World(config(target=1.0, shadow=Shadow(mode="ratio", ratio=3.0)))
    assert a_day(alone) == a_day(watched)
    assert calls(alone) == calls(watched)
    shadow = watched.core.campaigns[CAMPAIGN].part(SWITCH).shadow
    assert shadow.line_s > 1.2 * shadow.live_line_s > 0
    assert shadow.more_s > 10 * shadow.fewer_s
    assert shadow.faults == 0


def test_a_shadow_that_dials_less_wants_fewer_lines_than_it_sees_in_the_air() -> None:
    """Of the calls in the air it has those that it wanted, too; so it wants as few as the campaign alone would dial."""
    busy = World(config(target=1.0, mode="ratio", ratio=3.0, shadow=Shadow(mode="progressive")))
    a_day(busy)
    shadow = busy.core.campaigns[CAMPAIGN].part(SWITCH).shadow
    assert shadow.line_s < 0.7 * shadow.live_line_s
    assert shadow.fewer_s > 10 * shadow.more_s
    world = World(config(target=1.0, mode="ratio", ratio=3.0, shadow=Shadow(mode="progressive")))
    world.seat(1)
    assert ask(world).dial == 3
    first, second, third = world.dial(3)
    ask(world)
    shadow = world.core.campaigns[CAMPAIGN].part(SWITCH).shadow
    assert (shadow.lines, shadow.live_lines) == (1, 3)
    world.hang_up(f"zdc-{second}", 17)  # none of its
    ask(world)
    assert (shadow.lines, shadow.live_lines) == (1, 3)
    world.hang_up(f"zdc-{first}", 17)  # its own: it takes the next one that the campaign dials
    ask(world)
    [fourth] = world.dial(1)
    world.hang_up(f"zdc-{third}", 17)
    ask(world)
    assert shadow.lines == 1
    world.answer(f"zdc-{fourth}")
    world.join_all()
    ask(world)
    assert shadow.lines == 0


def test_people_it_would_not_have_called_count_in_its_books_as_well() -> None:
    world = World(config(target=1.0, mode="ratio", ratio=4.0, shadow=Shadow(mode="predictive", target=0.5)))
    world.seat(1)
    ask(world)
    for call in world.dial(3):
        world.answer(f"zdc-{call}")
    world.join_all()
    world.pass_time(3.0)
    ask(world)
    campaign = world.core.campaigns[CAMPAIGN]
    assert campaign.counts.abandoned == 2
    decision = campaign.part(SWITCH).shadow.decision
    assert decision is not None
    assert decision.why["abandon_rate"] == round(campaign.ledger.rate, 4) == 0.6667


def test_a_shadow_that_changes_nothing_wants_what_the_campaign_wants() -> None:
    world = World(config(target=1.0, mode="ratio", ratio=2.0, shadow=Shadow()))
    a_day(world)
    shadow = world.core.campaigns[CAMPAIGN].part(SWITCH).shadow
    assert shadow.line_s == shadow.live_line_s > 0
    assert shadow.more_s == shadow.fewer_s == 0


def test_a_shadow_is_held_to_its_own_target() -> None:
    """With nothing left under its target it wants one call for each free seat, whatever its ratio."""
    world = World(config(target=1.0, mode="ratio", ratio=4.0, shadow=Shadow(target=0.03)))
    world.seat(1)
    world.seat(2)
    world.core.campaigns[CAMPAIGN].seed(world.at, connected=90, hung_up=0, abandoned=10, machines=0)
    assert ask(world).dial == 8
    shadow = world.core.campaigns[CAMPAIGN].part(SWITCH).shadow
    assert shadow.decision is not None
    assert (shadow.decision.dial, shadow.decision.bound) == (2, "abandon_budget")


def test_it_knows_the_seats_and_calls_that_were_there_before_it() -> None:
    world = World(config(target=1.0))
    for user in range(1, 4):
        world.seat(user)
    world.dial(2)
    world.core.configure(1, config(target=1.0, shadow=Shadow(mode="ratio", ratio=2.0)), world.at)
    assert ask(world).dial == 1
    shadow = world.core.campaigns[CAMPAIGN].part(SWITCH).shadow
    assert shadow.decision is not None and shadow.decision.dial == 4
    assert shadow.lines == 6
    world.core.configure(1, config(target=1.0), world.at)
    assert shadow.lines is None


def test_a_shadow_that_fails_rests_and_the_campaign_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(config(target=1.0, shadow=Shadow(mode="predictive")))
    shadow = world.core.campaigns[CAMPAIGN].part(SWITCH).shadow

    def fails(*_: object) -> Decision:
        raise ZeroDivisionError

    monkeypatch.setattr(ShadowPacer, "decide", fails)
    assert sum(a_day(world)) > 20
    assert (shadow.faults, shadow.lines) == (1, None)
    assert not world.core.breaches
    monkeypatch.undo()
    world.core.configure(1, world.config, world.at)  # the next version
    ask(world)
    assert shadow.lines is not None


def test_a_pacer_that_can_not_be_copied_dials_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(ShadowPacer, "__init__", fails)
    world = World(config(target=1.0, shadow=Shadow(mode="ratio")))
    world.seat(1)
    assert ask(world).dial == 1
    assert world.core.campaigns[CAMPAIGN].part(SWITCH).shadow.faults == 1


def test_what_nobody_works_off_does_not_pile_up() -> None:
    world = World(config(target=1.0, shadow=Shadow(mode="ratio")))
    world.seat(1)
    shadow = world.core.campaigns[CAMPAIGN].part(SWITCH).shadow
    for _ in range(MOST_PENDING + 10):
        world.at += 0.1
        ask(world, follow=False)
    assert shadow.live_line_s > 900
    assert shadow.follow()


def test_seconds_without_a_question_are_nobodys() -> None:
    """Stopped, or its switch away: nothing was dialed, and nothing is compared."""
    world = World(config(target=1.0, shadow=Shadow(mode="ratio", ratio=2.0)))
    world.seat(1)
    ask(world)
    world.at += 3600.0
    ask(world)
    world.at += 0.5
    ask(world)
    assert world.core.campaigns[CAMPAIGN].part(SWITCH).shadow.live_line_s == 0.5


def test_learning_of_others_abandons_is_left_out_and_all_else_goes_on() -> None:
    """Its limit stays put while the campaign's own falls with each abandoned call; answers are learned."""
    world = World(config(target=0.03, mode="ratio", ratio=2.0, shadow=Shadow(mode=Mode.PREDICTIVE.value)))
    for user in range(1, 3):
        world.seat(user)
    shadow = world.core.campaigns[CAMPAIGN].part(SWITCH).shadow
    ask(world)
    assert shadow.decision is not None
    before = shadow.decision.why["risk_limit"]
    for _ in range(30):
        for call in world.dial(6):
            world.answer(f"zdc-{call}")
        world.join_all()
        world.pass_time(3.0)
        for uid in [uid for uid in world.channels if uid.startswith("zdc-")]:
            world.hang_up(uid)
        ask(world)
    counts = world.core.campaigns[CAMPAIGN].counts
    assert counts.abandoned > 20
    assert shadow.decision.why["risk_limit"] == before
    assert float(shadow.decision.why["answer_share"]) > 0.6
