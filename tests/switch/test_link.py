"""A link's life: one clear line for what is wrong, nothing sent twice, no event before its time."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from dialer.switch import asterisk, translation
from dialer.switch.asterisk import WANTED
from dialer.switch.port import (
    ActionRefused,
    Answered,
    CalledIn,
    Created,
    HungUp,
    LinkDown,
    LinkUp,
    NotConnected,
    Origination,
    ReplyLost,
    Ringing,
    TakesNoCalls,
)
from dialer.switch.protocol import AmiLink, open_link
from tests.switch.scripted import LIMIT_S, Peer, Script, ScriptedPeer, block, running

CALL = "zdc-" + "1" * 32
OTHER = "zdc-" + "2" * 32
LEG = "zds-" + "3" * 32
CALL_OUT = Origination(CALL, "PJSIP/8613800138000@carrier", "zhudong-customer", 20.0)
UP, RINGING = "6", "5"

OUTPUT = [("Output", "[ Context 'x' ]"), ("Output", ""), ("Output", "'s' => 1. Answer()")]

Logged = list[MutableMapping[str, Any]]


def channel(uid: str, state: str = UP, bridge: str = "", context: str = "zhudong-customer") -> dict[str, str]:
    """A line of CoreShowChannels."""
    return {
        "Channel": f"PJSIP/{uid}-00000001", "ChannelState": state, "Uniqueid": uid, "BridgeId": bridge,
        "Context": context, "Duration": "00:01:02",
    }  # fmt: skip


async def fit(peer: Peer) -> None:
    """A switch in order that has no channels."""
    await peer.resync()
    await peer.serve()


def complaints(said: Logged) -> list[tuple[str, float]]:
    return [
        (line["reason"], line["next_try_s"]) for line in said if line["event"] == "the switch can't be used"
    ]


async def until_tried(peer: ScriptedPeer, times: int) -> None:
    """Wait until the adapter has come so often and the last connection is over."""
    await (await peer.connected(times)).closed.wait()


# --- what is wrong is told once, in one line ---------------------------------------------------------------------


async def refuses_log_in(peer: Peer) -> None:
    peer.greet()
    peer.reply(await peer.action("Login"), "Error", Message="Authentication failed")
    await peer.closed.wait()


async def refuses_to_talk(peer: Peer) -> None:
    peer.cut()


async def lacks_reporting(peer: Peer) -> None:
    peer.greet()
    peer.reply(await peer.action("Login"))
    peer.reply(await peer.action("CoreSettings"), "Error", Message="Permission denied")
    await peer.closed.wait()


async def lacks_system(peer: Peer) -> None:
    await peer.accept()
    peer.reply(await peer.action("Filter"), "Error", Message="Permission denied")
    await peer.closed.wait()


def lacks(right: str) -> Script:
    """A switch whose user may not do what needs this right."""

    async def script(peer: Peer) -> None:
        peer.greet()
        peer.reply(await peer.action("Login"))
        peer.reply(await peer.action("CoreSettings"), AsteriskVersion="22.10.1")
        if right == "call":
            peer.reply(await peer.action("Originate"), "Error", Message="Channel not specified")
        peer.reply(await peer.any_action(), "Error", Message="Permission denied")
        await peer.closed.wait()

    return script


async def is_old(peer: Peer) -> None:
    peer.greet()
    peer.reply(await peer.action("Login"))
    peer.reply(await peer.action("CoreSettings"), AsteriskVersion="16.30.0")
    await peer.closed.wait()


async def is_a_mail_server(peer: Peer) -> None:
    peer.say("220 mail.example ESMTP\r\n")
    await peer.closed.wait()


@pytest.mark.parametrize(
    ("script", "says", "rarely"),
    [
        (refuses_log_in, r"refuses the log-in \(Authentication failed\): compare user, secret", True),
        (
            lacks_reporting,
            r"CoreSettings: Permission denied; `read` and `write` .* system and reporting",
            True,
        ),
        (lacks("originate"), r"Originate: Permission denied; `write` .* must name originate", True),
        (lacks("call"), r"Hangup: Permission denied; `write` of the AMI user must name call", True),
        (lacks_system, r"Filter: Permission denied; `write` of the AMI user must name system", True),
        (is_old, r"it runs Asterisk 16\.30\.0; 18 or newer is needed", True),
        (is_a_mail_server, r"it is no Asterisk: it says '220 mail\.example ESMTP'", False),
    ],
)
async def test_an_unfit_switch_is_told_once_and_tried_again(
    script: Script, says: str, rarely: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what people must put right waits long: a wrong secret tried often is what fail2ban looks for."""
    monkeypatch.setattr(asterisk, "REFUSED_WAIT_S", 0.5)
    monkeypatch.setattr(asterisk, "FIRST_WAIT_S", 0.1)
    with capture_logs() as said:
        async with ScriptedPeer(script) as peer, running(peer.port) as (switch, ear):
            await until_tried(peer, 2)
            assert not switch.connected and ear.events == []
    [(reason, wait_s)] = complaints(said)
    assert re.search(says, reason) and "\n" not in reason
    assert f"127.0.0.1:{peer.port}" in reason
    assert wait_s == (0.5 if rarely else 0.1)


