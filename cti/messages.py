"""The messages between the seats' door and the engine: the only coupling between the two.

Commands go to the engine and get a :class:`Reply`; events come from it. In one process the bus is in memory.
`user_id` names the seat: a user has one seat at a time. Instants are POSIX seconds (wall clock of the server).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from campaigns.script import LONGEST_ANSWER, MOST_STEPS, Step

LAST_INSTANT = 253_402_300_799  # the end of the year 9999: no date comes after it


Answers = Annotated[
    dict[str, Annotated[str, msgspec.Meta(max_length=LONGEST_ANSWER)]], msgspec.Meta(max_length=MOST_STEPS)
]  # by the code of the script's step


class Message(msgspec.Struct, frozen=True, tag_field="type", kw_only=True):
    """Base of commands and events; on the wire a JSON object with `type`."""


# --- commands -----------------------------------------------------------------------------------------------


class LogIn(Message, frozen=True, tag="log_in"):
    """Take a seat. `phone` is the SIP endpoint; mode `nailed` keeps the leg up, `ring` rings it for each call.

    A phone that rings in vain for customers one after another, two as a rule, pauses the seat: each was abandoned.
    `ranks` has the campaigns whose customers it gets only while no idle seat of a better rank is there; else 1.
    """

    user_id: int
    name: str
    phone: str
    campaigns: tuple[str, ...]
    mode: str = "nailed"
    ranks: dict[str, int] = {}


class LogOut(Message, frozen=True, tag="log_out"):
    user_id: int


class Ready(Message, frozen=True, tag="ready"):
    """Be offered calls. Ends wrap-up as well."""

    user_id: int


class Pause(Message, frozen=True, tag="pause"):
    """Be offered none. In a call it takes effect after it."""

    user_id: int
    reason: str = ""


class MoreTime(Message, frozen=True, tag="more_time"):
    """Wrap-up shall last longer, once more as long as the campaign gives."""

    user_id: int


class PageLost(Message, frozen=True, tag="page_lost"):
    """The seat's page is gone, its phone may be there. Until :class:`PageBack` the seat is offered no customer.

    A seat that is ready, or becomes so, is paused with the reason `page_lost`; a call in progress goes on, and
    wrap-up runs out as ever. The door sends it, never a page. Seats that never had a page never get it.
    """

    user_id: int


class PageBack(Message, frozen=True, tag="page_back"):
    """The seat's page is there again: a seat paused for `page_lost` is ready again. Harmless when it was never gone."""

    user_id: int


class CustomerEdited(Message, frozen=True, tag="customer_edited"):
    """The data of this seat's customer are others from now on, for whoever has them next as well.

    The door sends it, never a page.
    """

    user_id: int
    call_id: str
    name: str
    attributes: dict[str, Any]


class Dispose(Message, frozen=True, tag="dispose"):
    """The verdict on the call just had (or still on); ends wrap-up when `and_ready`.

    `callback_at` is POSIX seconds; `callback_local` says the same in the customer's own time, in ISO 8601 without an
    offset. `callback_for`: by this user or by a colleague who is at their seat, as long as that person is there.
    """

    user_id: int
    call_id: str
    code: str
    notes: str = ""
    answers: Answers = {}
    callback_at: Annotated[float, msgspec.Meta(ge=0, le=LAST_INSTANT)] | None = None
    do_not_call: bool = False
    and_ready: bool = True
    hang_up: bool = False  # one that is still on is ended first
    callback_local: str = ""
    callback_for: int | None = None


class SaveNotes(Message, frozen=True, tag="save_notes"):
    """What was written down so far: notes, and answers to the script.

    `do_not_call`: the customer, who is done with without a result, wants no more calls. No later verdict takes it back.
    """

    user_id: int
    call_id: str
    notes: str
    answers: Answers = {}
    do_not_call: bool = False


class ReadScript(Message, frozen=True, tag="read_script"):
    """What is to be said in this call? Answered by :class:`Script`."""

    user_id: int
    call_id: str


class HangUp(Message, frozen=True, tag="hang_up"):
    user_id: int
    call_id: str


class Hold(Message, frozen=True, tag="hold"):
    user_id: int
    call_id: str
    on: bool


class Mute(Message, frozen=True, tag="mute"):
    """The customer hears nothing of this seat, until it is taken back or the call is over for the seat."""

    user_id: int
    call_id: str
    on: bool


class SendKeys(Message, frozen=True, tag="send_keys"):
    """Telephone keys for the far end, as for a menu or an extension."""

    user_id: int
    call_id: str
    keys: Annotated[str, msgspec.Meta(pattern=r"^[0-9*#A-D]{1,32}$")]


