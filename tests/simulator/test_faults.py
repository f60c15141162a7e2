"""What goes wrong on demand goes wrong in just that way, and is over when it is called off."""

from __future__ import annotations

import asyncio

import pytest

from simulator.scenario import TailsScenario
from simulator.switch.faults import GARBAGE
from simulator.switch.server import SECRET, USER, VirtualSwitch
from tests.simulator import fast_clock
from tests.simulator.replay import Client
from tests.simulator.stories import answered, bridged, call, line, logged_in

LIMIT_S = 60.0  # of the fast clock


async def ping(client: Client, action_id: str) -> dict[str, str]:
    client.act(Action="Ping", ActionID=action_id)
    return await client.reply(action_id)


def replies_to(client: Client, *action_ids: str) -> list[str]:
    """The ActionIDs of the replies that came, in the order they came."""
    replies = (dict(one) for one in client.heard if one[0][0] == "Response")
    return [one["ActionID"] for one in replies if one.get("ActionID") in action_ids]


async def cut(client: Client) -> None:
    async with asyncio.timeout(LIMIT_S):
        await client.closed.wait()


def test_a_dropped_link_cuts_every_connection_and_no_call() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            call(client, "call-1", "610008", "zhudong-test")
            await answered(client, "call-1")
            switch.faults.drop_link()
            await cut(client)
            again = await logged_in(switch)
            again.act(Action="Status", ActionID="alive", Channel="call-1")
            assert (await again.reply("alive"))["Response"] == "Success"
            await again.close()

    fast_clock.run(story())


def test_delayed_replies_come_late_and_events_in_time() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            switch.faults.delay_replies(5.0)
            call(client, "call-1", "610008", "zhudong-test")
            await answered(client, "call-1")
            assert replies_to(client, "call-1") == []
            await client.reply("call-1")
            switch.faults.delay_replies(0.0)
            begin = asyncio.get_running_loop().time()
            await ping(client, "prompt")
            assert asyncio.get_running_loop().time() - begin < 2.0

    fast_clock.run(story())


def test_a_lost_reply_never_comes_though_its_action_was_carried_out() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            switch.faults.lose_replies(1)
            call(client, "call-1", "610008", "zhudong-test")
            await answered(client, "call-1")
            await ping(client, "next")
            assert replies_to(client, "call-1", "next") == ["next"]

    fast_clock.run(story())


def test_a_duplicated_reply_comes_twice_and_the_call_is_placed_once() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            switch.faults.duplicate_replies(1)
            call(client, "call-1", "610008", "zhudong-test")
            await answered(client, "call-1")
            await ping(client, "next")
            assert replies_to(client, "call-1", "next") == ["call-1", "call-1", "next"]
            assert [record.uid for record in switch.log.calls] == ["call-1"]

    fast_clock.run(story())


def test_reordered_replies_come_last_first() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            switch.faults.reorder_replies(3)
            for action_id in ("a", "b", "c", "d"):
                client.act(Action="Ping", ActionID=action_id)
            await client.reply("d")
            assert replies_to(client, "a", "b", "c", "d") == ["c", "b", "a", "d"]

    fast_clock.run(story())


