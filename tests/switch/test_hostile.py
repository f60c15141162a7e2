"""Strangers on the line: whatever bytes come, the parser takes them; whatever a customer's name holds, none leave."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dialer.switch import asterisk, wire
from dialer.switch.asterisk import AsteriskSwitch
from dialer.switch.port import Answered, HungUp, LinkUp, Origination, UnsafeValue
from dialer.switch.wire import BANNER, END, MAX_LINE, Message, Parser, encode, variables
from simulator.switch.faults import GARBAGE
from tests.switch.scripted import ODD_EVENTS, Peer, ScriptedPeer, block, running

HELLO = BANNER + b"11.0.0\r\n"
CALL = "zdc-" + "1" * 32
SMALL = 40  # a limit that made-up input comes up to


def chunks(data: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    begin = 0
    for cut in sorted({cut % (len(data) + 1) for cut in cuts}):
        yield data[begin:cut]
        begin = cut
    yield data[begin:]


def read(data: bytes, cuts: Sequence[int] = ()) -> tuple[list[Message], dict[str, int], str]:
    """Messages, faults and banner of a stream that came in these pieces."""
    parser, messages = Parser(), []
    for chunk in chunks(data, cuts):
        messages += parser.feed(chunk)
    return messages, dict(parser.faults), parser.banner


# Bytes as AMI has them, so that chance comes to whole messages, cut ends and headers that are none.
PIECES = st.sampled_from(
    [b"\r\n\r\n", b"\r\n", b"\r", b"\n", b": ", b"Event", b"x" * 17, "漢".encode(), b"\xe7\x8e", b"\0"]
)
STREAMS = st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=60).map(b"".join))
CUTS = st.lists(st.integers(0, 1_000), max_size=12)
# Values as they may stand in a header: no line ends, and not blank at the ends, which the wire does not keep.
VALUES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), max_size=30).map(
    lambda value: value.strip(" \r")
)
MESSAGES = st.lists(
    st.dictionaries(
        st.sampled_from(["Event", "Uniqueid", "CallerIDName", "Cause-txt", "名"]), VALUES, min_size=1
    ),
    max_size=6,
)


@given(STREAMS, CUTS)
@example(b"", [])
@example(BANNER + b"x" * SMALL + b"\r\nA: 1\r\n\r\nB: 2\r\n\r\n", [30, 50])
@example(HELLO + b"A: " + b"x" * (SMALL - 3) + b"\r\n\r\nB: 2\r\n\r\n", [len(HELLO) + SMALL + 2])
def test_any_bytes_in_any_chunks_are_taken_and_mean_the_same(stream: bytes, cuts: list[int]) -> None:
    with mock.patch.object(wire, "MAX_MESSAGE", SMALL), mock.patch.object(wire, "MAX_BANNER", SMALL):
        for data in (stream, HELLO + stream):
            assert read(data, cuts) == read(data)
            assert read(data, range(len(data))) == read(data)


@given(MESSAGES, CUTS)
def test_whole_messages_come_out_whole_wherever_they_are_cut(
    messages: list[dict[str, str]], cuts: list[int]
) -> None:
    stream = HELLO + b"".join(block(message.items()) for message in messages)
    assert read(stream, cuts) == (messages, {}, "Asterisk Call Manager/11.0.0")


@given(STREAMS)
@example(b"A: 1\r\n\xffB: 2\r\n\xff: 3\n: 4\r5\rC: 6\nA:7")
def test_a_header_is_what_a_reader_of_all_lines_would_find(stream: bytes) -> None:
    """Bare CR and bare LF, no key, no text: only LF ends a line, only the first colon ends a key."""
    expected = []
    for part in (stream + END).split(END)[:-1]:
        found: dict[str, list[str]] = {}
        for line in part.decode("utf-8", "replace").split("\n"):
            key, colon, value = line.partition(":")
            if colon:
                found.setdefault(key, []).append(value.strip(" \r"))
        expected += [found] if found else []
    messages = read(HELLO + stream + END)[0]
    assert [{key: message.each(key) for key in message} for message in messages] == expected
    assert messages == [{key: values[0] for key, values in found.items()} for found in expected]


def test_a_line_that_is_no_header_is_counted_and_the_rest_of_its_message_is_taken() -> None:
    event = b"Event: Hangup\r\nCallerIDName: Li\nNa\r\nCause: 16\r\nVia: sip:10.0.0.5:5060" + END
    messages, faults, _ = read(HELLO + event)
    assert [message.get("Cause") for message in messages] == ["16"] and faults == {"garbled": 1}


def test_a_character_cut_by_a_chunk_is_whole_and_one_cut_by_its_sender_is_marked() -> None:
    stream = HELLO + block([("CallerIDName", "王小明")])
    cut = stream.index("小".encode()) + 1
    assert read(stream, [cut])[0] == [{"CallerIDName": "王小明"}]
    messages, faults, _ = read(HELLO + GARBAGE["cut_utf8"])
    assert messages[0]["Name"] == "\ufffd" and faults == {"undecodable": 1}


@pytest.mark.parametrize("cuts", [(), range(1000, 1_000_000, 65_536)], ids=["at once", "in chunks"])
def test_a_line_of_a_megabyte_is_dropped_and_what_follows_is_heard(cuts: Sequence[int]) -> None:
    messages, faults, _ = read(HELLO + GARBAGE["long_line"] + block([("Event", "Hangup")]), cuts)
    assert (messages, faults) == ([{"Event": "Hangup"}], {"too_long": 1})


def test_a_stream_without_an_end_is_not_kept() -> None:
    parser = Parser()
    parser.feed(HELLO)
    for _ in range(200):
        assert parser.feed(b"x" * 65_536) == []
    assert len(parser._rest) <= wire.MAX_MESSAGE and parser.faults == {"too_long": 1}


def test_binary_is_a_count() -> None:
    messages, faults, _ = read(HELLO + GARBAGE["binary"] + block([("Event", "Hangup")]))
    assert messages[-1] == {"Event": "Hangup"} and faults["undecodable"] == 1


# --- what may not leave ------------------------------------------------------------------------------------------

CONTROL = st.characters(categories=("Cc", "Zl", "Zp"))


@given(st.text(max_size=20), CONTROL, st.text(max_size=20))
def test_no_control_character_leaves_in_a_value(before: str, control: str, after: str) -> None:
    with pytest.raises(UnsafeValue, match="CallerID"):
        encode("Originate", "z1-1", [("CallerID", before + control + after)])


@given(st.text(max_size=20), CONTROL, st.text(max_size=20))
def test_no_control_character_leaves_in_a_header_of_ours(before: str, control: str, after: str) -> None:
    with pytest.raises(UnsafeValue):
        encode("Originate", "z1-1", [(before + control + after, "1")])


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_leaves_is_one_message_with_the_headers_that_were_meant(key: str, value: str) -> None:
    """However odd a customer's name is: one action, three headers, or nothing at all."""
    headers = [("Variable", f"NAME={value}"), ("CallerID", key)]
    try:
        sent = encode("Originate", "z1-1", headers)
    except UnsafeValue:
        return
    assert sent.count(b"\r\n\r\n") == 1 and sent.endswith(b"\r\n\r\n")
    lines = sent.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert lines == ["Action: Originate", "ActionID: z1-1", *(f"{k}: {v}" for k, v in headers)]
    assert not {"\r", "\n"} & set("".join(lines))


