"""What an agent does in a call besides talking: mute, keys, recording, and the wrong person at the other end."""

from __future__ import annotations

import pytest

from campaigns.config import ConfigError, parse
from campaigns.dispositions import DEFAULT_DISPOSITIONS
from campaigns.records import AttemptEnded, Audited, Dispositioned
from cti.messages import CallStatus, DialPreviewed, Dispose, HangUp, Hold, Mute, Record, SendKeys
from dialer.core.effects import PauseRecording, Press, StartRecording
from tests.core.world import CAMPAIGN, World, config, lead


def talking(world: World, user: int = 7) -> str:
    """A customer in a call with a seat; the call's id."""
    world.seat(user)
    [call_id] = world.dial()
    world.answer(f"zdc-{call_id}")
    world.join_all()
    return call_id


def newest(world: World) -> CallStatus:
    return [m for m in world.told if isinstance(m, CallStatus)][-1]


def test_a_muted_seat_is_heard_again_when_the_call_is_over() -> None:
    world = World()
    call_id = talking(world)
    leg = world.core.seats.by_user[7].leg
    assert world.command(Mute(user_id=7, call_id=call_id, on=True)).ok
    assert world.channels[leg].muted and newest(world).muted
    world.hang_up(f"zdc-{call_id}")
    assert not world.channels[leg].muted
    world.check()


def test_a_seat_whose_call_ended_while_the_switch_was_away_is_not_left_muted() -> None:
    world = World()
    call_id = talking(world)
    world.command(Mute(user_id=7, call_id=call_id, on=True))
    world.link_down()
    world.channels.pop(f"zdc-{call_id}")
    world.link_up()
    assert not world.channels[world.core.seats.by_user[7].leg].muted
    world.check()


def test_the_time_on_hold_is_told_from_its_beginning() -> None:
    world = World()
    call_id = talking(world)
    world.pass_time(20.0)
    world.command(Hold(user_id=7, call_id=call_id, on=True))
    began = world.core.wall_s(world.at)
    world.pass_time(5.0)
    assert (newest(world).state, newest(world).at) == ("held", began)


def test_while_the_switch_is_away_nobody_is_put_on_hold_or_taken_back() -> None:
    world = World()
    call_id = talking(world)
    call = world.core.calls.by_id[call_id]
    world.link_down()
    assert world.command(Hold(user_id=7, call_id=call_id, on=True)).code == "switch_down"
    assert call.state == "connected"  # they still hear each other
    world.link_up()
    assert world.command(Hold(user_id=7, call_id=call_id, on=True)).ok
    world.link_down()
    assert world.command(Hold(user_id=7, call_id=call_id, on=False)).code == "switch_down"
    world.pass_time(60.0)
    assert call.state == "held"  # and is not lost over it
    world.link_up()
    assert world.command(Hold(user_id=7, call_id=call_id, on=False)).ok
    world.join_all()
    assert call.state == "connected"


def test_what_is_said_to_the_customer_needs_the_customer_on_the_line() -> None:
    world = World(config(record=True))
    call_id = talking(world)
    world.command(Hold(user_id=7, call_id=call_id, on=True))
    for command in (
        Mute(user_id=7, call_id=call_id, on=True),
        SendKeys(user_id=7, call_id=call_id, keys="1"),
        Record(user_id=7, call_id=call_id, on=False),
    ):
        assert world.command(command).code == "wrong_state"
    assert world.command(Mute(user_id=7, call_id="0" * 32, on=True)).code == "not_your_call"


def test_keys_go_to_the_customers_line() -> None:
    world = World()
    call_id = talking(world)
    assert world.command(SendKeys(user_id=7, call_id=call_id, keys="42#")).ok
    [pressed] = [effect for effect in world.done if isinstance(effect, Press)]
    assert (pressed.uid, pressed.keys) == (f"zdc-{call_id}", "42#")


