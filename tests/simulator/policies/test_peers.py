"""Each peer's law by its formulas: what it wants in a hall that is told by hand."""

from __future__ import annotations

import pytest

from pacing.contract import CallStage, PacingConfig, Room, SeatState
from simulator.policies.easycallcenter365 import EasyCallCenter365
from simulator.policies.issabel import Issabel
from simulator.policies.vicidial import DropRule, Vicidial
from simulator.policies.wombat import Wombat
from tests.simulator.policies.hall import Hall

CONFIG = PacingConfig()
PERSON_GONE = (CallStage.ANSWERED, CallStage.HUMAN, CallStage.ABANDONED)
PERSON_WAITS = (CallStage.ANSWERED, CallStage.HUMAN)


def level(hall: Hall, seconds: int) -> float:
    """VICIdial's level after so many seconds of looking once a second."""
    found = 0.0
    for _ in range(seconds):
        hall.now += 1.0
        found = float(hall.law.decide(hall.now, Room(0)).why["level"])
    return found


def test_vicidial_raises_its_level_by_a_fifth_every_15_s_while_a_fifth_of_the_seats_idle() -> None:
    hall = Hall(Vicidial(CONFIG, DropRule.HARD), idle=2)
    for _ in range(8):
        hall.seat(SeatState.TALK)
    assert level(hall, 15) == pytest.approx(1.2)
    assert level(hall, 15) == pytest.approx(1.44)
    assert level(hall, 60) == pytest.approx(1.2**6, rel=0.01)  # 2.99 after 90 s
    assert level(hall, 30) == 3.0  # the highest there is


def test_vicidial_s_level_is_lines_for_each_seat_with_the_talking_ones_counted() -> None:
    hall = Hall(Vicidial(CONFIG, DropRule.HARD), idle=3)
    for _ in range(2):
        seat = hall.seat(SeatState.TALK)
        hall.call(*PERSON_WAITS, CallStage.CONNECTED, seat=seat)
    hall.seat(SeatState.WRAP)
    hall.call()
    assert hall.dials() == 5 - 3
    assert hall.dials() == 0  # until its next loop, 2.5 s later
    assert hall.dials(after_s=2.4) == 0
    assert hall.dials(after_s=0.2) == 2


@pytest.mark.parametrize(
    ("rule", "after_h", "expected"),
    [
        (DropRule.HARD, 0, 1.0),
        (DropRule.AVERAGE, 0, 1.44 / 2),
        (DropRule.TAPERED, 0, 1.44),  # 9:00, 1200 on the clock face before 21:00: no cut yet
        (DropRule.TAPERED, 4, 1.44 * 0.8),  # 13:00
        (DropRule.TAPERED, 13, 1.0),  # after hours
    ],
)
def test_vicidial_cuts_its_level_when_the_day_has_too_many_drops(
    rule: DropRule, after_h: float, expected: float
) -> None:
    hall = Hall(Vicidial(CONFIG, rule), idle=2)
    for _ in range(8):
        hall.seat(SeatState.TALK)
    for _ in range(2):
        hall.call(*PERSON_GONE)
    for _ in range(50):
        hall.call(CallStage.NO_ANSWER)
    hall.now = after_h * 3600
    hall.law.decide(hall.now, Room(0))
    hall.law._level = 1.2  # type: ignore[attr-defined]
    hall.law._samples.extend([(2, 0, 10)] * 15)  # type: ignore[attr-defined]
    hall.law._drop_share = 1.0  # type: ignore[attr-defined]
    assert hall.law._adapted(hall.now) == pytest.approx(max(1.0, expected))  # type: ignore[attr-defined]


def test_issabel_divides_its_seats_by_the_share_of_dials_that_reach_somebody_but_by_no_less_than_a_fifth() -> (
    None
):
    hall = Hall(Issabel(CONFIG), idle=4)
    assert hall.dials() == 4  # fewer than ten calls: nothing is known
    for _ in range(6):
        hall.call(CallStage.NO_ANSWER)
    for _ in range(4):
        hall.call(*PERSON_GONE)
    assert hall.dials() == 0  # between reviews
    assert hall.dials(after_s=3.0) == 10  # 4 / 0.4
    for _ in range(90):
        hall.call(CallStage.NO_ANSWER)
    hall.call()
    assert hall.dials(after_s=3.0) == 20 - 1  # 4 / 0.2, less the one in the air


def test_issabel_counts_a_talk_as_about_to_end_only_after_three_and_a_half_of_its_mean() -> None:
    hall = Hall(Issabel(CONFIG))
    for _ in range(10):
        hall.talk(100.0, ring_s=8.0)
    hall.seat(SeatState.TALK)
    began = hall.now
    assert hall.dials() == 0
    assert hall.dials(after_s=340.0 - (hall.now - began)) == 0
    assert hall.dials(after_s=345.0 - (hall.now - began)) == 1  # 345 + 8 > 100 x 3.51


def test_easycallcenter365_dials_a_batch_and_sleeps() -> None:
    hall = Hall(EasyCallCenter365(CONFIG), idle=3)
    assert hall.dials() == 6  # the operator's multiple is 2
    assert hall.dials(after_s=14.0) == 0
    assert hall.dials(after_s=1.0) == 6


def test_easycallcenter365_takes_each_call_in_the_air_for_several_answers_and_corrected_for_a_part_of_one() -> (
    None
):
    for corrected, expected in ((False, 0), (True, 2 * 2)):
        hall = Hall(EasyCallCenter365(CONFIG, corrected), idle=4)
        for _ in range(4):
            hall.call()
        assert hall.dials() == expected  # 4 - 4 x 2 seats against 4 - 4 / 2


def test_easycallcenter365_learns_its_rate_after_seven_minutes() -> None:
    hall = Hall(EasyCallCenter365(CONFIG))
    for _ in range(10):
        hall.call(*PERSON_GONE)
    for _ in range(30):
        hall.call(CallStage.NO_ANSWER)
    for _ in range(3):
        hall.seat(SeatState.IDLE)
    assert hall.dials() == 6
    assert hall.dials(after_s=420.0) == 12


def test_wombat_makes_nine_attempts_for_seven_seats_with_a_boost_of_1_3() -> None:
    hall = Hall(Wombat(CONFIG, 1.3), idle=7)
    assert hall.dials() == 9


def test_wombat_dials_nobody_while_callers_wait() -> None:
    hall = Hall(Wombat(CONFIG, 1.5), idle=7)
    for _ in range(3):
        hall.call(*PERSON_WAITS)
    assert hall.dials() == 0


@pytest.mark.parametrize(
    "law", [Issabel(CONFIG), Wombat(CONFIG), EasyCallCenter365(CONFIG), Vicidial(CONFIG, DropRule.AVERAGE)]
)
def test_what_a_limit_holds_back_is_placed_when_there_is_room(law: Issabel) -> None:
    hall = Hall(law, idle=6)
    assert hall.dials(Room(free_lines=100, rate_allowance=2)) == 2
    assert hall.dials(Room(free_lines=1)) == 1
    assert hall.dials(Room(free_lines=100, leads=0)) == 0
    assert hall.dials(after_s=0.1) >= 3
