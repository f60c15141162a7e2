"""One open socket: its outbox, its reader's manners, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from campaigns.users import User
from cti import wire
from cti.outbox import Delivered, Outbox
from cti.settings import WebSettings

log = structlog.get_logger(__name__)

LAST_WORDS_S = 1.0  # how long a closing socket may take to hear why
AT_ONCE = 16  # requests of one page that are being done: nobody has so many keys and clicks waiting
GONE = (WebSocketDisconnect, RuntimeError, OSError)  # what sending to or reading from a gone socket raises


@dataclass(slots=True)
class Allowance:
    """A token bucket: `rate` messages per second for long, `burst` at once."""

    rate: float
    burst: float
    level: float
    at: float

    def take(self, now: float) -> bool:
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level < 1.0:
            return False
        self.level -= 1.0
        return True


class Page:
    """A browser's socket. It lives until its reader or writer ends, or until :meth:`end` is called."""

    def __init__(self, ws: WebSocket, user: User, token: str, settings: WebSettings) -> None:
        self.ws = ws
        self.user = user
        self.token = token
        self.outbox = Outbox(settings.outbox_limit)
        self.allowance = Allowance(
            settings.message_rate, settings.message_burst, settings.message_burst, monotonic()
        )
        self.room = asyncio.Semaphore(AT_ONCE)  # for requests
        self.faults = 0
        self.window = ""  # of the browser, over reloads
        self.pinged_at: float | None = None  # one that pings goes on pinging, or is gone
        self._ended: asyncio.Future[tuple[int, bool]] = asyncio.get_running_loop().create_future()

    def silent_s(self, now: float) -> float:
        """For how long a page that pings has said nothing."""
        return 0.0 if self.pinged_at is None else now - self.pinged_at

    @property
    def ending(self) -> bool:
        return self._ended.done()

    def end(self, code: int, notice: str = "", flush: bool = True) -> None:
        """Close the socket with `code`; with `flush` what waits is written first, `notice` last."""
        if self._ended.done():
            return
        if notice:
            self.outbox.put(wire.text(wire.Notice(notice)))
        self._ended.set_result((code, flush))

    async def run(self, read: Callable[[], Awaitable[None]], delivered: Delivered | None = None) -> None:
        """Read and write until one of them, or :meth:`end`, ends it; then close."""
        reader = asyncio.create_task(_until_gone(read()))
        writer = asyncio.create_task(_until_gone(self.outbox.write_to(self.ws.send, delivered)))
        try:
            await asyncio.wait({reader, writer, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            code, flush = self._ended.result() if self._ended.done() else (wire.GOING_AWAY, False)
            if flush:
                self.outbox.close()
                await asyncio.wait({writer}, timeout=LAST_WORDS_S)
        finally:
            self.end(wire.GOING_AWAY)
            reader.cancel()
            writer.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
        await self._close(code)

    async def _close(self, code: int) -> None:
        if self.ws.application_state is WebSocketState.DISCONNECTED:
            return
        try:
            async with asyncio.timeout(
                LAST_WORDS_S
            ):  # a stuck socket can't take even this; the server drops it
                await self.ws.close(code)
        except (*GONE, TimeoutError):
            pass


async def _until_gone(work: Awaitable[None]) -> None:
    """Run one side of a socket. That the other end has left is no fault; anything else is logged and ends the page."""
    try:
        await work
    except GONE:
        pass
    except Exception:  # one page's fault must never reach the daemon
        log.exception("a page's socket failed")


async def refuse(ws: WebSocket, code: int) -> None:
    """Accept and close at once, so that the page can read why (a refused handshake tells a browser nothing)."""
    await ws.accept()
    await ws.close(code)
