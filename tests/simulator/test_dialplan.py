"""The contexts the engine sends channels to: what a customer and a seat's phone live through in each."""

from __future__ import annotations

import asyncio

import pytest

from simulator.scenario import Behaviour, TailsScenario
from tests.simulator import fast_clock
from tests.simulator.replay import Client
from tests.simulator.stories import Service, answered, bridged, call, done, events_of, lasted_s, line

NEAR_S = 0.4
STAYS = Behaviour(answers_after_s=0.3)


async def in_call(client: Client, customer: str, number: str, seat: str, phone: str) -> None:
    """A seat's leg is nailed up, a customer answers, and both are in a bridge."""
    call(client, seat, f"PJSIP/{phone}", "zhudong-seat")
    call(client, customer, number)
    await answered(client, seat)
    await answered(client, customer)
    await bridged(client, customer, seat)


async def sent_to(client: Client, uid: str, context: str) -> None:
    client.act(
        Action="Redirect", ActionID=f"to {context}", Channel=uid, Context=context, Exten="s", Priority=1
    )
    assert (await client.reply(f"to {context}"))["Response"] == "Success"


def test_a_customer_whom_the_engine_leaves_alone_hears_the_message_after_five_seconds() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            call(client, "call-1", "610008")
            record = await done(switch, client, "call-1")
            assert (record.harbour, record.harbour_done, record.ended_by) == ("playback", True, "dialplan")
            heard_s = switch.scenario.sound_s
            assert lasted_s(record.answered, record.ended) == pytest.approx(5.0 + heard_s, abs=NEAR_S)

    fast_clock.run(story())


def test_a_customer_whose_seat_left_waits_ten_seconds_for_another() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            await in_call(client, "call-1", "610008", "leg-1", "seat001x")
            record = await done(switch, client, "call-1")
            assert record.ended_by == "dialplan" and not record.harbour
            assert lasted_s(record.bridged_with[0].left, record.ended) == pytest.approx(10.0, abs=NEAR_S)
            assert switch.log.by_uid["leg-1"].ended_by == "far_end"

    fast_clock.run(story())


def test_the_next_seat_takes_over_and_the_ten_seconds_begin_anew() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            call(client, "leg-2", "PJSIP/seat002", "zhudong-seat")
            await answered(client, "leg-2")
            await in_call(client, "call-1", "610008", "leg-1", "seat001x")
            await done(switch, client, "leg-1")
            await bridged(client, "call-1", "leg-2")
            client.act(Action="Hangup", ActionID="seat goes", Channel="leg-2")
            record = await done(switch, client, "call-1")
            assert [stay.peers for stay in record.bridged_with] == [["leg-1"], ["leg-2"]]
            assert lasted_s(record.bridged_with[1].left, record.ended) == pytest.approx(10.0, abs=NEAR_S)

    fast_clock.run(story())


def test_a_seats_leg_outlives_its_customers() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            await in_call(client, "call-1", "610008", "leg-1", "seat001")
            client.act(Action="Hangup", ActionID="over", Channel="call-1")
            await done(switch, client, "call-1")
            call(client, "call-2", "620008")
            await answered(client, "call-2")
            await bridged(client, "call-2", "leg-1")
            leg = switch.log.by_uid["leg-1"]
            assert [stay.peers for stay in leg.bridged_with] == [["call-1"], ["call-2"]]
            assert leg.ended is None

    fast_clock.run(story())


@pytest.mark.parametrize(("context", "stays_s"), [("zhudong-ring", 30.0), ("zhudong-test", 60.0)])
def test_a_phone_that_nobody_needs_is_let_go(context: str, stays_s: float) -> None:
    async def story() -> None:
        async with line() as (switch, client):
            call(client, "leg-1", "PJSIP/seat001", context)
            record = await done(switch, client, "leg-1")
            assert lasted_s(record.answered, record.ended) == pytest.approx(stays_s, abs=NEAR_S)
            assert record.ended_by == "dialplan"

    fast_clock.run(story())


def test_on_hold_there_is_music_until_a_seat_is_back() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            await in_call(client, "call-1", "610008", "leg-1", "seat001")
            await sent_to(client, "call-1", "zhudong-hold")
            await client.event("MusicOnHoldStart", "call-1")
            await client.event("BridgeLeave", "leg-1")
            await bridged(client, "call-1", "leg-1")
            await client.event("MusicOnHoldStop", "call-1")
            assert len(switch.log.by_uid["call-1"].bridged_with) == 2

    fast_clock.run(story())


@pytest.mark.parametrize(
    ("tail", "status", "after_s"), [("09", "MACHINE", 1.4), ("13", "HUMAN", 1.6), ("08", "NOTSURE", 5.0)]
)
def test_answering_machine_detection_tells_what_it_heard_and_goes_on_to_the_customer(
    tail: str, status: str, after_s: float
) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with line() as (switch, client):
            call(client, "call-1", f"6100{tail}", "zhudong-amd")
            await answered(client, "call-1")
            begin = loop.time()
            found = await client.event("UserEvent", "call-1")
            assert loop.time() - begin == pytest.approx(after_s, abs=NEAR_S)
            assert (found["UserEvent"], found["Status"]) == ("ZhudongAMD", status)
            record = await done(switch, client, "call-1")
            assert (record.amd, record.harbour) == (status, "playback")

    fast_clock.run(story())


