"""A switch's limits hold from the moment a call is decided on, not only once it is dialed."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

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
