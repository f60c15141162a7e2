"""A switch's limits hold from the moment a call is decided on, not only once it is dialed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.config import Manual
from campaigns.records import AttemptEnded
from cti.messages import DialNumber, DialPreviewed, HangUp
from dialer.core.lines import BURST_S, SwitchLines
from tests.core.world import CAMPAIGN, SWITCH, World, config, lead


def test_calls_that_wait_for_the_rules_take_lines_and_rate() -> None:
    world = World(config(mode="ratio", ratio=15.0, target=1.0), max_lines=5)
    for user in range(1, 4):
        world.seat(user)
    world.core.switches[SWITCH].calls_per_s = 15.0
    world.at += 10.0
    first = world.core.decide(CAMPAIGN, world.at).dial
    assert first == math.floor(15.0 * BURST_S)
    world.core.reserve([lead(n) for n in range(first)], CAMPAIGN, world.at)
    assert world.core.decide(CAMPAIGN, world.at).dial == 0  # nothing was dialed yet, all the same
    world.at += 10.0
    assert world.core.decide(CAMPAIGN, world.at).dial == 5 - first  # the lines


def test_a_refused_call_gives_its_line_and_its_turn_back() -> None:
    world = World(config(mode="ratio", ratio=15.0, target=1.0), max_lines=3)
    world.seat(1)
    world.core.switches[SWITCH].calls_per_s = 15.0
    world.at += 10.0
    world.core.reserve([lead(n) for n in range(3)], CAMPAIGN, world.at)
    assert world.core.decide(CAMPAIGN, world.at).dial == 0
    for call_id in list(world.core.calls.by_id):
        world.core.refused(call_id, "dnc", world.at)
    assert world.core.decide(CAMPAIGN, world.at).dial == 3


def test_calls_that_the_rules_refuse_say_nothing_of_who_answers() -> None:
    """A third of a list may be on a do-not-call list, and is met in one go."""
    world = World(config(mode="predictive"), max_lines=1_000)
    world.seat(1)
    share = world.core.decide(CAMPAIGN, world.at).why["answer_share"]
    for number in range(500):
        world.core.reserve([lead(number)], CAMPAIGN, world.at)
        world.core.refused(lead(number).call_id, "dnc", world.at)
    world.run()
    assert world.core.decide(CAMPAIGN, world.at).why["answer_share"] == share
    world.check()


def test_while_the_rules_do_not_answer_no_more_calls_gather_than_the_switch_takes_at_once() -> None:
    """They all leave when the answer comes; a carrier that counts calls per second refuses the rest of a burst."""
    rate = 20.0
    world = World(config(mode="ratio", ratio=15.0, target=1.0), max_lines=1_000)
    for user in range(1, 40):
        world.seat(user)
    world.core.switches[SWITCH].calls_per_s = rate
    gathered = 0
    for _ in range(25):  # two and a half seconds
        world.at += 0.1
        wanted = world.core.decide(CAMPAIGN, world.at).dial
        world.core.reserve([lead(gathered + n) for n in range(wanted)], CAMPAIGN, world.at)
        gathered += wanted
    world.run()
    assert 0 < gathered <= rate * 0.5
    for call_id in world.asked:
        world.core.permitted(call_id, "", world.at)
    world.run()
    assert sum(world.originated[f"zdc-{call_id}"] for call_id in world.asked) == gathered
    world.at += 1.0
    assert world.core.decide(CAMPAIGN, world.at).dial > 0  # they answer again
    world.check()


def test_a_permit_that_comes_seconds_late_dials_nobody() -> None:
    """The database stood still since it judged: the calling window may have closed."""
    world = World()
    world.seat(1)
    calls = []
    for n in (1, 2):
        world.core.reserve([lead(n)], CAMPAIGN, world.at)
        calls.append(lead(n).call_id)
        world.at += 2.0
    for call_id in calls:
        world.core.permitted(call_id, "", world.at)
    world.run()
    assert [f"zdc-{calls[0]}" in world.originated, f"zdc-{calls[1]}" in world.originated] == [False, True]
    assert world.outcomes() == {calls[0]: "cancelled"}
    assert not next(r for r in world.records if isinstance(r, AttemptEnded)).dialed
    world.check()


@given(
    st.floats(0.1, 200.0),
    st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(0, 50)), min_size=1, max_size=40),
)
def test_in_any_stretch_no_more_calls_than_the_rate_and_one_burst(
    rate: float, asks: list[tuple[float, int]]
) -> None:
    lines = SwitchLines("main", 1_000, rate, "PJSIP/{number}@carrier", "PJSIP/{endpoint}")
    now, placed = 1_000.0, []
    for wait, wanted in asks:
        now += wait
        calls = min(wanted, lines.allowance(now))
        lines.spend(calls, now)
        placed.append((now, calls))
    for index, (start, _) in enumerate(placed):
        for until in range(index, len(placed)):
            within = sum(calls for _, calls in placed[index : until + 1])
            assert within <= rate * (placed[until][0] - start) + max(1.0, rate * BURST_S) + 1e-6


@pytest.mark.parametrize("mode", ["progressive", "ratio", "predictive"])
def test_a_campaigns_own_limit_is_of_the_calls_that_are_not_with_a_seat_yet(mode: str) -> None:
    world = World(config(mode=mode, max_lines=2))
    for user in range(1, 6):
        world.seat(user)
    assert (decision := world.core.decide(CAMPAIGN, world.at)).dial == 2 and decision.bound == "max_lines"
    calls = world.dial(2)
    assert (decision := world.core.decide(CAMPAIGN, world.at)).dial == 0 and decision.bound == "max_lines"
    for call_id in calls:
        world.answer(f"zdc-{call_id}")
    world.join_all()
    assert world.core.decide(CAMPAIGN, world.at).dial == 2  # two talk, and three seats are free
    world.check()


# --- what agents dial themselves ---------------------------------------------------------------------------------


def previewed(world: World, user: int) -> DialPreviewed:
    """A customer on this seat's screen, whom it is about to dial."""
    assert world.core.show(user, lead(user), CAMPAIGN, world.at)
    return DialPreviewed(user_id=user, call_id=lead(user).call_id)