class Record(Message, frozen=True, tag="record"):
    """Go on with the recording, or have it silent for a while, as for the number of a card."""

    user_id: int
    call_id: str
    on: bool


class WhoIsThere(Message, frozen=True, tag="who_is_there"):
    """To whom could this call's customer be sent now, and who could call them back? Answered by :class:`Targets`."""

    user_id: int
    call_id: str


class Transfer(Message, frozen=True, tag="transfer"):
    """Send the customer on to one of these, or ask that one first while the customer hears music."""

    user_id: int
    call_id: str
    to_user: int = 0
    to_campaign: str = ""  # its seat that is ready longest
    to_number: Annotated[str, msgspec.Meta(max_length=40)] = ""
    ask_first: bool = True


class Confer(Message, frozen=True, tag="confer"):
    """Bring the customer to the two who speak about them."""

    user_id: int
    call_id: str


class Complete(Message, frozen=True, tag="complete"):
    """Leave the customer with whom was asked. To go back instead: :class:`Hold` with `on` false."""

    user_id: int
    call_id: str


class RedialPhone(Message, frozen=True, tag="redial_phone"):
    """Ring the seat's phone again after its leg was lost.

    With `resume` the seat goes back to its work once the phone is up: nobody has left it, only the line was lost.
    """

    user_id: int
    resume: bool = False


class OpenPhone(Message, frozen=True, tag="open_phone"):
    """A new password for the phone in the user's page, whose endpoint is made from `phone`; older ones end with it."""

    user_id: int
    phone: str


class PhoneLost(Message, frozen=True, tag="phone_lost"):
    """The phone in the page has lost its leg, whatever the switch still thinks of it."""

    user_id: int


class DialPreviewed(Message, frozen=True, tag="dial_previewed"):
    """Preview mode: place the call to the customer on the screen, or (`skip`) take the next one."""

    user_id: int
    call_id: str
    skip: bool = False


class DialNumber(Message, frozen=True, tag="dial_number"):
    """Call a number for one of the seat's campaigns, as far as that one's rules permit. A paused seat stays paused."""

    user_id: int
    campaign: Annotated[str, msgspec.Meta(max_length=64)]
    number: Annotated[str, msgspec.Meta(max_length=40)]


SeatCommand = (
    LogIn
    | LogOut
    | Ready
    | Pause
    | MoreTime
    | Dispose
    | SaveNotes
    | ReadScript
    | HangUp
    | Hold
    | Mute
    | SendKeys
    | Record
    | WhoIsThere
    | Transfer
    | Confer
    | Complete
    | RedialPhone
    | OpenPhone
    | PhoneLost
    | DialPreviewed
    | DialNumber
)


class Listen(Message, frozen=True, tag="listen"):
    """Let a supervisor's phone hear this seat's call: with `whisper` the seat hears them, with `barge` both sides do.

    The desk of the supervisors sends it, never a page. It ends with the call; a whisper when the phone is put down.
    """

    user_id: int
    call_id: str  # the one that they may hear: not the next
    phone: str  # the supervisor's SIP endpoint
    how: Literal["listen", "whisper", "barge"] = "listen"


class Assign(Message, frozen=True, tag="assign"):
    """The campaigns that this seat serves from now on; a call that it has goes on."""

    user_id: int
    campaigns: tuple[str, ...]


class HangUpRinging(Message, frozen=True, tag="hang_up_ringing"):
    """End the calls of a stopped campaign that nobody has answered yet, for the supervisor who asks.

    How many there were is the reply's detail.
    """

    user_id: int
    campaign: str


Command = SeatCommand | PageLost | PageBack | CustomerEdited | Listen | Assign | HangUpRinging


class PhoneAccess(msgspec.Struct, frozen=True):
    """How the phone in the page registers: with which switch, at which wss address, as which endpoint."""

    switch: str
    url: str
    endpoint: str
    password: str


class Reply(msgspec.Struct, frozen=True):
    """The engine's answer to a command. `code` is a key of the message catalogue: ok, or why not."""

    ok: bool
    code: str = "ok"
    detail: str = ""
    phone: PhoneAccess | None = None  # to `OpenPhone`


# --- events to one seat -------------------------------------------------------------------------------------


class DispositionChoice(msgspec.Struct, frozen=True):
    """One key an agent may choose; `label` maps a language (`en`, `zh`) to its text.

    `other_number`: it ends the call, and another number of the customer's is tried. `within` is the heading that it
    stands under; `required` what it wants first: `notes`, `callback`, or questions of the script.
    """

    code: str
    label: dict[str, str]
    key: str = ""
    other_number: bool = False
    within: str = ""
    required: tuple[str, ...] = ()


