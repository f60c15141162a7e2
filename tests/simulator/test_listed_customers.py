"""The people on a floor's list, met on the virtual switch: everybody does there what they do on the floor."""

from __future__ import annotations

import pytest

from pacing.contract import CallStage
from simulator.customers import ListedCustomers, number
from simulator.floor.distribution import Exponential, Gamma
from simulator.floor.scenario import Amd, Campaign
from tests.simulator.floor.days import always, campaign, floor, told

SEED = 7
PEOPLE = campaign(
    person=0.4,
    busy=0.2,
    failed=0.1,
    setup=Exponential(0.5),
    ring=Gamma(12.0, 0.5),
    busy_after_s=1.0,
    failed_after_s=3.0,
)


def test_every_lead_answers_rings_out_or_is_refused_as_on_the_floor() -> None:
    script, _ = told(floor(PEOPLE, seats=60, lines=60), {0.0: 60}, SEED)
    customers = ListedCustomers([(campaign(), 1), (PEOPLE, SEED)])
    seen = set()
    for lead, stages in enumerate(script.calls().values()):
        at = {stage: when for when, stage in stages}
        met = customers.customer(number(1, lead), 1)
        if CallStage.HUMAN in at:
            assert met.rings_after_s == pytest.approx(at[CallStage.RINGING], abs=1e-5)
            assert met.answers_after_s == pytest.approx(at[CallStage.HUMAN], abs=1e-5)
            assert met.talk_s == pytest.approx(60.0)
            seen.add("answered")
        elif CallStage.NO_ANSWER in at:
            assert met.refuses_with == 0
            assert met.answers_after_s is None or met.answers_after_s > at[CallStage.NO_ANSWER]
            seen.add("rang out")
        else:
            ended = at.get(CallStage.BUSY, at.get(CallStage.FAILED))
            assert met.refuses_after_s == pytest.approx(ended, abs=1e-5)
            assert met.refuses_with == (486 if CallStage.BUSY in at else 503)
            seen.add("busy" if CallStage.BUSY in at else "failed")
    assert seen == {"answered", "rang out", "busy", "failed"}
    assert customers.wrap_s(number(1, 3)) == 10.0


@pytest.mark.parametrize(
    "unfit",
    [
        Campaign(person=((0.0, 0.2), (1.0, 0.4))),
        Campaign(machine=0.1),
        Campaign(amd=Amd(detection=always(2.0))),
    ],
)
def test_a_list_whose_people_a_number_can_not_name_is_refused(unfit: Campaign) -> None:
    with pytest.raises(ValueError, match="shares must be constant, and machine must be 0"):
        ListedCustomers([(unfit, 1)])