async def test_a_port_nobody_listens_on_is_told_once_and_used_as_soon_as_somebody_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asterisk, "FIRST_WAIT_S", 0.01)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with capture_logs() as said:
        async with running(port) as (_, ear):
            async with asyncio.timeout(LIMIT_S):
                while not said:
                    await asyncio.sleep(0.01)
            async with ScriptedPeer(fit, port=port):
                await ear.hears(LinkUp)
    [(reason, _)] = complaints(said)[:1]
    assert reason.startswith(f"nothing listens on 127.0.0.1:{port}: is Asterisk running")
    assert ear.of(LinkDown)[:1] == []  # what was never up is not down


async def test_a_peer_that_says_nothing_is_given_up() -> None:
    async def silent(peer: Peer) -> None:
        await peer.closed.wait()

    async with ScriptedPeer(silent) as peer:
        with pytest.raises(ReplyLost, match=r"took the connection and said nothing for 0\.1 s"):
            await open_link("127.0.0.1", peer.port, lambda *_: None, limit_s=0.1)


async def test_waiting_grows_while_a_switch_is_away_and_is_short_again_after_a_good_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asterisk, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(asterisk, "LONGEST_WAIT_S", 0.08)
    waits: list[float] = []
    wait = asterisk.until_hurried

    async def noted(hurry: asyncio.Event, seconds: float) -> None:
        waits.append(seconds)
        await wait(hurry, seconds)

    monkeypatch.setattr(asterisk, "until_hurried", noted)
    monkeypatch.setattr(asterisk.random, "uniform", lambda low, high: 1.0)

    async def hangs_up(peer: Peer) -> None:
        peer.cut()

    async def good_then_cut(peer: Peer) -> None:
        await peer.resync()
        await peer.action("Ping")
        peer.cut()

    monkeypatch.setattr(asterisk, "PING_EVERY_S", 0.01)
    scripts = (hangs_up, hangs_up, hangs_up, hangs_up, good_then_cut, fit)
    async with ScriptedPeer(*scripts) as peer, running(peer.port) as (_, ear):
        await ear.hears(LinkUp, 2)
    assert waits == [0.02, 0.04, 0.08, 0.08, 0.02]


