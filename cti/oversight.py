"""Supervisors and the seats of their campaigns: listening in, taking over, pausing, logging out, notes that are read.

What is asked of a seat goes to the engine as the seat's own command would; who asked is on record before. Listening
to a call needs its campaign; to whisper one must see all campaigns that the seat serves, as its line outlasts the call.
"""

from __future__ import annotations

import asyncio
import time
from itertools import count
from typing import Annotated, Any, Literal

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.audit import By, acting, write
from campaigns.people import NoSuchUser, People
from campaigns.users import User
from cti.bus import Bus
from cti.desk import Desk, Refusal, Stored
from cti.figures import SeatRow
from cti.gateway import Gateway
from cti.messages import (
    Assign,
    Command,
    HangUpRinging,
    Listen,
    LogOut,
    Pause,
    Ready,
    Reply,
    SupervisorNote,
    Transfer,
)
from cti.status import StatusBoard
from cti.wire import CONTROL, PHONE

log = structlog.get_logger(__name__)

WRITERS = 1
ASKED_S = 5.0  # of the engine

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class ListenWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose call, how, and at which phone; empty: the asker's own."""

    seat: int
    how: Literal["listen", "whisper", "barge", "take"]
    phone: Annotated[str, msgspec.Meta(max_length=64)] = ""


class StateWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a seat shall do."""

    seat: int
    state: Literal["pause", "ready", "log_out"]


class AssignWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which of the asker's campaigns a seat shall serve; of others it goes on serving those it does."""

    seat: int
    campaigns: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=64)], ...], msgspec.Meta(max_length=200)
    ]


class NoteWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A note to one `seat`, to all that serve a `campaign`, or, without either, to all that the asker sees."""

    text: Text
    seat: int | None = None
    campaign: str | None = None


class HangUpWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A campaign that was paused, whose calls that still ring are to be ended."""

    campaign: str


