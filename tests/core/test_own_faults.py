"""A fault of our own on one call costs that call alone, and is counted as a broken promise."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.values import InFlight
from dialer.core.calls import Calls
from dialer.core.recovery import Recovery
from tests.core.world import SWITCH, World, lead


class Fails:
    """What it stands for, once each for these calls."""

    def __init__(self, of: type, name: str, patch: pytest.MonkeyPatch, *calls: str) -> None:
        self.left, real = set(calls), getattr(of, name)

        def fails(self_: Any, subject: Any, *args: Any, **more: Any) -> Any:
            found = subject if isinstance(subject, str) else getattr(subject, "call_id", None) or subject.id
            if found in self.left:
                self.left.discard(found)
                raise ZeroDivisionError(found)
            return real(self_, subject, *args, **more)

        patch.setattr(of, name, fails)


def test_timers_that_are_due_beside_one_that_fails_fire_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine stood still, and three customers have waited for too long: one is lost, two hear the message."""
    here = World()
    calls = here.dial(3)
    for call_id in calls:
        here.answer(f"zdc-{call_id}")
    Fails(Calls, "fire", monkeypatch, calls[0])
    here.at += 30.0
    here.core.tick(here.at)
    here.run()
    assert [send.uid for send in here.sent] == [f"zdc-{call_id}" for call_id in calls[1:]]
    assert here.core.breaches == {"core_fault": 1}


def test_a_dead_engines_calls_are_settled_beside_one_that_can_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    here = World()
    calls = [lead(n).call_id for n in (5, 6, 7)]
    flights = [InFlight(lead(n).call_id, 1, lead(n), "x", True, SWITCH) for n in (5, 6)]
    elsewhere = [InFlight(lead(n).call_id, 1, lead(n), "x", True, "gone") for n in (8, 7)]
    Fails(Recovery, "_lost", monkeypatch, calls[0], lead(8).call_id)
    here.core.recover([*flights, *elsewhere], {}, here.at)
    here.link_up()
    assert here.outcomes() == {calls[1]: "lost", calls[2]: "lost"}
    assert here.core.breaches == {"core_fault": 2}


def test_after_a_lost_link_calls_are_checked_beside_one_that_can_not_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = World()
    calls = here.dial(3)
    Fails(Recovery, "_check_call", monkeypatch, calls[0])
    here.link_down()
    here.link_up(frozenset(here.channels))
    assert here.outcomes() == dict.fromkeys(calls[1:], "lost")
    here.link_up()  # and it may be put right by the next one
    assert here.outcomes() == dict.fromkeys(calls, "lost")
