"""Odd ends: what a customer asks for after the call, what a switch will not do, a campaign that has no switch."""

from __future__ import annotations

from campaigns.config import parse
from campaigns.records import AttemptEnded, OptedOut
from campaigns.values import Outcome
from cti.messages import HangUpRinging
from tests.core.world import World, config


def opted_out(world: World) -> list[tuple[str, str]]:
    return [(r.call_id, r.number) for r in world.records if isinstance(r, OptedOut)]


def test_an_opt_out_that_is_told_after_the_end_of_its_call_is_on_record() -> None:
    world = World()
    [call_id] = world.dial()
    uid = f"zdc-{call_id}"
    world.answer(uid)
    world.pass_time(2.5)  # no seat: abandoned
    world.hang_up(uid)
    assert call_id in world.outcomes()
    world.core.harbour_done(uid, True, True, world.at)
    world.run()
    assert opted_out(world) == [(call_id, "")]  # whose number it is, the attempt knows


def test_an_opt_out_of_a_call_from_before_a_restart_is_on_record() -> None:
    world, call_id = World(), "019ab3" + "4" * 26
    world.core.harbour_done(f"zdc-{call_id}", False, True, world.at)
    world.run()
    assert opted_out(world) == [(call_id, "")]


def test_a_dialogue_of_no_call_of_ours_is_a_count() -> None:
    world = World()
    for uid in ("", "1795470658.15", "zdc-", "zdc-1'; DROP", "zds-" + "1" * 32):
        world.core.harbour_done(uid, True, True, world.at)
    world.run()
    assert world.records == [] and world.core.anomalies["harbour_of_unknown_call"] == 5


# --- a switch that takes no calls --------------------------------------------------------------------------------


def ended(world: World) -> AttemptEnded:
    [record] = [r for r in world.records if isinstance(r, AttemptEnded)]
    return record


def test_a_call_that_the_switch_would_not_take_does_not_count_and_comes_again_soon() -> None:
    """Its user may not originate, or it shuts down: that is nothing against the number."""
    world = World(config(rules=parse('name = "x"\nswitch = "y"\n[rules]\nattempts = 1', "x").rules))
    [call_id] = world.dial()
    world.core.originate_withheld(f"zdc-{call_id}", world.at)
    world.run()
    found = ended(world)
    assert (found.outcome, found.dialed, found.final) == (Outcome.CANCELLED, False, False)
    assert found.retry_at is not None and (found.retry_at - found.at).total_seconds() == 60.0
    world.check()


def test_a_call_without_a_delay_for_cancelled_ones_comes_again_all_the_same() -> None:
    world = World(config(rules=parse('name = "x"\nswitch = "y"\n[rules.retry_s]\nbusy = 1.0', "x").rules))
    [call_id] = world.dial()
    world.core.originate_withheld(f"zdc-{call_id}", world.at)
    world.run()
    assert ended(world).retry_at is not None and not ended(world).final


def test_a_call_that_was_refused_by_itself_counts_and_has_failed() -> None:
    world = World()
    [call_id] = world.dial()
    world.core.originate_refused(f"zdc-{call_id}", world.at)
    world.run()
    assert (ended(world).outcome, ended(world).dialed) == (Outcome.FAILED, True)


def test_a_call_that_is_heard_of_was_taken_whatever_the_reply_said() -> None:
    world = World()
    [call_id] = world.dial()
    world.ring(f"zdc-{call_id}")
    world.core.originate_withheld(f"zdc-{call_id}", world.at)
    world.run()
    assert call_id in world.core.calls.by_id and world.outcomes() == {}


def test_a_seats_phone_that_the_switch_would_not_ring_waits_for_a_redial() -> None:
    world = World()
    world.seat(1, ready=False)
    seat = world.core.seats.by_user[1]
    world.core.originate_withheld(seat.leg, world.at)
    world.run()
    assert seat.state == "no_phone"


def test_what_rings_of_a_paused_campaign_is_hung_up_and_who_answered_is_not() -> None:
    world = World()
    world.seat(1)
    answered, ringing, dialed = world.dial(3)
    world.answer(f"zdc-{answered}")
    world.ring(f"zdc-{ringing}")
    assert world.command(HangUpRinging(user_id=9, campaign="spring")).code == "still_running"
    world.core.configure(1, config(running=False), world.at)
    assert world.command(HangUpRinging(user_id=9, campaign="spring")).detail == "2"
    for each in (ringing, dialed):
        world.hang_up(f"zdc-{each}")
    outcomes = world.outcomes()
    assert (outcomes[ringing], outcomes[dialed]) == (Outcome.CANCELLED, Outcome.CANCELLED)
    assert answered not in outcomes
    assert world.command(HangUpRinging(user_id=9, campaign="summer")).code == "unknown_campaign"