async def test_who_is_in_a_hurry_waits_for_no_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another engine reaches the switch: before it is let go, it is tried at once."""
    monkeypatch.setattr(asterisk, "FIRST_WAIT_S", 3_600.0)
    async with ScriptedPeer(refuses_to_talk, fit) as peer, running(peer.port) as (switch, ear):
        async with asyncio.timeout(LIMIT_S):
            while switch.failed < 0.0:
                await asyncio.sleep(0.01)
        switch.hurry()
        await ear.hears(LinkUp)


async def test_a_switch_is_tried_out_as_for_a_link_and_let_go() -> None:
    async with ScriptedPeer(refuses_log_in, fit) as peer:
        switch = asterisk.AsteriskSwitch("pbx", "127.0.0.1", peer.port, "dialer", "secret")
        with pytest.raises(asterisk.LoginRefused):
            await switch.try_out()
        await switch.try_out()
        assert not switch.connected
        await until_tried(peer, 2)


# --- nothing is sent twice ---------------------------------------------------------------------------------------


async def test_an_originate_in_a_cut_link_is_lost_once_and_never_sent_again() -> None:
    """panoramisk's trap: what had no reply when the link broke would call a person minutes later."""

    async def cut_in_mid_originate(peer: Peer) -> None:
        await peer.resync()
        await peer.action("Originate")
        peer.cut()

    async with ScriptedPeer(cut_in_mid_originate, fit) as peer, running(peer.port) as (switch, ear):
        await ear.hears(LinkUp)
        with pytest.raises(ReplyLost, match="the connection was cut"):
            await switch.originate(CALL_OUT)
        with pytest.raises(NotConnected, match="there is no link"):
            await switch.originate(CALL_OUT)
        await ear.hears(LinkUp, 2)
        await switch.hang_up(CALL)  # the link works, and this is the first thing on it that is ours
        news = [name for name in peer.peers[1].names if name not in ("Filter", "Ping")]
        assert news == ["Login", "CoreSettings", "Originate", "Hangup", "CoreShowChannels", "Hangup"]
        assert peer.peers[1].dialed == []
    assert [type(event).__name__ for event in ear.events] == ["LinkUp", "LinkDown", "LinkUp"]


async def test_every_command_that_waits_when_the_link_breaks_fails_at_once() -> None:
    async def takes_three_and_cuts(peer: Peer) -> None:
        await peer.resync()
        for name in ("Originate", "Bridge", "Hangup"):
            await peer.action(name)
        peer.cut()

    async with ScriptedPeer(takes_three_and_cuts, fit) as peer, running(peer.port) as (switch, ear):
        await ear.hears(LinkUp)
        waiting = (switch.originate(CALL_OUT), switch.bridge(CALL, LEG), switch.hang_up(OTHER))
        async with asyncio.timeout(asterisk.PING_EVERY_S):
            results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [ReplyLost] * 3


async def test_nothing_is_dialed_before_the_snapshot_is_taken() -> None:
    asked = asyncio.Event()

    async def withholds_the_snapshot(peer: Peer) -> None:
        await peer.accept()
        await peer.filters()
        asked.set()
        await peer.closed.wait()

    async with ScriptedPeer(withholds_the_snapshot) as peer, running(peer.port) as (switch, ear):
        async with asyncio.timeout(LIMIT_S):
            await asked.wait()
        with pytest.raises(NotConnected):
            await switch.originate(CALL_OUT)
        assert not switch.connected and ear.events == []
        assert peer.peers[0].dialed == []


async def test_a_switch_that_is_starting_is_waited_for_before_anything_is_dialed() -> None:
    """AMI answers before the endpoints are loaded: a seat's phone that is rung then is lost on the spot."""
    ready, started = asyncio.Event(), asyncio.Event()

    async def starts(peer: Peer) -> None:
        await peer.accept(started=False)
        await peer.all_filters()
        ready.set()
        await started.wait()
        peer.booted()
        assert (await peer.any_action())["Action"] == "CoreShowChannels"
        peer.asked_for_snapshot = peer.actions[-1]
        peer.snapshot()
        await peer.serve()

    async with ScriptedPeer(starts) as peer, running(peer.port) as (switch, ear):
        async with asyncio.timeout(LIMIT_S):
            await ready.wait()
        with pytest.raises(NotConnected):
            await switch.originate(CALL_OUT)
        assert ear.events == [] and peer.peers[0].names[-1] == "Filter"
        started.set()
        await ear.hears(LinkUp)


async def test_a_switch_that_never_says_that_it_has_started_is_told_with_what_may_be_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asterisk, "BOOT_LIMIT_S", 0.1)
    monkeypatch.setattr(asterisk, "FIRST_WAIT_S", 0.01)

    async def says_nothing(peer: Peer) -> None:
        await peer.accept(started=False)
        await peer.all_filters()
        await peer.closed.wait()

    with capture_logs() as said:
        async with ScriptedPeer(says_nothing) as peer, running(peer.port) as (_, ear):
            await until_tried(peer, 2)
            assert ear.events == []
    [(reason, _)] = complaints(said)
    assert "`read` of the AMI user must name system" in reason


