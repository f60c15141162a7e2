"""Calls whose end nobody has heard: what is known of them decides what they count as, and since when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from campaigns.records import AttemptAnswered, AttemptEnded
from campaigns.values import InFlight
from tests.core.world import SWITCH, UP, Channel, World, lead


def ended(here: World) -> AttemptEnded:
    [record] = [record for record in here.records if isinstance(record, AttemptEnded)]
    return record


def killed(here: World, answered_s: float | None, connected_s: float | None = None) -> InFlight:
    """A call of an engine that was killed, answered and connected so many seconds ago as far as is on record."""
    now = here.core.wall(here.at)
    answered = None if answered_s is None else now - timedelta(seconds=answered_s)
    connected = None if connected_s is None else now - timedelta(seconds=connected_s)
    user = None if connected is None else 1
    return InFlight(lead(5).call_id, 1, lead(5), "x", True, SWITCH, user, answered, connected)


def after_a_restart(here: World, flight: InFlight) -> AttemptEnded:
    here.core.recover([flight], {}, here.at)
    here.link_up()
    here.pass_time(60.0)
    return ended(here)


def test_a_person_who_waits_as_the_switch_dies_is_abandoned() -> None:
    here = World()
    (call_id,) = here.dial()
    uid = f"zdc-{call_id}"
    here.answer(uid)
    here.pass_time(0.5)
    here.link_down()
    here.link_up(frozenset({uid}))
    assert (ended(here).outcome, ended(here).wait_s) == ("abandoned", 0.5)
    campaign = here.core.campaigns["spring"]
    assert (campaign.counts.abandoned, campaign.counts.humans) == (1, 1)
    assert campaign.ledger.rate == 1.0


def test_what_rang_as_the_switch_died_is_lost() -> None:
    here = World()
    (call_id,) = here.dial()
    here.link_down()
    here.link_up(frozenset({f"zdc-{call_id}"}))
    assert ended(here).outcome == "lost"


@pytest.mark.parametrize(("answered_s", "outcome"), [(3.0, "abandoned"), (None, "lost")])
def test_after_a_restart_who_is_gone_counts_by_what_is_on_record(
    answered_s: float | None, outcome: str
) -> None:
    here = World()
    found = after_a_restart(here, killed(here, answered_s))
    assert (found.outcome, found.wait_s) == (outcome, answered_s)


def test_after_a_restart_the_wait_and_the_talk_are_those_on_record() -> None:
    here = World()
    found = after_a_restart(here, killed(here, 31.0, 30.0))
    assert (found.outcome, found.wait_s, found.talk_s) == ("connected", 1.0, 30.0)


def test_after_a_restart_an_answer_that_nobody_had_recorded_is_on_record() -> None:
    here = World()
    flight = killed(here, None)
    uid = f"zdc-{flight.call_id}"
    here.channels[uid] = Channel(uid, UP)
    assert after_a_restart(here, flight).outcome == "abandoned"
    assert [r.call_id for r in here.records if isinstance(r, AttemptAnswered)] == [flight.call_id]
