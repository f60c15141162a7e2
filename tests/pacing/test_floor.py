"""Campaigns on the same seats, callers who want one of them, and what the hour of the day tells."""

from __future__ import annotations

import math

import pytest

from pacing.arrivals import Arrivals
from pacing.contract import (
    CallEvent,
    CallStage,
    InboundOffered,
    Mode,
    PacingConfig,
    Room,
    SeatEvent,
    SeatState,
)
from pacing.floor import Floor
from pacing.hours import Hours
from pacing.ledger import AbandonLedger
from pacing.pacer import CampaignPacer
from pacing.steering import RISE, START

PLENTY = Room(1_000_000)


def campaign(mode: Mode = Mode.PREDICTIVE, target: float = 0.03) -> CampaignPacer:
    """A campaign with a month behind it."""
    config = PacingConfig(mode, target=target)
    ledger = AbandonLedger(config.rule)
    ledger.seed(0.0, 3_000, 0, 10)
    return CampaignPacer(config, ledger)


def floor(idle: int, **members: tuple[CampaignPacer, int]) -> Floor:
    """Campaigns that share so many idle seats; each with its priority."""
    made = Floor()
    for name, (pacer, priority) in members.items():
        made.join(name, pacer, priority)
        for seat in range(idle):
            made.observe(name, SeatEvent(0.0, seat, SeatState.IDLE))
    return made


@pytest.mark.parametrize("priorities", [(1, 0), (0, 1), (0, 0)])
def test_two_progressive_campaigns_place_one_call_a_seat_between_them(priorities: tuple[int, int]) -> None:
    one, two = campaign(Mode.PROGRESSIVE), campaign(Mode.PROGRESSIVE)
    made = floor(6, one=(one, priorities[0]), two=(two, priorities[1]))
    found = made.decide(0.0, {"one": PLENTY, "two": PLENTY})
    assert found["one"].dial + found["two"].dial == 6
    if priorities[0] != priorities[1]:
        first = "one" if priorities[0] > priorities[1] else "two"
        assert found[first].dial == 6


def test_what_the_first_has_no_leads_for_the_second_dials() -> None:
    made = floor(6, one=(campaign(Mode.PROGRESSIVE), 1), two=(campaign(Mode.PROGRESSIVE), 0))
    found = made.decide(0.0, {"one": Room(99, leads=2), "two": PLENTY})
    assert (found["one"].dial, found["two"].dial) == (2, 4)


def test_two_predictive_campaigns_do_not_dial_for_the_same_seats_twice() -> None:
    single = floor(20, one=(campaign(), 0)).decide(0.0, {"one": PLENTY})["one"].dial
    found = floor(20, one=(campaign(), 1), two=(campaign(), 0)).decide(0.0, {"one": PLENTY, "two": PLENTY})
    assert found["one"].dial + found["two"].dial <= single * 1.1


def dialed(made: Floor, name: str, many: int) -> None:
    for call in range(many):
        made.observe(name, CallEvent(0.0, (name, call), CallStage.DIALED))


def test_a_more_important_campaign_by_seats_has_the_idle_ones_beside_a_lesser_one_by_risk() -> None:
    made = floor(10, one=(campaign(Mode.PROGRESSIVE), 5), two=(campaign(), 0))
    alone = made.decide(0.0, {"two": PLENTY})["two"].dial
    dialed(made, "two", alone)
    found = made.decide(0.0, {"one": PLENTY, "two": PLENTY})
    assert (found["one"].dial, found["two"].dial) == (10, 0)
    again = floor(10, one=(campaign(Mode.PROGRESSIVE), 5), two=(campaign(), 0))
    dialed(again, "one", 10)
    assert again.decide(0.0, {"two": PLENTY})["two"].dial < alone - 3  # which sees what the other one dialed


def test_a_campaign_by_seats_that_is_over_its_target_leaves_seats_for_the_people_of_a_lesser_one() -> None:
    one = campaign(Mode.PROGRESSIVE)
    made = floor(10, one=(one, 5), two=(campaign(), 0))
    dialed(made, "two", 15)
    assert made.decide(0.0, {"one": PLENTY})["one"].dial == 10
    one.ledger.seed(0.0, 960, 0, 40)
    assert made.decide(0.0, {"one": PLENTY})["one"].dial == 5