def test_while_the_switch_is_away_nobody_is_told_that_a_call_is_over_in_which_both_still_talk() -> None:
    world = World(config(dispositions=DEFAULT_DISPOSITIONS))
    call_id = talking(world)
    world.link_down()
    hang_up = HangUp(user_id=7, call_id=call_id)
    assert world.command(hang_up).code == "not_hung_up"
    reply = world.command(Dispose(user_id=7, call_id=call_id, code="wrong_person", hang_up=True))
    assert (reply.ok, reply.code) == (True, "still_on")
    assert [r.code for r in world.records if isinstance(r, Dispositioned)] == ["wrong_person"]
    world.pass_time(60.0)
    assert world.core.seats.by_user[7].state == "talking" and not world.outcomes()
    world.link_up()
    assert world.command(hang_up).ok
    world.check()


def test_a_customer_who_is_being_called_is_let_go_of_while_the_switch_is_away() -> None:
    """Nobody hears them yet; who answers all the same is hung up on with the next link."""
    world = World(config(mode="preview"))
    world.seat(7)
    assert world.core.show(7, lead(1), CAMPAIGN, world.at)
    world.command(DialPreviewed(user_id=7, call_id=lead(1).call_id))
    world.core.permitted(lead(1).call_id, "", world.at)
    world.run()
    world.link_down()
    assert world.command(HangUp(user_id=7, call_id=lead(1).call_id)).ok
    world.check()


def test_a_call_is_recorded_once_and_its_pauses_are_on_record_with_who_wanted_them() -> None:
    world = World(config(record=True))
    call_id = talking(world)
    assert newest(world).recording == "on"
    for on in (False, False, True):
        assert world.command(Record(user_id=7, call_id=call_id, on=on)).ok
    world.command(Hold(user_id=7, call_id=call_id, on=True))
    world.command(Hold(user_id=7, call_id=call_id, on=False))
    world.join_all()
    [started] = [effect for effect in world.done if isinstance(effect, StartRecording)]
    assert started.path == f"{call_id}.wav"
    assert [e.on for e in world.done if isinstance(e, PauseRecording)] == [False, True]
    said = [(r.actor, r.action, r.subject) for r in world.records if isinstance(r, Audited)]
    assert said == [("u7", "recording_paused", call_id), ("u7", "recording_resumed", call_id)]


def test_a_recording_that_the_switch_would_not_make_is_told() -> None:
    world = World(config(record=True))
    call_id = talking(world)
    world.core.calls.recording_failed(call_id)
    world.run()
    assert newest(world).recording == "failed"
    assert world.command(Record(user_id=7, call_id=call_id, on=False)).code == "not_recorded"


def test_a_campaign_that_does_not_record_has_nothing_to_pause() -> None:
    world = World()
    call_id = talking(world)
    assert newest(world).recording == ""
    assert world.command(Record(user_id=7, call_id=call_id, on=False)).code == "not_recorded"


def test_the_wrong_person_is_one_action_that_ends_the_call_and_tries_another_number() -> None:
    world = World(config(dispositions=DEFAULT_DISPOSITIONS))
    call_id = talking(world)
    assert world.command(Dispose(user_id=7, call_id=call_id, code="wrong_person", hang_up=True)).ok
    assert world.core.seats.by_user[7].state == "ready"
    world.hang_up(f"zdc-{call_id}")
    [said] = [r for r in world.records if isinstance(r, Dispositioned)]
    assert (said.other_number, said.final, said.retry_at) == (True, False, said.at)
    [ended] = [r for r in world.records if isinstance(r, AttemptEnded)]
    assert ended.outcome == "connected"
    assert not world.command(HangUp(user_id=7, call_id=call_id)).ok


def test_a_result_that_tries_another_number_ends_no_lead() -> None:
    both = """name = "x"\nswitch = "y"
[[dispositions]]
code = "wrong"
label = { en = "Wrong", zh = "非本人" }
other_number = true
final = true"""
    with pytest.raises(ConfigError, match="other_number"):
        parse(both, "x")
