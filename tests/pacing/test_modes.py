"""Preview, progressive and fixed ratio: how many calls, and never more than there is room for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacing.contract import CallEvent, CallStage, Mode, PacingConfig, Room, SeatEvent, SeatState
from pacing.pacer import REMEMBERED, SETTLED, CampaignPacer

PLENTY = Room(free_lines=1_000)


def pacer(mode: Mode, idle: int = 0, in_air: int = 0, **more: float) -> CampaignPacer:
    made = CampaignPacer(PacingConfig(mode, **more))  # type: ignore[arg-type]
    for seat in range(idle):
        made.observe(SeatEvent(0.0, seat, SeatState.IDLE))
    for call in range(in_air):
        made.observe(CallEvent(0.0, call, CallStage.DIALED))
    return made


def test_progressive_places_one_call_for_each_idle_seat() -> None:
    assert pacer(Mode.PROGRESSIVE, idle=5).decide(0, PLENTY).dial == 5
    assert pacer(Mode.PROGRESSIVE, idle=5, in_air=3).decide(0, PLENTY).dial == 2
    assert pacer(Mode.PROGRESSIVE, idle=2, in_air=3).decide(0, PLENTY).dial == 0


def test_preview_places_none_by_itself() -> None:
    made = pacer(Mode.PREVIEW, idle=5)
    found = [made.decide(0, room) for room in (PLENTY, Room(free_lines=9, leads=0))]
    assert [(each.dial, each.bound) for each in found] == [(0, "preview"), (0, "leads")]


@pytest.mark.parametrize(("ratio", "idle", "expected"), [(1.5, 1, 1), (1.5, 2, 3), (2.0, 1, 2), (2.5, 3, 7)])
def test_a_ratio_is_rounded_down_over_all_idle_seats(ratio: float, idle: int, expected: int) -> None:
    assert pacer(Mode.RATIO, idle=idle, ratio=ratio).decide(0, PLENTY).dial == expected


@pytest.mark.parametrize(
    ("room", "bound"),
    [
        (Room(free_lines=2), "lines"),
        (Room(free_lines=9, rate_allowance=1), "calls_per_s"),
        (Room(free_lines=9, leads=0), "leads"),
    ],
)
def test_the_decision_names_what_bound_it(room: Room, bound: str) -> None:
    assert pacer(Mode.PROGRESSIVE, idle=5).decide(0, room).bound == bound


def test_a_new_mode_keeps_the_seats_and_calls_that_are_known() -> None:
    made = pacer(Mode.PREVIEW, idle=4, in_air=1)
    made.configure(PacingConfig(Mode.RATIO, ratio=2.0))
    assert made.decide(0, PLENTY).dial == 7


@pytest.mark.parametrize("late", [CallStage.DIALED, CallStage.RINGING, CallStage.ANSWERED, CallStage.HUMAN])
def test_an_event_that_comes_after_the_call_is_over_does_not_bring_it_back(late: CallStage) -> None:
    made = pacer(Mode.PROGRESSIVE, idle=3)
    for stage in (CallStage.DIALED, CallStage.BUSY, late, CallStage.BUSY, late):
        made.observe(CallEvent(1.0, "a", stage))
    assert made.decide(1, PLENTY).dial == 3


def test_a_person_who_waits_counts_even_when_the_dialing_was_never_told() -> None:
    made = pacer(Mode.PROGRESSIVE, idle=3)
    made.observe(CallEvent(1.0, "a", CallStage.HUMAN))
    assert made.decide(1, PLENTY).dial == 2


def test_what_is_remembered_of_settled_calls_is_bounded() -> None:
    made = pacer(Mode.PROGRESSIVE, idle=3)
    for call in range(3 * REMEMBERED):
        made.observe(CallEvent(1.0, call, CallStage.DIALED))
        made.observe(CallEvent(1.0, call, CallStage.NO_ANSWER))
    assert len(made._settled) == REMEMBERED
    assert made.decide(1, PLENTY).dial == 3


EVENTS = st.lists(
    st.one_of(
        st.builds(
            SeatEvent, st.just(0.0), st.integers(0, 5), st.sampled_from(list(SeatState)), st.booleans()
        ),
        st.builds(CallEvent, st.just(0.0), st.integers(0, 9), st.sampled_from(list(CallStage))),
    ),
    max_size=80,
)


@given(
    events=EVENTS,
    mode=st.sampled_from(list(Mode)),
    ratio=st.floats(1.0, 15.0),
    room=st.builds(Room, st.integers(0, 20), st.integers(0, 20), st.integers(0, 20)),
)
def test_no_order_of_events_brings_more_calls_than_seats_and_room_bear(
    events: list[SeatEvent | CallEvent], mode: Mode, ratio: float, room: Room
) -> None:
    made = CampaignPacer(PacingConfig(mode, ratio=ratio))
    idle: set[object] = set()
    heard: set[object] = set()
    settled: set[object] = set()
    for event in events:
        made.observe(event)
        if isinstance(event, SeatEvent):
            (idle.add if event.state is SeatState.IDLE and not event.gone else idle.discard)(event.seat)
        else:
            (settled if event.stage in SETTLED else heard).add(event.call)
    in_air = heard - settled
    dial = made.decide(0, room).dial
    assert 0 <= dial <= min(room.free_lines, room.rate_allowance, room.leads)
    # nothing is earned yet, so predictive dials as progressive does at the most
    factor = {Mode.PREVIEW: 0.0, Mode.PROGRESSIVE: 1.0, Mode.RATIO: ratio, Mode.PREDICTIVE: 1.0}[mode]
    assert dial == 0 or dial + len(in_air) <= factor * len(idle) + 1e-6
