"""What happens to people, seats and lines on the floor, told to the second."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pacing.contract import CallEvent, CallStage, InboundOffered, SeatEvent, SeatState
from simulator.floor.distribution import Constant
from simulator.floor.scenario import Amd, Block, Break, Inbound, Seats
from tests.simulator.floor.days import Script, always, campaign, floor, told

IDLE, TALK, WRAP, AWAY = SeatState.IDLE, SeatState.TALK, SeatState.WRAP, SeatState.AWAY
DIALED, RINGING, ANSWERED, HUMAN = CallStage.DIALED, CallStage.RINGING, CallStage.ANSWERED, CallStage.HUMAN


def test_a_call_from_the_dial_to_the_wrap_up() -> None:
    script, day = told(floor(), {0: 1})
    assert list(script.calls().values()) == [
        [
            (0.0, DIALED),
            (0.5, RINGING),
            (10.0, ANSWERED),
            (10.0, HUMAN),
            (10.0, CallStage.CONNECTED),
            (70.0, CallStage.ENDED),
        ]
    ]
    assert script.seats() == [(0.0, IDLE), (10.0, TALK), (70.0, WRAP), (80.0, IDLE)]
    assert (day.talk_s, day.wrap_s, day.idle_s) == (60.0, 10.0, 3600.0 - 70.0)
    assert day.occupancy == pytest.approx(70 / 3600)


def test_a_person_who_finds_no_seat_in_two_seconds_is_abandoned() -> None:
    script, day = told(floor(), {0: 2})
    ends = sorted(call[-1] for call in script.calls().values())
    assert ends == [(12.0, CallStage.ABANDONED), (70.0, CallStage.ENDED)]
    assert (day.answered, day.connected, day.abandoned) == (2, 1, 1)
    assert day.abandon_rate == 0.5


def test_a_seat_that_is_free_again_within_the_limit_takes_who_has_waited_longest() -> None:
    script, day = told(floor(), {0: 1, 69: 2})
    assert day.abandoned == 1
    assert script.calls()[2][-2:] == [(80.0, CallStage.CONNECTED), (140.0, CallStage.ENDED)]
    assert script.calls()[3][-2:] == [(79.0, HUMAN), (81.0, CallStage.ABANDONED)]


def test_an_impatient_person_leaves_before_the_limit_and_is_no_abandoned_call() -> None:
    script, day = told(floor(campaign(patience=always(1.0))), {0: 2})
    assert (11.0, CallStage.HUNG_UP) in [call[-1] for call in script.calls().values()]
    assert (day.answered, day.abandoned, day.total.hung_up) == (2, 0, 1)


@pytest.mark.parametrize(
    ("shares", "stage", "after_s"),
    [
        ({"failed": 1.0}, CallStage.FAILED, 3.0),
        ({"busy": 1.0}, CallStage.BUSY, 1.5),
        ({"machine": 1.0}, CallStage.MACHINE, 10.0),
        ({}, CallStage.NO_ANSWER, 25.5),
        ({"person": 1.0, "ring": always(26.0)}, CallStage.NO_ANSWER, 25.5),
    ],
)
def test_a_dial_that_reaches_nobody_frees_its_line(shares: dict, stage: CallStage, after_s: float) -> None:
    script, day = told(floor(campaign(**{"person": 0.0} | shares)), {0: 1})
    assert next(iter(script.calls().values()))[-1] == (after_s, stage)
    assert script.seats() == [(0.0, IDLE)]
    assert script.rooms[-1][1]["main"].free_lines == 12
    assert (day.dials, day.answered) == (1, 0)


def test_the_longest_idle_seat_gets_the_person() -> None:
    script, _ = told(floor(seats=3), {0: 2, 20: 1, 100: 1, 105: 1})
    connected = [
        (event.at, event.seat)
        for _, event in script.heard
        if isinstance(event, CallEvent) and event.stage is CallStage.CONNECTED
    ]
    assert [seat for _, seat in connected] == [0, 1, 2, 0, 1]
    assert [round(at) for at, _ in connected[:3]] == [10, 10, 30]


def test_the_person_of_the_higher_priority_gets_the_seat() -> None:
    first, second = campaign(name="first"), campaign(name="second", priority=1, ring=always(10.0))
    script, _ = told(floor(first, second), {0: {"first": 1}, 69: {"first": 1, "second": 1}})
    assert [call[-2:] for call in script.calls("first").values()][1] == [
        (79.0, HUMAN),
        (81.0, CallStage.ABANDONED),
    ]
    assert next(iter(script.calls("second").values()))[-3:-1] == [(79.5, HUMAN), (80.0, CallStage.CONNECTED)]


def test_a_seat_that_serves_two_campaigns_is_told_to_both_and_one_that_does_not_is_not() -> None:
    groups = (Seats(1, "one", ("first",)), Seats(1, "both"))
    script, _ = told(floor(campaign(name="first"), campaign(name="second"), seats=groups), {0: {"second": 2}})
    assert len(script.seats("first")) == 1 + 4
    assert len(script.seats("second")) == 4
    assert [call[-1][1] for call in script.calls("second").values()].count(CallStage.ABANDONED) == 1


def test_a_break_that_comes_due_in_a_call_begins_after_it() -> None:
    at_h = 30 / 3600
    seats = (Seats(1, breaks=(Break(at_h, minutes=5),)),)
    script, day = told(floor(seats=seats), {0: 1})
    leaving = [event for _, event in script.heard if isinstance(event, SeatEvent) and event.leaving]
    assert [(event.at, event.state) for event in leaving] == [(30.0, TALK), (70.0, WRAP)]
    assert script.seats()[-2:] == [(80.0, AWAY), (330.0, IDLE)]
    assert day.idle_s == 10 + 3600 - 330


def test_a_break_that_is_over_before_the_call_is_falls_out() -> None:
    seats = (Seats(1, breaks=(Break(20 / 3600, minutes=0.5),)),)
    script, _ = told(floor(seats=seats), {0: 1})
    assert AWAY not in [state for _, state in script.seats()]


def test_seats_log_in_and_go_home() -> None:
    seats = (Seats(10, from_h=0.1, to_h=0.5, log_in_min=6.0),)
    script, day = told(floor(seats=seats), {})
    came = [event.at for _, event in script.heard if isinstance(event, SeatEvent) and event.state is IDLE]
    assert len(came) == 10
    assert 360 <= min(came) < max(came) <= 720
    gone = [event for _, event in script.heard if isinstance(event, SeatEvent) and event.gone]
    assert [event.at for event in gone] == [1800.0] * 10
    assert day.idle_s == pytest.approx(sum(1800 - at for at in came))


def test_lines_are_a_limit_that_the_law_is_told() -> None:
    script, day = told(floor(lines=3), {0: 5, 1: 5})
    assert day.dials == 3
    assert script.rooms[0][1]["main"].free_lines == 3
    assert script.rooms[-1][1]["main"].free_lines == 3


def test_calls_per_second_are_a_limit_too() -> None:
    script, day = told(floor(seats=10, calls_per_s=2.0), {0: 10, 5: 10, 10: 10})
    assert day.dials == 2 * 3
    assert script.rooms[0][1]["main"].rate_allowance == 2


def test_a_list_ends() -> None:
    script, day = told(floor(campaign(leads=3), seats=5), {0: 2, 1: 5})
    assert day.dials == 3
    assert script.rooms[-1][1]["main"].leads == 0


def test_detection_takes_its_time_and_is_wrong_both_ways() -> None:
    amd = Amd(
        always(2.0), person_taken_for_machine=1.0, machine_taken_for_person=1.0, machine_talk=always(5.0)
    )
    script, day = told(floor(campaign(amd=amd)), {0: 1})
    assert next(iter(script.calls().values()))[-1] == (12.0, CallStage.MACHINE)
    assert (day.answered, day.total.misjudged) == (0, 1)
    script, day = told(floor(campaign(amd=amd, person=0.0, machine=1.0)), {0: 1})
    assert next(iter(script.calls().values()))[-3:] == [
        (12.0, HUMAN),
        (12.0, CallStage.CONNECTED),
        (17.0, CallStage.ENDED),
    ]
    assert script.seats()[-1] == (17.0, IDLE)  # nothing to write down
    assert (day.answered, day.total.machines_seated) == (0, 1)


def test_a_caller_waits_longer_than_a_person_who_was_called() -> None:
    inbound = Inbound(calls_per_h=60.0, talk=always(100.0), patience=always(30.0))
    script, day = told(floor(campaign(inbound=inbound, dials=False)), {})
    offered = [event for _, event in script.heard if isinstance(event, InboundOffered)]
    assert len(offered) == day.total.offered
    assert 0 <= day.total.offered - day.total.served - day.total.left <= 1  # one may wait at the end
    left = {
        event.call: event.at
        for _, event in script.heard
        if isinstance(event, CallEvent) and event.stage is CallStage.HUNG_UP
    }
    came = {event.call: event.at for event in offered}
    assert left
    assert all(at - came[call] == pytest.approx(30.0) for call, at in left.items())


def test_a_caller_without_a_line_is_turned_away() -> None:
    inbound = Inbound(calls_per_h=3600.0, talk=always(100.0))
    _, day = told(floor(campaign(inbound=inbound, dials=False), lines=2, seats=1), {})
    assert day.total.turned_away > 1000


def test_the_stretches_of_a_list_are_told_and_come_round() -> None:
    blocks = (Block(2, 1.0, "home"), Block(3, 0.0, "out"))
    script, day = told(floor(campaign(blocks=blocks), seats=20), {0: 7})
    lists = [
        event.list_id for _, event in script.heard if isinstance(event, CallEvent) and event.stage is DIALED
    ]
    assert lists == ["home", "home", "out", "out", "out", "home", "home"]
    assert day.answered == 4


def test_a_step_in_the_answer_rate_comes_at_its_minute() -> None:
    script, _ = told(
        floor(campaign(person=((0.0, 0.0), (0.5, 0.0), (0.5, 1.0))), seats=99), {1700: 20, 1801: 20}
    )
    outcomes = [call[-1][1] for call in script.calls().values()]
    assert outcomes == [CallStage.NO_ANSWER] * 20 + [CallStage.ENDED] * 20


def test_the_hour_on_the_wall_goes_with_each_call() -> None:
    script, _ = told(floor(hours=3.0, start_hour=23.0), {0: 1, 3700: 1})
    hours = [
        event.hour for _, event in script.heard if isinstance(event, CallEvent) and event.stage is DIALED
    ]
    assert hours == [23, 0]


def test_the_law_is_asked_after_each_event_and_at_least_once_a_second() -> None:
    script, _ = told(floor(), {0: 1})
    asked = [now for now, _ in script.rooms]
    assert max(later - earlier for earlier, later in pairwise(asked)) == pytest.approx(1.0)
    assert {0.5, 10.0, 70.0, 80.0} <= {round(at, 6) for at in asked}
    assert len(asked) >= 3600


def test_the_warm_up_is_in_no_figure() -> None:
    _, whole = told(floor(), {0: 1, 1000: 1})
    _, later = told(floor(warm_up_min=15.0), {0: 1, 1000: 1})
    assert (whole.dials, later.dials) == (2, 1)
    assert (whole.connected, later.connected) == (2, 1)
    assert later.talk_s == 60.0
    assert later.seat_hours == pytest.approx(0.75)


def test_a_talk_over_the_edge_of_a_period_is_booked_to_both() -> None:
    _, day = told(floor(campaign(talk=Constant(400.0))), {270: 1})
    assert day.busy_by[:3].tolist() == [20.0, 300.0, 90.0]


def test_a_law_that_foresees_is_shown_the_floor() -> None:
    class Seer(Script):
        def foresee(self, building: object) -> None:
            self.seen = building

    from simulator.floor import simulate_floor

    seer = Seer({})
    simulate_floor(floor(), seer, 1)
    assert seer.seen is not None