async def test_a_starting_switch_that_goes_is_left_at_once() -> None:
    async def goes(peer: Peer) -> None:
        await peer.accept(started=False)
        await peer.all_filters()
        peer.cut()

    async with ScriptedPeer(goes, fit) as peer, running(peer.port) as (_, ear):
        async with asyncio.timeout(asterisk.PING_EVERY_S):
            await ear.hears(LinkUp)


async def test_a_late_reply_is_a_count_and_the_link_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = AmiLink.ask

    async def impatient(link: AmiLink, action: str, headers: Any = (), limit_s: float = 0.1) -> Any:
        return await ask(link, action, headers, limit_s)

    async def late(peer: Peer) -> None:
        await peer.resync()
        first = await peer.action("Originate")
        second = await peer.action("Hangup")  # comes when the originate's time is up
        peer.reply(first, "Error", Message="Originate failed")
        peer.reply(second)
        await peer.serve()

    async with ScriptedPeer(late) as peer, running(peer.port) as (switch, ear):
        await ear.hears(LinkUp)
        monkeypatch.setattr(AmiLink, "ask", impatient)
        with pytest.raises(ReplyLost, match=r"no reply to Originate within 0\.1 s"):
            await switch.originate(CALL_OUT)
        await switch.hang_up(OTHER)
        assert switch.connected and len(peer.peers) == 1
    assert switch.stats.faults == {"reply_lost": 1, "orphan_reply": 1}
    assert ear.of(LinkDown) == []


# --- a link that only looks alive --------------------------------------------------------------------------------


async def test_a_half_open_link_is_found_by_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asterisk, "PING_EVERY_S", 0.02)
    monkeypatch.setattr(asterisk, "SILENCE_S", 0.1)

    async def falls_silent(peer: Peer) -> None:
        await peer.resync()
        await peer.closed.wait()

    async with ScriptedPeer(falls_silent, fit) as peer, running(peer.port) as (_, ear):
        down = await ear.hears(LinkDown)
        assert down.reason == "it said nothing for 0.1 s"
        await ear.hears(LinkUp, 2)
        assert peer.peers[0].names.count("Ping") >= 1


async def test_a_switch_too_busy_for_pings_that_tells_events_is_not_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asterisk, "PING_EVERY_S", 0.02)
    monkeypatch.setattr(asterisk, "SILENCE_S", 0.2)
    rings = 60

    async def tells_only_events(peer: Peer) -> None:
        await peer.resync()
        for _ in range(rings):
            peer.event("Newstate", Uniqueid=CALL, ChannelState=RINGING)
            await asyncio.sleep(0.01)
        await peer.closed.wait()

    async with ScriptedPeer(tells_only_events) as peer, running(peer.port) as (switch, ear):
        await ear.hears(Ringing, rings)
        assert switch.connected and ear.of(LinkDown) == []
    assert switch.stats.faults["reply_lost"] >= 1


async def test_a_switch_that_is_shutting_down_is_down_when_it_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asterisk, "PING_EVERY_S", 0.02)

    async def shuts_down(peer: Peer) -> None:
        await peer.resync()
        for _ in range(2):
            ping = await peer.any_action()
            peer.reply(ping, "Error", Message="Asterisk is shutting down")
        peer.event("Hangup", Uniqueid=CALL, Cause=0)  # events go on while every action is refused
        peer.event("Shutdown", Shutdown="Cleanly", Restart="True")

    async def is_still_at_it(peer: Peer) -> None:
        peer.greet()
        peer.reply(await peer.action("Login"), "Error", Message="Asterisk is shutting down")
        await peer.closed.wait()

    with capture_logs() as said:
        async with ScriptedPeer(shuts_down, is_still_at_it, fit) as peer, running(peer.port) as (_, ear):
            await ear.hears(LinkUp, 2)
    kinds = [type(event).__name__ for event in ear.events]
    assert kinds == ["LinkUp", "LinkDown", "HungUp", "LinkUp"]
    assert all(wait_s < asterisk.LONGEST_WAIT_S for reason, wait_s in complaints(said))


