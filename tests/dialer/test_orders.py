"""What a switch does not do is not said to be done: pauses of a recording, mutings, holds."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.records import Audited
from cti.messages import CallStatus, Hold, Mute, Record, Transfer
from dialer.core.effects import Effect, PauseRecording, Send, StartRecording
from dialer.core.effects import Mute as Muting
from dialer.orders import Orders
from dialer.switch.port import ActionRefused, NotConnected, ReplyLost, SwitchError
from tests.core.world import SWITCH, World, config

LINA, ANNA = 7, 8
REFUSED = ActionRefused("Cannot set mute flag")
LOST = ReplyLost("no reply within 5 s")
AWAY = NotConnected("there is no link to the switch main")


class Failing:
    """A switch that does nothing of what it is told."""

    def __init__(self, fault: SwitchError) -> None:
        self.fault = fault

    async def fail(self, *_: object) -> None:
        raise self.fault

    redirect = mute = start_recording = pause_recording = fail


class Floor(World):
    """Lina has a customer, and they are recorded."""

    def __init__(self, mode: str = "nailed") -> None:
        super().__init__(config(record=True, wrap_up_s=60.0))
        self.seat(LINA, mode)
        [self.call_id] = self.dial()
        self.customer = f"zdc-{self.call_id}"
        self.answer(self.customer)
        if mode == "ring":
            self.answer(self.core.seats.by_user[LINA].leg)
        self.join_all()

    async def fails(self, kind: type[Effect], fault: SwitchError) -> None:
        """The last command of this kind comes to nothing."""
        await self.carry_out(kind, Failing(fault))

    async def carry_out(self, kind: type[Effect], switch: object) -> None:
        nothing: Any = None
        switches: Any = {SWITCH: switch}
        orders = Orders(self.core, switches, nothing, nothing, nothing)
        last = [effect for effect in self.done if isinstance(effect, kind)][-1]
        await orders.by_kind[kind](last)
        self.run()

    @property
    def shown(self) -> CallStatus:
        """What Lina's page says of the call."""
        return [m for m in self.told if isinstance(m, CallStatus)][-1]

    def record(self, on: bool) -> None:
        assert self.command(Record(user_id=LINA, call_id=self.call_id, on=on)).ok

    def mute(self, on: bool) -> None:
        assert self.command(Mute(user_id=LINA, call_id=self.call_id, on=on)).ok

    def audited(self) -> list[tuple[str, str]]:
        return [(r.actor, r.action) for r in self.records if isinstance(r, Audited)]


@pytest.mark.parametrize("fault", [REFUSED, LOST, AWAY])
async def test_a_recording_that_was_not_paused_is_not_said_to_be(fault: SwitchError) -> None:
    floor = Floor()
    floor.record(False)
    await floor.fails(PauseRecording, fault)
    assert floor.shown.recording == "on"
    assert floor.audited() == [("u7", "recording_paused"), ("zhudong", "recording_not_paused")]
    floor.record(False)  # and is tried once more
    assert floor.shown.recording == "paused"


@pytest.mark.parametrize(
    ("fault", "shown"), [(REFUSED, "paused"), (LOST, "on")], ids=["refused", "nobody knows"]
)
async def test_a_recording_that_was_not_resumed_is_said_to_be_paused_only_where_it_surely_is(
    fault: SwitchError, shown: str
) -> None:
    floor = Floor()
    floor.record(False)
    floor.record(True)
    await floor.fails(PauseRecording, fault)
    assert floor.shown.recording == shown
    assert floor.audited()[2:] == ([("zhudong", "recording_not_resumed")] if shown == "paused" else [])


@pytest.mark.parametrize(("fault", "shown"), [(REFUSED, "failed"), (LOST, "on")])
async def test_what_may_be_recorded_can_be_paused(fault: SwitchError, shown: str) -> None:
    floor = Floor()
    await floor.fails(StartRecording, fault)
    assert floor.shown.recording == shown
    pause = Record(user_id=LINA, call_id=floor.call_id, on=False)
    assert floor.command(pause).ok is (shown == "on")


def test_after_a_lost_link_the_switch_is_told_again_what_to_record() -> None:
    floor = Floor()
    for on in (False, True):
        floor.record(on)
        floor.done.clear()
        floor.link_down()
        floor.link_up()
        assert [e.on for e in floor.done if isinstance(e, PauseRecording)] == [on]


class Recording:
    """A switch that records what it is told to."""

    async def start_recording(self, *_: object) -> None: ...


@pytest.mark.parametrize("on", [True, False])
async def test_after_a_lost_link_a_call_is_recorded_that_was_not_and_then_as_it_shall_be(on: bool) -> None:
    floor = Floor()
    await floor.fails(StartRecording, LOST)
    if not on:
        floor.record(False)
    floor.link_down()
    floor.link_up()
    start = [effect for effect in floor.done if isinstance(effect, StartRecording)][-1]
    assert start.again
    floor.done = [start]
    await floor.carry_out(StartRecording, Recording())
    assert [e.on for e in floor.done if isinstance(e, PauseRecording)] == [on]


