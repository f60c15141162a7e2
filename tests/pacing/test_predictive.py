"""Predictive dialing told as a supervisor sees it, and hammered with what no call centre should ever send."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacing import crowd, predictive
from pacing.contract import (
    CallEvent,
    CallStage,
    Decision,
    Event,
    Mode,
    PacingConfig,
    Room,
    SeatEvent,
    SeatState,
)
from pacing.ledger import PROFILES, AbandonLedger, AbandonRule
from pacing.pacer import CampaignPacer

PLENTY = Room(1_000_000)
CONFIG = PacingConfig(Mode.PREDICTIVE)


def pacer(
    seats: int, answered: int = 3_000, abandoned: int = 60, config: PacingConfig = CONFIG
) -> CampaignPacer:
    """A campaign with a month behind it, and so many idle seats."""
    ledger = AbandonLedger(config.rule)
    ledger.seed(0.0, answered - abandoned, 0, abandoned)
    made = CampaignPacer(config, ledger)
    for seat in range(seats):
        made.observe(SeatEvent(0.0, seat, SeatState.IDLE))
    return made


def teach(made: CampaignPacer, share: float, count: int = 400, at: float = 0.0) -> float:
    """Dials one after the other, of which this share is answered by a person after twelve seconds; the time then."""
    owed, first = 0.0, at
    for number in range(count):
        owed += share
        person = owed >= 1.0
        owed -= person
        made.observe(CallEvent(at, ("taught", first, number), CallStage.DIALED))
        at += 12.0 if person else 25.0
        made.observe(
            CallEvent(at, ("taught", first, number), CallStage.HUNG_UP if person else CallStage.NO_ANSWER)
        )
    return at


def dials(decision: Decision) -> int:
    assert decision.dial >= 0
    assert all(math.isfinite(v) for v in decision.why.values() if isinstance(v, float)), decision
    return decision.dial


def test_a_new_campaign_dials_one_call_for_each_free_seat_until_it_has_earned_an_abandon() -> None:
    made = pacer(10, answered=0, abandoned=0)
    decision = made.decide(0.0, PLENTY)
    assert (dials(decision), decision.bound) == (10, "abandon_budget")


def test_with_a_budget_it_dials_more_calls_than_there_are_free_seats() -> None:
    assert 10 < dials(pacer(10).decide(0.0, PLENTY)) < 60


def test_clearly_over_the_target_it_dials_progressively_and_says_why() -> None:
    made = pacer(10, answered=1_000, abandoned=35)
    decision = made.decide(0.0, PLENTY)
    assert (dials(decision), decision.bound) == (10, "abandon_budget")
    assert decision.why["abandon_rate"] == 0.035


def test_with_the_budget_just_used_up_it_takes_small_risks_only() -> None:
    with_budget = dials(pacer(10).decide(0.0, PLENTY))
    decision = pacer(10, answered=1_000, abandoned=31).decide(0.0, PLENTY)
    assert 10 <= dials(decision) < with_budget
    assert decision.bound == "abandon_budget"


def test_the_fewer_people_answer_the_more_is_dialed() -> None:
    placed = []
    for share in (0.5, 0.25, 0.1):
        made = pacer(0)
        now = teach(made, share)
        for seat in range(10):
            made.observe(SeatEvent(now, seat, SeatState.IDLE))
        placed.append(dials(made.decide(now, PLENTY)))
    assert placed == sorted(placed)
    assert placed[0] < placed[-1] / 2


def test_a_seat_about_to_be_free_is_dialed_for_and_one_that_leaves_is_not() -> None:
    def busy(leaving: bool) -> CampaignPacer:
        made = pacer(0)
        for seat in range(30):
            made.observe(SeatEvent(0.0, seat, SeatState.TALK))
            made.observe(SeatEvent(100.0, seat, SeatState.WRAP, leaving=leaving))
        return made

    assert dials(busy(leaving=False).decide(110.0, PLENTY)) > 0
    assert dials(busy(leaving=True).decide(110.0, PLENTY)) == 0


def fail(made: CampaignPacer, at: float, count: int, stage: CallStage = CallStage.FAILED) -> float:
    """Dials that fail at once, one after the other, as over a trunk that is away; the time then."""
    for number in range(count):
        made.observe(CallEvent(at, (stage, at, number), CallStage.DIALED))
        made.observe(CallEvent(at + 0.1, (stage, at, number), stage))
        at += 0.2
    return at


def test_a_trunk_that_was_away_for_ten_minutes_leaves_no_trace_of_it_a_hundred_dials_after() -> None:
    made = pacer(10)
    now = teach(made, 0.25)
    before = made.decide(now, PLENTY)
    now = fail(made, now, 12_000)
    away = made.decide(now, PLENTY)
    assert dials(away) < 6 * dials(before)  # so many ring at once on its return, and no more
    again = pacer(10)
    again.restore(json.loads(json.dumps(made.learned())))
    kept = again.decide(0.0, PLENTY)
    assert kept.why["answer_share"] == pytest.approx(before.why["answer_share"], rel=0.1)
    now = teach(made, 0.25, 300, now)
    after = made.decide(now, PLENTY)
    spared = pacer(10)
    now = teach(spared, 0.25, 300, teach(spared, 0.25))
    without = spared.decide(now, PLENTY)
    assert after.why["answer_share"] == pytest.approx(without.why["answer_share"], rel=0.1)
    assert dials(after) == pytest.approx(dials(without), rel=0.1)


def test_numbers_that_are_none_lower_the_share_of_new_dials_and_not_of_those_that_ring() -> None:
    made = pacer(10)
    now = teach(made, 0.25)
    ringing = made.decide(now, PLENTY)
    for _ in range(400):
        now = fail(made, now, 1)
        now = teach(made, 0.25, 4, now)
    half = made.decide(now, PLENTY)
    assert half.why["answer_share"] == pytest.approx(0.8 * 0.25, rel=0.15)
    assert dials(half) > dials(ringing)


def test_a_call_that_was_not_dialed_after_all_teaches_nothing() -> None:
    made = pacer(10)
    now = teach(made, 0.25)
    before = made.decide(now, PLENTY)
    now = fail(made, now, 1_000, CallStage.CANCELLED)
    assert made.decide(now, PLENTY).why["answer_share"] == before.why["answer_share"]
    assert made.learned()["answers"]["dials"] == 400


def test_a_call_that_is_refused_after_it_rang_is_a_dial_without_an_answer() -> None:
    made = pacer(10)
    now = teach(made, 0.25)
    for call in range(400):
        made.observe(CallEvent(now, call, CallStage.DIALED))
        made.observe(CallEvent(now + 2.0, call, CallStage.RINGING))
        made.observe(CallEvent(now + 8.0, call, CallStage.FAILED))
        now += 8.0
    assert made.learned()["answers"]["dials"] == 800
    assert float(made.decide(now, PLENTY).why["answer_share"]) < 0.18


def test_only_seats_that_were_counted_on_and_went_teach_that_seats_do_not_come_back() -> None:
    """A pause that was asked for in the talk is known; a seat that is counted out works on for another campaign."""

    def expected(leaving: bool, gone: bool) -> float:
        made = pacer(0)
        for seat in range(60):
            made.observe(SeatEvent(0.0, seat, SeatState.TALK))
            made.observe(SeatEvent(60.0, seat, SeatState.WRAP, leaving=leaving))
            made.observe(SeatEvent(80.0, seat, SeatState.AWAY, gone=gone))
        for seat in range(100, 140):
            made.observe(SeatEvent(80.0, seat, SeatState.TALK))
            made.observe(SeatEvent(140.0, seat, SeatState.WRAP))
        return float(made.decide(145.0, PLENTY).why["expected_free"])

    went = expected(leaving=False, gone=False)
    assert expected(leaving=True, gone=False) > 2 * went
    assert expected(leaving=False, gone=True) > 2 * went


def test_calls_that_have_rung_long_leave_room_for_new_ones() -> None:
    made = pacer(4)
    now = teach(made, 0.25)
    first = dials(made.decide(now, PLENTY))
    for call in range(first):
        made.observe(CallEvent(now, call, CallStage.DIALED))
    assert dials(made.decide(now, PLENTY)) == 0
    assert dials(made.decide(now + 24.0, PLENTY)) > 0


def test_nobody_at_work_is_a_reason() -> None:
    decision = pacer(0).decide(0.0, PLENTY)
    assert (dials(decision), decision.bound) == (0, "no_seats")


def test_with_nobody_at_work_and_no_call_in_the_air_nothing_is_reckoned_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All night, ten times a second, in every campaign that runs."""
    made = pacer(0)
    now = teach(made, 0.3)
    reckoned: list[object] = []
    monkeypatch.setattr(predictive, "Surplus", lambda *args: reckoned.append(args) or crowd.Surplus(*args))
    quiet = made.decide(now, PLENTY)
    assert reckoned == [] and (dials(quiet), quiet.bound) == (0, "no_seats")
    made.observe(CallEvent(now, "rings", CallStage.DIALED))
    with_one = made.decide(now, PLENTY)
    assert len(reckoned) == 1 and dials(with_one) == 0
    assert quiet.why.keys() == with_one.why.keys()
    for name in ("risk", "risk_limit", "earned", "abandon_rate", "answer_share", "expected_free"):
        assert quiet.why[name] == pytest.approx(with_one.why[name]), name