async def test_an_originate_refused_for_a_shutdown_takes_the_switch_out_of_use_until_it_is_called_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`core shutdown gracefully` waits for the calls in progress; `core abort shutdown` takes it back."""
    monkeypatch.setattr(asterisk, "PING_EVERY_S", 0.02)
    aborted = asyncio.Event()

    async def shuts_down(peer: Peer) -> None:
        await peer.resync()
        while True:
            action = await peer.any_action()
            if action["Action"] == "Originate" or (not aborted.is_set() and peer.dialed):
                peer.reply(action, "Error", Message="Asterisk is shutting down")
            else:
                peer.reply(action)

    async with ScriptedPeer(shuts_down, fit) as peer, running(peer.port) as (switch, ear):
        await ear.hears(LinkUp)
        with pytest.raises(TakesNoCalls, match="Asterisk is shutting down"):
            await switch.originate(CALL_OUT)
        assert not switch.connected and ear.of(LinkDown)[0].reason == "Asterisk is shutting down"
        with pytest.raises(NotConnected):
            await switch.originate(CALL_OUT)
        assert len(peer.peers) == 1  # the link stays, to hear how the calls end
        aborted.set()
        await ear.hears(LinkUp, 2)
        await switch.originate(CALL_OUT)
    assert len(ear.of(LinkDown)) == 1 and len(peer.peers[0].dialed) == 1


async def test_a_hang_up_refused_for_a_shutdown_is_none_of_a_channel_that_is_gone() -> None:
    """The two go on talking until they hang up themselves, which the switch still tells of."""

    async def shuts_down(peer: Peer) -> None:
        await peer.resync()
        peer.reply(await peer.action("Hangup"), "Error", Message="No such channel")
        peer.reply(await peer.action("Hangup"), "Error", Message="Asterisk is shutting down")
        await peer.closed.wait()

    async with ScriptedPeer(shuts_down) as peer, running(peer.port) as (switch, ear):
        await ear.hears(LinkUp)
        with pytest.raises(ActionRefused, match="No such channel"):
            await switch.hang_up("zdc-gone")
        with pytest.raises(NotConnected, match="Asterisk is shutting down"):
            await switch.hang_up("zdc-talking")
        assert ear.of(LinkDown)[0].reason == "Asterisk is shutting down"


async def test_a_right_that_is_taken_away_takes_the_switch_out_of_use_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asterisk, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(asterisk, "REFUSED_WAIT_S", 0.05)

    async def denies(peer: Peer) -> None:
        await peer.resync()
        peer.reply(await peer.action("Originate"), "Error", Message="Permission denied")
        await peer.closed.wait()

    with capture_logs() as said:
        missing = lacks("originate")
        async with (
            ScriptedPeer(denies, missing, missing, fit) as peer,
            running(peer.port) as (switch, ear),
        ):
            await ear.hears(LinkUp)
            with pytest.raises(TakesNoCalls, match="Permission denied"):
                await switch.originate(CALL_OUT)
            await ear.hears(LinkUp, 2)
    assert len(ear.of(LinkDown)) == 1
    told = [reason for reason, _ in complaints(said) if "must name originate" in reason]
    assert len(told) == 1


# --- resynchronisation -------------------------------------------------------------------------------------------


async def test_the_snapshot_comes_before_every_event_and_what_happened_meanwhile_after_it() -> None:
    async def busy(peer: Peer) -> None:
        await peer.accept()
        peer.event("Newstate", Uniqueid=OTHER, ChannelState=RINGING)
        await peer.filters()
        peer.event("Newstate", Uniqueid=OTHER, ChannelState=UP, Channel="PJSIP/carrier-2")
        peer.snapshot(channel(CALL, bridge="b1"), channel(LEG, bridge="b1"), channel(OTHER, RINGING))
        peer.event("Hangup", Uniqueid=CALL, Cause=16)
        await peer.serve()

    async with ScriptedPeer(busy) as peer, running(peer.port) as (_, ear):
        await ear.hears(HungUp)
    assert [type(event).__name__ for event in ear.events] == ["LinkUp", "Ringing", "Answered", "HungUp"]
    [up] = ear.of(LinkUp)
    assert up.version == "22.10.1"
    assert {uid: c.state for uid, c in up.snapshot.channels.items()} == {CALL: 6, LEG: 6, OTHER: 5}
    assert up.snapshot.channels[CALL].connected_s == 62.0
    assert up.snapshot.bridges == {"b1": (CALL, LEG)}


async def test_a_switch_that_tells_too_much_before_its_channels_is_given_up_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rather than one event less, which may be an answer, a new link and a new snapshot."""
    monkeypatch.setattr(translation, "HELD", 20)

    async def talks_too_much(peer: Peer) -> None:
        await peer.accept()
        await peer.filters()
        for _ in range(30):
            peer.event("Newstate", Uniqueid=CALL, ChannelState=UP)
        await peer.closed.wait()

    with capture_logs() as said:
        async with ScriptedPeer(talks_too_much, fit) as peer, running(peer.port) as (switch, ear):
            await ear.hears(LinkUp)
    assert ear.story == [] and len(peer.peers) == 2
    assert switch.stats.faults == {"held_too_many": 1}
    assert "events before it had listed its channels" in complaints(said)[0][0]


