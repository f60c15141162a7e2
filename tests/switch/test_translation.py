"""From AMI to the engine: one answer and one end a channel, in whatever order a real switch tells of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from itertools import permutations

import pytest

from dialer.switch import translation
from dialer.switch.clock import SwitchClock
from dialer.switch.port import (
    AmdResult,
    Answered,
    Bridged,
    Created,
    Digit,
    HungUp,
    LinkUp,
    OriginateFailed,
    Ringing,
    Snapshot,
    SwitchEvent,
)
from dialer.switch.translation import Translation
from dialer.switch.wire import END, Message
from tests.simulator.transcript import read
from tests.switch.scripted import block

UID = "zdc-" + "1" * 32
AT = 1000.0

Headers = Mapping[str, str]

CREATED = {"Event": "Newchannel", "Uniqueid": UID, "Channel": "PJSIP/carrier-1", "ChannelState": "0"}
RINGS = {"Event": "Newstate", "Uniqueid": UID, "ChannelState": "5"}
UP = {"Event": "Newstate", "Uniqueid": UID, "ChannelState": "6", "Channel": "PJSIP/carrier-1"}
DIALED = {
    "Event": "OriginateResponse",
    "Uniqueid": UID,
    "Response": "Success",
    "Reason": "4",
    "Channel": "PJSIP/1",
}
FAILED = {"Event": "OriginateResponse", "Uniqueid": UID, "Response": "Failure", "Reason": "0"}
TIMED_OUT = FAILED | {"Reason": "3"}
BUSY = {"Event": "Hangup", "Uniqueid": UID, "Cause": "17", "Cause-txt": "User busy", "TechCause": "486"}
DONE = {"Event": "Hangup", "Uniqueid": UID, "Cause": "16", "Cause-txt": "Normal Clearing"}


class Line:
    """A translation that has begun, and what the engine heard of it."""

    def __init__(self) -> None:
        self.heard: list[SwitchEvent] = []
        self.translation = Translation("main", self.heard.append, lambda: None, SwitchClock())
        self.translation.begin(LinkUp(AT, "main", "22", Snapshot({}, {})))
        self.heard.clear()

    def tell(self, *messages: Headers) -> list[SwitchEvent]:
        for headers in messages:
            message = Message(block(headers.items()).removesuffix(END))
            self.translation.hear(headers["Event"], message, AT)
        return self.heard

    async def grace_over(self) -> None:
        """Wait until no failed originate waits for its Hangup any more."""
        async with asyncio.timeout(10.0):
            while self.translation._failed:
                await asyncio.sleep(0.005)

    def of(self, *kinds: type) -> list[SwitchEvent]:
        return [event for event in self.heard if isinstance(event, kinds)]


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation, "GRACE_S", 0.02)


# --- one answer, one end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order", list(permutations([UP, DIALED, DONE])), ids=lambda o: " ".join(m["Event"] for m in o)
)
async def test_an_answered_call_has_at_most_one_answer_and_just_one_end(order: tuple[Headers, ...]) -> None:
    line = Line()
    line.tell(CREATED, RINGS, *order)
    await line.grace_over()
    kinds = [type(event) for event in line.heard]
    assert kinds.count(HungUp) == 1 and kinds[-1] is HungUp
    assert kinds.count(Answered) == (0 if order[0] is DONE else 1)
    assert OriginateFailed not in kinds


@pytest.mark.parametrize(
    "order", list(permutations([FAILED, BUSY])), ids=lambda o: " ".join(m["Event"] for m in o)
)
async def test_a_failed_call_ends_once_with_the_cause_that_only_its_hangup_knows(
    order: tuple[Headers, ...],
) -> None:
    line = Line()
    line.tell(CREATED, *order)
    await line.grace_over()
    [end] = line.of(HungUp, OriginateFailed)
    assert isinstance(end, HungUp)
    assert (end.cause, end.cause_text, end.tech_cause, end.timed_out) == (17, "User busy", 486, False)


async def test_a_call_that_was_refused_outright_ends_without_a_hangup() -> None:
    """Unknown endpoint, id in use: the reply is a success, then Failure 0, and no channel was ever there."""
    line = Line()
    line.tell(FAILED)
    assert line.heard == []  # its Hangup might still come
    await line.grace_over()
    [failed] = line.heard
    assert isinstance(failed, OriginateFailed) and (failed.uid, failed.reason) == (UID, 0)


async def test_a_hangup_after_the_last_word_is_not_a_second_end() -> None:
    line = Line()
    line.tell(FAILED)
    await line.grace_over()
    line.tell(BUSY, FAILED)
    await line.grace_over()
    assert [type(event) for event in line.heard] == [OriginateFailed]


async def test_events_that_come_twice_are_told_once() -> None:
    line = Line()
    line.tell(CREATED, UP, UP, DIALED, DIALED, DONE, DONE, DIALED, UP)
    assert [type(event) for event in line.heard] == [Created, Answered, HungUp]


async def test_a_failure_of_another_originate_with_its_id_does_not_end_an_answered_call() -> None:
    """Seen on a real switch: an id in use is refused by a Failure that carries the id of the live call."""
    line = Line()
    line.tell(CREATED, UP, DIALED, FAILED)
    await line.grace_over()
    assert line.of(OriginateFailed) == []
    line.tell(DONE)
    assert len(line.of(HungUp)) == 1


async def test_the_ring_limit_is_told_apart_from_a_phone_that_nobody_picked_up() -> None:
    no_answer = BUSY | {"Cause": "19", "TechCause": "480"}
    line = Line()
    [end] = line.tell(TIMED_OUT, no_answer)
    assert isinstance(end, HungUp) and end.timed_out
    line = Line()
    line.tell(TIMED_OUT)
    await line.grace_over()
    [failed] = line.heard
    assert isinstance(failed, OriginateFailed) and failed.reason == 3


async def test_a_channel_with_the_id_of_one_that_is_gone_has_a_life_of_its_own() -> None:
    line = Line()
    line.tell(CREATED, UP, DONE, CREATED, FAILED, BUSY)
    await line.grace_over()
    assert [type(event) for event in line.heard] == [Created, Answered, HungUp, Created, HungUp]


async def test_after_the_end_of_the_link_nothing_is_told() -> None:
    line = Line()
    line.tell(CREATED, FAILED)
    line.translation.end()
    line.tell(BUSY, UP)
    await asyncio.sleep(translation.GRACE_S * 2)  # nothing to wait for: it must not come
    assert [type(event) for event in line.heard] == [Created]


async def test_what_is_remembered_of_ended_calls_is_bounded() -> None:
    line = Line()
    for n in range(3 * translation.ENDED):
        uid = f"zdc-{n:032x}"
        line.tell(UP | {"Uniqueid": uid}, DONE | {"Uniqueid": uid})
    assert len(line.translation._ended) <= translation.ENDED and not line.translation._answered


async def test_a_detectors_finding_is_one_of_those_there_are() -> None:
    found = {"Event": "UserEvent", "UserEvent": "ZhudongAMD", "Uniqueid": UID, "Cause": "MAXWORDS-3-2"}
    line = Line()
    line.tell(*(found | {"Status": status} for status in ("MACHINE", "HUMAN", "NOTSURE", "HANGUP", "", "\0")))
    statuses = [event.status for event in line.heard if isinstance(event, AmdResult)]
    assert statuses == ["MACHINE", "HUMAN", "NOTSURE", "HANGUP", "NOTSURE", "NOTSURE"]


# --- what a real Asterisk 22 said --------------------------------------------------------------------------------


def ours(recorded: str) -> str:
    """The recordings' own ids, as those the engine gives; ids that the switch chose stay."""
    found = re.fullmatch(r"((?:call|all|CALL)-\d+)|(seat\d+-leg)", recorded)
    if found is None:
        return recorded
    return ("zdc-" if found[1] else "zds-") + recorded