@pytest.mark.parametrize(
    ("room", "bound"),
    [(Room(2), "lines"), (Room(99, rate_allowance=1), "calls_per_s"), (Room(99, leads=0), "leads")],
)
def test_the_constraint_that_bound_is_named(room: Room, bound: str) -> None:
    decision = pacer(10).decide(0.0, room)
    assert dials(decision) == min(room.free_lines, room.rate_allowance, room.leads)
    assert decision.bound == bound


def test_a_lower_target_is_obeyed_at_once_and_nothing_learned_is_lost() -> None:
    made = pacer(10, answered=3_000, abandoned=30)
    now = teach(made, 0.25)
    before = made.decide(now, PLENTY)
    made.configure(replace(CONFIG, target=0.01))
    after = made.decide(now, PLENTY)
    assert dials(after) < dials(before)
    assert after.why["answer_share"] == before.why["answer_share"]
    made.configure(replace(CONFIG, mode=Mode.PROGRESSIVE))
    assert dials(made.decide(now, PLENTY)) == 10


def test_what_was_learned_survives_a_restart() -> None:
    made = pacer(10)
    now = teach(made, 0.1)
    again = pacer(10)
    again.restore(json.loads(json.dumps(made.learned())))
    kept = again.decide(0.0, PLENTY)
    assert kept.why["answer_share"] == pytest.approx(made.decide(now, PLENTY).why["answer_share"], abs=0.01)
    assert dials(kept) > dials(pacer(10).decide(0.0, PLENTY))


