"""What goes over a seat's socket: the page's frames, the door's answers. JSON objects with `type`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from campaigns.users import User
from cti.messages import (
    Answers,
    CallStatus,
    Dispose,
    LogIn,
    Pause,
    PhoneAccess,
    SaveNotes,
    ScreenPop,
    SeatCommand,
    SeatStatus,
    SupervisorNote,
)

# Close codes of ours (RFC 6455, 7.4.2: 4000-4999 are private use).
TAKEN_OVER = 4001  # the seat was opened elsewhere
ELSEWHERE = 4002  # the seat is open in another window; say hello with `take` to have it
LAGGING = 4008  # the reader stopped
SILENT = 4009  # the page pinged, and then said nothing for too long
SEES_LESS = 4010  # campaigns were taken from a watcher: load the page anew
NO_SESSION = 4401  # log in first
NOT_ALLOWED = 4403  # this account may not
POLICY = 1008  # too many faulty messages
GOING_AWAY = 1001

PHONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")  # the endpoint's name ends up in a dial string
MODES = ("nailed", "ring")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # all but tab and line ends


Duration = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Durations = Annotated[tuple[Duration, ...], msgspec.Meta(max_length=64)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000)]


class Frame(msgspec.Struct, frozen=True, tag_field="type"):
    """Base of what passes."""


# --- from the page ------------------------------------------------------------------------------------------


class Hello(Frame, frozen=True, tag="hello"):
    """The first frame. `resume` is the number of the last event seen, of the numbering `epoch`; 0 means none.

    `window` names the browser's window over reloads. Another window's seat is taken over with `take` only.
    """

    epoch: str = ""
    resume: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    window: Annotated[str, msgspec.Meta(max_length=64)] = ""
    take: bool = False


class Ping(Frame, frozen=True, tag="ping"):
    """Are you there? `at` comes back unchanged."""

    at: float


class Request(Frame, frozen=True, tag="request"):
    """A command (of `cti.messages`, without `user_id`) and the number its reply shall carry.

    Sent again with the same `key` it is done once, and its reply is the first one.
    """

    id: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    command: msgspec.Raw
    key: Annotated[str, msgspec.Meta(max_length=64)] = ""


class Draft(Frame, frozen=True, tag="draft"):
    """What was typed or chosen for a call and is not on record yet. `at` says which of two is the newer one."""

    call_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]
    at: float
    fields: dict[str, Any]


class Health(Frame, frozen=True, tag="health"):
    """How the page has fared since it last said so. Durations are seconds.

    `trips` are round trips of its pings, `painted` from a pop's arrival to its picture, `stalls` how long the page did
    nothing at all; `drops` are connections lost, by how that was seen.
    """

    trips: Durations = ()
    painted: Durations = ()
    stalls: Durations = ()
    drops: Annotated[dict[Literal["closed", "silent", "offline"], Count], msgspec.Meta(max_length=3)] = {}


class Read(Frame, frozen=True, tag="read"):
    """A supervisor's note has been read."""

    note: int


# --- to the page --------------------------------------------------------------------------------------------


class Welcome(Frame, frozen=True, tag="welcome"):
    """Resumed: the events missed, if any, follow. `time` is the server's clock, POSIX seconds."""

    epoch: str
    time: float
    missed: int


class FullState(Frame, frozen=True, tag="state"):
    """Everything the page must know, where events can't be replayed. `seq` is the number of the last event in it."""

    epoch: str
    seq: int
    time: float
    seat: SeatStatus | None
    pop: ScreenPop | None
    call: CallStatus | None
    notes: str
    answers: dict[str, str]
    disposed: bool
    draft: Draft | None = None  # of the call on the screen
    unread: tuple[SupervisorNote, ...] = ()


class Written(Frame, frozen=True, tag="written"):
    """An event: what the company's own system has written down of a customer; `code` is its result, if it gave one."""

    call_id: str
    notes: str
    answers: Answers
    code: str = ""


class ReplyFrame(Frame, frozen=True, tag="reply"):
    id: int
    ok: bool
    code: str
    detail: str
    phone: PhoneAccess | None = None


class Pong(Frame, frozen=True, tag="pong"):
    at: float
    time: float


class Error(Frame, frozen=True, tag="error"):
    """A frame was not understood or not taken; `code` is a key of the catalogue."""

    code: str
    detail: str = ""


class Notice(Frame, frozen=True, tag="notice"):
    """Something the page must know before its socket is closed: `taken_over`, `elsewhere`, `signed_out`."""

    code: str


class BadFrame(Exception):
    """A frame from a page could not be understood. The text says what was wrong, `code` is a key of the catalogue."""

    code = "malformed"


class UnsavableText(BadFrame):
    """What a person wrote holds a control character; the text names it. PostgreSQL takes no NUL, no page shows any."""

    code = "unsavable_text"


FromPage = Hello | Ping | Request | Draft | Health | Read

_decode_frame = msgspec.json.Decoder(FromPage).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
encode = msgspec.json.Encoder(enc_hook=str).encode


def text(frame: Frame) -> str:
    """The frame as it goes over the socket."""
    return encode(frame).decode()


def read_frame(data: str) -> FromPage:
    """Understand a frame, or raise :class:`BadFrame`."""
    try:
        return _decode_frame(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as fault:
        raise BadFrame(str(fault)) from fault


def read_command(raw: msgspec.Raw, user: User) -> SeatCommand:
    """The command in a request, always for the session's own user, or raise :class:`BadFrame`.

    Whatever `user_id`, name or campaigns the page wrote, the session's take their place.
    """
    try:
        fields = _decode_object(raw) | {"user_id": user.user_id}
        if fields.get("type") == "log_in":
            fields |= {"name": user.name, "campaigns": user.campaigns, "ranks": user.ranks}
            fields["phone"] = fields.get("phone") or user.phone
        elif fields.get("type") == "open_phone":
            fields["phone"] = user.phone
        command = msgspec.convert(fields, SeatCommand)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as fault:
        raise BadFrame(str(fault)) from fault
    if isinstance(command, LogIn):
        if not PHONE.fullmatch(command.phone):
            raise BadFrame("phone must be the name of a SIP endpoint: letters, digits, _ . -")
        if command.mode not in MODES:
            raise BadFrame(f"mode must be one of {', '.join(MODES)}")
    if isinstance(command, (Dispose, SaveNotes)):
        _check_text(command.notes)
        for answer in command.answers.values():
            _check_text(answer)
    elif isinstance(command, Pause):
        _check_text(command.reason)
    return command


def _check_text(written: str) -> None:
    found = CONTROL.search(written)
    if found is not None:
        raise UnsavableText(f"U+{ord(found[0]):04X}")
