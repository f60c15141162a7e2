"""The same seed is the same day: in any run, under any law, compiled or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks.simulator import SimpyFloor
from pacing.contract import CallEvent, CallStage, Event, Mode, Pacer, PacingConfig, SeatEvent, SeatState
from pacing.pacer import CampaignPacer
from simulator.floor import (
    OneEach,
    Result,
    Scenario,
    compiled,
    load,
    names,
    simulate,
    simulate_floor,
    simulate_plainly,
)
from simulator.floor.fates import BLOCK
from simulator.policies.issabel import Issabel

HOURS = 1.0
pytestmark = pytest.mark.timeout(180)  # numba compiles once on a new machine


def short(name: str) -> Scenario:
    """The first hour of a scenario's day, without a warm-up."""
    scenario = load(name)
    groups = tuple(
        msgspec.structs.replace(g, to_h=None if g.to_h is None else min(g.to_h, HOURS))
        for g in scenario.seats
    )
    return msgspec.structs.replace(scenario, hours=HOURS, warm_up_min=0.0, seats=groups)


def plain(mode: Mode, ratio: float) -> Any:
    return lambda config: CampaignPacer(replace(config, mode=mode, ratio=ratio))


def figures(day: Result) -> tuple[Any, ...]:
    return (day.events, day.total, day.campaigns, day.idle_s, day.talk_s, day.wrap_s, day.idle_by.tolist())


@pytest.mark.parametrize("name", [name for name in names() if name != "large-500"])
def test_compiled_or_not_and_under_our_own_pacer_it_is_the_same_day_to_the_bit(name: str) -> None:
    assert compiled.available(), "numba belongs to the test tools"
    scenario = short(name)
    for ratio in (1.0, 2.5):
        slow = simulate_plainly(scenario, ratio, 3, fast=False)
        assert figures(simulate_plainly(scenario, ratio, 3)) == figures(slow)
    pacer = simulate(scenario, plain(Mode.RATIO, 2.5), 3)
    assert (pacer.events, pacer.total) == (slow.events, slow.total)


def test_a_model_in_simpy_that_shares_nothing_but_the_people_comes_to_the_same_figures() -> None:
    scenario = short("yardstick-20")
    ours, theirs = simulate_plainly(scenario, 1.0, 9), SimpyFloor(scenario, 9)
    theirs.run(scenario.end_s)
    assert (theirs.total("dials"), theirs.total("connected")) == (ours.dials, ours.connected)
    assert theirs.occupancy() == pytest.approx(ours.occupancy, abs=1e-12)


def test_without_numba_it_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = short("yardstick-20")
    fast = simulate_plainly(scenario, 1.0, 1)
    monkeypatch.setattr(compiled, "available", lambda: False)
    monkeypatch.setattr(compiled, "run_plainly", None)
    assert figures(simulate_plainly(scenario, 1.0, 1)) == figures(fast)


def test_a_seed_is_a_day_and_another_seed_another_day() -> None:
    scenario = short("shifts-and-breaks")
    assert figures(simulate(scenario, Issabel, 5)) == figures(simulate(scenario, Issabel, 5))
    assert figures(simulate(scenario, Issabel, 5)) != figures(simulate(scenario, Issabel, 6))


class Fates(OneEach):
    """What each lead met: how the dial ended, when after the dial, and how long they talked and were wrapped up."""

    def __init__(self, pacers: Mapping[str, Pacer]) -> None:
        super().__init__(pacers)
        self.order: list[Any] = []
        self.dialed: dict[Any, float] = {}
        self.answered: dict[Any, float] = {}
        self.connected: dict[Any, float] = {}
        self.talk_s: dict[Any, float] = {}
        self.missed_s: dict[Any, float] = {}

    def observe(self, campaign: str, event: Event) -> None:
        super().observe(campaign, event)
        if not isinstance(event, CallEvent):
            return
        if event.stage is CallStage.DIALED:
            self.order.append(event.call)
            self.dialed[event.call] = event.at
        elif event.stage is CallStage.HUMAN:
            self.answered[event.call] = round(event.at - self.dialed[event.call], 6)
        elif event.stage is CallStage.CONNECTED:
            self.connected[event.call] = event.at
        elif event.stage is CallStage.ENDED:
            self.talk_s[event.call] = round(event.at - self.connected[event.call], 6)
        elif event.stage in (CallStage.NO_ANSWER, CallStage.FAILED, CallStage.MACHINE):
            self.missed_s[event.call] = round(event.at - self.dialed[event.call], 6)


def test_two_laws_meet_the_same_people_in_the_same_order() -> None:
    scenario = short("yardstick-20")
    config = scenario.campaigns[0].pacing()
    slow, quick = Fates({"main": plain(Mode.PROGRESSIVE, 1.0)(config)}), Fates({"main": Issabel(config)})
    for fates in (slow, quick):
        simulate_floor(scenario, fates, 11)
    assert len(quick.order) > len(slow.order) > 500
    for mine, theirs in zip(slow.order, quick.order, strict=False):
        for what in ("answered", "missed_s", "talk_s"):
            one, other = getattr(slow, what).get(mine), getattr(quick, what).get(theirs)
            assert one == other or None in (one, other)
    both = [
        (a, b)
        for a, b in zip(slow.order, quick.order, strict=False)
        if a in slow.talk_s and b in quick.talk_s
    ]
    assert len(both) > 100


def test_a_list_goes_on_after_its_first_block() -> None:
    scenario = msgspec.structs.replace(load("yardstick-100"), hours=2.0)
    assert simulate_plainly(scenario, 1.0, 1).dials > 1.2 * BLOCK


class Watch(OneEach):
    """Looks after the seats: who has whom, and who is there at all."""

    def __init__(self, pacers: Mapping[str, Pacer]) -> None:
        super().__init__(pacers)
        self.states: dict[Any, SeatState] = {}
        self.customers: dict[Any, Any] = {}

    def observe(self, campaign: str, event: Event) -> None:
        super().observe(campaign, event)
        if isinstance(event, SeatEvent):
            before = self.states.get(event.seat, SeatState.AWAY)
            assert event.state is not SeatState.TALK or before in (SeatState.IDLE, SeatState.TALK)
            self.states[event.seat] = event.state
        elif isinstance(event, CallEvent) and event.stage is CallStage.CONNECTED:
            assert event.seat not in self.customers
            assert self.states[event.seat] is SeatState.TALK
            self.customers[event.seat] = event.call
        elif isinstance(event, CallEvent) and event.stage is CallStage.ENDED:
            assert self.customers.pop(event.seat) == event.call


@pytest.mark.parametrize("name", ["shifts-and-breaks", "blended", "machine-detection"])
def test_a_seat_is_never_given_two_people_and_never_while_away(name: str) -> None:
    scenario = msgspec.structs.replace(load(name), hours=5.0)
    day = simulate_floor(scenario, Watch({"main": Issabel(PacingConfig())}), 2)
    assert day.connected > 500


def test_every_second_of_a_seat_is_in_one_state() -> None:
    scenario = short("yardstick-20")
    day = simulate_plainly(scenario, 1.0, 4)
    assert day.seat_hours == pytest.approx(20 * HOURS)
    assert np.allclose(day.idle_by + day.busy_by, 20 * 300.0)
