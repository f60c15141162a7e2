"""What can be done with a call: each function of the port told on the virtual switch and on a real Asterisk.

A second link without filters hears what the engine does not ask for: music, recording, listening in.
"""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, time
from uuid import uuid4

import pytest

from dialer.switch.asterisk import AsteriskSwitch, log_in
from dialer.switch.port import (
    CALL_PREFIX,
    LEG_PREFIX,
    ActionRefused,
    Answered,
    Bridged,
    HungUp,
    LinkUp,
    Origination,
    SwitchEvent,
    Unbridged,
)
from dialer.switch.protocol import AmiLink, open_link
from dialer.switch.wire import Message
from tests.contract.switches import SwitchUnderTest, channels

LIMIT_S = 10.0
STAYS, TALKS = "08", "13"  # customers who stay until they are hung up; the second one also speaks


class Desk:
    """The engine's switch with nobody above it, and an ear for everything else."""

    def __init__(self, switch: SwitchUnderTest) -> None:
        self._place = switch
        self.port = AsteriskSwitch(switch.name, switch.host, switch.port, switch.user, switch.secret)
        self.heard: list[SwitchEvent] = []
        self.overheard: list[tuple[str, Message]] = []
        self._changed = asyncio.Event()
        self._link: AmiLink | None = None
        self._running: asyncio.Task[None] | None = None
        self._customers = 0

    async def open(self) -> None:
        self._link = await open_link(self._place.host, self._place.port, self._overhear)
        await log_in(self._link, self._place.user, self._place.secret)
        self._running = asyncio.create_task(self.port.run(self._hear))
        await self.until("the link is up", lambda: any(isinstance(event, LinkUp) for event in self.heard))

    async def close(self) -> None:
        """Hang up whatever is left."""
        for uid in await channels(self._place):
            with suppress(ActionRefused):  # it was over by itself a moment ago
                await self.port.hang_up(uid)
        await self.until_channels("all is over", 0)
        assert self._running is not None and self._link is not None
        self._running.cancel()
        self._link.close()

    async def seat(self, phone: str) -> str:
        """A seat's leg that is up."""
        return await self._up(LEG_PREFIX, f"PJSIP/{phone}", "zhudong-seat")

    async def customer(self, tail: str) -> str:
        """A customer who has answered."""
        self._customers += 1
        dial = f"PJSIP/86138001{self._customers:03}{tail}@carrier"
        return await self._up(CALL_PREFIX, dial, "zhudong-customer")

    async def joined(self, phone: str, tail: str = STAYS) -> tuple[str, str]:
        """A customer in a call with a seat."""
        leg, customer = await self.seat(phone), await self.customer(tail)
        await self.port.bridge(customer, leg)
        await self.in_one_bridge(customer, leg)
        return customer, leg

    def newest(self, uid: str) -> str | None:
        """The bridge that this channel is in, as far as was heard."""
        moves = [e for e in self.heard if isinstance(e, (Bridged, Unbridged)) and e.uid == uid]
        return moves[-1].bridge_id if moves and isinstance(moves[-1], Bridged) else None

    async def in_one_bridge(self, *uids: str) -> None:
        """Wait until each of them said that it entered the same bridge as the others, last of all."""
        await self.until(
            "all in one bridge",
            lambda: None not in (found := {self.newest(uid) for uid in uids}) and len(found) == 1,
        )

    async def until_kept_together(self, *uids: str) -> None:
        """Wait until the switch itself lists them in one bridge."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                channels = (await self.port.snapshot()).channels
                bridges = {channels[uid].bridge_id for uid in uids}
                if len(bridges) == 1 and "" not in bridges:
                    return
                await asyncio.sleep(0.02)

    async def told(self, kind: type[SwitchEvent], uid: str) -> None:
        await self.until(
            kind.__name__,
            lambda: any(isinstance(e, kind) and getattr(e, "uid", "") == uid for e in self.heard),
        )

    async def overhears(self, name: str, key: str, uid: str) -> None:
        """Wait for AMI's event of this name with this id in it."""
        await self.until(name, lambda: any(n == name and m.get(key) == uid for n, m in self.overheard))

    def hung_up(self, endpoint: str) -> bool:
        return any(n == "Hangup" and m["Channel"].startswith(f"{endpoint}-") for n, m in self.overheard)

    async def application(self, uid: str) -> str:
        """What a channel is doing in its dialplan."""
        assert self._link is not None
        listed = await self._link.listing("CoreShowChannels")
        return next((item["Application"] for item in listed if item["Uniqueid"] == uid), "")

    async def until_application(self, uid: str, name: str) -> None:
        async with asyncio.timeout(LIMIT_S):
            while await self.application(uid) != name:
                await asyncio.sleep(0.02)

    async def hold(self, customer: str, leg: str) -> None:
        """Let the customer hear music, and wait until the leg, too, has left their bridge: before it can not be had."""
        await self.port.redirect(customer, "zhudong-hold")
        await self.overhears("MusicOnHoldStart", "Uniqueid", customer)
        await self.until_application(leg, "Wait")

    async def until_kept(self, customer: str) -> None:
        """Wait until the dialplan keeps the customer for the next seat; the virtual one has no keys to read."""
        await self.until_application(customer, "Wait" if self.port.name == "virtual" else "Read")
        assert (await self.port.snapshot()).channels[customer].context == "zhudong-customer"

    async def until_channels(self, what: str, count: int) -> None:
        """Wait until so many channels live, of whatever id."""
        assert self._link is not None
        try:
            async with asyncio.timeout(LIMIT_S):
                while len(await self._link.listing("CoreShowChannels")) != count:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"waited {LIMIT_S} s for: {what}") from None

    async def until(self, what: str, so: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                while not so():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"waited {LIMIT_S} s for: {what}. Heard: {self.heard}") from None

    async def _up(self, prefix: str, dial: str, context: str) -> str:
        uid = f"{prefix}{uuid4().hex}"
        await self.port.originate(Origination(uid=uid, dial=dial, context=context, ring_limit_s=10.0))
        await self.told(Answered, uid)
        return uid

    def _hear(self, event: SwitchEvent) -> None:
        self.heard.append(event)
        self._changed.set()

    def _overhear(self, name: str, message: Message, at: float) -> None:
        self.overheard.append((name, message))
        self._changed.set()