@pytest.mark.parametrize("lost", [0, 30])
def test_a_restart_and_a_higher_target_leave_the_risk_limit_as_it_is_in_targets(lost: int) -> None:
    """Whether much is in hand or much was lost: nothing of it is given back, and nothing is given."""
    made = pacer(10)
    made.configure(replace(CONFIG, mode=Mode.PROGRESSIVE))
    now = teach(made, 0.25)
    for call in range(lost):
        made.observe(CallEvent(now, call, CallStage.DIALED))
        made.observe(CallEvent(now + 12.0, call, CallStage.ABANDONED))
    made.configure(CONFIG)
    before = made.decide(now, PLENTY).why["risk_limit"]
    again = pacer(10)
    again.restore(json.loads(json.dumps(made.learned())))
    assert again.decide(0.0, PLENTY).why["risk_limit"] == before
    made.configure(replace(CONFIG, target=0.04))
    assert made.decide(now, PLENTY).why["risk_limit"] == pytest.approx(4 / 3 * float(before), rel=0.03)


def test_what_was_kept_before_the_debt_was_is_read() -> None:
    made = pacer(10)
    kept = made.learned()
    kept["limit"] = {"log": 0.5, "answers": 1_000}
    made.restore(kept)
    assert made.learned()["limit"] == {
        "log": 0.5,
        "answers": 1_000,
        "at_stake": 0.0,
        "debt": 0.0,
        "target": 0.03,
    }


@pytest.mark.parametrize("debt", [-9.0, 9.0])
def test_what_another_part_has_to_spare_or_to_pay_back_stays_there(debt: float) -> None:
    made = pacer(10)
    kept = made.learned()
    kept["limit"] |= {"log": 0.5, "answers": 1_000, "debt": debt, "at_stake": 2.0}
    made.restore(kept, own=False)
    assert made.learned()["limit"] == kept["limit"] | {"debt": 0.0, "at_stake": 0.0}