async def told(story: str, connection: int = 0) -> list[SwitchEvent]:
    """What the engine hears of a recorded connection."""
    line = Line()
    for message in read(story)[connection].heard:
        headers = dict(message)
        if "Event" in headers:
            line.tell(headers | {"Uniqueid": ours(headers.get("Uniqueid", ""))})
    await line.grace_over()
    return line.heard


# The table of ami-transcripts: story, call, cause, its text, SIP status, whether the ring limit ended it.
ENDS = (
    ("originate_busy", "call-1", 17, "User busy", 486, False),
    ("originate_busy_after_ringing", "call-1", 17, "User busy", 486, False),
    ("originate_no_answer_timeout", "call-1", 19, "User alerting, no answer", 480, True),
    ("originate_congestion", "call-1", 34, "Circuit/channel congestion", 503, False),
    ("originate_invalid_number", "call-1", 1, "Unallocated (unassigned) number", 404, False),
    ("originate_temporarily_unavailable", "call-1", 19, "User alerting, no answer", 480, False),
    ("hangup_action_with_cause", "call-1", 16, "Normal Clearing", 0, False),
    ("hangup_action_with_cause", "call-2", 21, "Call Rejected", 403, False),
    ("customer_hangs_up_before_bridge", "call-1", 0, "Unknown", 0, False),
    ("originate_answered_bridge_hangup_by_customer", "call-1", 16, "Normal Clearing", 0, False),
    ("originate_answered_bridge_hangup_by_customer", "seat001-leg", 16, "Normal Clearing", 0, False),
    ("seat_leg_silent_rtp_timeout", "seat902-leg", 44, "Requested channel not available", 0, False),
)