@pytest.fixture
async def desk(switch: SwitchUnderTest) -> AsyncIterator[Desk]:
    desk = Desk(switch)
    await desk.open()
    yield desk
    await desk.close()


async def test_a_customer_is_called_joined_with_a_seat_and_hung_up(desk: Desk) -> None:
    customer, leg = await desk.joined("seat001")
    await desk.port.hang_up(customer)
    await desk.told(HungUp, customer)
    await desk.told(Unbridged, leg)
    assert list((await desk.port.snapshot()).channels) == [leg]  # the seat's leg stays up
    following = await desk.customer(STAYS)
    await desk.port.bridge(following, leg)
    await desk.in_one_bridge(following, leg)


async def test_a_customer_on_hold_hears_music_and_is_taken_back(desk: Desk) -> None:
    customer, leg = await desk.joined("seat001")
    await desk.hold(customer, leg)
    await desk.port.bridge(customer, leg)
    await desk.overhears("MusicOnHoldStop", "Uniqueid", customer)
    await desk.in_one_bridge(customer, leg)


async def test_answer_and_bridge_bear_the_switchs_own_time(desk: Desk) -> None:
    """By which it is judged whether they were brought together in time, however late either is heard of."""
    customer, _ = await desk.joined("seat001")
    answered = next(e for e in desk.heard if isinstance(e, Answered) and e.uid == customer)
    bridged = next(e for e in desk.heard if isinstance(e, Bridged) and e.uid == customer)
    assert answered.stamp is not None and bridged.stamp is not None
    assert answered.stamp <= bridged.stamp <= time() + 1.0


