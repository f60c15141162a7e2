"""What the core wants of the switches, as commands: one each, and what it means when a switch does not take it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from time import monotonic

import structlog

from cti.messages import PhoneAccess, Reply
from dialer.core.effects import (
    Bar,
    Confer,
    Drop,
    Join,
    Mute,
    Originate,
    Outside,
    Overhear,
    PauseRecording,
    Press,
    Send,
    StartRecording,
)
from dialer.core.engine import EngineCore
from dialer.leads import FAULTS, Hopper
from dialer.metrics import Metrics
from dialer.switch import port
from dialer.tenure import Hold

log = structlog.get_logger(__name__)


class Orders:
    """Each is a task of the engine's. `by_kind` has the command for each kind of effect."""

    def __init__(
        self,
        core: EngineCore,
        switches: Mapping[str, port.Switch],
        hopper: Hopper,
        metrics: Metrics,
        hold: Hold,
    ) -> None:
        self._core = core
        self._switches = switches
        self._hopper = hopper
        self._metrics = metrics
        self._hold = hold
        self._kept_back: list[Drop] = []
        self.by_kind: dict[type, Callable[..., Coroutine[None, None, None]]] = {
            Originate: self.originate,
            Join: self.join,
            Drop: self.drop,
            Send: self.send,
            Confer: self.confer,
            Mute: self.mute,
            Press: self.press,
            StartRecording: self.start_recording,
            PauseRecording: self.pause_recording,
            Overhear: self.overhear,
            Bar: self.bar,
        }

    async def originate(self, effect: Originate) -> None:
        if effect.outside is not None and not await self._outside_permitted(effect.outside, effect):
            self._core.originate_withheld(effect.origination.uid, monotonic())
            return
        if not self._hold.sure():  # nor is a seat's phone rung, which may be another engine's by now
            self._core.originate_withheld(effect.origination.uid, monotonic())
            return
        try:
            await self._switches[effect.switch].originate(effect.origination)
        except port.ReplyLost:
            pass  # it may have been placed: events, the resynchronisation or a timer tell
        except (port.NotConnected, port.TakesNoCalls) as fault:
            log.info("an originate was not taken", uid=effect.origination.uid, reason=str(fault))
            self._core.originate_withheld(effect.origination.uid, monotonic())
        except port.SwitchError as fault:
            log.info("an originate was refused", uid=effect.origination.uid, reason=str(fault))
            self._core.originate_refused(effect.origination.uid, monotonic())

    async def _outside_permitted(self, outside: Outside, effect: Originate) -> bool:
        """Put the call on record, at the moment of dialing: without that nothing is dialed."""
        uid = effect.origination.uid
        try:
            found = await self._hopper.sent_outside(outside.by, uid, outside.campaign_id, outside.number)
        except FAULTS as fault:
            log.warning("an outside number was not called: it could not be put on record", reason=str(fault))
            return False
        if found is not None:
            log.warning("an outside number was not called", user=outside.by.user_id, reason=found.detail)
        return found is None

    def join(self, effect: Join) -> Coroutine[None, None, None]:
        call = self._core.calls.by_id.get(effect.call_id)
        first = call is not None and call.connected_at is None and call.bridge_tries <= 1 and not call.waited
        first = first and call is not None and not call.inbound
        return self._join(effect, call.human_at if call is not None and first else None)

    async def _join(self, effect: Join, human_at: float | None) -> None:
        if human_at is not None:
            self._metrics.connecting(monotonic() - human_at)
        try:
            await self._switches[effect.switch].bridge(effect.uid, effect.leg)
        except port.ReplyLost:
            pass  # a Bridged event, the resynchronisation or the connect limit tells
        except port.SwitchError as fault:
            log.info("a bridge was refused", uid=effect.uid, leg=effect.leg, reason=str(fault))
            if "channel2 does not exist" in str(fault).lower():  # the seat's leg went unheard
                self._core.no_such_channel(effect.leg, monotonic())
            self._core.join_failed(effect.call_id, monotonic())

    async def drop(self, effect: Drop) -> None:
        if not self._hold.sure() and self._core.call_of(effect.uid) is None:
            self._kept_back.append(effect)  # what nobody here waits for may be another engine's
            return
        try:
            await self._switches[effect.switch].hang_up(effect.uid, effect.cause)
        except port.ActionRefused:
            self._core.no_such_channel(effect.uid, monotonic())
        except port.SwitchError as fault:
            log.info("a hang-up was not sent", uid=effect.uid, reason=str(fault))

    @property
    def keeps_back(self) -> bool:
        """Whether there is a hang-up that waits for certainty."""
        return bool(self._kept_back)

    def no_longer_kept_back(self) -> list[Drop]:
        """Nobody has taken over: what is still waited for by nobody is hung up after all."""
        if not self._kept_back or not self._hold.sure():
            return []
        kept, self._kept_back = self._kept_back, []
        return [each for each in kept if not self._core.knows(each.uid)]

    async def send(self, effect: Send) -> None:
        try:
            await self._switches[effect.switch].redirect(effect.uid, effect.context)
        except port.SwitchError as fault:
            log.info("a redirect failed", uid=effect.uid, context=effect.context, reason=str(fault))
            if isinstance(fault, port.ActionRefused):  # after a lost reply it is looked at with the link
                self._core.calls.not_held(effect.uid, monotonic())

    async def confer(self, effect: Confer) -> None:
        try:
            await self._switches[effect.switch].confer(effect.uid, effect.leg)
        except port.SwitchError as fault:
            log.info("a conference was refused", uid=effect.uid, leg=effect.leg, reason=str(fault))
            call = self._core.call_of(effect.uid)
            if call is not None:
                self._core.join_failed(call.id, monotonic())

    async def mute(self, effect: Mute) -> None:
        try:
            await self._switches[effect.switch].mute(effect.uid, effect.on)
        except port.SwitchError as fault:
            log.warning("a seat was not muted or unmuted", uid=effect.uid, on=effect.on, reason=str(fault))
            unsure = effect.on and not effect.again
            if unsure or isinstance(fault, port.ActionRefused):  # else it is done again with the link
                self._core.seats.not_muted(effect.uid, effect.on)

    async def press(self, effect: Press) -> None:
        try:
            await self._switches[effect.switch].press(effect.uid, effect.keys)
        except port.SwitchError as fault:
            log.info("keys were not sent", uid=effect.uid, reason=str(fault))

    async def start_recording(self, effect: StartRecording) -> None:
        try:
            await self._switches[effect.switch].start_recording(effect.uid, effect.path, effect.again)
        except port.ActionRefused as fault:
            log.warning("a call is not recorded", uid=effect.uid, reason=str(fault))
            self._core.calls.recording_failed(effect.call_id)
        except port.SwitchError as fault:  # it may be, and then it can be paused; it is seen to with the link
            log.warning("whether a call is recorded is not known", uid=effect.uid, reason=str(fault))
        else:
            if effect.again:
                self._core.calls.recorded_again(effect.call_id)

    async def pause_recording(self, effect: PauseRecording) -> None:
        try:
            await self._switches[effect.switch].pause_recording(effect.uid, not effect.on)
        except port.SwitchError as fault:
            log.warning("a recording was not paused or resumed", uid=effect.uid, reason=str(fault))
            refused = isinstance(fault, port.ActionRefused)
            if effect.again and refused:  # there is none
                self._core.calls.recording_failed(effect.call_id)
            elif refused or not (effect.on or effect.again):  # else it is done again with the link
                self._core.calls.recording_not_set(effect.call_id, effect.on, str(fault), monotonic())

    async def overhear(self, effect: Overhear) -> None:
        try:
            await self._switches[effect.switch].listen(effect.dial, effect.uid, effect.options)
        except port.SwitchError as fault:
            log.warning("a supervisor's phone was not rung", dial=effect.dial, reason=str(fault))

    async def admit(self, reply: Reply, phone: PhoneAccess) -> Reply:
        try:
            await self._switches[phone.switch].admit(phone.endpoint, phone.password)
        except port.SwitchError as fault:
            log.warning("a page's phone was not let in", endpoint=phone.endpoint, reason=str(fault))
            return Reply(ok=False, code="no_softphone", detail=phone.switch)
        return reply

    async def bar(self, effect: Bar) -> None:
        try:
            await self._switches[effect.switch].bar(effect.endpoint)
        except port.ActionRefused:
            pass  # a phone of another kind, or one that was never opened
        except port.SwitchError as fault:
            log.info("a page's phone keeps its password", endpoint=effect.endpoint, reason=str(fault))
