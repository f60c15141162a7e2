"""One link: every action gets one reply or one clear error in time, and nothing a peer does goes to another action."""

from __future__ import annotations

import asyncio

import pytest

from dialer.switch.port import ActionRefused, NotConnected, ReplyLost, UnsafeValue
from dialer.switch.protocol import AmiLink, open_link
from dialer.switch.wire import Message
from tests.switch.scripted import Peer, Script, ScriptedPeer

Heard = list[tuple[str, Message]]


async def linked(peer: ScriptedPeer) -> tuple[AmiLink, Heard]:
    heard: Heard = []
    link = await open_link("127.0.0.1", peer.port, lambda name, message, _: heard.append((name, message)))
    return link, heard


def greeted(script: Script) -> ScriptedPeer:
    """A peer that greets as Asterisk does, then does as the script says."""

    async def play(peer: Peer) -> None:
        peer.greet()
        await script(peer)
        await peer.closed.wait()

    return ScriptedPeer(play)


async def test_the_reply_to_an_action_is_returned():
    async def script(peer: Peer) -> None:
        peer.reply(await peer.action("CoreSettings"), AsteriskVersion="22.10.1")

    async with greeted(script) as peer:
        link, _ = await linked(peer)
        assert (await link.ask("CoreSettings"))["AsteriskVersion"] == "22.10.1"
        link.close()


async def test_replies_in_another_order_go_to_their_own_actions():
    async def script(peer: Peer) -> None:
        first, second = await peer.action("Getvar"), await peer.action("Getvar")
        peer.reply(second, Value=second["Variable"])
        peer.reply(first, Value=first["Variable"])

    async with greeted(script) as peer:
        link, _ = await linked(peer)
        replies = await asyncio.gather(*(link.ask("Getvar", [("Variable", name)]) for name in ("A", "B")))
        assert [reply["Value"] for reply in replies] == ["A", "B"]
        link.close()


async def test_an_action_without_a_reply_ends_in_time():
    async def script(peer: Peer) -> None:
        await peer.action("Hangup")

    async with greeted(script) as peer:
        link, _ = await linked(peer)
        with pytest.raises(ReplyLost, match=r"no reply to Hangup within 0\.05 s"):
            await link.ask("Hangup", limit_s=0.05)
        assert link.faults["reply_lost"] == 1
        assert not link.responses
        link.close()


async def test_a_late_reply_is_counted_and_goes_to_nobody():
    async def script(peer: Peer) -> None:
        late = await peer.action("Hangup")
        current = await peer.action("Getvar")
        peer.reply(late, response="Error", Message="No such channel")
        peer.reply(current, Value="mine")

    async with greeted(script) as peer:
        link, _ = await linked(peer)
        with pytest.raises(ReplyLost):
            await link.ask("Hangup", limit_s=0.05)
        assert (await link.ask("Getvar"))["Value"] == "mine"
        assert link.faults["orphan_reply"] == 1
        link.close()


async def test_a_reply_that_comes_twice_is_taken_once():
    async def script(peer: Peer) -> None:
        action = await peer.action("Getvar")
        peer.reply(action, Value="once")
        peer.reply(action, Value="twice")
        peer.reply(await peer.action("Getvar"), Value="next")

    async with greeted(script) as peer:
        link, _ = await linked(peer)
        assert [(await link.ask("Getvar"))["Value"] for _ in range(2)] == ["once", "next"]
        assert link.faults["orphan_reply"] == 1
        link.close()


async def test_a_reply_without_an_action_id_goes_to_nobody():
    async def script(peer: Peer) -> None:
        action = await peer.action("Getvar")
        peer.say("Response: Error\r\nMessage: Too many headers\r\n\r\n")
        peer.reply(action, Value="mine")

    async with greeted(script) as peer:
        link, _ = await linked(peer)
        assert (await link.ask("Getvar"))["Value"] == "mine"
        assert link.faults["orphan_reply"] == 1
        link.close()


async def test_a_refusal_carries_the_words_of_the_switch():
    async def script(peer: Peer) -> None:
        peer.reply(await peer.action("Hangup"), response="Error", Message="No such channel")

    async with greeted(script) as peer:
        link, _ = await linked(peer)
        with pytest.raises(ActionRefused, match=r"^No such channel$"):
            await link.ask("Hangup")
        link.close()


async def test_a_cut_between_action_and_reply_is_a_lost_reply_at_once():
    async def script(peer: Peer) -> None:
        await peer.action("Originate")
        peer.cut()

    async with greeted(script) as peer:
        link, _ = await linked(peer)
        with pytest.raises(ReplyLost, match="the connection was cut"):
            await link.ask("Originate")
        assert "cut" in await link.closed_why
        with pytest.raises(NotConnected):
            await link.ask("Hangup")


async def test_an_unsafe_value_is_refused_and_nothing_of_it_is_sent():
    async def script(peer: Peer) -> None:
        peer.reply(await peer.action("Ping"))

    async with greeted(script) as peer:
        link, _ = await linked(peer)
        with pytest.raises(UnsafeValue, match=r"Value holds the control character U\+000D"):
            await link.ask("Setvar", [("Variable", "NAME"), ("Value", "Li\r\nAction: Originate")])
        await link.ask("Ping")
        assert peer.peers[0].names == ["Ping"]
        link.close()