def test_a_target_that_was_lowered_meanwhile_leaves_the_reserve() -> None:
    """As it does where it is lowered while the engine runs."""
    made, again = pacer(10), pacer(10)
    kept = made.learned()
    kept["limit"] |= {"log": 0.5, "answers": 1_000, "debt": -9.0, "at_stake": 2.0}
    made.restore(kept)
    made.configure(replace(CONFIG, target=0.01))
    again.configure(replace(CONFIG, target=0.01))
    again.restore(kept)
    assert again.learned()["limit"] == made.learned()["limit"]
    assert again.learned()["limit"]["debt"] > -9.0


@pytest.mark.parametrize(("key", "figure"), [("debt", math.nan), ("at_stake", math.inf), ("at_stake", -1.0)])
def test_a_debt_that_is_none_is_refused(key: str, figure: float) -> None:
    made = pacer(10)
    kept = made.learned()
    kept["limit"][key] = figure
    with pytest.raises(ValueError, match="risk limit"):
        made.restore(kept)


@pytest.mark.parametrize("mode", [Mode.RATIO, Mode.PROGRESSIVE])
def test_whom_another_mode_abandoned_is_no_fault_of_what_was_predicted(mode: Mode) -> None:
    """A little is earned, of which calls may cost what they are predicted to, and not what others have cost."""
    made = pacer(40, answered=6, abandoned=0)
    planned = dials(made.decide(0.0, PLENTY))  # and not placed any more
    made.configure(replace(CONFIG, mode=mode))
    for call in range(3_000):
        made.decide(12.0 * call, Room(0))
        made.observe(CallEvent(12.0 * call, call, CallStage.DIALED))
        lost = call < planned - 12 or call % 48 == 47
        made.observe(CallEvent(12.0 * call + 12.0, call, CallStage.ABANDONED if lost else CallStage.HUNG_UP))
    assert made.ledger.given_up == 90
    made.configure(CONFIG)
    decision = made.decide(36_000.0, PLENTY)
    assert decision.why["earned"] == 0.2
    assert dials(decision) > 40 and decision.bound == "risk"


@pytest.mark.parametrize(
    "spoilt", [{}, {"answers": 1}, {"answers": {"person": [1]}, "release": {}, "limit": {}}]
)
def test_a_state_that_is_none_is_refused_and_changes_nothing(spoilt: dict[str, object]) -> None:
    made = pacer(10)
    before = made.decide(0.0, PLENTY)
    with pytest.raises(ValueError, match="learned"):
        made.restore(spoilt)
    assert made.decide(0.0, PLENTY) == before


# --- the ledger -----------------------------------------------------------------------------------------------


def test_abandons_leave_the_ledger_with_their_window() -> None:
    ledger = AbandonLedger(PROFILES["uk"])
    for second in range(100):
        ledger.connected(float(second))
    ledger.abandoned(100.0)
    assert ledger.rate == pytest.approx(1 / 101)
    ledger.expire(86_400.0 + 300.0)
    assert (ledger.rate, ledger.answered) == (0.0, 0.0)


def test_a_campaign_that_counts_its_whole_life_forgets_nothing() -> None:
    ledger = AbandonLedger(PROFILES["life"])
    for day in range(400):
        ledger.abandoned(day * 86_400.0)
    ledger.expire(1e12)
    assert ledger.given_up == 400


def test_machines_that_agents_found_are_deducted_where_the_rule_says_so() -> None:
    """The worked example of Ofcom's policy: 29 abandoned, 9 live calls and 7 machines at the seats: 64.44 %."""
    ledger = AbandonLedger(AbandonRule(deduct_machines=True))
    for _ in range(16):
        ledger.connected(0.0)
    for _ in range(7):
        ledger.machine(0.0)
    for _ in range(29):
        ledger.abandoned(0.0)
    assert ledger.rate == pytest.approx(0.6444, abs=0.0001)


# --- what should never come -----------------------------------------------------------------------------------

TIMES = st.floats(0.0, 1e6)
SEATS = st.builds(
    SeatEvent, TIMES, st.integers(0, 20), st.sampled_from(list(SeatState)), st.booleans(), st.booleans()
)
CALLS = st.builds(
    CallEvent,
    TIMES,
    st.integers(0, 40),
    st.sampled_from(list(CallStage)),
    st.integers(0, 20),
    list_id=st.integers(0, 3),
)
ROOMS = st.builds(Room, st.integers(-5, 10**7), st.integers(-5, 10**7), st.integers(-5, 10**7))
TARGETS = st.sampled_from([0.0, 0.001, 0.03, 0.5, 1.0])