@pytest.mark.parametrize("priority", [0, 5])
def test_a_campaign_by_seats_leaves_seats_for_people_of_one_by_risk_not_for_its_calls(priority: int) -> None:
    made = floor(20, one=(campaign(Mode.PROGRESSIVE), 0), two=(campaign(), priority))
    dialed(made, "two", 20)  # of which three in ten are answered, for all that is known
    assert 10 < made.decide(0.0, {"one": PLENTY})["one"].dial < 18
    for call in range(20):
        made.observe("two", CallEvent(1.0, ("two", call), CallStage.HUMAN))
    assert made.decide(1.0, {"one": PLENTY})["one"].dial == 0


def test_a_campaign_on_other_seats_does_not_matter() -> None:
    made = Floor()
    made.join("one", campaign())
    made.join("two", campaign())
    for seat in range(10):
        made.observe("one", SeatEvent(0.0, seat, SeatState.IDLE))
        made.observe("two", SeatEvent(0.0, 100 + seat, SeatState.IDLE))
    found = made.decide(0.0, {"one": PLENTY, "two": PLENTY})
    assert found["one"].dial == found["two"].dial > 10


def test_a_lesser_campaign_risks_no_more_on_common_seats_than_a_careful_greater_one() -> None:
    def second(target: float) -> int:
        made = floor(10, one=(campaign(target=target), 1), two=(campaign(), 0))
        return made.decide(0.0, {"one": Room(99, leads=0), "two": PLENTY})["two"].dial

    assert second(0.003) < second(0.03)


def test_while_a_greater_campaign_s_limit_is_what_binds_a_lesser_one_s_does_not_rise() -> None:
    """Else it would dial at many times its target as soon as the greater one has no leads left."""

    def limit_after_answers(greater: float) -> float:
        one, two = campaign(target=greater), campaign()
        made = floor(10, one=(one, 1), two=(two, 0))
        for round_ in range(60):
            at = round_ * 30.0
            dial = made.decide(at, {"two": PLENTY})["two"].dial
            for call in range(dial):
                made.observe("two", CallEvent(at, (round_, call), CallStage.DIALED))
            for call in range(dial):
                made.observe("two", CallEvent(at + 10.0, (round_, call), CallStage.HUMAN))
                made.decide(at + 10.0, {"two": PLENTY})
                made.observe("two", CallEvent(at + 10.0, (round_, call), CallStage.HUNG_UP))
        return two.risk_limit

    assert limit_after_answers(0.003) < 2.0 * 0.03 < limit_after_answers(0.5)


def test_seats_that_went_home_are_common_to_nobody() -> None:
    made = floor(4, one=(campaign(Mode.PROGRESSIVE), 1), two=(campaign(Mode.PROGRESSIVE), 0))
    for seat in range(4):
        made.observe("one", SeatEvent(1.0, seat, SeatState.AWAY, gone=True))
    found = made.decide(1.0, {"one": PLENTY, "two": PLENTY})
    assert (found["one"].dial, found["two"].dial) == (0, 4)


def test_a_caller_who_waits_comes_before_the_next_call() -> None:
    made = campaign(Mode.PROGRESSIVE)
    made.observe(InboundOffered(0.0, "caller"))
    for seat in range(3):
        made.observe(SeatEvent(0.0, seat, SeatState.IDLE))
    assert made.decide(0.0, PLENTY).dial == 2
    made.observe(CallEvent(1.0, "caller", CallStage.CONNECTED, seat=0))
    assert made.decide(1.0, PLENTY).dial == 2
    assert made.ledger.answered == 3_010  # who calls in is in no abandon rate


def test_a_greater_campaign_that_dials_nobody_limits_no_lesser_one() -> None:
    made = floor(10, one=(campaign(target=0.003), 1), two=(campaign(), 0))
    assert made.others("two", 0.0).limit < 0.03
    made.rest("one", True)
    assert made.others("two", 0.0).limit == 1.0
    dialed(made, "one", 1)
    assert made.others("two", 0.0).limit < 0.03


def test_callers_of_a_lesser_campaign_come_before_whoever_is_dialed() -> None:
    """The hotline dials nobody; its callers are served first all the same."""
    for mode in (Mode.PROGRESSIVE, Mode.PREDICTIVE):
        placed = []
        for callers in (0, 4):
            made = floor(12, hotline=(campaign(Mode.PROGRESSIVE), 0), sales=(campaign(mode), 5))
            for caller in range(callers):
                made.observe("hotline", InboundOffered(0.0, caller))
            placed.append(made.decide(0.0, {"sales": PLENTY})["sales"].dial)
        assert placed[1] <= placed[0] - 4, mode


