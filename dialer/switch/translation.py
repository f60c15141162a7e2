"""From AMI's events to the engine's: one answer a channel, one end a channel, with the cause and why it came about.

What the recordings of a real Asterisk 22 say: an answer is first told by Newstate or by OriginateResponse, either may
come first; on failure Hangup may come before or after OriginateResponse, and never comes for a call that was refused
outright. So a failed OriginateResponse waits a moment for the Hangup that knows the cause.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from time import monotonic

from dialer.switch.clock import SwitchClock, stamp
from dialer.switch.port import (
    OURS,
    AmdResult,
    Answered,
    Bridged,
    CalledIn,
    Created,
    Digit,
    HungUp,
    LinkUp,
    OriginateFailed,
    Ringing,
    SwitchEvent,
    Unbridged,
)
from dialer.switch.wire import Message

GRACE_S = 0.5  # between a failed OriginateResponse and its Hangup; seen: up to some milliseconds
TIMED_OUT = 3  # OriginateResponse's Reason for the ring limit
ENDED = 1_000  # how many are remembered: what follows a channel's end was seen up to some milliseconds later
DIGITS = re.compile(r"\+?[0-9]{1,20}")
AMD_STATUSES = frozenset({"HUMAN", "MACHINE", "NOTSURE", "HANGUP"})
HELD = 50_000  # events kept while a snapshot is taken; past it the link is given up: one that is lost may be an answer


class Translation:
    """The events of one link. Until :meth:`begin` they are held back; after :meth:`end` nothing is said any more.

    `give_up` is called, once, when there is no holding back any more.
    """

    def __init__(
        self,
        switch: str,
        listener: Callable[[SwitchEvent], None],
        give_up: Callable[[], None],
        clock: SwitchClock,
    ) -> None:
        self._switch = switch
        self._listener = listener
        self._give_up = give_up
        self._clock = clock
        self._held: list[tuple[str, Message, float]] | None = []
        self.booted = asyncio.Event()  # the switch has said that all of it has started
        self._answered: set[str] = set()
        self._callers: set[str] = set()  # channels of customers who called in
        self._failed: dict[str, tuple[int, asyncio.TimerHandle]] = {}  # reason, and the grace's end
        self._ended: dict[str, None] = {}  # the newest that are over: what comes after says nothing new
        self._over = False
        self._kinds: dict[str, Callable[[Message, str, float], None]] = {
            "Newchannel": self._created,
            "Newstate": self._state,
            "OriginateResponse": self._response,
            "Hangup": self._hang_up,
            "BridgeEnter": self._enter,
            "BridgeLeave": self._leave,
            "UserEvent": self._user_event,
            "DTMFEnd": self._digit,
        }

    def hear(self, name: str, message: Message, at: float) -> None:
        """Take an event off the wire. Hot path."""
        if self._over:
            return
        if self._held is not None:
            if name == "FullyBooted":
                self.booted.set()
            if len(self._held) < HELD:
                self._held.append((name, message, at))
            else:
                self._held.clear()
                self.end()
                self._give_up()
            return
        uid = message.get("Uniqueid", "")
        if not uid.startswith(OURS) and uid not in self._callers:
            if name == "UserEvent":
                self._called_in(message, uid, at)
            return
        kind = self._kinds.get(name)
        if kind is not None:
            kind(message, uid, at)

    def begin(self, link_up: LinkUp) -> None:
        """Announce the link, then what came in while it was made ready."""
        for uid, channel in link_up.snapshot.channels.items():
            if channel.state == 6:
                self._answered.add(uid)
            if not uid.startswith(OURS):
                self._callers.add(uid)
        held, self._held = self._held or (), None
        self._listener(link_up)
        for name, message, at in held:
            self.hear(name, message, at)

    def end(self) -> None:
        """The link is gone: a later event would be of another world."""
        self._over = True
        for _, timer in self._failed.values():
            timer.cancel()
        self._failed.clear()

    # --- one kind each --------------------------------------------------------------------------------------------

    def _created(self, message: Message, uid: str, at: float) -> None:
        self._ended.pop(uid, None)
        self._listener(Created(at, self._switch, uid, message.get("Channel", "")))

    def _state(self, message: Message, uid: str, at: float) -> None:
        state = message.get("ChannelState")
        if state == "6":
            self._answer(message, uid, at)
        elif state in ("4", "5") and uid not in self._ended:
            self._listener(Ringing(at, self._switch, uid))

    def _response(self, message: Message, uid: str, at: float) -> None:
        if message.get("Response") == "Success":
            self._answer(message, uid, at)
            return
        if (
            uid in self._ended or uid in self._answered
        ):  # the id of a live call, asked for again, is refused so
            return
        reason = TIMED_OUT if message.get("Reason") == str(TIMED_OUT) else 0
        if uid not in self._failed:
            timer = asyncio.get_running_loop().call_later(GRACE_S, self._no_hang_up, uid)
            self._failed[uid] = (reason, timer)

    def _no_hang_up(self, uid: str) -> None:
        reason, _ = self._failed.pop(uid)
        self._end_of(uid)
        self._listener(OriginateFailed(monotonic(), self._switch, uid, reason))

    def _answer(self, message: Message, uid: str, at: float) -> None:
        if uid not in self._answered and uid not in self._ended:
            self._answered.add(uid)
            said = message.get("Timestamp")
            channel, happened = message.get("Channel", ""), self._clock.happened(said, at)
            self._listener(Answered(at, self._switch, uid, channel, happened, stamp(said)))

    def _hang_up(self, message: Message, uid: str, at: float) -> None:
        if uid in self._ended:
            return
        self._end_of(uid)
        reason, timer = self._failed.pop(uid, (0, None))
        if timer is not None:
            timer.cancel()
        cause, tech_cause = _number(message.get("Cause")), _number(message.get("TechCause"))
        # Hangup before OriginateResponse: nobody sends 480 with cause 19 while it rings but the ring limit or the
        # carrier; both mean that nobody picked up.
        self._listener(
            HungUp(
                at,
                self._switch,
                uid,
                cause,
                message.get("Cause-txt", ""),
                tech_cause,
                timed_out=reason == TIMED_OUT,
                happened=self._clock.happened(message.get("Timestamp"), at),
            )
        )

    def _end_of(self, uid: str) -> None:
        self._answered.discard(uid)
        self._callers.discard(uid)
        self._ended[uid] = None
        if len(self._ended) > ENDED:
            del self._ended[next(iter(self._ended))]

    def _enter(self, message: Message, uid: str, at: float) -> None:
        bridge, said = message.get("BridgeUniqueid", ""), message.get("Timestamp")
        happened = self._clock.happened(said, at)
        self._listener(Bridged(at, self._switch, uid, bridge, happened, stamp(said)))

    def _leave(self, message: Message, uid: str, at: float) -> None:
        self._listener(Unbridged(at, self._switch, uid, message.get("BridgeUniqueid", "")))

    def _called_in(self, message: Message, uid: str, at: float) -> None:
        called, caller = message.get("Called", ""), message.get("Caller", "")
        if message.get("UserEvent") != "ZhudongCall" or not uid or not DIGITS.fullmatch(called):
            return
        self._callers.add(uid)
        self._answered.add(uid)
        self._listener(CalledIn(at, self._switch, uid, called, caller if DIGITS.fullmatch(caller) else ""))

    def _user_event(self, message: Message, uid: str, at: float) -> None:
        if message.get("UserEvent") == "ZhudongCall" and uid in self._callers:
            self._called_in(message, uid, at)
        if message.get("UserEvent") == "ZhudongAMD":
            status = message.get("Status", "")
            found = status if status in AMD_STATUSES else "NOTSURE"
            self._listener(AmdResult(at, self._switch, uid, found, message.get("Cause", "")))

    def _digit(self, message: Message, uid: str, at: float) -> None:
        self._listener(Digit(at, self._switch, uid, message.get("Digit", "")))


def _number(value: str | None) -> int:
    """A cause as a number; 0 for none, and for what is no cause."""
    return int(value) if value is not None and value.isdecimal() and len(value) <= 3 else 0
