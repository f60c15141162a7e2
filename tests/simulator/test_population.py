"""The statistical scenario: its people are those that were asked for, and the same seed brings the same ones."""

from __future__ import annotations

from collections import Counter
from statistics import fmean
from typing import Any

import pytest

from simulator.scenario import AMD_MACHINE, Behaviour, Population, StatisticalScenario
from tests.simulator import fast_clock
from tests.simulator.stories import call, done, line

CALLS = 20_000
PEOPLE = Population(
    answers=0.4,
    busy=0.1,
    congestion=0.06,
    invalid=0.05,
    unavailable=0.04,
    rejects=0.03,
    machines=0.2,
    hangs_up_early=0.0,
    opts_out=0.3,
    ring_s=12.0,
    talk_s=80.0,
    patience_s=15.0,
)


def met(seed: int = 1, people: Population = PEOPLE, calls: int = CALLS) -> list[Behaviour]:
    scenario = StatisticalScenario(people=people, seed=seed)
    return [scenario.customer(f"1380000{number:06}", 1) for number in range(calls)]


@pytest.fixture(scope="module")
def people() -> list[Behaviour]:
    return met()


def test_calls_end_as_often_as_asked_in_each_way(people: list[Behaviour]) -> None:
    refusals = Counter(one.refuses_with for one in people)
    for status, share in ((486, 0.1), (503, 0.06), (404, 0.05), (480, 0.04), (603, 0.03)):
        assert refusals[status] / CALLS == pytest.approx(share, abs=0.01)
    assert sum(one.answers_after_s is not None for one in people) / CALLS == pytest.approx(0.4, abs=0.015)
    ring_out = [one for one in people if one.answers_after_s is None and not one.refuses_with]
    assert len(ring_out) / CALLS == pytest.approx(0.32, abs=0.015)


def test_machines_are_their_share_of_the_answers_and_hang_up_after_the_greeting(
    people: list[Behaviour],
) -> None:
    answers = [one for one in people if one.answers_after_s is not None]
    machines = [one for one in answers if one.amd == AMD_MACHINE]
    assert len(machines) / len(answers) == pytest.approx(0.2, abs=0.02)
    stays = [one.leaves_after_s for one in machines if one.leaves_after_s is not None]
    assert len(stays) == len(machines)
    assert fmean(stays) == pytest.approx(PEOPLE.greeting_s, rel=0.05)


def test_ring_talk_and_patience_have_the_means_that_were_asked_for(people: list[Behaviour]) -> None:
    humans = [one for one in people if one.talk_s is not None]
    assert fmean(one.answers_after_s or 0 for one in humans) == pytest.approx(12.0, rel=0.05)
    assert fmean(one.talk_s or 0 for one in humans) == pytest.approx(80.0, rel=0.05)
    assert fmean(one.patience_s or 0 for one in humans) == pytest.approx(15.0, rel=0.05)
    assert sum(bool(one.harbour_keys) for one in humans) / len(humans) == pytest.approx(0.3, abs=0.02)


def test_some_hang_up_in_the_middle_of_the_first_words() -> None:
    early = Population(answers=1.0, busy=0.0, congestion=0.0, invalid=0.0, unavailable=0.0, rejects=0.0)
    humans = [one for one in met(people=early, calls=5_000) if one.talk_s is not None]
    before = sum((one.talk_s or 0) < 4.0 for one in humans) / len(humans)
    assert before == pytest.approx(early.hangs_up_early, abs=0.01)


def test_the_same_seed_number_and_attempt_meet_the_same_person_in_any_order() -> None:
    scenario = StatisticalScenario(people=PEOPLE, seed=5)
    asked = [(f"138{number:08}", attempt) for number in range(200) for attempt in (1, 2)]
    forth = {one: scenario.customer(*one) for one in asked}
    back = {one: scenario.customer(*one) for one in reversed(asked)}
    assert forth == back
    other = StatisticalScenario(people=PEOPLE, seed=6)
    assert forth != {one: other.customer(*one) for one in asked}
    assert any(forth[number, 1] != forth[number, 2] for number, attempt in asked if attempt == 1)


def test_two_runs_of_the_switch_with_one_seed_log_the_same_fates() -> None:
    hurried = PEOPLE.shorter(0.1)

    async def fates() -> list[tuple[object, ...]]:
        async with line(StatisticalScenario(people=hurried, seed=9, sound_s=0.5)) as (switch, client):
            uids = [f"call-{number:03}" for number in range(40)]
            for number, uid in enumerate(uids):
                call(client, uid, f"138{number % 30:08}", "zhudong-test", ring_limit_s=4)
            found = [await done(switch, client, uid) for uid in uids]
            return [
                (one.uid, one.attempt, one.answered is None, one.cause, one.tech_cause, one.ended_by)
                for one in found
            ]

    first = fast_clock.run(fates())
    assert first == fast_clock.run(fates())
    assert len({fate[2:] for fate in first}) >= 4


def test_all_times_shrink_together() -> None:
    shorter = PEOPLE.shorter(0.5)
    for name in ("ring_s", "ring_spread_s", "talk_s", "greeting_s", "patience_s", "hold_patience_s"):
        assert getattr(shorter, name) == pytest.approx(getattr(PEOPLE, name) / 2)
    assert shorter.answers == PEOPLE.answers


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"answers": 1.5}, "answers is a share from 0 to 1, not 1.5"),
        ({"machines": -0.1}, "machines is a share"),
        ({"answers": 0.9, "busy": 0.2}, "more than all calls"),
        ({"talk_s": 0.0}, "talk_s is a time above 0 s"),
    ],
)
def test_people_who_cannot_be_are_refused_with_the_reason(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Population(**wrong)