@pytest.mark.parametrize("kind", [StartRecording, PauseRecording])
@pytest.mark.parametrize(("fault", "shown"), [(REFUSED, "failed"), (LOST, "on"), (AWAY, "on")])
async def test_what_is_not_recorded_after_a_lost_link_is_not_said_to_be(
    kind: type[Effect], fault: SwitchError, shown: str
) -> None:
    floor = Floor()
    floor.link_down()
    floor.link_up()
    await floor.fails(kind, fault)
    assert floor.shown.recording == shown


async def test_a_lost_link_takes_no_pause_back_that_the_switch_had_done() -> None:
    floor = Floor()
    floor.record(False)
    floor.link_down()
    floor.link_up()
    await floor.fails(PauseRecording, LOST)
    assert floor.shown.recording == "paused" and len(floor.audited()) == 1


@pytest.mark.parametrize("fault", [REFUSED, LOST, AWAY])
async def test_a_seat_that_was_not_muted_is_told_so(fault: SwitchError) -> None:
    floor = Floor()
    floor.mute(True)
    assert floor.shown.muted
    await floor.fails(Muting, fault)
    assert not floor.shown.muted


async def test_a_seat_that_was_not_unmuted_is_told_so() -> None:
    floor = Floor()
    floor.mute(True)
    floor.mute(False)
    await floor.fails(Muting, REFUSED)
    assert floor.shown.muted


@pytest.mark.parametrize("fault", [REFUSED, LOST])
async def test_who_could_not_be_unmuted_after_a_call_is_heard_by_the_next_customer(
    fault: SwitchError,
) -> None:
    floor = Floor()
    floor.mute(True)
    floor.hang_up(floor.customer)
    await floor.fails(Muting, fault)
    floor.done.clear()
    if fault is LOST:  # with the link
        floor.link_down()
        floor.link_up()
    else:
        floor.pass_time(61.0)
        [call_id] = floor.dial()
        floor.answer(f"zdc-{call_id}")
        floor.join_all()
    assert [e.on for e in floor.done if isinstance(e, Muting)] == [False]


def test_a_muted_seat_stays_muted_when_the_link_is_back() -> None:
    floor = Floor()
    floor.mute(True)
    floor.done.clear()
    floor.link_down()
    floor.link_up()
    assert [e.on for e in floor.done if isinstance(e, Muting)] == [True]
    assert floor.core.seats.by_user[LINA].muted


@pytest.mark.parametrize("fault", [LOST, AWAY])
async def test_a_muted_seat_stays_muted_when_the_link_goes_once_more_before_it_has_answered(
    fault: SwitchError,
) -> None:
    floor = Floor()
    floor.mute(True)
    floor.link_down()
    floor.link_up()
    await floor.fails(Muting, fault)
    floor.done.clear()
    floor.link_down()
    floor.link_up()
    assert [e.on for e in floor.done if isinstance(e, Muting)] == [True]
    assert floor.shown.muted


@pytest.mark.parametrize("mode", ["nailed", "ring"])
async def test_who_was_not_put_on_hold_is_heard_and_the_page_says_so(mode: str) -> None:
    floor = Floor(mode)
    floor.command(Hold(user_id=LINA, call_id=floor.call_id, on=True))
    assert floor.shown.state == "held"
    await floor.fails(Send, ActionRefused("Redirect failed"))
    floor.join_all()
    assert floor.shown.state == "connected"
    floor.check()


@pytest.mark.parametrize("consults", [False, True])
@pytest.mark.parametrize("mode", ["nailed", "ring"])
async def test_a_switch_that_refuses_a_hold_and_all_that_follows_ends_no_call(
    mode: str, consults: bool
) -> None:
    floor = Floor(mode)
    floor.seat(ANNA)
    if consults:
        ask = Transfer(user_id=LINA, call_id=floor.call_id, to_user=ANNA)
        assert floor.command(ask).ok
    else:
        assert floor.command(Hold(user_id=LINA, call_id=floor.call_id, on=True)).ok
    await floor.fails(Send, ActionRefused("Permission denied"))
    for _ in range(60):
        joins, floor.joins = floor.joins, []
        for _ in joins:
            floor.core.join_failed(floor.call_id, floor.at)
        floor.pass_time(0.5)
    assert floor.shown.state == "connected" and floor.call_id in floor.core.calls.by_id
    assert floor.core.seats.by_user[ANNA].state == "ready"
    floor.check()


def test_who_is_on_hold_and_still_with_the_seat_when_the_link_is_back_is_put_on_hold_again() -> None:
    floor = Floor()
    floor.command(Hold(user_id=LINA, call_id=floor.call_id, on=True))
    for unheard in (True, False):
        floor.sent.clear()
        floor.link_down()
        if not unheard:
            floor.channels[floor.customer].bridge = ""
        floor.link_up()
        assert [(s.uid, s.context) for s in floor.sent] == [(floor.customer, "zhudong-hold")] * unheard