async def test_a_seat_is_muted_and_heard_again(desk: Desk, switch: SwitchUnderTest) -> None:
    """Who is recorded alone is the seat's leg: what comes from its phone."""
    customer, leg = await desk.joined("seat001")
    await desk.port.mute(leg, True)
    await desk.port.mute(leg, False)
    await desk.port.mute(leg, False)  # once more does no harm
    following = await desk.customer(STAYS)
    await desk.port.bridge(following, leg)  # a muted leg goes on in another bridge
    await desk.in_one_bridge(following, leg)
    with pytest.raises(ActionRefused):
        await desk.port.mute(f"{LEG_PREFIX}{'0' * 32}", True)
    assert customer in (await desk.port.snapshot()).channels


async def test_keys_are_sent_in_order_and_keep_no_command_waiting(desk: Desk) -> None:
    customer, leg = await desk.joined("seat001")
    began = monotonic()
    pressing = asyncio.gather(desk.port.press(customer, "12345#"), desk.port.press(customer, "*"))
    await asyncio.sleep(0)
    await desk.port.redirect(customer, "zhudong-hold")
    await desk.told(Unbridged, leg)
    assert not pressing.done()
    await pressing
    assert monotonic() - began > 1.0  # seven keys, one after the other
    with pytest.raises(ActionRefused):
        await desk.port.press(f"{CALL_PREFIX}{'0' * 32}", "1")


async def test_a_third_comes_into_the_bridge_and_the_customer_is_left_with_them(desk: Desk) -> None:
    """Asked while the customer hears music, then all three, then the seat is out."""
    customer, leg = await desk.joined("seat001")
    third = await desk.seat("seat002")
    await desk.hold(customer, leg)
    await desk.port.bridge(third, leg)
    await desk.in_one_bridge(third, leg)
    await desk.port.confer(customer, leg)
    await desk.in_one_bridge(customer, third, leg)
    await desk.port.bridge(customer, third)
    await desk.until("the two are without the seat", lambda: desk.newest(customer) != desk.newest(leg))
    await desk.in_one_bridge(customer, third)
    following = await desk.customer(STAYS)
    await desk.port.bridge(following, leg)  # the seat may have another customer at once
    await desk.in_one_bridge(following, leg)


async def test_when_the_third_hangs_up_the_two_are_there_to_be_joined_again(desk: Desk) -> None:
    customer, leg = await desk.joined("seat001")
    third = await desk.seat("seat002")
    await desk.hold(customer, leg)
    await desk.port.bridge(third, leg)
    await desk.in_one_bridge(third, leg)
    await desk.port.confer(customer, leg)
    await desk.in_one_bridge(customer, third, leg)
    await desk.port.hang_up(third)
    await desk.told(HungUp, third)
    async with asyncio.timeout(LIMIT_S):
        while True:  # a channel that is just leaving the old bridge can't be had
            with suppress(ActionRefused):
                await desk.port.bridge(customer, leg)
                break
            await asyncio.sleep(0.2)
    await desk.until_kept_together(customer, leg)


async def test_a_snapshot_says_when_a_customer_answered_who_is_with_nobody_yet(desk: Desk) -> None:
    customer = await desk.customer(STAYS)
    [heard] = [event for event in desk.heard if isinstance(event, Answered) and event.uid == customer]
    async with asyncio.timeout(LIMIT_S):
        while (found := (await desk.port.snapshot()).channels[customer]).answered is None:
            await asyncio.sleep(0.02)  # its first ping tells the switch's time
    assert found.answered is not None and found.stamp is not None and heard.stamp is not None
    assert abs(found.stamp - heard.stamp) < 1.0 and abs(found.answered - heard.at) < 1.0
    await desk.port.redirect(customer, "zhudong-hold")
    await desk.overhears("MusicOnHoldStart", "Uniqueid", customer)
    assert (await desk.port.snapshot()).channels[customer].stamp == found.stamp


