"""The seat's channel by itself: numbering, replay, and when the customer leaves the screen."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from cti.channel import SeatChannel
from cti.messages import CallStatus, Dispose, SaveNotes, ScreenPop, SeatStatus


def status(state: str, call_id: str = "", last_call: str = "") -> SeatStatus:
    return SeatStatus(user_id=1, state=state, since=0.0, call_id=call_id, last_call=last_call)


def pop(call_id: str, notes: str = "") -> ScreenPop:
    return ScreenPop(
        user_id=1,
        call_id=call_id,
        campaign="c",
        number="+1",
        customer="n",
        attributes={},
        answered_at=0.0,
        notes=notes,
    )


def dispose(call_id: str) -> Dispose:
    return Dispose(user_id=1, call_id=call_id, code="sold", notes="")


@pytest.fixture
def channel() -> SeatChannel:
    return SeatChannel(1, "epoch", 8)


def in_call(channel: SeatChannel, call_id: str = "a") -> None:
    channel.number(status("connecting", call_id))
    channel.number(pop(call_id))
    channel.number(status("talking", call_id))
    channel.number(CallStatus(user_id=1, call_id=call_id, state="connected", at=0.0))


def test_events_are_numbered_without_gaps_and_replayed_from_any_of_them(channel: SeatChannel) -> None:
    in_call(channel)
    texts = channel.since("epoch", 2)
    assert texts is not None
    assert [json.loads(text)["seq"] for text in texts] == [3, 4]
    assert channel.since("epoch", 4) == []


@pytest.mark.parametrize(("epoch", "seq"), [("epoch", 0), ("epoch", 99), ("other", 2), ("epoch", 1)])
def test_what_can_not_be_replayed_is_not_guessed(channel: SeatChannel, epoch: str, seq: int) -> None:
    for _ in range(10):
        channel.number(status("ready"))
    assert channel.since(epoch, seq) is None


def test_the_oldest_kept_event_can_still_be_replayed(channel: SeatChannel) -> None:
    for _ in range(10):
        channel.number(status("ready"))
    texts = channel.since("epoch", 2)
    assert texts is not None
    assert len(texts) == 8


def test_the_customer_stays_through_wrap_up_and_leaves_when_the_seat_is_ready(channel: SeatChannel) -> None:
    in_call(channel)
    channel.number(status("wrap_up", "a"))
    assert channel.pop is not None
    channel.accepted(dispose("a"))
    assert channel.pop is not None
    channel.number(status("ready"))
    assert channel.pop is None


def test_a_seat_paused_without_a_result_keeps_the_customer_until_there_is_one(channel: SeatChannel) -> None:
    in_call(channel)
    channel.number(status("wrap_up", "a", "a"))
    channel.number(status("paused", last_call="a"))
    assert channel.pop is not None
    channel.accepted(dispose("a"))
    assert channel.pop is None


def test_a_seat_paused_after_somebody_it_can_say_nothing_of_shows_nobody(channel: SeatChannel) -> None:
    channel.number(status("asked", "b", "a"))
    channel.number(pop("b"))
    channel.number(status("paused", last_call="a"))
    assert channel.pop is None
    channel.number(status("preview", "c"))
    channel.number(replace(pop("c"), preview=True))
    channel.number(status("paused", last_call="c"))
    assert channel.pop is None


def test_the_next_customer_replaces_the_last(channel: SeatChannel) -> None:
    in_call(channel, "a")
    in_call(channel, "b")
    assert channel.pop is not None
    assert channel.pop.call_id == "b"


def test_notes_are_kept_for_their_own_call_only(channel: SeatChannel) -> None:
    in_call(channel, "a")
    channel.accepted(SaveNotes(user_id=1, call_id="a", notes="hers"))
    assert channel.notes == "hers"
    in_call(channel, "b")
    channel.accepted(SaveNotes(user_id=1, call_id="a", notes="late"))
    assert channel.notes == ""


def test_a_pop_told_again_after_a_resynchronisation_keeps_what_was_typed(channel: SeatChannel) -> None:
    in_call(channel, "a")
    channel.accepted(SaveNotes(user_id=1, call_id="a", notes="hers"))
    channel.number(pop("a"))
    assert channel.notes == "hers"


def test_who_was_asked_goes_on_with_what_the_colleague_has_written_down(channel: SeatChannel) -> None:
    channel.number(status("asked", "a"))
    channel.number(pop("a", "hers so far"))
    assert channel.notes == "hers so far"
    channel.number(pop("a", "hers"))
    channel.number(status("connecting", "a"))
    assert channel.notes == "hers"
    channel.accepted(SaveNotes(user_id=1, call_id="a", notes="hers, and his"))
    channel.number(pop("a", "hers"))
    assert channel.notes == "hers, and his"


def test_a_call_of_the_past_does_not_touch_the_screen(channel: SeatChannel) -> None:
    in_call(channel, "b")
    channel.number(CallStatus(user_id=1, call_id="a", state="ended", at=0.0))
    assert channel.call is not None
    assert channel.call.state == "connected"


def test_a_result_without_notes_leaves_what_was_written_down(channel: SeatChannel) -> None:
    in_call(channel)
    saved = SaveNotes(user_id=1, call_id="a", notes="Moves in May", answers={"line": "dsl"})
    channel.accepted(saved)
    channel.accepted(dispose("a"))
    assert channel.written(dispose("a")) == (saved.notes, saved.answers)
    told = channel.state(0.0)
    assert (told.notes, told.answers, told.disposed) == (saved.notes, saved.answers, True)
