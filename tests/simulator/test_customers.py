"""What a customer's number does: the test numbers, and the people who leave on their own."""

from __future__ import annotations

import pytest

from simulator.scenario import Behaviour, TailsScenario
from tests.simulator import fast_clock
from tests.simulator.stories import answered, bridged, call, done, lasted_s, line

NEAR_S = 0.4  # of the fast clock: a fortieth of a real second


def tails(**behaviours: Behaviour) -> TailsScenario:
    return TailsScenario(tails={name.removeprefix("tail"): does for name, does in behaviours.items()})


@pytest.mark.parametrize(
    ("tail", "cause", "dial_status"),
    [
        ("02", 17, "BUSY"),
        ("04", 34, "CONGESTION"),
        ("05", 1, "NOANSWER"),
        ("10", 19, "NOANSWER"),
        ("11", 21, "NOANSWER"),
        ("99", 1, "NOANSWER"),
    ],
)
def test_a_number_that_refuses_never_rings_and_says_why(tail: str, cause: int, dial_status: str) -> None:
    async def story() -> None:
        async with line() as (switch, client):
            call(client, "call-1", f"6100{tail}")
            record = await done(switch, client, "call-1")
            response = await client.event("OriginateResponse")
            assert (response["Response"], response["Reason"]) == ("Failure", "0")
            dial_end = next(dict(one) for one in client.heard if ("Event", "DialEnd") in one)
            assert dial_end["DialStatus"] == dial_status
            assert (record.cause, record.ended_by) == (cause, "far_end")
            assert record.ringing is None and record.answered is None

    fast_clock.run(story())


def test_tail_01_answers_after_a_second_and_hangs_up_five_seconds_later() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            call(client, "seat-1", "PJSIP/seat001", "zhudong-seat")
            call(client, "call-1", "610001")
            await answered(client, "seat-1")
            await answered(client, "call-1")
            await bridged(client, "call-1", "seat-1")
            record = await done(switch, client, "call-1")
            assert lasted_s(record.created, record.answered) == pytest.approx(1.0, abs=NEAR_S)
            assert lasted_s(record.answered, record.ended) == pytest.approx(5.0, abs=NEAR_S)
            assert (record.cause, record.ended_by) == (16, "far_end")

    fast_clock.run(story())


def test_tail_03_rings_until_the_limit_of_the_originate() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            call(client, "call-1", "610003", ring_limit_s=7)
            record = await done(switch, client, "call-1")
            assert (await client.event("OriginateResponse"))["Reason"] == "3"
            assert lasted_s(record.created, record.ended) == pytest.approx(7.0, abs=NEAR_S)
            assert record.ringing is not None
            assert (record.cause, record.ended_by) == (19, "ring_limit")

    fast_clock.run(story())


def test_tail_06_hangs_up_half_a_second_after_the_answer() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            call(client, "call-1", "610006")
            record = await done(switch, client, "call-1")
            assert lasted_s(record.answered, record.ended) == pytest.approx(0.5, abs=NEAR_S)
            assert record.ended_by == "far_end" and not record.bridged_with

    fast_clock.run(story())


def test_tail_07_presses_nine_every_second_from_the_third() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            call(client, "call-1", "610007", "zhudong-test")
            await client.until(lambda heard: sum(("Event", "DTMFEnd") in one for one in heard) == 4)
            keys = [dict(one) for one in client.heard if ("Event", "DTMFEnd") in one]
            assert [key["Digit"] for key in keys] == ["9"] * 4
            assert switch.log.by_uid["call-1"].digits == "9999"

    fast_clock.run(story())


def test_tail_12_rings_for_a_second_and_then_is_busy() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            call(client, "call-1", "610012")
            record = await done(switch, client, "call-1")
            assert lasted_s(record.ringing, record.ended) == pytest.approx(1.0, abs=NEAR_S)
            assert record.cause == 17

    fast_clock.run(story())


def test_a_customer_who_is_tired_of_waiting_hangs_up_but_not_one_who_talks() -> None:
    waits = Behaviour(answers_after_s=0.3, patience_s=2.0, talk_s=6.0)

    async def story() -> None:
        async with line(tails(tail01=waits)) as (switch, client):
            call(client, "seat-1", "PJSIP/seat001", "zhudong-seat")
            call(client, "call-1", "610001", "zhudong-test")
            call(client, "call-2", "620001", "zhudong-test")
            await answered(client, "seat-1")
            await answered(client, "call-2")
            await bridged(client, "call-2", "seat-1")
            alone = await done(switch, client, "call-1")
            assert lasted_s(alone.answered, alone.ended) == pytest.approx(2.0, abs=NEAR_S)
            talked = await done(switch, client, "call-2")
            assert lasted_s(talked.bridged_with[0].entered, talked.ended) == pytest.approx(6.0, abs=NEAR_S)
            assert talked.bridged_with[0].peers == ["seat-1"]
            assert alone.ended_by == talked.ended_by == "far_end"
            assert switch.log.by_uid["seat-1"].ended is None

    fast_clock.run(story())


def test_a_customer_on_hold_has_a_patience_of_its_own() -> None:
    holds = Behaviour(answers_after_s=0.3, patience_s=60.0, hold_patience_s=3.0, talk_s=60.0)

    async def story() -> None:
        async with line(tails(tail01=holds)) as (switch, client):
            call(client, "seat-1", "PJSIP/seat001", "zhudong-seat")
            call(client, "call-1", "610001")
            await answered(client, "seat-1")
            await answered(client, "call-1")
            await bridged(client, "call-1", "seat-1")
            client.act(
                Action="Redirect",
                ActionID="hold",
                Channel="call-1",
                Context="zhudong-hold",
                Exten="s",
                Priority=1,
            )
            assert (await client.reply("hold"))["Response"] == "Success"
            await client.event("MusicOnHoldStart", "call-1")
            record = await done(switch, client, "call-1")
            assert lasted_s(record.bridged_with[0].left, record.ended) == pytest.approx(3.0, abs=NEAR_S)

    fast_clock.run(story())


def test_a_seats_phone_may_leave_by_itself_or_never_answer() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            call(client, "leg-stays", "PJSIP/seat001", "zhudong-seat")
            call(client, "leg-leaves", "PJSIP/seat001x", "zhudong-seat")
            call(client, "leg-rings", "PJSIP/seat001n", "zhudong-seat", ring_limit_s=5)
            left = await done(switch, client, "leg-leaves")
            assert lasted_s(left.answered, left.ended) == pytest.approx(3.0, abs=NEAR_S)
            assert left.ended_by == "far_end"
            rang = await done(switch, client, "leg-rings")
            assert (rang.answered, rang.ended_by) == (None, "ring_limit")
            assert switch.log.by_uid["leg-stays"].ended is None

    fast_clock.run(story())


def test_an_endpoint_the_switch_does_not_know_gets_a_response_and_no_hangup() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            call(client, "leg-1", "PJSIP/nobody", "zhudong-seat")
            assert (await client.event("OriginateResponse"))["Response"] == "Failure"
            client.act(Action="Ping", ActionID="after")
            await client.reply("after")
            assert not any(
                ("Event", "Newchannel") in one or ("Event", "Hangup") in one for one in client.heard
            )
            assert switch.log.by_uid["leg-1"].ended_by == "refused"

    fast_clock.run(story())