@given(
    events=st.lists(st.one_of(SEATS, CALLS), max_size=120),
    room=ROOMS,
    target=TARGETS,
    answered=st.integers(0, 10**6),
    share=st.floats(0.0, 1.0),
)
def test_whatever_comes_in_whatever_order_the_decision_is_a_sane_number(
    events: list[Event], room: Room, target: float, answered: int, share: float
) -> None:
    config = replace(CONFIG, target=target)
    made = pacer(0, answered, int(answered * share), config)
    for number, event in enumerate(events):
        made.observe(event)
        if number % 10 == 0:
            made.decide(event.at, room)
    decision = made.decide(events[-1].at if events else 0.0, room)
    most = max(0, min(room.free_lines, room.rate_allowance, room.leads))
    assert 0 <= dials(decision) <= min(most, 420)


def test_a_list_of_nothing_but_machines_is_dialed_at_a_bounded_rate() -> None:
    made = pacer(5)
    at = 0.0
    for call in range(3_000):
        made.observe(CallEvent(at, call, CallStage.DIALED))
        made.observe(CallEvent(at + 1.0, call, CallStage.MACHINE))
        at += 1.0
    assert 0 < dials(made.decide(at, PLENTY)) <= 100


def test_a_clock_that_stands_still_and_a_million_calls_at_once() -> None:
    made = pacer(50)
    for call in range(1_000_000):
        made.observe(CallEvent(7.0, call, CallStage.DIALED))
    assert dials(made.decide(7.0, PLENTY)) == 0
    for call in range(1_000_000):
        made.observe(CallEvent(7.0, call, CallStage.NO_ANSWER))
    assert dials(made.decide(7.0, PLENTY)) <= 420


def test_all_seats_vanish_in_mid_shift() -> None:
    made = pacer(50)
    for seat in range(50):
        made.observe(SeatEvent(1.0, seat, SeatState.TALK))
    for seat in range(50):
        made.observe(SeatEvent(2.0, seat, SeatState.AWAY, gone=True))
    assert dials(made.decide(2.0, PLENTY)) == 0


def test_machines_that_are_found_out_after_the_answer_count_as_no_people() -> None:
    """A third of the calls is answered, by a machine each time, which the detector says two seconds later."""
    made = pacer(0)
    at = 0.0
    for call in range(900):
        made.observe(CallEvent(at, call, CallStage.DIALED))
        if call % 3 == 0:
            made.observe(CallEvent(at + 10.0, call, CallStage.HUMAN))
        made.observe(CallEvent(at + 12.0, call, CallStage.MACHINE if call % 3 == 0 else CallStage.NO_ANSWER))
        at += 12.0
    assert made.decide(at, PLENTY).why["answer_share"] == pytest.approx(0.0, abs=0.02)


def test_people_may_be_connected_without_a_word_that_they_are_people() -> None:
    made = pacer(0)
    at = 0.0
    for call in range(400):
        made.observe(CallEvent(at, call, CallStage.DIALED))
        at += 12.0
        if call % 4 == 0:
            made.observe(CallEvent(at, call, CallStage.ANSWERED))
            made.observe(CallEvent(at, call, CallStage.CONNECTED, seat="lina"))
        else:
            made.observe(CallEvent(at, call, CallStage.BUSY))
    made.observe(SeatEvent(at, "lina", SeatState.IDLE))
    assert made.decide(at, PLENTY).why["answer_share"] == pytest.approx(0.25, abs=0.02)
    assert dials(made.decide(at, PLENTY)) == 1
    made.observe(CallEvent(at, "waits", CallStage.DIALED))
    made.observe(CallEvent(at, "waits", CallStage.ANSWERED))
    assert dials(made.decide(at, PLENTY)) == 0  # somebody waits for that seat


def test_a_call_that_is_lost_while_a_detector_listens_does_not_make_people_of_all_answers() -> None:
    made = pacer(0)
    for call in ("lost", "listens"):
        made.observe(CallEvent(0.0, call, CallStage.DIALED))
        made.observe(CallEvent(9.0, call, CallStage.ANSWERED))
        if call == "lost":
            made.observe(CallEvent(9.5, call, CallStage.ABANDONED))
    assert made.waiting == 0
    made.observe(CallEvent(10.5, "listens", CallStage.HUMAN))
    assert made.waiting == 1
