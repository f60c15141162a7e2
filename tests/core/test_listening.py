"""A supervisor listens in: to the call that there is, at a phone that can be rung, and to no other."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from cti.messages import Listen
from dialer.core.effects import Overhear
from tests.core.test_transfers import LINA, Floor


def call_of(floor: Floor) -> str:
    return floor.core.seats.by_user[LINA].call


@pytest.mark.parametrize(
    ("how", "options", "target"), [("listen", "q", "call"), ("barge", "qB", "call"), ("whisper", "qw", "leg")]
)
def test_the_supervisors_phone_is_rung_and_hears_the_call(
    how: Literal["listen", "barge", "whisper"], options: str, target: str
) -> None:
    floor = Floor()
    assert floor.command(Listen(user_id=LINA, call_id=call_of(floor), phone="seat099", how=how)).ok
    [heard] = [each for each in floor.done if isinstance(each, Overhear)]
    assert heard.uid == (floor.customer if target == "call" else floor.leg(LINA))
    assert heard.options == options and "seat099" in heard.dial


def test_without_a_call_or_at_a_phone_that_is_none_nothing_is_rung() -> None:
    floor = Floor()
    for phone in ("seat099,evil", "", floor.core.seats.by_user[LINA].phone):
        assert not floor.command(Listen(user_id=LINA, call_id=call_of(floor), phone=phone)).ok
    listen = Listen(user_id=LINA, call_id=call_of(floor), phone="seat099")
    floor.hang_up(floor.customer)
    assert floor.command(listen).code == "not_your_call"
    assert floor.command(msgspec.structs.replace(listen, user_id=99)).code == "not_at_seat"
    assert not [each for each in floor.done if isinstance(each, Overhear)]


def test_the_next_call_is_not_heard_in_place_of_the_one_that_was_asked_for() -> None:
    floor = Floor()
    for call_id in ("", f"{99:032x}"):
        assert floor.command(Listen(user_id=LINA, call_id=call_id, phone="seat099")).code == "not_your_call"
    assert not [each for each in floor.done if isinstance(each, Overhear)]
