"""What the engine knows of a switch: the events it hears, the commands it gives, the errors it may get.

Channels are named by their Uniqueid, which is the ChannelId the engine chose: `zdc-<32 hex>` for a customer's call,
`zds-<32 hex>` for a seat's leg, `zdp-<32 hex>` for an outside number that is asked or given a customer. All have one
length, because Asterisk refuses a ChannelId while a live channel's id begins with it. Only a customer who calls in has
an id of the switch's making; what happens to them is told from their :class:`CalledIn` on. Every event carries `at`,
the monotonic instant its bytes were read, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

CALL_PREFIX = "zdc-"
LEG_PREFIX = "zds-"
PARTY_PREFIX = "zdp-"
OURS = (CALL_PREFIX, LEG_PREFIX, PARTY_PREFIX)


class SwitchError(Exception):
    """The switch could not do what was asked."""


class NotConnected(SwitchError):
    """There is no logged-in link to the switch, or it takes no command any more: nothing was done."""


class ActionRefused(SwitchError):
    """The switch answered with an error; its message is the text."""


class TakesNoCalls(ActionRefused):
    """The switch places no calls for anybody, or not for this user, until that changes; it is none of the call's."""


class ReplyLost(SwitchError):
    """No reply within the time-out, or the link broke: the switch may or may not have done it."""


class UnsafeValue(SwitchError):
    """A value holds a control character or is too long for a line of AMI; nothing was sent."""


UP = 6  # Asterisk's ChannelState: answered


@dataclass(frozen=True, slots=True)
class Channel:
    """A live channel as a resynchronisation finds it. `state` is Asterisk's ChannelState: 6 is Up, 5 ringing.

    Of a customer who has answered and is in no bridge also since when, `answered` by our clock and `stamp` by the
    switch's (Unix seconds), where its dialplan says so.
    """

    uid: str
    name: str
    state: int
    bridge_id: str = ""
    context: str = ""
    connected_s: float = 0.0
    answered: float | None = None
    stamp: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything alive on the switch at one instant; `bridges` maps a bridge's id to its members' uids."""

    channels: Mapping[str, Channel]
    bridges: Mapping[str, tuple[str, ...]]


class Event(msgspec.Struct, frozen=True):
    """Base of what a switch tells: msgspec makes these in a fifth of a frozen dataclass's time, a dozen for a call."""


class LinkUp(Event, frozen=True):
    """Logged in, filters set, resynchronised: commands may be given. `heard`: the last word of the link before."""

    at: float
    switch: str
    version: str
    snapshot: Snapshot
    heard: float | None = None


class LinkDown(Event, frozen=True):
    """The link is gone or is of no use; the adapter reconnects by itself."""

    at: float
    switch: str
    reason: str


class Created(Event, frozen=True):
    at: float
    switch: str
    uid: str
    channel: str


class CalledIn(Event, frozen=True):
    """A customer has called a number of the company's and hears music: said again every few seconds, as long as the
    dialplan has them. `uid` is the switch's own; `called` and `caller` are digits, with + or without.
    """

    at: float
    switch: str
    uid: str
    called: str
    caller: str


class Ringing(Event, frozen=True):
    at: float
    switch: str
    uid: str


class Answered(Event, frozen=True):
    """The first sign of an answer, by `Newstate` Up or `OriginateResponse`, once a channel.

    `happened` is when it was, by our clock; `at` when it was heard. `stamp` is the switch's own time of it, Unix
    seconds, where its events bear that: between two of its own instants lies what no link has made longer.
    """

    at: float
    switch: str
    uid: str
    channel: str
    happened: float | None = None
    stamp: float | None = None


class OriginateFailed(Event, frozen=True):
    """`OriginateResponse` Failure. A `Hangup` with the cause may come before, after or never; see `grace`.

    The adapter delivers it only when no Hangup came within its grace, so it is always the last word on that channel.
    `reason` 3 is a ring time-out, 0 anything else.
    """

    at: float
    switch: str
    uid: str
    reason: int