async def test_a_call_that_was_up_in_the_snapshot_is_not_answered_again() -> None:
    async def up_already(peer: Peer) -> None:
        await peer.accept()
        await peer.filters()
        peer.event("Newstate", Uniqueid=CALL, ChannelState=UP)
        peer.snapshot(channel(CALL))
        peer.event("OriginateResponse", Uniqueid=CALL, Response="Success", Reason=4)
        peer.event("Hangup", Uniqueid=CALL, Cause=16)
        await peer.serve()

    async with ScriptedPeer(up_already) as peer, running(peer.port) as (_, ear):
        await ear.hears(HungUp)
    assert ear.of(Answered) == []


async def test_a_console_commands_output_comes_line_by_line() -> None:
    async def talks(peer: Peer) -> None:
        await peer.resync()
        action = await peer.action("Command")
        peer.say(block([("Response", "Success"), ("ActionID", action["ActionID"]), *OUTPUT]))
        peer.reply(await peer.action("Command"))

    async with ScriptedPeer(talks, fit) as peer, running(peer.port) as (switch, ear):
        await ear.hears(LinkUp)
        assert await switch.command("dialplan show x") == [line for _, line in OUTPUT]
        assert await switch.command("nothing to say") == []


async def test_channels_that_are_not_ours_are_nobody_here() -> None:
    async def shared(peer: Peer) -> None:
        await peer.resync(channel("1795470658.15", context="reception"))
        peer.event("Newchannel", Uniqueid="1795470658.16", Channel="PJSIP/reception-1")
        peer.event("Hangup", Uniqueid="1795470658.15", Cause=16)
        peer.event("Newchannel", Uniqueid=CALL, Channel="PJSIP/carrier-1")
        await peer.serve()

    async with ScriptedPeer(shared) as peer, running(peer.port) as (_, ear):
        await ear.hears(Created)
    assert ear.of(LinkUp)[0].snapshot.channels == {}
    assert ear.story == ["Created"]


async def test_who_calls_in_is_told_of_from_then_on_and_after_a_lost_link() -> None:
    async def called(peer: Peer) -> None:
        await peer.resync(channel("1795470658.15", context="zhudong-inbound"))
        peer.event(
            "Hangup", Uniqueid="1795470658.15", Cause=16
        )  # it was on the line before the link was lost
        new = {"UserEvent": "ZhudongCall", "Uniqueid": "1795470658.16"}
        peer.event("BridgeEnter", Uniqueid="1795470658.16", BridgeUniqueid="b")
        peer.event("UserEvent", **new, Called="02388880000; DROP", Caller="1")
        peer.event("UserEvent", **new, Called="02388880000", Caller="anonymous")
        peer.event("UserEvent", **new, Called="02388880000", Caller="+8613800138000")
        peer.event("BridgeEnter", Uniqueid="1795470658.16", BridgeUniqueid="b")
        peer.event("Hangup", Uniqueid="1795470658.16", Cause=16)
        peer.event("UserEvent", UserEvent="ZhudongAMD", Uniqueid="1795470658.16", Status="HUMAN")
        peer.event("Newchannel", Uniqueid=CALL, Channel="PJSIP/carrier-1")
        await peer.serve()

    async with ScriptedPeer(called) as peer, running(peer.port) as (_, ear):
        await ear.hears(Created)
    assert list(ear.of(LinkUp)[0].snapshot.channels) == ["1795470658.15"]
    assert ear.story == ["HungUp", "CalledIn", "CalledIn", "Bridged", "HungUp", "Created"]
    assert [(each.called, each.caller) for each in ear.of(CalledIn)] == [
        ("02388880000", ""),
        ("02388880000", "+8613800138000"),
    ]