async def raw_session(switch: VirtualSwitch) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A logged-in connection that is read byte for byte."""
    reader, writer = await asyncio.open_connection(switch.host, switch.port, limit=4_000_000)
    writer.write(f"Action: Login\r\nUsername: {USER}\r\nSecret: {SECRET}\r\n\r\n".encode())
    await reader.readuntil(b"Fully Booted\r\n\r\n")
    return reader, writer


@pytest.mark.parametrize("kind", [*GARBAGE, "split_utf8"])
def test_garbage_stands_whole_between_sound_replies(kind: str) -> None:
    async def story() -> None:
        async with VirtualSwitch(TailsScenario()) as switch:
            reader, writer = await raw_session(switch)
            switch.faults.send_garbage(kind)
            if kind == "split_utf8":
                first = await reader.readuntil(b"Name: \xe7")
                garbage = first + await reader.readuntil(b"\r\n\r\n")
                assert "Name: 王小明" in garbage.decode()
            else:
                assert await reader.readexactly(len(GARBAGE[kind])) == GARBAGE[kind]
            writer.write(b"Action: Ping\r\nActionID: sound\r\n\r\n")
            assert b"ActionID: sound" in await reader.readuntil(b"\r\n\r\n")
            writer.close()

    fast_clock.run(story())


def test_a_half_open_link_stays_and_says_nothing() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            switch.faults.go_half_open()
            client.act(Action="Ping", ActionID="lost")
            call(client, "call-1", "610008", "zhudong-test")
            with pytest.raises(TimeoutError):
                await client.reply("lost", limit_s=5.0)
            assert not client.closed.is_set()
            assert switch.log.calls == []
            other = await logged_in(switch)
            await ping(other, "heard")
            switch.faults.go_half_open(False)
            await ping(client, "back")
            await other.close()

    fast_clock.run(story())


def test_a_switch_that_stops_accepting_keeps_its_links_and_refuses_new_ones() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            port = switch.port
            await switch.stop_accepting()
            await ping(client, "kept")
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(switch.host, port)
            await switch.accept_again()
            assert switch.port == port
            await (await logged_in(switch)).close()

    fast_clock.run(story())


def test_a_switch_can_refuse_log_ins() -> None:
    async def story() -> None:
        async with line() as (switch, _):
            switch.faults.refuse_logins()
            client = Client()
            await client.connect(switch.host, switch.port)
            client.act(Action="Login", ActionID="login", Username=USER, Secret=SECRET)
            assert (await client.reply("login"))["Message"] == "Authentication failed"
            await cut(client)
            switch.faults.refuse_logins(False)
            await (await logged_in(switch)).close()

    fast_clock.run(story())


async def started(client: Client) -> str:
    client.act(Action="CoreStatus", ActionID="status")
    found = await client.reply("status")
    return found["CoreStartupDate"] + found["CoreStartupTime"]


def test_a_restart_loses_all_channels_without_a_hangup_and_shows_a_new_start() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            port, began = switch.port, await started(client)
            call(client, "leg-1", "PJSIP/seat001", "zhudong-seat")
            call(client, "call-1", "610008")
            await answered(client, "leg-1")
            await answered(client, "call-1")
            await bridged(client, "call-1", "leg-1")
            await switch.restart()
            await cut(client)
            assert not any(("Event", "Hangup") in one for one in client.heard)
            assert [record.ended_by for record in switch.log.calls] == ["restart", "restart"]
            assert all(stay.left for record in switch.log.calls for stay in record.bridged_with)
            assert switch.port == port
            again = await logged_in(switch)
            again.act(Action="Status", ActionID="gone", Channel="call-1")
            assert (await again.reply("gone"))["Message"] == "No such channel"
            assert await started(again) > began
            call(again, "call-1", "620008", "zhudong-test")
            newchannel = await again.event("Newchannel", "call-1")
            assert newchannel["Channel"] == "PJSIP/carrier-00000000"
            await again.close()

    fast_clock.run(story())


def test_a_graceful_restart_refuses_actions_until_the_last_call_has_ended() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            call(client, "call-1", "610006", "zhudong-test")
            await answered(client, "call-1")
            restart = asyncio.create_task(switch.restart_gracefully())
            client.act(Action="Ping", ActionID="refused")
            await client.event("Shutdown")
            assert (await client.reply("refused"))["Message"] == "Asterisk is shutting down"
            assert switch.log.by_uid["call-1"].ended_by == "far_end"
            await cut(client)
            await restart
            await (await logged_in(switch)).close()

    fast_clock.run(story())


async def fault(client: Client, name: str, value: object = "") -> dict[str, str]:
    client.act(Action="ZhudongFault", ActionID=f"fault {name}", Fault=name, Value=value)
    return await client.reply(f"fault {name}")


def test_faults_are_asked_for_over_ami_and_spare_the_connection_that_asks() -> None:
    async def story() -> None:
        async with line() as (switch, client):
            control = await logged_in(switch)
            assert (await fault(control, "lose_replies", 1))["Response"] == "Success"
            client.act(Action="Ping", ActionID="lost")
            await ping(client, "heard")
            assert replies_to(client, "lost", "heard") == ["heard"]
            assert (await fault(control, "drop_link"))["Response"] == "Success"
            await cut(client)
            await ping(control, "spared")
            await control.close()

    fast_clock.run(story())


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("earthquake", "", "no fault is called 'earthquake'"),
        ("lose_replies", "many", "many"),
        ("send_garbage", "roses", "no garbage is called 'roses'"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_the_reason(name: str, value: str, says: str) -> None:
    async def story() -> None:
        async with line() as (_, client):
            refused = await fault(client, name, value)
            assert refused["Response"] == "Error" and says in refused["Message"]

    fast_clock.run(story())