class HungUp(Event, frozen=True):
    """The channel is gone. `cause` is Q.850 (0 when it ended in the dialplan); `tech_cause` the SIP status, or 0.

    `timed_out` when the OriginateResponse said that the ring limit ended it (Reason 3). `happened` is when it ended, by
    our clock; `at` when that was heard.
    """

    at: float
    switch: str
    uid: str
    cause: int
    cause_text: str = ""
    tech_cause: int = 0
    timed_out: bool = False
    happened: float | None = None


class Bridged(Event, frozen=True):
    """The channel entered a bridge. `happened`, `at` and `stamp` as in :class:`Answered`."""

    at: float
    switch: str
    uid: str
    bridge_id: str
    happened: float | None = None
    stamp: float | None = None


class Unbridged(Event, frozen=True):
    """The channel left a bridge."""

    at: float
    switch: str
    uid: str
    bridge_id: str


class AmdResult(Event, frozen=True):
    """`AMD()` decided: status HUMAN, MACHINE, NOTSURE or HANGUP."""

    at: float
    switch: str
    uid: str
    status: str
    cause: str


class Digit(Event, frozen=True):
    at: float
    switch: str
    uid: str
    digit: str


SwitchEvent = (
    LinkUp
    | LinkDown
    | Created
    | CalledIn
    | Ringing
    | Answered
    | OriginateFailed
    | HungUp
    | Bridged
    | Unbridged
    | AmdResult
    | Digit
)


@dataclass(frozen=True, slots=True)
class Origination:
    """One call to place. `dial` is the channel string, e.g. `PJSIP/8613800138000@carrier`."""

    uid: str
    dial: str
    context: str
    ring_limit_s: float
    caller_id: str = ""
    exten: str = "s"
    variables: Mapping[str, str] = field(default_factory=dict)


class Switch(Protocol):
    """A named switch with limits of its own. Commands raise a :class:`SwitchError`; events come by the listener.

    No command is ever sent twice: after a lost link the caller decides, from the snapshot in :class:`LinkUp`.
    """

    name: str

    @property
    def connected(self) -> bool: ...

    async def run(self, listener: Callable[[SwitchEvent], None]) -> None:
        """Connect, and reconnect with back-off, until cancelled. The listener is called on the loop, in order."""
        ...

    async def originate(self, call: Origination) -> None:
        """Return once the switch has queued the call. Its fate comes as events."""
        ...

    async def bridge(self, uid: str, other: str) -> None: ...

    async def hang_up(self, uid: str, cause: int = 16) -> None: ...

    async def redirect(self, uid: str, context: str, exten: str = "s", priority: int = 1) -> None: ...

    async def set_variable(self, uid: str, name: str, value: str) -> None: ...

    async def play(self, uid: str, sound: str) -> None:
        """Take a channel out of what it is in and play it a sound; then it waits to be bridged, as after a hold."""
        ...

    async def confer(self, uid: str, other: str) -> None:
        """Bring a channel into the bridge that another one is in, as the third."""
        ...

    async def mute(self, uid: str, on: bool) -> None:
        """Let nothing through that is said at this channel, in whatever bridge it will be, or again all of it."""
        ...

    async def press(self, uid: str, keys: str) -> None:
        """Send telephone keys to a channel's far end; returns once the last one has sounded."""
        ...

    async def start_recording(self, uid: str, path: str, again: bool = False) -> None:
        """Record both directions of a channel into a file on the switch; `again`: unless that is done already."""
        ...

    async def pause_recording(self, uid: str, on: bool) -> None:
        """Have silence written into a channel's recording, or what is said."""
        ...

    async def listen(self, listener_dial: str, target_uid: str, options: str = "q") -> None:
        """Ring `listener_dial` and let it hear this target until one of them hangs up (ChanSpy).

        `options` are ChanSpy's: `q` says nothing before, `w` lets the target hear the listener, `B` both sides.
        """
        ...

    async def admit(self, endpoint: str, password: str) -> None:
        """Let a phone in a page register as this endpoint, with this password and no other."""
        ...

    async def bar(self, endpoint: str) -> None:
        """Let nobody register as this endpoint any more."""
        ...

    async def snapshot(self) -> Snapshot: ...

    async def command(self, text: str) -> Sequence[str]:
        """Run a console command and return its lines (checks only)."""
        ...