class FieldLabel(msgspec.Struct, frozen=True):
    """How an attribute is called on the page; `label` maps a language to its text, empty: as its name.

    `type` and `choices` are those of the campaign's field, for who changes it.
    """

    name: str
    label: dict[str, str]
    type: str = "text"
    choices: tuple[str, ...] = ()


class Crm(msgspec.Struct, frozen=True):
    """Where the company's own system shows the customer; `frame`: it is meant to be seen in the page itself."""

    url: str
    frame: bool


class ScreenPop(Message, frozen=True, tag="screen_pop"):
    """The customer who is about to be heard (or, with `preview`, may be dialed). Sent before the connect command.

    `notes` and `answers` are what a colleague has written down who had the customer before; to who was asked it is
    sent again with them when they take the customer over.
    `script` names what is to be said, the same as in :class:`Script`; empty when there is none.
    """

    user_id: int
    call_id: str
    campaign: str
    number: str
    customer: str
    attributes: dict[str, Any]
    answered_at: float
    dispositions: tuple[DispositionChoice, ...] = ()
    preview: bool = False
    dialing: bool = False  # of a preview: the call is placed already
    notes: str = ""
    answers: Answers = {}
    fields: tuple[FieldLabel, ...] = ()  # those that stand first, in this order
    script: str = ""
    lead_id: int = 0
    crm: Crm | None = None
    inbound: bool = False  # the customer has called in
    zone: str = ""  # the customer's, as in the tz database


class SeatStatus(Message, frozen=True, tag="seat_status"):
    """The seat's state: offline, phone (being rung), no_phone, paused, ready, preview, connecting, talking,
    asked (by a colleague, about that one's customer), wrap_up.

    `call_id` is that of its customer, `last_call` the last one, of which something may still be said; `until` is when
    wrap-up ends by itself, or a pause should be over; `more` how often wrap-up may still be made longer; `dials` the
    campaigns for which a number may be dialed by hand now; `reason` a key of the catalogue (`phone_lost` …) or the code
    of a pause.
    """

    user_id: int
    state: str
    since: float
    reason: str = ""
    call_id: str = ""
    until: float | None = None
    more: int = 0
    dials: tuple[str, ...] = ()
    last_call: str = ""


class CallStatus(Message, frozen=True, tag="call_status"):
    """A seat's call: connecting, connected, held, asking, consulting, conference, ended (with a cause key); since when.

    With a third party: `asking` while it is rung, `consulting` with the customer on hold, `conference` with all three;
    `party` names it, and to the colleague who is asked the one who asks.
    `muted`: the customer does not hear the seat. `recording`: `on`, `paused`, `failed`; empty when there is none.
    """

    user_id: int
    call_id: str
    state: str
    at: float
    cause: str = ""
    muted: bool = False
    recording: str = ""
    party: str = ""


class CallbackSoon(Message, frozen=True, tag="callback_soon"):
    """A callback of this user's is due soon."""

    user_id: int
    due_at: float
    customer: str
    number: str


class Colleague(msgspec.Struct, frozen=True):
    """Somebody at a seat."""

    user_id: int
    name: str


class Queue(msgspec.Struct, frozen=True):
    """A campaign whose seats may be sent customers, and how many of them are ready."""

    campaign: str
    ready: int


class Targets(Message, frozen=True, tag="targets"):
    """To whom this call's customer could be sent, a moment ago. `numbers`: to outside numbers too.

    `team` are the colleagues at seats of its campaign, whatever they do. After the call there is only that.
    """

    user_id: int
    call_id: str
    seats: tuple[Colleague, ...]
    queues: tuple[Queue, ...]
    numbers: bool
    team: tuple[Colleague, ...] = ()


class Script(Message, frozen=True, tag="script"):
    """A campaign's script. `script` is a fingerprint of the steps: a page that has them need not ask again."""

    user_id: int
    script: str
    steps: tuple[Step, ...]


class SupervisorNote(Message, frozen=True, tag="note"):
    """What a supervisor wrote to this seat: shown until it has been read. `at` is POSIX seconds."""

    user_id: int
    id: int
    text: str
    by: str
    at: float


SeatMessage = ScreenPop | SeatStatus | CallStatus | CallbackSoon | Targets | Script | SupervisorNote

decode_command = msgspec.json.Decoder(Command).decode
encode = msgspec.json.Encoder(
    enc_hook=str
).encode  # a lead's attributes may hold anything: what JSON lacks, as text