class OversightDesk(Desk):
    """The endpoints."""

    def __init__(self, stored: Stored, bus: Bus, gateway: Gateway, board: StatusBoard) -> None:
        super().__init__(stored, "oversight", WRITERS)
        self._bus = bus
        self._gateway = gateway
        self._board = board
        self._ids = count(int(time.time()))  # a daemon that was restarted does not give one twice
        self._reading: set[asyncio.Task[None]] = set()
        gateway.on_read = self._read

    async def listen(self, request: Request, asker: User) -> Response:
        """Listen to a `seat`'s call, `whisper`, `barge` in, or `take` it to the asker's own seat."""
        wanted = await self.fields(request, ListenWanted)
        row = self._seat(asker, wanted.seat)
        pop = self._gateway.pop_of(row.user_id)  # the row is up to a second old
        campaign, call_id = (pop.campaign, pop.call_id) if pop is not None else (row.campaign, "")
        heard = (campaign, *row.serves) if wanted.how == "whisper" else (campaign,)
        if not all(asker.sees(name) for name in heard):
            raise Refusal(404, "not_found", f"there is no seat {wanted.seat} with a call of yours")
        phone = wanted.phone or asker.phone
        command: Command
        if wanted.how == "take":
            command = Transfer(user_id=row.user_id, call_id=call_id, to_user=asker.user_id, ask_first=False)
        elif not PHONE.fullmatch(phone):
            raise Refusal(409, "bad_phone", phone)
        else:
            command = Listen(user_id=row.user_id, call_id=call_id, phone=phone, how=wanted.how)
        about = _about(row) | {"campaign": campaign, "call": call_id}
        told = phone if wanted.how != "take" else ""
        await self._record(request, asker, f"call: {wanted.how}", row.name, about, told)
        return await self._asked(command)

    async def state(self, request: Request, asker: User) -> Response:
        """Pause a `seat`, have it ready, or log it out; in a call, the first takes effect after it."""
        wanted = await self.fields(request, StateWanted)
        row = self._seat(asker, wanted.seat)
        kinds = {"pause": Pause, "ready": Ready, "log_out": LogOut}
        await self._record(request, asker, f"seat: {wanted.state}", row.name, _about(row))
        return await self._asked(kinds[wanted.state](user_id=row.user_id))

    async def assign(self, request: Request, asker: User) -> Response:
        """Have a `seat` serve these `campaigns`, at once and from its next log-in on."""
        wanted = await self.fields(request, AssignWanted)
        row = self._seat(asker, wanted.seat)
        for name in wanted.campaigns:
            await self.campaign_id(asker, name)
        others = [name for name in row.serves if not asker.sees(name)]
        campaigns = tuple(dict.fromkeys([*others, *wanted.campaigns]))
        if not campaigns:
            raise Refusal(409, "no_campaign", "a seat serves one campaign at least")
        people = People(self.acting(request, asker))

        def record() -> None:
            try:
                people.assign(row.user_id, campaigns)
            except NoSuchUser as fault:
                raise Refusal(404, "not_found", str(fault)) from fault

        await self.run(record)
        return await self._asked(Assign(user_id=row.user_id, campaigns=campaigns))

    async def hang_up(self, request: Request, asker: User) -> Response:
        """End what still rings of a paused `campaign`; answers how many calls that were."""
        wanted = await self.fields(request, HangUpWanted)
        await self.campaign_id(asker, wanted.campaign)
        reply = await self._reply(HangUpRinging(user_id=asker.user_id, campaign=wanted.campaign))
        calls = {"calls": int(reply.detail)}
        await self._record(request, asker, "ringing hung up", wanted.campaign, calls)
        return JSONResponse(calls)

    async def note(self, request: Request, asker: User) -> Response:
        """A note, shown on the pages until it has been read; answers to how many seats it went."""
        wanted = await self.fields(request, NoteWanted)
        if CONTROL.search(wanted.text):
            raise Refusal(400, "malformed", "text: holds a control character")
        if wanted.campaign is not None:
            await self.campaign_id(asker, wanted.campaign)
        if wanted.seat is not None:
            rows = [self._seat(asker, wanted.seat)]
        else:
            rows = [
                row for row in self._board.seats() if wanted.campaign is None or wanted.campaign in row.serves
            ]
            rows = [row for row in rows if any(asker.sees(name) for name in row.serves)]
        to = rows[0].name if wanted.seat is not None else wanted.campaign or "all"
        note_id, now = next(self._ids), time.time()
        sent = {"note": note_id, "seats": len(rows)}
        await self._record(request, asker, "note sent", to, sent, wanted.text)
        for row in rows:
            self._bus.to_seat(
                SupervisorNote(user_id=row.user_id, id=note_id, text=wanted.text, by=asker.name, at=now)
            )
        return JSONResponse(sent)

    # --- within -----------------------------------------------------------------------------------------------

    def _seat(self, asker: User, user_id: int) -> SeatRow:
        row = self._board.seat(user_id)
        if row is None or not any(asker.sees(name) for name in row.serves):
            raise Refusal(404, "not_found", f"there is no seat {user_id}")
        return row

    async def _record(
        self,
        request: Request,
        asker: User,
        action: str,
        subject: str,
        after: dict[str, Any],
        detail: str = "",
    ) -> None:
        engine = self.within(request, asker)

        def record() -> None:
            with engine.begin() as connection:
                write(connection, action, subject, detail, after=after)

        await self.run(record)

    async def _asked(self, command: Command) -> Response:
        await self._reply(command)
        return JSONResponse({"ok": True})

    async def _reply(self, command: Command) -> Reply:
        try:
            async with asyncio.timeout(ASKED_S):
                reply = await self._bus.command(command)
        except TimeoutError:
            raise Refusal(503, "engine_slow") from None
        if not reply.ok:
            raise Refusal(409, reply.code, reply.detail)
        return reply

    def _read(self, user: User, note: SupervisorNote) -> None:
        """Who has read a note is on record; a database that is away costs that line."""

        def record() -> None:
            with acting(self._stored.engine, By(user.login)).begin() as connection:
                write(connection, "note read", note.by, after={"note": note.id})

        async def recorded() -> None:
            try:
                await self.run(record)
            except Exception:  # the page has its answer already
                log.warning("that a note was read is not on record", user_id=user.user_id, exc_info=True)

        task = asyncio.create_task(recorded())
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)


def _about(row: SeatRow) -> dict[str, Any]:
    return {"seat": row.user_id, "campaign": row.campaign}
