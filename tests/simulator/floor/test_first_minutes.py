"""A floor that begins all at once, knowing nothing: what hundreds of calls of one age say so far is not overrated."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from pacing.contract import Mode
from pacing.floor import Floor
from pacing.pacer import CampaignPacer
from pacing.release import LifeTable
from pacing.ringing import AnswerModel
from simulator.floor.run import simulate_floor
from simulator.floor.scenario import load


@pytest.mark.parametrize("seats", [40, 150, 500])
def test_all_seats_begin_at_once_and_few_people_pay_for_it(seats: int) -> None:
    """A tenth of an hour. Two thirds of all people paid, while young calls were taken for calls nobody answers."""
    given = load("large-500")
    scenario = msgspec.structs.replace(
        given, hours=0.1, warm_up_min=0.0, seats=(msgspec.structs.replace(given.seats[0], count=seats),)
    )
    floor = Floor()
    for campaign in scenario.campaigns:
        floor.join(campaign.name, CampaignPacer(replace(campaign.pacing(), mode=Mode.PREDICTIVE)))
    day = simulate_floor(scenario, floor, 1)
    assert day.total.abandoned <= 0.05 * (day.total.abandoned + day.total.connected) + 1
    assert day.total.connected > seats


@pytest.mark.parametrize("after_s", [3.05, 3.25, 3.45, 3.6])
def test_in_the_midst_of_a_bin_those_who_stand_in_it_count(after_s: float) -> None:
    """Of five hundred calls of one age a tenth has just failed: that is a tenth, and not all that ever reached it."""
    model = AnswerModel()
    for _ in range(50):
        model.ended(3.02, person=False)
    model.refresh(np.full(450, after_s))
    assert 0.2 < model.share < 0.35
    level, deviation = model.level()
    assert deviation / level > 0.5  # the ages at which people answer lie ahead of all of them


def test_once_a_cohort_has_ended_the_share_is_known_as_well_as_its_people_are_many() -> None:
    model = AnswerModel()
    for age in np.linspace(4.0, 24.0, 45):
        model.ended(float(age), person=True)
    for _ in range(135):
        model.ended(24.9, person=False)
    model.refresh()
    level, deviation = model.level()
    assert model.share * level == pytest.approx(0.25, abs=0.01)
    assert deviation / level == pytest.approx(1 / np.sqrt(45), rel=0.15)


def test_talks_that_go_on_count_for_the_part_of_the_bin_they_have_been_in() -> None:
    table = LifeTable(120.0)
    for _ in range(10):
        table.observe(20.0)
    table.refresh(np.full(490, 20.5))
    assert float(table.within(np.array([20.0]), np.array([1.0]))[0, 0]) < 0.2