@pytest.mark.parametrize(("story", "call", "cause", "text", "status", "timed_out"), ENDS)
async def test_a_recorded_call_ends_once_with_the_cause_of_the_table(
    story: str, call: str, cause: int, text: str, status: int, timed_out: bool
) -> None:
    ends = [e for e in await told(story) if isinstance(e, (HungUp, OriginateFailed)) and e.uid == ours(call)]
    [end] = ends
    assert isinstance(end, HungUp)
    assert (end.cause, end.cause_text, end.tech_cause, end.timed_out) == (cause, text, status, timed_out)


STORIES = sorted(
    {story for story, *_ in ENDS}
    | {"amd_machine_and_human", "attended_transfer_by_bridge", "dtmf_during_call"}
)


@pytest.mark.parametrize("story", STORIES)
async def test_every_recorded_channel_begins_is_answered_at_most_once_and_ends_once(story: str) -> None:
    heard = await told(story)
    channels = {event.uid for event in heard if isinstance(event, Created)}
    assert channels
    for uid in channels:
        life = [type(e) for e in heard if getattr(e, "uid", "") == uid]
        assert life[0] is Created and life[-1] is HungUp
        assert life.count(HungUp) == 1 and life.count(Answered) <= 1 and OriginateFailed not in life


async def test_an_answer_is_heard_whichever_of_its_signs_comes_first() -> None:
    heard = await told("originate_early_media_then_answer")
    assert [e.uid for e in heard if isinstance(e, Answered)] == ["zdc-call-1", "zdc-call-2"]
    assert [e for e in heard if isinstance(e, Ringing)] == []  # 183 without 180


async def test_a_refused_id_is_a_failure_of_its_own_call_and_of_no_other() -> None:
    heard = await told("originate_channelid_in_use")
    failed = [e.uid for e in heard if isinstance(e, OriginateFailed)]
    assert failed == ["zdc-call-1", "zdc-CALL-10"]
    ends = [(e.uid, e.cause) for e in heard if isinstance(e, HungUp)]
    assert ends == [("zdc-call-100", 17), ("zdc-all-10", 17), ("zdc-call-10", 0), ("zdc-call-10", 17)]


async def test_keys_and_bridges_are_told_of_the_channel_they_happened_to() -> None:
    heard = await told("dtmf_during_call")
    assert [(e.uid, e.digit) for e in heard if isinstance(e, Digit)] == [
        ("zdc-call-2", "1"), ("zdc-call-2", "5"), ("zdc-call-2", "#"),
    ]  # fmt: skip
    joined = [(e.uid, e.bridge_id) for e in heard if isinstance(e, Bridged)]
    assert [uid for uid, _ in joined[:2]] == ["zdc-call-1", "zds-seat001-leg"]
    assert joined[0][1] == joined[1][1] != ""
