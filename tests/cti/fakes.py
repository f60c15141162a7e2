"""The other two sides of the door for its tests: accounts in memory and an engine that follows a script."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable

from campaigns.script import Step
from campaigns.users import User
from cti.bus import Bus
from cti.messages import (
    Assign,
    CallStatus,
    Colleague,
    Command,
    Complete,
    Confer,
    CustomerEdited,
    DialNumber,
    DialPreviewed,
    Dispose,
    DispositionChoice,
    HangUp,
    HangUpRinging,
    Hold,
    Listen,
    LogIn,
    LogOut,
    MoreTime,
    Mute,
    PageBack,
    PageLost,
    Pause,
    Queue,
    ReadScript,
    Ready,
    Record,
    RedialPhone,
    Reply,
    SaveNotes,
    ScreenPop,
    Script,
    SeatStatus,
    SendKeys,
    Targets,
    Transfer,
    WhoIsThere,
)

DISPOSITIONS = (
    DispositionChoice("sold", {"en": "Sold", "zh": "成交"}, "1"),
    DispositionChoice("interested", {"en": "Interested, call back", "zh": "有意向，需回访"}, "2"),
    DispositionChoice("not_interested", {"en": "Not interested", "zh": "无意向"}, "3"),
    DispositionChoice("wrong_person", {"en": "Wrong person", "zh": "非本人"}, "4", other_number=True),
    DispositionChoice("voicemail", {"en": "Answering machine", "zh": "语音信箱"}, "5"),
)
PAUSES_LATER = ("preview", "talking")  # after the call


class MemoryAccounts:
    """Accounts in memory. Passwords are plain here; hashing is tested where it is done."""

    def __init__(self, users: Iterable[tuple[User, str]] = ()) -> None:
        self.users = {user.login: (user, password) for user, password in users}
        self.sessions: dict[str, User] = {}
        self.tokens: dict[str, User] = {}

    async def verify(self, login: str, password: str, source: str = "") -> User | None:
        user, right = self.users.get(login, (None, ""))
        return user if user is not None and password == right else None

    async def open_session(
        self, user: User, source: str, browser: str = "", waits_for: str = "", id_token: str = ""
    ) -> str:
        token = secrets.token_urlsafe(32)
        self.sessions[token] = user
        return token

    async def session(self, token: str) -> User | None:
        return self.sessions.get(token)

    async def token(self, token: str, source: str) -> User | None:
        return self.tokens.get(token)

    async def close_session(self, token: str, source: str = "") -> str:
        self.sessions.pop(token, None)
        return ""


def identity(user_id: int = 7, login: str = "lina", role: str = "agent", **more: object) -> User:
    fields: dict[str, object] = {
        "user_id": user_id,
        "login": login,
        "name": "李娜",
        "role": role,
        "phone": f"seat{user_id:03d}",
        "campaigns": ("demo",),
        "of_unit": None if role == "administrator" else (),
    }
    return User(**(fields | more))  # type: ignore[arg-type]


class ScriptedEngine:
    """An engine for a few seats whose customers come when the test says so. It keeps every command it was given."""

    def __init__(self, bus: Bus, wrap_up_s: float = 30.0, hear_phone: bool = True) -> None:
        self.bus = bus
        self.wrap_up_s = wrap_up_s
        self.hear_phone = hear_phone  # the phone is picked up at once
        self.commands: list[Command] = []
        self.state: dict[int, str] = {}
        self.call: dict[int, str] = {}
        self.pausing: dict[int, str] = {}
        self.absent: set[int] = set()
        self.refuse: Reply | None = None  # what a number that is dialed by hand is answered with
        self.script: tuple[Step, ...] = ()
        bus.serve(self.answer)

    def of(self, kind: type) -> list[Command]:
        return [command for command in self.commands if isinstance(command, kind)]

    async def answer(self, command: Command) -> Reply:
        self.commands.append(command)
        user = command.user_id
        state = self.state.get(user, "offline")
        match command:
            case LogIn():
                self.seat(user, "phone")
                if self.hear_phone:
                    self.seat(user, "paused")
            case LogOut():
                self.seat(user, "offline")
            case Ready() if state in PAUSES_LATER:
                self.pausing.pop(user, None)
            case Ready() if state in ("paused", "wrap_up", "ready"):
                self.seat(user, "ready")
            case Pause() if state in PAUSES_LATER:
                self.pausing[user] = command.reason
            case Pause():
                self.seat(user, "paused", command.reason)
            case PageLost():
                self.absent.add(user)
                if state == "ready":
                    self.seat(user, "paused", "page_lost")
            case PageBack():
                self.absent.discard(user)
                if state == "paused":
                    self.seat(user, "ready")
            case Hold():
                self.tell_call(user, "held" if command.on else "connected")
            case Mute():
                self.tell_call(user, "connected", muted=command.on)
            case Record():
                self.tell_call(user, "connected", recording="on" if command.on else "paused")
            case HangUpRinging():
                return Reply(ok=True, detail="2")
            case WhoIsThere():
                seats, queues = (Colleague(8, "张伟"), Colleague(11, "Erik Berg")), (Queue("demo", 2),)
                team = (Colleague(12, "王芳"),)
                self.bus.to_seat(Targets(user, command.call_id, seats, queues, numbers=True, team=team))
            case Transfer() if command.to_number == "+440000":
                return Reply(ok=False, code="number_not_allowed", detail=command.to_number)
            case Transfer() if command.ask_first:
                self.tell_call(user, "asking", party=command.to_number or "张伟")
            case Confer():
                self.tell_call(user, "conference", party="张伟")
            case Transfer() | Complete():
                self.end(user, "transferred")
            case HangUp() if state == "preview":
                self.tell_call(user, "ended", "cancelled")
                self.release(user)
            case HangUp():
                self.end(user, "agent")
            case Dispose() if command.and_ready:
                if command.hang_up:
                    self.end(user, "agent")
                self.release(user)
            case Dispose() | SaveNotes() | SendKeys() | MoreTime():
                pass
            case ReadScript():
                self.bus.to_seat(Script(user_id=user, script="s1", steps=self.script))
            case RedialPhone():
                self.seat(user, "phone")
                self.seat(user, "paused")
            case CustomerEdited() | DialPreviewed() | Listen() | Assign():
                pass
            case DialNumber():
                return self.refuse or Reply(ok=True)
            case _:
                return Reply(ok=False, code="wrong_state", detail=state)
        return Reply(ok=True)

    def seat(self, user: int, state: str, reason: str = "", wrap: bool = False) -> None:
        now = time.time()
        self.state[user] = state
        call = self.call.get(user, "")
        self.bus.to_seat(
            SeatStatus(
                user_id=user,
                state=state,
                since=now,
                reason=reason,
                call_id=call if state in ("preview", "connecting", "talking", "asked", "wrap_up") else "",
                until=now + self.wrap_up_s if wrap else None,
                last_call=call,
            )
        )

    def tell_call(self, user: int, state: str, cause: str = "", **more: object) -> None:
        fields = {
            "user_id": user,
            "call_id": self.call[user],
            "state": state,
            "at": time.time(),
            "cause": cause,
        }
        self.bus.to_seat(CallStatus(**(fields | more)))  # type: ignore[arg-type]

    def pop(self, user: int, customer: str = "王小明", number: str = "+8613812345678", **more: object) -> str:
        """A customer answers and is matched with the seat."""
        self.call[user] = secrets.token_hex(16)
        preview = bool(more.get("preview"))
        self.seat(user, "preview" if preview else "connecting")
        fields: dict[str, object] = {
            "user_id": user,
            "call_id": self.call[user],
            "campaign": "demo",
            "number": number,
            "customer": customer,
            "attributes": {"套餐": "融合 129 元", "到期": "2026-12-31"},
            "answered_at": time.time(),
            "dispositions": DISPOSITIONS,
        }
        self.bus.to_seat(ScreenPop(**(fields | more)))  # type: ignore[arg-type]
        return self.call[user]

    def connect(self, user: int) -> None:
        self.seat(user, "talking")
        self.tell_call(user, "connected")

    def end(self, user: int, cause: str = "customer") -> None:
        self.tell_call(user, "ended", cause)
        self.seat(user, "wrap_up", wrap=True)

    def release(self, user: int) -> None:
        reason = self.pausing.pop(user, None)
        if reason is None:
            self.seat(user, "ready")
        else:
            self.seat(user, "paused", reason)