def test_seats_are_kept_for_the_callers_of_a_hotline_beside() -> None:
    made = floor(12, hotline=(campaign(Mode.PROGRESSIVE), 0), sales=(campaign(), 5))
    for caller in range(400):
        made.observe("hotline", InboundOffered(caller * 2.0, caller))
        made.observe("hotline", CallEvent(caller * 2.0, caller, CallStage.HUNG_UP))
    found = made.decide(800.0, {"sales": PLENTY})["sales"]
    assert found.dial < floor(12, sales=(campaign(), 5)).decide(800.0, {"sales": PLENTY})["sales"].dial
    assert float(found.why["expected_others"]) > 1.0


def test_seats_are_kept_for_callers_who_are_to_be_expected() -> None:
    quiet, busy = campaign(), campaign()
    for caller in range(400):
        busy.observe(InboundOffered(caller * 2.0, caller))
        busy.observe(CallEvent(caller * 2.0, caller, CallStage.HUNG_UP))
    placed = []
    for made in (quiet, busy):
        for seat in range(12):
            made.observe(SeatEvent(800.0, seat, SeatState.IDLE))
        placed.append(made.decide(800.0, PLENTY).dial)
    assert placed[1] < placed[0]
    assert float(busy.decide(800.0, PLENTY).why["expected_others"]) > 1.0


def test_the_rate_of_callers_is_found_and_forgotten() -> None:
    arrivals = Arrivals()
    assert arrivals.per_s(0.0) == 0.0
    for caller in range(200):
        arrivals.offered(caller * 10.0)
    assert arrivals.per_s(2_000.0) == pytest.approx(0.1, rel=0.1)
    assert arrivals.per_s(2_000.0 + 6 * 3600.0) < 0.001


def test_one_caller_after_a_start_is_no_rate_and_two_are_one_in_the_time_between() -> None:
    arrivals = Arrivals()
    arrivals.offered(100.0)
    assert [arrivals.per_s(100.0 + s) for s in (0.0, 1.0, 10.0, 600.0)] == [0.0] * 4
    arrivals.offered(140.0)
    assert arrivals.per_s(140.0) == pytest.approx(1 / 40, rel=0.05)


def test_one_caller_after_a_start_stops_no_small_team() -> None:
    placed = []
    for callers in (0, 1):
        made = campaign()
        for caller in range(callers):
            made.observe(InboundOffered(0.0, caller))
            made.observe(CallEvent(0.5, caller, CallStage.HUNG_UP))
        for seat in range(4):
            made.observe(SeatEvent(0.0, seat, SeatState.IDLE))
        placed.append(made.decide(1.5, PLENTY).dial)
    assert placed[0] == placed[1] > 4


def test_the_second_day_knows_what_the_hour_will_bring() -> None:
    hours = Hours()
    steps = []
    for _day in range(3):
        for hour, share in ((11, 0.2), (12, 0.4), (13, 0.2)):
            steps.append((hour, hours.enter(hour)))
            for dial in range(1_000):
                hours.ended(dial % 100 < share * 100)
    first, second, third = steps[0:3], steps[3:6], steps[6:9]
    assert [step for _, step in first] == [1.0, 1.0, 1.0]
    assert second[1][1] == pytest.approx(2.0, rel=0.15)
    assert third[2][1] == pytest.approx(0.5, rel=0.15)
    again = Hours()
    again.restore(hours.learned())
    again.enter(11)
    assert again.enter(12) == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize(
    "spoilt", [{"dials": [1.0], "people": [1.0]}, {"dials": [0.0] * 24, "people": [1.0] * 24}]
)
def test_hours_that_are_none_are_refused(spoilt: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="hours"):
        Hours().restore(spoilt)


def test_what_progressive_dialing_brings_does_not_move_the_risk_limit() -> None:
    made = campaign(Mode.PROGRESSIVE)
    made.observe(SeatEvent(0.0, 1, SeatState.IDLE))
    for call in range(2_000):
        made.decide(float(call), PLENTY)
        made.observe(CallEvent(float(call), call, CallStage.DIALED))
        made.observe(CallEvent(call + 0.5, call, CallStage.CONNECTED, seat=1))
        made.observe(SeatEvent(call + 0.9, 1, SeatState.IDLE))
    # The whole reserve is in hand, so the limit stands as high as it may above where it began: there it still is.
    assert made.risk_limit == pytest.approx(0.03 * START * math.exp(RISE))