async def test_the_answer_to_an_originate_is_an_event_beside_its_reply():
    async def script(peer: Peer) -> None:
        action = await peer.action("Originate")
        peer.reply(action, Message="Originate successfully queued")
        peer.event("OriginateResponse", ActionID=action["ActionID"], Response="Success", Uniqueid="zdc-1")
        peer.reply(await peer.action("Ping"))

    async with greeted(script) as peer:
        link, heard = await linked(peer)
        reply = await link.ask("Originate")
        await link.ask("Ping")
        assert reply["Message"] == "Originate successfully queued"
        assert [(name, message["Uniqueid"]) for name, message in heard] == [("OriginateResponse", "zdc-1")]
        link.close()


async def test_the_answer_to_an_originate_may_come_before_its_reply():
    async def script(peer: Peer) -> None:
        action = await peer.action("Originate")
        peer.event("OriginateResponse", ActionID=action["ActionID"], Response="Failure", Uniqueid="zdc-1")
        peer.reply(action, Message="Originate successfully queued")

    async with greeted(script) as peer:
        link, heard = await linked(peer)
        assert (await link.ask("Originate"))["Message"] == "Originate successfully queued"
        assert [name for name, _ in heard] == ["OriginateResponse"]
        link.close()


async def test_a_list_comes_whole_and_events_between_its_items_go_on():
    async def script(peer: Peer) -> None:
        action = await peer.action("CoreShowChannels")
        peer.reply(action, EventList="start")
        peer.event("CoreShowChannel", ActionID=action["ActionID"], Uniqueid="zdc-1")
        peer.event("Hangup", Uniqueid="zdc-9")
        peer.event("CoreShowChannel", ActionID=action["ActionID"], Uniqueid="zdc-2")
        peer.event("CoreShowChannelsComplete", ActionID=action["ActionID"], EventList="Complete")

    async with greeted(script) as peer:
        link, heard = await linked(peer)
        items = await link.listing("CoreShowChannels")
        assert [item["Uniqueid"] for item in items] == ["zdc-1", "zdc-2"]
        assert [message["Uniqueid"] for _, message in heard] == ["zdc-9"]
        link.close()


async def test_a_list_that_never_ends_is_given_up():
    async def script(peer: Peer) -> None:
        action = await peer.action("CoreShowChannels")
        peer.reply(action, EventList="start")
        peer.event("CoreShowChannel", ActionID=action["ActionID"], Uniqueid="zdc-1")

    async with greeted(script) as peer:
        link, _ = await linked(peer)
        with pytest.raises(ReplyLost, match="did not end"):
            await link.listing("CoreShowChannels", limit_s=0.1)
        assert not link.responses
        link.close()


async def test_a_list_cut_in_its_middle_is_lost_at_once():
    async def script(peer: Peer) -> None:
        action = await peer.action("CoreShowChannels")
        peer.reply(action, EventList="start")
        peer.event("CoreShowChannel", ActionID=action["ActionID"], Uniqueid="zdc-1")
        peer.reply(await peer.action("Ping"))
        await peer.action("Ping")
        peer.cut()

    async with greeted(script) as peer:
        link, _ = await linked(peer)
        listing = asyncio.create_task(link.listing("CoreShowChannels", limit_s=60))
        await asyncio.sleep(0)
        await link.ask("Ping")
        with pytest.raises(ReplyLost):
            await link.ask("Ping")
        with pytest.raises(ReplyLost, match="the connection was cut"):
            await listing


async def test_another_clients_originate_does_not_get_into_a_list_of_ours():
    """OriginateResponse goes to every client, with the ActionID its own client chose: ids are a link's own."""
    ids: list[str] = []

    async def script(peer: Peer) -> None:
        for _ in range(3):
            action = await peer.action("Ping")
            ids.append(action["ActionID"])
            peer.reply(action)

    for _ in range(2):
        async with greeted(script) as peer:
            link, _ = await linked(peer)
            for _ in range(3):
                await link.ask("Ping")
            link.close()
    assert len(set(ids)) == 6


async def test_garbage_between_messages_costs_a_count_and_no_reply():
    async def script(peer: Peer) -> None:
        action = await peer.action("Getvar")
        peer.say(b"\x00\xff\xfe no header at all\r\n\r\n")
        peer.reply(action, Value="mine")

    async with greeted(script) as peer:
        link, _ = await linked(peer)
        assert (await link.ask("Getvar"))["Value"] == "mine"
        assert link.parser.faults == {"undecodable": 1, "garbled": 1}
        link.close()


async def test_a_switch_that_stops_reading_is_not_fed_without_limit():
    async def script(peer: Peer) -> None:
        peer._reader._transport.pause_reading()  # type: ignore[attr-defined]

    async with greeted(script) as peer:
        link, _ = await linked(peer)
        await peer.connected(1)
        value = [("Value", "x" * 1000)] * 1000
        waiting = [asyncio.create_task(link.ask("Setvar", value, limit_s=60)) for _ in range(40)]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(NotConnected, match="the switch does not read"):
            done.pop().result()
        link.close()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(result) for result in results} == {NotConnected, ReplyLost}