def test_a_customer_bridged_before_the_detection_was_done_is_not_sent_back_to_it() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            call(client, "leg-1", "PJSIP/seat001x", "zhudong-seat")
            call(client, "call-1", "610008", "zhudong-amd")
            await answered(client, "leg-1")
            await answered(client, "call-1")
            await bridged(client, "call-1", "leg-1")
            record = await done(switch, client, "call-1")
            assert "UserEvent" not in events_of(client, "call-1")
            assert lasted_s(record.bridged_with[0].left, record.ended) == pytest.approx(10.0, abs=NEAR_S)

    fast_clock.run(story())


def pressing(*keys: tuple[float, str]) -> TailsScenario:
    """Customers with tail 01 press these keys, so many seconds after the message began."""
    return TailsScenario(tails={"01": Behaviour(answers_after_s=0.3, harbour_keys=keys)})


def test_the_key_is_heard_during_the_message() -> None:
    async def dialogue(service: Service, uid: str) -> None:
        await service.ask('STREAM FILE message "9"')

    async def story() -> None:
        async with Service(dialogue) as service, line(pressing((0.2, "1"), (1.0, "9"))) as (switch, client):
            call(client, "call-1", "610001", "zhudong-safe-harbour", variable=service.variable)
            record = await done(switch, client, "call-1")
            result, endpos = service.said[0].split(" ")[1:]
            assert result == f"result={ord('9')}"
            assert int(endpos.removeprefix("endpos=")) / 8000 == pytest.approx(1.0, abs=NEAR_S)
            assert service.greetings[0]["agi_uniqueid"] == "call-1"
            assert service.greetings[0]["agi_network_script"] == "safe-harbour"
            assert (record.harbour, record.harbour_done, record.digits) == ("agi", True, "19")
            assert record.ended_by == "dialplan"

    fast_clock.run(story())


def test_the_key_is_heard_after_the_message_while_the_option_is_open() -> None:
    async def dialogue(service: Service, uid: str) -> None:
        await service.ask("GET OPTION message 9 4000")
        await service.ask("GET OPTION message 9 1000")

    async def story() -> None:
        async with Service(dialogue) as service, line(pressing((3.5, "9"))) as (switch, client):
            call(client, "call-1", "610001", "zhudong-safe-harbour", variable=service.variable)
            record = await done(switch, client, "call-1")
            assert [said.split(" ")[1] for said in service.said] == [f"result={ord('9')}", "result=0"]
            asked = service.asked_at
            assert asked[1] - asked[0] == pytest.approx(3.5, abs=NEAR_S)
            assert record.harbour_done

    fast_clock.run(story())


def test_a_wait_for_a_digit_ends_with_the_key_or_with_its_time() -> None:
    async def dialogue(service: Service, uid: str) -> None:
        await service.ask('STREAM FILE message ""')
        await service.ask("WAIT FOR DIGIT 4000")
        await service.ask("WAIT FOR DIGIT 500")

    async def story() -> None:
        async with Service(dialogue) as service, line(pressing((3.0, "9"))) as (switch, client):
            call(client, "call-1", "610001", "zhudong-safe-harbour", variable=service.variable)
            await done(switch, client, "call-1")
            assert service.said[0] == "200 result=0 endpos=16000"
            assert service.said[1:] == [f"200 result={ord('9')}", "200 result=0"]

    fast_clock.run(story())


def test_a_customer_who_hangs_up_during_the_message_is_told_of_to_the_service() -> None:
    async def dialogue(service: Service, uid: str) -> None:
        await service.ask("STREAM FILE message 9")
        await service.ask("WAIT FOR DIGIT 1000")

    impatient = TailsScenario(tails={"01": Behaviour(answers_after_s=0.3, patience_s=1.0)})

    async def story() -> None:
        async with Service(dialogue) as service, line(impatient) as (switch, client):
            call(client, "call-1", "610001", "zhudong-safe-harbour", variable=service.variable)
            record = await done(switch, client, "call-1")
            assert record.ended_by == "far_end"
            async with asyncio.timeout(30):
                while len(service.said) < 2:
                    await asyncio.sleep(0.01)
            assert service.said[0].startswith("200 result=-1")
            assert service.said[1] == "HANGUP"
            assert not record.harbour_done

    fast_clock.run(story())


async def _goes_away(service: Service, uid: str) -> None:
    """A service that closes the connection without a word."""


@pytest.mark.parametrize("service_there", [False, True])
def test_without_a_working_service_the_switch_plays_the_message_itself(service_there: bool) -> None:
    async def story() -> None:
        async with Service(_goes_away) as service, line() as (switch, client):
            nobody = "ZD_AGI=agi://127.0.0.1:1"
            where = service.variable if service_there else nobody
            call(client, "call-1", "610008", "zhudong-safe-harbour", variable=where)
            record = await done(switch, client, "call-1")
            assert service.connected.is_set() == service_there
            assert (record.harbour, record.harbour_done) == ("playback", True)

    fast_clock.run(story())


def test_a_seat_that_comes_free_takes_the_customer_out_of_the_message() -> None:
    async def dialogue(service: Service, uid: str) -> None:
        await service.ask("STREAM FILE message 9")

    async def story() -> None:
        async with Service(dialogue) as service, line() as (switch, client):
            call(client, "leg-1", "PJSIP/seat001", "zhudong-seat")
            call(client, "call-1", "610008", "zhudong-safe-harbour", variable=service.variable)
            await answered(client, "leg-1")
            async with asyncio.timeout(30):
                await service.connected.wait()
            await bridged(client, "call-1", "leg-1")
            client.act(Action="Hangup", ActionID="seat goes", Channel="leg-1")
            record = await done(switch, client, "call-1")
            assert lasted_s(record.bridged_with[0].left, record.ended) == pytest.approx(10.0, abs=NEAR_S)
            assert not record.harbour_done

    fast_clock.run(story())
