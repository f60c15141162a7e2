"""The life of a call on the virtual switch: placed, ringing, answered or refused, bridged, ended; and what AMI says.

Orders of events follow what a real Asterisk 22 was seen to say. Where several threads of Asterisk race, the orders
it was seen to use are drawn by the call's `order` (0 to 99), so a run with the same seed says the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from simulator.scenario import Behaviour, Scenario
from simulator.switch.agi import AgiDialogue
from simulator.switch.bridges import Bridges
from simulator.switch.causes import (
    NO_ANSWER,
    NO_ANSWER_TECH,
    NORMAL_CLEARING,
    SIP_FAILURE,
    TECH_CAUSE_OF_HANGUP,
    cause_text,
)
from simulator.switch.channel import DOWN, RINGING, UNKNOWN, UP, Channel, Originate
from simulator.switch.devices import Devices
from simulator.switch.dialplan import Context, Dialplan
from simulator.switch.feed import Feed
from simulator.switch.log import CallLog

RTP_TIMEOUT_S = 3.0  # pjsip.conf rtp_timeout of the rig
CHANNEL_NOT_AVAILABLE = 44
ANSWER_SAID_BY_RESPONSE = 20  # per cent: OriginateResponse came before Newstate in 20 % of 700 calls
INSIDE = Behaviour(rings_after_s=None, answers_after_s=0.001)
KEY_MS = 280
KEY_S = 0.14


class Exchange:
    """All channels of one switch. Everything happens on the loop, in the order it is asked."""

    def __init__(
        self, scenario: Scenario, log: CallLog, contexts: Mapping[str, Context], timestamps: bool
    ) -> None:
        self.scenario = scenario
        self.log = log
        self.feed = Feed(timestamps)
        self.devices = Devices(self.feed)
        self.bridges = Bridges(self.feed, self)
        self.dialplan = Dialplan(self, contexts)
        self.by_uid: dict[str, Channel] = {}  # lower case, as Asterisk compares
        self.by_name: dict[str, Channel] = {}
        self.processed = 0
        self._attempts: dict[str, int] = {}
        self._lengths: dict[int, int] = {}
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._names = 0
        self._born = int(time.time())

    def now(self) -> float:
        return self._loop.time()

    def find(self, name: str) -> Channel | None:
        """A channel by its name or by its whole id."""
        return self.by_name.get(name) or self.by_uid.get(name.lower())

    def vanish(self, why: str) -> None:
        """The switch stops: no channel is left, and nobody is told; the log says why."""
        for channel in list(self.by_uid.values()):
            channel.gone = True
            channel.forget_timers()
            if channel.bridge is not None:
                for stay in channel.bridge.stays.values():
                    stay.left = time.time()
                channel.bridge.stays.clear()
            self.log.end(channel.record, None, None, why)
        for task in self._tasks:
            task.cancel()
        self.by_uid.clear()
        self.by_name.clear()
        self.bridges.live.clear()
        self.devices.clear()
        self._lengths.clear()
        self._names = self.processed = 0
        self._born = max(int(time.time()), self._born + 1)

    # --- placing a call ---------------------------------------------------------------------------------------

    def place(
        self,
        dial: str,
        asked: Originate,
        ring_limit_s: float,
        caller: tuple[str, str] | None,
        account: str,
        variables: dict[str, str],
    ) -> None:
        """Carry out an Originate whose action was accepted."""
        target = dial.partition("/")[2]
        number, at, trunk = target.partition("@")
        endpoint = trunk if at else number
        attempt = self._attempts.get(target, 0) + 1
        self._attempts[target] = attempt
        behaviour: Behaviour | None
        local = dial.startswith("Local/")
        if local:  # one channel stands for both halves: what is inside a switch answers at once
            behaviour = INSIDE if self.dialplan.exists(trunk.partition("/")[0], number, 1) else None
        elif at:
            behaviour = self.scenario.customer(number, attempt) if self.scenario.knows_trunk(trunk) else None
        else:
            behaviour = self.scenario.phone(endpoint, attempt)
        record = self.log.open_call(asked.asked_id or UNKNOWN, dial, asked.context, attempt)
        in_use = bool(asked.asked_id) and self._in_use(asked.asked_id.lower())
        if behaviour is None or in_use:
            self._names += in_use  # a name is spent on a refused id, not on an unknown endpoint
            self.log.end(record, None, None, "refused")
            self._respond(asked, dial, None, caller, 0)
            return
        self.processed += 1
        uid = asked.asked_id or f"{self._born}.{self.processed}"
        record.uid = uid
        self.log.note(record)
        name = f"PJSIP/{endpoint}-{self._names:08x}"
        if local:
            name = f"Local/{target.partition('/')[0]}-{self._names:08x};1"
        self._names += 1
        channel = Channel(name, uid, dial, self.processed, behaviour, record, self.now())
        channel.originate = asked
        channel.variables = variables
        self.by_uid[uid.lower()] = channel
        self.by_name[name] = channel
        self._lengths[len(uid)] = self._lengths.get(len(uid), 0) + 1
        self._announce(channel, caller, account, target)
        self._plan_before_answer(channel, ring_limit_s)

    def _in_use(self, wanted: str) -> bool:
        """Asterisk refuses an id while a live one begins with it, in any case of letters."""
        if wanted in self.by_uid:
            return True
        if not any(length > len(wanted) for length, count in self._lengths.items() if count):
            return False
        return any(uid.startswith(wanted) for uid in self.by_uid)

    def _announce(self, channel: Channel, caller: tuple[str, str] | None, account: str, target: str) -> None:
        feed = self.feed
        feed.channel("Newchannel", channel)
        if account:
            channel.account = account
            feed.channel("NewAccountCode", channel, "OldAccountCode: \r\n")
        if caller is not None:
            channel.caller_num, channel.caller_name = caller
            feed.channel(
                "NewCallerid", channel, "CID-CallingPres: 0 (Presentation Allowed, Not Screened)\r\n"
            )
            channel.connected_num, channel.connected_name = caller
            feed.channel("NewConnectedLine", channel)
        if feed.wants("DialBegin"):
            feed.send("DialBegin", channel.headers("Dest") + f"DialString: {target}\r\n")

    def _plan_before_answer(self, channel: Channel, ring_limit_s: float) -> None:
        does = channel.behaviour
        asked = channel.originate
        assert asked is not None
        later = self._later
        later(channel, ring_limit_s, self._ring_limit)
        if does.progress_after_s is not None:
            later(channel, does.progress_after_s, self._progress)
            if asked.early_media:
                return
        if does.rings_after_s is not None:
            later(channel, does.rings_after_s, self._ring)
        if does.refuses_with:
            later(channel, does.refuses_after_s, self._refuse)
        elif does.answers_after_s is not None:
            later(channel, does.answers_after_s, self._answer)

    def _later(self, channel: Channel, seconds: float, then: Callable[[Channel], None]) -> None:
        channel.far_end.append(self._loop.call_later(seconds, then, channel))

    # --- before the answer ------------------------------------------------------------------------------------

    def _ring(self, channel: Channel) -> None:
        channel.record.ringing = time.time()
        ring_first = channel.behaviour.order % 4 != 0
        if not ring_first:
            self._dial_state(channel, "RINGING")
        self._to_state(channel, RINGING)
        if ring_first:
            self._dial_state(channel, "RINGING")
        self.devices.moved(channel, DOWN, RINGING)

    def _progress(self, channel: Channel) -> None:
        """Early media: an answer, where the Originate asked to take it for one."""
        self._dial_state(channel, "PROGRESS")
        if channel.originate is not None and channel.originate.early_media:
            self._answer(channel)

    def _dial_state(self, channel: Channel, status: str) -> None:
        if self.feed.wants("DialState"):
            self.feed.send("DialState", channel.headers("Dest") + f"DialStatus: {status}\r\n")

    def _dial_end(self, channel: Channel, status: str) -> None:
        if self.feed.wants("DialEnd"):
            self.feed.send("DialEnd", channel.headers("Dest") + f"DialStatus: {status}\r\n")

    def _to_state(self, channel: Channel, state: int) -> None:
        channel.state = state
        self.feed.channel("Newstate", channel)

    def _respond(
        self,
        asked: Originate,
        dial: str,
        channel: Channel | None,
        caller: tuple[str, str] | None,
        reason: int,
    ) -> None:
        """The OriginateResponse: with a channel it succeeded."""
        if asked.answered is not None and not asked.answered.done():
            asked.answered.set_result(channel is not None)
        if asked.silent or not self.feed.wants("OriginateResponse"):
            return
        num, name = caller or (UNKNOWN, UNKNOWN)
        uid = channel.uid if channel is not None else asked.asked_id or UNKNOWN
        self.feed.send(
            "OriginateResponse",
            f"{asked.action_id}Response: {'Failure' if channel is None else 'Success'}\r\n"
            f"Channel: {dial if channel is None else channel.name}\r\n{asked.headers()}Reason: {reason}\r\n"
            f"Uniqueid: {uid}\r\nCallerIDNum: {num}\r\nCallerIDName: {name}\r\n",
        )

    def _fail(self, channel: Channel, reason: int) -> None:
        asked, channel.originate = channel.originate, None
        if asked is not None:
            self._respond(asked, channel.dial, None, (channel.caller_num, channel.caller_name), reason)

    def _refuse(self, channel: Channel) -> None:
        sip = channel.behaviour.refuses_with
        channel.cause, dial_status = SIP_FAILURE[sip]
        channel.tech_cause = sip
        self.feed.channel("HangupRequest", channel, f"Cause: {channel.cause}\r\nTechCause: {sip}\r\n")
        say = (
            lambda: self._fail(channel, 0),
            lambda: self._dial_end(channel, dial_status),
            lambda: self._gone(channel, "far_end"),
        )
        # the orders seen: response, dial end, hang-up; dial end, hang-up, response; dial end, response, hang-up
        for index in ((0, 1, 2), (1, 2, 0), (1, 0, 2))[channel.behaviour.order % 3]:
            say[index]()

    def _ring_limit(self, channel: Channel) -> None:
        channel.cause, channel.tech_cause = NO_ANSWER, NO_ANSWER_TECH
        self._fail(channel, 3)
        self._gone(channel, "ring_limit")

    # --- answered ---------------------------------------------------------------------------------------------

    def _answer(self, channel: Channel) -> None:
        asked, channel.originate = channel.originate, None
        assert asked is not None
        for timer in channel.far_end:
            timer.cancel()
        channel.far_end = []
        channel.record.answered = time.time()
        self.log.note(channel.record)
        caller = (channel.caller_num, channel.caller_name)
        before = channel.state
        order = channel.behaviour.order
        if order < ANSWER_SAID_BY_RESPONSE:
            self._respond(asked, channel.dial, channel, caller, 4)
        self._to_state(channel, UP)
        if ANSWER_SAID_BY_RESPONSE <= order < 60:
            self._respond(asked, channel.dial, channel, caller, 4)
        self._dial_end(channel, "ANSWER")
        self.devices.moved(channel, before, UP)
        if order >= 60:
            self._respond(asked, channel.dial, channel, caller, 4)
        channel.since = self.now()
        self._plan_after_answer(channel)
        if asked.app:
            self._application(channel, asked)
        elif not asked.context:
            self.end_by_dialplan(channel)
        else:
            self.dialplan.enter(channel, asked.context, asked.exten, asked.priority)

    def _plan_after_answer(self, channel: Channel) -> None:
        does = channel.behaviour
        if does.leaves_after_s is not None:
            self._later(channel, does.leaves_after_s, self.leaves)
        if does.goes_silent_after_s is not None:
            self._later(channel, does.goes_silent_after_s + RTP_TIMEOUT_S, self._rtp_timeout)
        self._be_patient(channel, does.patience_s)
        self._press(channel, does.keys, 0, self.now())

    def _be_patient(self, channel: Channel, seconds: float | None) -> None:
        if channel.patience is not None:
            channel.patience.cancel()
        channel.patience = None if seconds is None else self._loop.call_later(seconds, self.leaves, channel)

    def _press(self, channel: Channel, keys: tuple[tuple[float, str], ...], index: int, begin: float) -> None:
        if index < len(keys):
            at, key = keys[index]

            def pressed(channel: Channel) -> None:
                self.key(channel, key)
                self._press(channel, keys, index + 1, begin)

            channel.far_end.append(self._loop.call_at(begin + at, pressed, channel))

    def key(self, channel: Channel, key: str) -> None:
        """The far end presses a key. In a native bridge no event tells of it."""
        channel.record.digits += key
        if channel.keys is not None:
            channel.keys.put_nowait(key)
        if channel.bridge is not None and channel.bridge.technology == "native_rtp":
            return
        self.feed.channel("DTMFBegin", channel, f"Digit: {key}\r\nDirection: Received\r\n", "dtmf")

        def ends(channel: Channel) -> None:
            tail = f"Digit: {key}\r\nDurationMs: {KEY_MS}\r\nDirection: Received\r\n"
            self.feed.channel("DTMFEnd", channel, tail, "dtmf")

        self._later(channel, KEY_S, ends)

    def _application(self, channel: Channel, asked: Originate) -> None:
        """An Originate with Application: ChanSpy is the one the engine uses; others end at once.

        With the option u its first argument is a channel's id, else what a channel's name begins with.
        """
        channel.app, channel.app_data = asked.app, asked.app_data
        target, _, options = asked.app_data.partition(",")
        if "u" in options:
            watched = self.find(target)
        else:
            watched = next((other for name, other in self.by_name.items() if name.startswith(target)), None)
        if asked.app.lower() != "chanspy" or watched is None or watched is channel:
            self.end_by_dialplan(channel)
            return
        watched.spies.append(channel)
        if self.feed.wants("ChanSpyStart"):
            self.feed.send("ChanSpyStart", channel.headers("Spyer") + watched.headers("Spyee"))

    # --- the end ----------------------------------------------------------------------------------------------

    def leaves(self, channel: Channel) -> None:
        """The far end hangs up an answered call."""
        self.feed.channel("HangupRequest", channel)
        if channel.bridge is None:
            self._soft_hang_up(channel, "far_end")
        else:
            channel.cause = channel.cause or NORMAL_CLEARING
            self.bridges.leave_hanging_up(channel, lambda: self._gone(channel, "far_end"))

    def _soft_hang_up(self, channel: Channel, by: str) -> None:
        if channel.was_bridged:
            channel.cause = channel.cause or NORMAL_CLEARING
        self.feed.channel("SoftHangupRequest", channel, "Cause: 16\r\n")
        self._gone(channel, by)

    def _rtp_timeout(self, channel: Channel) -> None:
        """The phone went silent without a BYE: both sides of its bridge end with cause 44."""
        members = list(channel.bridge.members) if channel.bridge is not None else [channel]
        for member in members:
            member.cause = CHANNEL_NOT_AVAILABLE
        self.feed.channel("SoftHangupRequest", channel, "Cause: 1\r\n")
        self.bridges.leave(channel)
        self._gone(channel, "far_end")

    def hang_up(self, channel: Channel, cause: int) -> None:
        """The Hangup action."""
        if cause:
            channel.cause = cause
            channel.tech_cause = TECH_CAUSE_OF_HANGUP.get(cause, 0) if channel.state == UP else 0
        if channel.state != UP:
            self._dial_end(channel, "NOANSWER")
            self._fail(channel, 0)
            self._gone(channel, "engine")
        elif channel.bridge is not None:
            channel.cause = channel.cause or NORMAL_CLEARING
            channel.gone = True
            self.bridges.leave(channel)
            self._gone(channel, "engine")
        else:
            self._soft_hang_up(channel, "engine")

    def end_by_dialplan(self, channel: Channel) -> None:
        self._soft_hang_up(channel, "dialplan")

    def _gone(self, channel: Channel, by: str) -> None:
        channel.gone = True
        channel.forget_timers()
        for spy in channel.spies:
            if not spy.gone:
                if self.feed.wants("ChanSpyStop"):
                    self.feed.send("ChanSpyStop", spy.headers("Spyer") + channel.headers("Spyee"))
                self._loop.call_soon(self._gone, spy, "dialplan")
        if self.by_uid.pop(channel.uid.lower(), None) is None:
            return
        self.by_name.pop(channel.name, None)
        self._lengths[len(channel.uid)] -= 1
        tech = f"TechCause: {channel.tech_cause}\r\n" if channel.tech_cause else ""
        self.feed.channel(
            "Hangup", channel, f"Cause: {channel.cause}\r\nCause-txt: {cause_text(channel.cause)}\r\n{tech}"
        )
        self.devices.gone(channel)
        self.log.end(channel.record, channel.cause, channel.tech_cause or None, by)

    # --- bridges and dialplan ---------------------------------------------------------------------------------

    def bridge(self, first: Channel, second: Channel) -> None:
        self.bridges.join(first, second)

    def redirect(self, channel: Channel, context: str, exten: str, priority: int) -> None:
        """Send an answered channel elsewhere in the dialplan, out of its bridge if it is in one."""
        self._interrupt(channel)
        channel.context, channel.exten, channel.priority = context, exten, priority
        channel.app = channel.app_data = ""
        self.bridges.leave(channel)
        channel.bridge_ended = False
        if not channel.gone:
            self.dialplan.run(channel)

    def _interrupt(self, channel: Channel) -> None:
        """What the channel waits for in its dialplan is called off."""
        if channel.dialplan_timer is not None:
            channel.dialplan_timer.cancel()
            channel.dialplan_timer = None
        if channel.music:
            channel.music = False
            self.feed.channel("MusicOnHoldStop", channel)
        if channel.agi is not None:
            channel.agi.cancel()
            channel.agi = channel.keys = None

    def pulled(self, channel: Channel) -> None:
        self._interrupt(channel)
        channel.priority += 1
        channel.app = channel.app_data = ""

    def entered(self, channel: Channel) -> None:
        for member in channel.bridge.members if channel.bridge is not None else ():
            self.log.note(member.record)
        self._be_patient(channel, None)
        if channel.behaviour.talk_s is not None:
            channel.call_end = self._loop.call_later(channel.behaviour.talk_s, self.leaves, channel)

    def left(self, channel: Channel) -> None:
        self.log.note(channel.record)
        if channel.call_end is not None:
            channel.call_end.cancel()
            channel.call_end = None
        if not channel.gone:
            self._be_patient(channel, channel.behaviour.patience_s)

    def go_on(self, channel: Channel) -> None:
        if channel.cause == CHANNEL_NOT_AVAILABLE:
            self.end_by_dialplan(channel)
        else:
            self.dialplan.run(channel)

    def hold(self, channel: Channel) -> None:
        self._be_patient(channel, channel.behaviour.hold_patience_s)

    def resume_after(
        self, channel: Channel, seconds: float, before: Callable[[], None] | None = None
    ) -> None:
        """Go on with the next priority after a while, `before` being called first."""

        def resume() -> None:
            channel.dialplan_timer = None
            if before is not None:
                before()
            self.resume(channel)

        channel.dialplan_timer = self._loop.call_later(seconds, resume)

    def resume(self, channel: Channel) -> None:
        if not channel.gone:
            channel.priority += 1
            self.dialplan.run(channel)

    # --- the safe harbour -------------------------------------------------------------------------------------

    def begin_harbour(self, channel: Channel) -> None:
        """The message begins: the customer who wants out presses the key."""
        keys, channel.behaviour = channel.behaviour.harbour_keys, replace(channel.behaviour, harbour_keys=())
        self._press(channel, keys, 0, self.now())

    def start_agi(self, channel: Channel, service: str, script: str) -> None:
        """Let the FastAGI service have the channel; afterwards AGISTATUS is set and the dialplan goes on."""
        if not service:
            channel.variables["AGISTATUS"] = "FAILURE"
            self._loop.call_soon(self.resume, channel)
            return
        channel.keys = asyncio.Queue()
        channel.record.harbour = "agi"
        dialogue = AgiDialogue(self, channel, f"{service.rstrip('/')}/{script}")

        async def run() -> None:
            status = await dialogue.run()
            channel.agi = channel.keys = None
            channel.variables["AGISTATUS"] = status
            if status == "SUCCESS":
                channel.record.harbour_done = not channel.gone
            self.resume(channel)

        task = self._loop.create_task(run())
        channel.agi = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