async def test_what_a_lost_link_still_had_to_say_is_not_told() -> None:
    """A failed originate waits a moment for its Hangup; when the link goes meanwhile, the next snapshot tells."""

    async def cut_after_a_failure(peer: Peer) -> None:
        await peer.resync()
        peer.event("OriginateResponse", Uniqueid=CALL, Response="Failure", Reason=0)
        peer.event("Newchannel", Uniqueid=OTHER)
        await peer.action("Hangup")
        peer.cut()

    async with ScriptedPeer(cut_after_a_failure, fit) as peer, running(peer.port) as (switch, ear):
        await ear.hears(Created)
        with pytest.raises(ReplyLost):
            await switch.hang_up(OTHER)
        await ear.hears(LinkUp, 2)
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    assert ear.story == ["Created"]


async def test_a_link_cut_right_after_the_snapshot_began_is_left_at_once() -> None:
    async def cut_in_the_list(peer: Peer) -> None:
        await peer.accept()
        await peer.filters()
        peer.reply(peer.asked_for_snapshot, EventList="start", Message="Channels will follow")
        peer.event("CoreShowChannel", ActionID=peer.asked_for_snapshot["ActionID"], **channel(CALL))

    async with ScriptedPeer(cut_in_the_list, fit) as peer, running(peer.port) as (_, ear):
        async with asyncio.timeout(3.0):
            await ear.hears(LinkUp)
        assert ear.of(LinkUp)[0].snapshot.channels == {}


# --- filters -----------------------------------------------------------------------------------------------------


async def test_a_new_asterisk_is_asked_for_the_events_that_are_used() -> None:
    found: list[str] = []

    async def script(peer: Peer) -> None:
        found.extend(await peer.resync())
        await peer.serve()

    async with ScriptedPeer(script) as peer, running(peer.port) as (_, ear):
        await ear.hears(LinkUp)
    assert found == [f"action(include),name({name}),method(none)" for name in WANTED]


async def test_an_asterisk_that_knows_no_new_filters_gets_the_old_ones() -> None:
    async def before_20_10(peer: Peer) -> None:
        await peer.accept()
        while (action := await peer.any_action())["Action"] == "Filter":
            if "MatchCriteria" in action:
                peer.reply(action, "Error", Message="Filter not specified")
            else:
                peer.reply(action)
        peer.reply(action, EventList="start")
        peer.event("CoreShowChannelsComplete", ActionID=action["ActionID"], EventList="Complete")
        await peer.serve()

    async with ScriptedPeer(before_20_10) as peer, running(peer.port) as (_, ear):
        await ear.hears(LinkUp)
        old = [a["Filter"] for a in peer.peers[0].actions if "Filter" in a]
    assert old == [f"Event: {name}$" for name in WANTED]


# --- two switches ------------------------------------------------------------------------------------------------


async def test_of_two_switches_one_fails_and_the_other_goes_on() -> None:
    async def fails(peer: Peer) -> None:
        await peer.resync()
        await peer.action("Originate")
        peer.cut()

    async def refuses(peer: Peer) -> None:
        peer.cut()

    async with (
        ScriptedPeer(fails, refuses) as bad,
        ScriptedPeer(fit) as good,
        running(bad.port, "north") as (north, ear_north),
        running(good.port, "south") as (south, ear),
    ):
        await ear_north.hears(LinkUp)
        await ear.hears(LinkUp)
        with pytest.raises(ReplyLost):
            await north.originate(CALL_OUT)
        down = await ear_north.hears(LinkDown)
        assert down.switch == "north"
        await bad.connected(3)  # tried again and again
        await south.originate(CALL_OUT)
        assert south.connected and not north.connected
        assert ear.of(LinkDown) == []
        assert len(good.peers[0].dialed) == 1