async def test_a_sound_is_played_to_a_customer_who_then_waits_for_the_seat(desk: Desk) -> None:
    customer, leg = await desk.joined("seat001")
    await desk.port.play(customer, "auth-thankyou")
    await desk.until_application(customer, "Playback")
    began = monotonic()
    await desk.until_kept(customer)
    assert 1.0 < monotonic() - began < 4.0  # the sound is 2 s long; one that is not there takes no time
    await desk.port.bridge(customer, leg)
    await desk.in_one_bridge(customer, leg)


async def test_a_seat_takes_the_customer_back_while_the_sound_is_played(desk: Desk) -> None:
    customer, leg = await desk.joined("seat001")
    await desk.port.play(customer, "auth-thankyou")
    await desk.until_application(customer, "Playback")
    await desk.port.bridge(customer, leg)
    await desk.in_one_bridge(customer, leg)
    await desk.port.hang_up(leg)
    await desk.until_kept(customer)


async def test_a_call_is_recorded_from_start_to_end(desk: Desk, switch: SwitchUnderTest) -> None:
    customer, leg = await desk.joined("seat001", TALKS)
    await desk.port.start_recording(customer, f"{customer}.wav")
    await desk.overhears("MixMonitorStart", "Uniqueid", customer)
    recording = None if switch.recordings is None else switch.recordings / f"{customer}.wav"
    if recording is not None:
        await until_so("it fills", lambda: recording.exists() and recording.stat().st_size > 8_000)
    await desk.port.pause_recording(customer, True)
    await desk.overhears("MixMonitorMute", "Uniqueid", customer)
    for on in (True, False, False):  # once more does no harm
        await desk.port.pause_recording(customer, on)
    path = f"{customer}.wav"
    await desk.port.start_recording(customer, path, again=True)  # nor does this: what was said stays
    await desk.port.hang_up(customer)
    await desk.told(HungUp, customer)
    told = [name for name, of in desk.overheard if of.get("Uniqueid") == customer]
    assert told.count("MixMonitorStart") == 1
    with pytest.raises(ActionRefused):
        await desk.port.pause_recording(leg, True)
    if recording is not None:
        await until_so("somebody is heard to speak", lambda: speaks(recording))


def speaks(recording: Path) -> bool:
    """Whether there is more than silence in it; a file that is not yet closed has no length."""
    with wave.open(str(recording)) as sound:
        samples = sound.readframes(sound.getnframes())
    return any(
        abs(int.from_bytes(samples[n : n + 2], "little", signed=True)) > 1_000
        for n in range(0, len(samples), 2)
    )


async def until_so(what: str, so: Callable[[], bool]) -> None:
    """Wait for what no event tells of."""
    try:
        async with asyncio.timeout(LIMIT_S):
            while not so():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {LIMIT_S} s for: {what}") from None


@pytest.mark.parametrize("options", ["q", "qw", "qB"], ids=["listen", "whisper", "barge"])
async def test_a_supervisor_hears_the_call_they_asked_for_and_no_other(desk: Desk, options: str) -> None:
    await desk.joined("seat001")
    customer, _ = await desk.joined("seat002")
    await desk.joined("seat003")
    await desk.port.listen("PJSIP/seat009", customer, options)
    await desk.overhears("ChanSpyStart", "SpyeeUniqueid", customer)
    await desk.until_channels("three calls and the supervisor's phone", 7)
    await desk.port.hang_up(customer)
    await desk.overhears("ChanSpyStop", "SpyeeUniqueid", customer)
    await desk.until_channels("the supervisor's phone is free with the end of the call", 5)
    listened = [m["SpyeeUniqueid"] for name, m in desk.overheard if name == "ChanSpyStart"]
    assert listened == [customer]


async def test_a_supervisor_who_asks_for_a_call_that_is_over_hears_nobody(desk: Desk) -> None:
    await desk.joined("seat001")
    await desk.port.listen("PJSIP/seat009", f"{CALL_PREFIX}{'0' * 32}")
    await desk.until("the supervisor's phone is free again", lambda: desk.hung_up("PJSIP/seat009"))
    assert not any(name == "ChanSpyStart" for name, _ in desk.overheard)