def permitted(world: World) -> list[str]:
    """The calls that the rules allow now."""
    asked, world.asked = world.asked, []
    for call_id in asked:
        world.core.permitted(call_id, "", world.at)
    world.run()
    return asked


def test_a_preview_waits_on_the_screen_while_no_line_is_free() -> None:
    world = World(config(mode="preview"), max_lines=1)
    world.seat(1)
    world.seat(2)
    first, second = previewed(world, 1), previewed(world, 2)
    assert world.command(first).ok
    assert world.command(second).code == "no_line"
    assert world.core.seats.by_user[2].state == "preview" and world.core.previews[2] == lead(2)
    permitted(world)
    world.hang_up(f"zdc-{first.call_id}")
    assert world.command(second).ok
    world.check()


def test_a_number_is_not_dialed_by_hand_while_no_line_is_free() -> None:
    world = World(config(manual=Manual(("+861*",))), max_lines=1)
    world.seat(1, ready=False)
    asked = DialNumber(user_id=1, campaign=CAMPAIGN, number="13912345678")
    assert isinstance(world.core.commands.number_to_dial(asked, world.at), tuple)
    world.dial()  # the last line is taken while the number is leased
    assert world.core.commands.dial_by_hand(asked, lead(9), world.at).code == "no_line"
    assert world.core.seats.by_user[1].state == "paused"
    world.check()


def test_who_dial_at_once_have_their_turns_in_the_calls_per_second() -> None:
    world = World(config(mode="preview"))
    world.core.switches[SWITCH].calls_per_s = 10.0
    seats = range(1, 31)
    for user in seats:
        world.seat(user)
    world.at += 10.0
    replies = [world.command(previewed(world, user)) for user in seats]
    placed = [reply.ok for reply in replies]
    assert placed == [True] * 12 + [False] * 18  # a burst of two, and a second's
    assert {reply.code for reply in replies[12:]} == {"no_line"}
    calls = [f"zdc-{call_id}" for call_id in permitted(world)]
    assert sum(call in world.originated for call in calls) == 2
    world.pass_time(0.5)
    assert sum(call in world.originated for call in calls) == 7
    world.pass_time(0.75)
    assert all(call in world.originated for call in calls)
    world.check()


def test_who_hangs_up_while_it_is_not_their_turn_yet_has_nobody_dialed() -> None:
    world = World(config(mode="preview"))
    world.core.switches[SWITCH].calls_per_s = 1.0
    world.seat(1)
    world.seat(2)
    world.at += 10.0
    for user in (1, 2):
        assert world.command(previewed(world, user)).ok
    permitted(world)
    assert world.command(HangUp(user_id=2, call_id=lead(2).call_id)).ok
    world.pass_time(1.5)
    assert f"zdc-{lead(2).call_id}" not in world.originated
    assert world.outcomes() == {lead(2).call_id: "cancelled"}
    world.check()