@pytest.mark.parametrize("value", ['a"b', "a,b", "a\\b", "PIN=1,Action"])
def test_what_asterisk_would_read_otherwise_is_refused_in_a_variable(value: str) -> None:
    with pytest.raises(UnsafeValue, match="NAME"):
        list(variables({"NAME": value}))


@pytest.mark.parametrize("name", ["a b", "a=b", "", "a,b", "x\r\nAction: Command"])
def test_a_variables_name_is_a_word(name: str) -> None:
    with pytest.raises(UnsafeValue):
        list(variables({name: "1"}))


def test_a_line_asterisk_would_cut_is_refused_counted_in_bytes() -> None:
    longest = "x" * (MAX_LINE - len("CallerID: "))
    assert longest.encode() in encode("Originate", "z1-1", [("CallerID", longest)])
    for value in (longest + "x", "漢" * (MAX_LINE // 3)):
        with pytest.raises(UnsafeValue, match="too long for a line of AMI"):
            encode("Originate", "z1-1", [("CallerID", value)])


async def test_every_command_refuses_an_unsafe_value_and_sends_nothing_of_it() -> None:
    bad = "1\r\nAction: Command"

    async def fit(peer: Peer) -> None:
        await peer.resync()
        await peer.serve()

    async with ScriptedPeer(fit) as peer, running(peer.port) as (switch, ear):
        await ear.hears(LinkUp)
        good = {"uid": CALL, "dial": "PJSIP/1@carrier", "context": "zhudong-customer", "ring_limit_s": 20.0}
        calls = [Origination(**(good | {field: bad})) for field in ("uid", "dial", "context")]  # type: ignore[arg-type]
        calls += [Origination(**good, **{field: bad}) for field in ("caller_id", "exten")]  # type: ignore[arg-type]
        calls.append(Origination(**good, variables={"ZD_MESSAGE": bad}))  # type: ignore[arg-type]
        asked = [switch.originate(call) for call in calls]
        asked += [
            switch.bridge(bad, CALL),
            switch.bridge(CALL, bad),
            switch.hang_up(bad),
            switch.redirect(bad, "x"),
        ]
        asked += [
            switch.redirect(CALL, bad),
            switch.redirect(CALL, "x", bad),
            switch.set_variable(CALL, "A", bad),
        ]
        asked += [switch.set_variable(CALL, bad, "1"), switch.set_variable(bad, "A", "1")]
        asked += [
            switch.start_recording(CALL, bad),
            switch.pause_recording(bad, True),
            switch.listen(bad, CALL),
        ]
        asked += [switch.listen("PJSIP/1", bad), switch.command(bad)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(result) for result in results} == {UnsafeValue}
        await switch.hang_up(CALL)
        sent = [name for name in peer.peers[0].names if name not in ("Filter", "Ping")]
        assert sent[5:] == ["Hangup"]


# --- a stranger's stream at the adapter --------------------------------------------------------------------------


async def test_a_hostile_stream_costs_counts_and_not_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hostile(peer: Peer) -> None:
        await peer.accept()
        await peer.filters()
        peer.event(
            "CoreShowChannel", ActionID=peer.asked_for_snapshot["ActionID"], Uniqueid=CALL, ChannelState="²"
        )
        peer.snapshot({"Uniqueid": CALL[:-1] + "2", "ChannelState": "³", "Duration": "²:³:¹"})
        for garbage in GARBAGE.values():
            peer.say(garbage)
        for headers in ODD_EVENTS:
            peer.say(block(headers))
        peer.event("Newstate", Uniqueid=CALL[:-1] + "3", ChannelState=6)
        await peer.serve()

    async with ScriptedPeer(hostile) as peer, running(peer.port) as (switch, ear):
        answered = await ear.hears(Answered)
        assert answered.uid == CALL[:-1] + "3"
        assert switch.connected and len(peer.peers) == 1
        await switch.hang_up(CALL)
    assert [event.cause for event in ear.of(HungUp) if event.uid == CALL] == [0]
    assert {"undecodable", "too_long", "garbled", "orphan_reply"} <= set(switch.stats.faults)


async def test_made_up_event_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted by name becomes a metric's label: only names that are known have one of their own."""
    monkeypatch.setattr(asterisk, "PING_EVERY_S", 0.02)

    async def inventive(peer: Peer) -> None:
        await peer.resync()
        for n in range(500):
            peer.event(f"Made{n}up", Uniqueid="1.1")
        peer.event("Newstate", Uniqueid=CALL, ChannelState=6)
        await peer.serve()

    async with ScriptedPeer(inventive) as peer, running(peer.port) as (switch, ear):
        await ear.hears(Answered)
    assert isinstance(switch, AsteriskSwitch)
    assert switch.stats.events["other"] == 500
    assert set(switch.stats.events) <= {
        *asterisk.WANTED,
        "CoreShowChannel",
        "CoreShowChannelsComplete",
        "other",
    }
