"""Calls whose end nobody has heard: what is known of them decides what they count as, and since when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from campaigns.records import AttemptAnswered, AttemptEnded, Dispositioned
from campaigns.trials.keys import Arm, Trial
from campaigns.values import InFlight
from cti.messages import CallStatus, Dispose, LogIn, ReadScript, Record, Script
from dialer.core.effects import PauseRecording, StartRecording
from dialer.core.seats import leg_uid
from dialer.switch import port
from tests.core.test_verdicts import FULL
from tests.core.world import SWITCH, UP, Channel, World, config, lead


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


def test_who_is_found_abandoned_after_a_take_over_is_in_the_rate_at_once() -> None:
    here = World()
    assert after_a_restart(here, killed(here, answered_s=1.0)).outcome == "abandoned"
    assert here.core.campaigns["spring"].ledger.given_up == 1


def test_what_rang_as_the_switch_died_is_lost() -> None:
    here = World()
    (call_id,) = here.dial()
    here.link_down()
    here.link_up(frozenset({f"zdc-{call_id}"}))
    assert ended(here).outcome == "lost"


@pytest.mark.parametrize(("lost", "outcome"), [(True, "lost"), (False, "abandoned")])
def test_what_rang_when_the_link_went_has_no_outcome_before_anybody_hears_of_it(
    lost: bool, outcome: str
) -> None:
    """Its ring time is long over, and it may have been answered meanwhile: who listens next tells."""
    here = World()
    (call_id,) = here.dial()
    uid = f"zdc-{call_id}"
    here.ring(uid)
    here.link_down()
    here.pass_time(300.0)
    assert not [record for record in here.records if isinstance(record, AttemptEnded)]
    here.channels[uid].state = UP
    here.link_up(frozenset({uid}) if lost else frozenset(), heard=here.at - 300.0)
    here.pass_time(60.0)
    assert ended(here).outcome == outcome


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


def test_after_a_restart_a_callback_is_due_in_the_customers_own_time_still() -> None:
    """And what is said is by the arm of the trial that the customer is in."""
    arm = Arm("gift", script=FULL.script[:1])
    here = World(config(script=FULL.script, trial=Trial((Arm("plain"), arm))))
    call = msgspec.structs.replace(lead(5), arm="gift")
    flight = InFlight(call.call_id, 1, call, "x", True, SWITCH, 1, here.core.wall(here.at), None)
    uid, leg = f"zdc-{call.call_id}", leg_uid(1)
    here.channels |= {each: Channel(each, UP, "b") for each in (uid, leg)}
    who = LogIn(user_id=1, name="u1", phone="seat1", campaigns=("spring",))
    here.core.recover([flight], {1: who}, here.at)
    here.link_up()
    assert here.command(ReadScript(user_id=1, call_id=call.call_id)).ok
    [script] = [m for m in here.told if isinstance(m, Script)]
    assert [step.code for step in script.steps] == ["greeting"]
    said = Dispose(user_id=1, call_id=call.call_id, code="sold", callback_local="2026-11-25T15:30")
    assert here.command(said).ok
    [record] = [r for r in here.records if isinstance(r, Dispositioned)]
    assert record.callback_at == datetime(2026, 11, 25, 7, 30, tzinfo=UTC)  # in Shanghai


def talks_on(here: World, *others: str, **known: Any) -> tuple[str, str]:
    """After a restart a customer is found in a call with a seat, and with others in it; their channels."""
    flight = replace(killed(here, 31.0, 30.0), **known)
    customer, leg = f"zdc-{flight.call_id}", leg_uid(1)
    here.channels |= {each: Channel(each, UP, "b") for each in (*others, customer, leg)}
    who = {n: LogIn(user_id=n, name=f"u{n}", phone=f"seat{n}", campaigns=("spring",)) for n in (1, 2)}
    here.core.recover([flight], who, here.at)
    here.link_up()
    return customer, leg


@pytest.mark.parametrize("paused", [True, False])
def test_after_a_restart_a_recording_that_was_paused_still_is_and_can_be_resumed(paused: bool) -> None:
    here = World(config(record=True))
    customer, _ = talks_on(here, paused=paused)
    [shown] = [m for m in here.told if isinstance(m, CallStatus)]
    assert (shown.state, shown.recording) == ("connected", "paused" if paused else "on")
    assert shown.at == pytest.approx(here.core.wall_s(here.at) - 30.0, abs=0.01)
    assert [(e.uid, e.on) for e in here.done if isinstance(e, PauseRecording)] == [(customer, not paused)]
    assert [e.again for e in here.done if isinstance(e, StartRecording)] == [True]
    assert here.command(Record(user_id=1, call_id=customer.removeprefix("zdc-"), on=paused)).ok
    assert [e.on for e in here.done if isinstance(e, PauseRecording)] == [not paused, paused]


def test_after_a_restart_a_call_whose_connection_nobody_had_recorded_is_recorded() -> None:
    here = World(config(record=True))
    customer, _ = talks_on(here, seat_user_id=None, connected_at=None)
    assert [(e.uid, e.again) for e in here.done if isinstance(e, StartRecording)] == [(customer, True)]


def test_after_a_restart_who_comes_back_from_an_outside_number_is_recorded_again() -> None:
    here = World(config(record=True))
    flight = killed(here, 31.0, 30.0)
    both = f"zdc-{flight.call_id}", port.PARTY_PREFIX + "5" * 32
    here.channels |= {each: Channel(each, UP, "b") for each in both}
    here.core.recover([flight], {}, here.at)
    here.link_up()
    assert [e.on for e in here.done if isinstance(e, PauseRecording)] == [False]
    here.seat(2)
    for each in both:
        here.channels[each].bridge = ""
    here.link_down()
    here.link_up()
    here.done.clear()
    here.joins.clear()
    here.core.join_failed(flight.call_id, here.at)  # the two are not brought together again
    here.run()
    here.join_all()
    assert here.core.seats.by_user[2].call == flight.call_id
    assert [e.on for e in here.done if isinstance(e, PauseRecording)] == [True]
    here.check()


@pytest.mark.parametrize("outside", [True, False])
def test_after_a_restart_in_a_conference_the_customer_stays_with_whose_call_it_is(outside: bool) -> None:
    """Who was asked leaves, and with whoever leaves the bridge of all three ends."""
    here = World()
    third = port.PARTY_PREFIX + "5" * 32 if outside else leg_uid(2)
    customer, leg = talks_on(here, third)
    assert here.core.seats.by_user[1].call == customer.removeprefix("zdc-")
    if outside:
        assert here.dropped == [third]
        here.hang_up(third)
    here.pass_time(0.5)
    here.join_all()
    assert here.channels[customer].bridge == here.channels[leg].bridge != ""
    assert here.channels[customer].bridge != here.channels.get(third, Channel(third)).bridge
    here.check()


# --- heard too late ----------------------------------------------------------------------------------------------


def heard_late(here: World, uid: str, late_s: float) -> None:
    here.channels[uid].state = UP
    here.event(port.Answered(here.at, SWITCH, uid, f"PJSIP/{uid}", here.at - late_s))


def test_an_answer_that_was_heard_after_the_limit_is_abandoned_though_a_seat_is_free() -> None:
    here = World()
    here.seat(1)
    (call_id,) = here.dial()
    uid = f"zdc-{call_id}"
    here.pass_time(5.0)
    heard_late(here, uid, 3.0)
    here.pass_time(0.5)
    assert here.pops() == [] and [sent.context for sent in here.sent] == ["zhudong-safe-harbour"]
    here.hang_up(uid)
    assert ended(here).outcome == "abandoned"


def test_an_answer_that_was_heard_late_and_within_the_limit_meets_a_seat_and_its_wait_is_told() -> None:
    here = World()
    here.seat(1)
    (call_id,) = here.dial()
    uid = f"zdc-{call_id}"
    here.pass_time(5.0)
    heard_late(here, uid, 1.0)
    here.join_all()
    here.hang_up(uid)
    assert (ended(here).outcome, ended(here).wait_s) == ("connected", 1.0)


@pytest.mark.parametrize(("waited_s", "outcome"), [(1.5, "hung_up"), (2.5, "abandoned")])
def test_who_left_unheard_counts_by_how_long_they_waited(waited_s: float, outcome: str) -> None:
    here = World()
    (call_id,) = here.dial()
    uid = f"zdc-{call_id}"
    here.pass_time(10.0)
    heard_late(here, uid, 6.0)
    here.channels.pop(uid)
    here.event(port.HungUp(here.at, SWITCH, uid, 16, happened=here.at - 6.0 + waited_s))
    assert ended(here).outcome == outcome


def test_who_answered_while_the_link_was_away_may_have_answered_as_it_went() -> None:
    here = World()
    here.seat(1)
    (call_id,) = here.dial()
    uid = f"zdc-{call_id}"
    here.pass_time(1.0)
    heard = here.at
    here.link_down()
    here.pass_time(4.0)
    here.channels[uid].state = UP
    here.link_up(heard=heard)
    here.pass_time(0.5)
    here.hang_up(uid)
    assert ended(here).outcome == "abandoned"
