"""What the core wants done: values for the runtime to carry out, in order."""

from __future__ import annotations

from dataclasses import dataclass

from campaigns.records import AnyRecord
from campaigns.values import OutsideCaller
from cti.messages import SeatMessage
from dialer.switch.port import Origination


@dataclass(frozen=True, slots=True)
class Outside:
    """An outside number, and by whom it is called: nothing is dialed that their caps have no room for."""

    by: OutsideCaller
    campaign_id: int
    number: str


@dataclass(frozen=True, slots=True)
class Originate:
    """`outside`: what is dialed for an agent who sends a customer there."""

    switch: str
    origination: Origination
    outside: Outside | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """Bridge the customer's channel with the seat's leg."""

    switch: str
    call_id: str
    uid: str
    leg: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Hang a channel up."""

    switch: str
    uid: str
    cause: int = 16


@dataclass(frozen=True, slots=True)
class Send:
    """Redirect a channel into a context of the dialplan."""

    switch: str
    uid: str
    context: str


@dataclass(frozen=True, slots=True)
class Confer:
    """Bring a customer's channel into the bridge the seat's leg is in."""

    switch: str
    uid: str
    leg: str


@dataclass(frozen=True, slots=True)
class Mute:
    """Let nothing through that is said at a channel, or again all of it. `again`: it is so as far as anyone knows."""

    switch: str
    uid: str
    on: bool
    again: bool


@dataclass(frozen=True, slots=True)
class Press:
    """Send telephone keys to a channel's far end."""

    switch: str
    uid: str
    keys: str


@dataclass(frozen=True, slots=True)
class StartRecording:
    """Record a customer's channel into a file of this name. `again`: it may be recorded already."""

    switch: str
    call_id: str
    uid: str
    path: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class PauseRecording:
    """Write silence into a recording, or go on with it. `again`: its page shows it so already."""

    switch: str
    call_id: str
    uid: str
    on: bool
    again: bool


@dataclass(frozen=True, slots=True)
class Overhear:
    """Ring a phone (a dial string) and let it hear a channel; `options` are ChanSpy's."""

    switch: str
    dial: str
    uid: str
    options: str


@dataclass(frozen=True, slots=True)
class Bar:
    """End the password of an endpoint that a page registered as."""

    switch: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class Tell:
    """A message for a seat's page."""

    message: SeatMessage


@dataclass(frozen=True, slots=True)
class Write:
    """A record for the journal."""

    record: AnyRecord


@dataclass(frozen=True, slots=True)
class Authorize:
    """Ask the rules about reserved calls, and record them as dialed where they agree."""

    switch: str
    call_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LookUp:
    """Find out which customer calls in from this number (E.164; empty when it is withheld)."""

    call_id: str
    campaign_id: int
    number: str


@dataclass(frozen=True, slots=True)
class Free:
    """Give back leases whose calls were never dialed; `skipped` ones come again later, not at once."""

    call_ids: tuple[str, ...]
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The rules do not permit this call: it is over before it was dialed. For who follows calls; nothing is to do."""

    call_id: str


Effect = (
    Originate
    | Join
    | Drop
    | Send
    | Bar
    | Confer
    | Mute
    | Press
    | StartRecording
    | PauseRecording
    | Overhear
    | Tell
    | Write
    | Authorize
    | LookUp
    | Free
    | Refused
)
