"""The seats' channels between bus and sockets: who holds which seat, what a page missed, what becomes of an absent one.

Theory of operation. Every seat has one :class:`SeatChannel` and at most one page. An event from the bus is numbered,
kept for replay and put into the page's outbox, all in the engine's own call: nothing is awaited until the outbox's
writer runs, one hop of the loop later. A page that goes is missed at once: the engine hears `PageLost` and offers the
seat nothing; if the page does not return within the grace, the seat is logged out, but never in the middle of a call.
A seat that never had a page (the engine's own virtual agents) is left alone.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Any

import msgspec
import structlog
from starlette.websockets import WebSocket

from campaigns.rights import Right
from campaigns.users import User
from cti import wire
from cti.bus import Bus
from cti.channel import SeatChannel
from cti.drafts import Drafts
from cti.identity import Accounts
from cti.messages import (
    Command,
    CustomerEdited,
    Dispose,
    LogIn,
    LogOut,
    PageBack,
    PageLost,
    Reply,
    SaveNotes,
    ScreenPop,
    SeatCommand,
    SeatMessage,
    SupervisorNote,
)
from cti.once import Once
from cti.outbox import Delivered
from cti.page import Page
from cti.settings import WebSettings

log = structlog.get_logger(__name__)

SWEEP_S = 0.25


class Gateway:
    """All seats' channels. `counters` are plain numbers for an exporter; `on_delivered` hears of each event sent.

    Counter names: sessions_refused, pages_opened, pages_closed, pages_taken_over, pages_lagging, resumed,
    full_states, events, requests, refused_requests, malformed, too_frequent, engine_slow, absent_log_outs, faults,
    pages_elsewhere, pages_silent. `on_health` hears how pages have fared.
    """

    def __init__(self, bus: Bus, accounts: Accounts, settings: WebSettings, drafts: Drafts) -> None:
        self._bus = bus
        self._accounts = accounts
        self._settings = settings
        self.drafts = drafts
        self._once = Once()
        self._epoch = secrets.token_hex(8)
        self._channels: dict[int, SeatChannel] = {}
        self._pages: dict[int, Page] = {}
        self._absent: dict[int, float] = {}  # user -> when the grace ends
        self._errands: dict[int, Command] = {}  # the last word to the engine about each seat's page
        self._errand = asyncio.Event()
        self._replies: set[asyncio.Task[None]] = set()  # requests that are being done
        self.counters: Counter[str] = Counter()
        self.on_delivered: Delivered | None = None
        self.on_health: Callable[[wire.Health], None] | None = None
        self.on_read: Callable[[User, SupervisorNote], None] | None = None
        bus.on_seat(self._from_engine)

    @property
    def pages(self) -> int:
        """How many seats have a page now."""
        return len(self._pages)

    def pop_of(self, user_id: int) -> ScreenPop | None:
        """The customer at this user's seat."""
        channel = self._channels.get(user_id)
        return channel.pop if channel is not None else None

    async def customer_edited(
        self, user_id: int, call_id: str, name: str, attributes: dict[str, Any]
    ) -> None:
        """The data of the customer at this seat are others now: for a page loaded anew, and for who has them next."""
        channel = self._channels.get(user_id)
        if channel is not None and channel.pop is not None and channel.pop.call_id == call_id:
            channel.pop = msgspec.structs.replace(channel.pop, customer=name, attributes=attributes)
        await self._command(
            CustomerEdited(user_id=user_id, call_id=call_id, name=name, attributes=attributes)
        )

    # --- events out -----------------------------------------------------------------------------------------

    def _from_engine(self, message: SeatMessage) -> None:
        """Hot path: from the bus into the page's outbox, within the engine's own call."""
        at = monotonic()
        user_id = message.user_id
        channel = self._channel(user_id)
        try:
            text = channel.number(message)
        except Exception:  # an attribute that can't be written as JSON must not reach the engine
            self.counters["faults"] += 1
            log.exception("an event could not be encoded", user_id=user_id, kind=type(message).__name__)
            return
        self.counters["events"] += 1
        if isinstance(message, ScreenPop):
            self.drafts.drop(user_id, unless=message.call_id)
        page = self._pages.get(user_id)
        if page is not None:
            if not page.outbox.put(text, message, at):
                self._lagging(page)
        elif getattr(message, "reason", "") == "page_lost" and user_id not in self._absent:
            self._absent[user_id] = (
                at + self._settings.grace_s
            )  # a seat found again after a restart, its page not yet

    def _channel(self, user_id: int) -> SeatChannel:
        """A seat's channel, which is made when it is first wanted."""
        channel = self._channels.get(user_id)
        if channel is None:
            channel = self._channels[user_id] = SeatChannel(user_id, self._epoch, self._settings.ring_size)
        return channel

    def _delivered(self, message: SeatMessage, delay_s: float) -> None:
        if self.on_delivered is not None:
            self.on_delivered(message, delay_s)

    def state_of(self, user_id: int) -> wire.FullState:
        """What a seat's page would be told now."""
        channel = self._channel(user_id)
        return channel.state(time.time(), self.drafts.of(user_id))

    def states(self) -> list[tuple[int, wire.FullState]]:
        """Of all seats that somebody sits at, by user; without drafts, which are nobody else's."""
        now = time.time()
        return [(user, channel.state(now)) for user, channel in self._channels.items() if channel.logged_in]

    # --- a page's life --------------------------------------------------------------------------------------

    async def serve(self, ws: WebSocket, user: User, token: str) -> None:
        """Serve a seat's socket to its end."""
        await ws.accept()
        page = Page(ws, user, token, self._settings)
        self.counters["pages_opened"] += 1
        try:
            await page.run(lambda: self._read(page), self._delivered)
        finally:
            self.counters["pages_closed"] += 1
            self._detach(page)

    async def _read(self, page: Page) -> None:
        try:
            async with asyncio.timeout(self._settings.hello_limit_s):
                hello = wire.read_frame(await page.ws.receive_text())
        except (TimeoutError, KeyError, wire.BadFrame):
            hello = None
        if not isinstance(hello, wire.Hello):
            self.counters["malformed"] += 1
            page.end(wire.POLICY)
            return
        if not self._attach(page, hello):
            return
        while True:
            try:
                await self._frame(page, await page.ws.receive_text())
            except (wire.BadFrame, KeyError) as fault:  # KeyError: a binary frame
                self._fault(page, "malformed", str(fault))

    async def _frame(self, page: Page, data: str) -> None:
        if not page.allowance.take(monotonic()):
            self._fault(page, "too_frequent")
            return
        frame = wire.read_frame(data)
        if isinstance(frame, wire.Ping):
            page.pinged_at = monotonic()
            self._answer(page, wire.Pong(frame.at, time.time()))
        elif isinstance(frame, wire.Request):
            await self._begin(page, frame)
        elif isinstance(frame, wire.Draft):
            self.drafts.keep(page.user.user_id, frame)
        elif isinstance(frame, wire.Read):
            note = self._channel(page.user.user_id).unread.pop(frame.note, None)
            if note is not None and self.on_read is not None:
                self.on_read(page.user, note)
        elif isinstance(frame, wire.Health):
            if self.on_health is not None:
                self.on_health(frame)
        else:
            raise wire.BadFrame("hello is said once")

    async def _begin(self, page: Page, request: wire.Request) -> None:
        """Have a request done while the page goes on talking: one that waits holds up neither others nor pings.

        Requests begin in the order in which they came, but that a log-in looks its user up first; they go on when
        their page is gone.
        """
        await page.room.acquire()
        task = asyncio.create_task(self._reply(page, request))
        self._replies.add(task)
        task.add_done_callback(self._replies.discard)

    async def _reply(self, page: Page, request: wire.Request) -> None:
        try:
            reply = await self._request(page, request)
        except Exception:  # the page must hear of it, and the daemon must not
            self.counters["faults"] += 1
            log.exception("a request failed", user_id=page.user.user_id)
            reply = wire.ReplyFrame(request.id, False, "failed", "")
        finally:
            page.room.release()
        self._answer(page, reply)

    async def _request(self, page: Page, request: wire.Request) -> wire.ReplyFrame:
        self.counters["requests"] += 1
        try:
            command = wire.read_command(request.command, page.user)
            if isinstance(command, LogIn):  # which campaigns they serve may be others than when the page came
                await self._look_again(page)
                if page.ending:
                    return wire.ReplyFrame(request.id, False, "failed", "")
                command = wire.read_command(request.command, page.user)
        except wire.BadFrame as fault:
            self.counters["malformed"] += 1
            return wire.ReplyFrame(request.id, False, fault.code, str(fault))
        reply = await self._once.do(request.key, command, lambda: self._do(command))
        return wire.ReplyFrame(request.id, reply.ok, reply.code, reply.detail, reply.phone)

    async def do(self, command: SeatCommand, key: str) -> Reply:
        """Have the engine carry a seat's command out that is not of its page, which is told of what was written down.

        One that comes again under its key is done once.
        """
        return await self._once.do(key, command, lambda: self._do_beside(command))

    async def _do_beside(self, command: SeatCommand) -> Reply:
        reply = await self._do(command)
        if reply.ok and isinstance(command, Dispose | SaveNotes):
            code = command.code if isinstance(command, Dispose) else ""
            channel = self._channel(command.user_id)
            text = channel.number(wire.Written(command.call_id, *channel.written(command), code))
            page = self._pages.get(command.user_id)
            if page is not None and not page.outbox.put(text):
                self._lagging(page)
        return reply

    async def _do(self, command: SeatCommand) -> Reply:
        reply = await self._command(command)
        if reply.ok:
            channel = self._channel(command.user_id)
            channel.accepted(command)
            draft = self.drafts.of(command.user_id)
            if isinstance(command, Dispose) and draft is not None and draft.call_id == command.call_id:
                self.drafts.drop(command.user_id)
        else:
            self.counters["refused_requests"] += 1
        return reply

    async def _command(self, command: Command) -> Reply:
        try:
            async with asyncio.timeout(self._settings.command_limit_s):
                return await self._bus.command(command)
        except TimeoutError:
            self.counters["engine_slow"] += 1
            return Reply(ok=False, code="engine_slow")
        except Exception:  # the engine's fault is told to the page, and must not end its socket
            self.counters["faults"] += 1
            log.exception("a command failed", command=type(command).__name__, user_id=command.user_id)
            return Reply(ok=False, code="failed")

    def _attach(self, page: Page, hello: wire.Hello) -> bool:
        """Make this page the seat's own: send what it missed, and tell an older one that it was taken over.

        False: the seat is open in another window that answers, and this one did not ask to take it.
        """
        user_id = page.user.user_id
        page.window = hello.window
        older = self._pages.get(user_id)
        if older is not None:
            same = bool(hello.window) and older.window == hello.window
            if not (hello.take or same or older.silent_s(monotonic()) > self._settings.quiet_s):
                self.counters["pages_elsewhere"] += 1
                page.end(wire.ELSEWHERE, "elsewhere")
                return False
            self.counters["pages_taken_over"] += 1
            older.end(wire.TAKEN_OVER, "taken_over")
        channel = self._channel(user_id)
        missed = channel.since(hello.epoch, hello.resume)
        if missed is None or len(missed) >= self._settings.outbox_limit:
            self.counters["full_states"] += 1
            self._answer(page, channel.state(time.time(), self.drafts.of(user_id)))
        else:
            self.counters["resumed"] += 1
            self._answer(page, wire.Welcome(channel.epoch, time.time(), len(missed)))
            for text in missed:
                page.outbox.put(text)
        self._pages[user_id] = page
        if self._absent.pop(user_id, None) is not None:
            self._tell(PageBack(user_id=user_id))
        return True

    def _detach(self, page: Page) -> None:
        user_id = page.user.user_id
        if self._pages.get(user_id) is not page:
            return
        del self._pages[user_id]
        if self._channels[user_id].logged_in:
            self._absent[user_id] = monotonic() + self._settings.grace_s
            self._tell(PageLost(user_id=user_id))

    def _answer(self, page: Page, frame: wire.Frame) -> None:
        if not page.outbox.put(wire.text(frame)):
            self._lagging(page)

    def _fault(self, page: Page, code: str, detail: str = "") -> None:
        self.counters[code] += 1
        page.faults += 1
        if page.faults > self._settings.fault_limit:
            page.end(wire.POLICY)
        else:
            self._answer(page, wire.Error(code, detail[:200]))

    def _lagging(self, page: Page) -> None:
        if not page.ending:
            self.counters["pages_lagging"] += 1
            log.warning("a page stopped reading and was closed", user_id=page.user.user_id)
            page.end(wire.LAGGING, flush=False)

    # --- leaving --------------------------------------------------------------------------------------------

    async def sign_out(self, user: User, token: str) -> None:
        """The user logged out by themselves: free the seat now, close the session's page."""
        page = self._pages.get(user.user_id)
        if page is not None and page.token != token:
            return  # the seat is held from another session
        channel = self._channels.get(user.user_id)
        self._absent.pop(user.user_id, None)
        if channel is not None and channel.logged_in:
            await self._command(LogOut(user_id=user.user_id))
        if page is not None:
            page.end(wire.NO_SESSION, "signed_out")

    # --- in the background ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look after absent seats, stuck sockets and ended sessions, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.drafts.run())
            tasks.create_task(self._run_errands())
            tasks.create_task(self._sweep())
            tasks.create_task(self._check_sessions())

    def _tell(self, command: Command) -> None:
        """Have the engine told, in the background; only the last word about a seat counts."""
        self._errands[command.user_id] = command
        self._errand.set()

    async def _run_errands(self) -> None:
        while True:
            await self._errand.wait()
            self._errand.clear()
            while self._errands:
                user_id = next(iter(self._errands))
                await self._command(self._errands.pop(user_id))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = monotonic()
            for page in list(self._pages.values()):
                if page.outbox.stuck_s(now) > self._settings.lag_limit_s:
                    self._lagging(page)
                elif page.silent_s(now) > self._settings.silence_limit_s and not page.ending:
                    self.counters["pages_silent"] += 1
                    page.end(wire.SILENT, flush=False)
            for user_id in [user for user, ends in self._absent.items() if ends <= now]:
                channel = self._channels[user_id]
                if channel.in_call:
                    continue  # the voice is still there: let the two finish
                del self._absent[user_id]
                if channel.logged_in:
                    self.counters["absent_log_outs"] += 1
                    self._tell(LogOut(user_id=user_id))

    async def _check_sessions(self) -> None:
        """Close the pages whose session was revoked or has expired."""
        while True:
            await asyncio.sleep(self._settings.session_check_s)
            for page in list(self._pages.values()):
                if not await self._look_again(page):
                    break

    async def _look_again(self, page: Page) -> bool:
        """Have a page's user as they are by now; end it when its session is over. False: nobody can say."""
        try:
            user = await self._accounts.session(page.token)
        except Exception:  # the database may be away: an open page keeps working meanwhile
            self.counters["faults"] += 1
            log.warning("a session could not be checked", user_id=page.user.user_id, exc_info=True)
            return False
        if user is None or not user.may(Right.SEAT):
            page.end(wire.NO_SESSION, "session_ended")
        else:
            page.user = user
        return True
