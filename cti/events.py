"""`/api/events`, `/api/seat/events`, `/ws/events`: programs follow what happens, and go on where they were."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import structlog
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from campaigns.rights import Right
from campaigns.users import User
from cti import wire
from cti.desk import Refusal
from cti.feed import Feed, Happened, listed
from cti.front import Front
from cti.gateway import Gateway
from cti.settings import WebSettings

log = structlog.get_logger(__name__)

MOST = 200  # who follow all calls at once: each event is judged for each of them
MOST_OWN = 3_000  # who follow their own seat: they cost little more than their line
MOST_EACH = 8  # streams of one user
ALIVE_S = 15.0  # a comment, where nothing happens, so that both sides see a dead line
WRITE_S = 20.0  # a follower that takes nothing for this long is let go
HEADERS = {"X-Accel-Buffering": "no"}  # a proxy must hand each event on at once


class EventDesk:
    """The endpoints over the feed."""

    def __init__(self, front: Front, feed: Feed, gateway: Gateway, settings: WebSettings) -> None:
        self._front = front
        self._feed = feed
        self._gateway = gateway
        self._settings = settings
        self._following: Counter[bool] = Counter()  # by whether it is the own seat
        self._streams: Counter[int] = Counter()  # by user

    async def all(self, request: Request, asker: User) -> Response:
        """GET /api/events: server-sent events of all calls of the campaigns that the asker sees."""
        return self._stream(request, asker, own=False)

    async def own(self, request: Request, asker: User) -> Response:
        """GET /api/seat/events: those of the asker's own seat."""
        return self._stream(request, asker, own=True)

    async def socket(self, ws: WebSocket, asker: User) -> None:
        """/ws/events: as GET /api/events, one JSON object a message; `?last=ID` says where to go on."""
        if self._full(asker, own=False):
            await ws.accept()
            await ws.close(wire.LAGGING)
            return
        await ws.accept()
        last = ws.query_params.get("last", "")
        writer = asyncio.create_task(self._write(ws, asker, last), name="events")
        try:
            while not writer.done():
                receive = asyncio.ensure_future(ws.receive())
                await asyncio.wait({receive, writer}, return_when=asyncio.FIRST_COMPLETED)
                if not receive.done():
                    receive.cancel()
                elif receive.result()["type"] == "websocket.disconnect":
                    break
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await ws.close(wire.GOING_AWAY)

    # --- within ---------------------------------------------------------------------------------------------

    def _full(self, asker: User, own: bool) -> bool:
        most = MOST_OWN if own else MOST
        return self._following[own] >= most or self._streams[asker.user_id] >= MOST_EACH

    async def _write(self, ws: WebSocket, asker: User, last: str) -> None:
        async for _, _, text in self._told(ws, asker, last, own=False):
            if text:
                async with asyncio.timeout(WRITE_S):
                    await ws.send_text(text)

    def _stream(self, request: Request, asker: User, own: bool) -> Response:
        if self._full(asker, own):
            raise Refusal(503, "busy")
        last = request.headers.get("last-event-id") or request.query_params.get("last", "")

        async def lines() -> AsyncIterator[str]:
            async for kind, event_id, text in self._told(request, asker, last, own):
                yield f"id: {event_id}\nevent: {kind}\ndata: {text}\n\n" if text else ": alive\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream", headers=HEADERS)

    async def _told(
        self, connection: HTTPConnection, asker: User, last: str, own: bool
    ) -> AsyncIterator[tuple[str, str | None, str]]:
        """What is to be written, kind, id and text; an empty text where nothing happens for a while.

        What may be seen is judged by who the asker is then, not by who they were when it began.
        """
        user_id = asker.user_id
        self._following[own] += 1
        self._streams[user_id] += 1
        try:
            seq = self._feed.place(last)
            while True:
                if seq is None:
                    seq = self._feed.seq
                    yield "state", self._feed.id(seq), self._state(asker, own, seq)
                bundles = self._feed.after(seq, user_id if own else None)
                following = asyncio.ensure_future(anext(bundles))
                try:
                    checked = asyncio.get_running_loop().time()
                    while True:
                        await asyncio.wait({following}, timeout=ALIVE_S)
                        now = asyncio.get_running_loop().time()
                        if now - checked > self._settings.session_check_s:
                            checked = now
                            still = await self._still(connection, asker, own)
                            if still is None:
                                return
                            asker = still
                        if not following.done():
                            yield "", None, ""
                            continue
                        bundle = following.result()
                        if bundle is None:
                            break
                        for happened in bundle:
                            seq = happened.seq
                            if not own and not _sees(asker, happened):
                                continue
                            yield happened.kind, self._feed.id(seq), self._feed.text(happened)
                        following = asyncio.ensure_future(anext(bundles))
                finally:
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
                    await bundles.aclose()
                seq = None
        finally:
            self._following[own] -= 1
            self._streams[user_id] -= 1
            if not self._streams[user_id]:
                del self._streams[user_id]

    async def _still(self, connection: HTTPConnection, asker: User, own: bool) -> User | None:
        """Whoever follows, as they are now; None: their token or session is over, or they may no longer."""
        try:
            user = await self._front.program(connection)
        except Exception:  # the database may be away: following goes on meanwhile
            log.warning("a session could not be checked", user_id=asker.user_id, exc_info=True)
            return asker
        return user if user is not None and user.may(Right.SEAT if own else Right.EVENTS) else None

    def _state(self, asker: User, own: bool, seq: int) -> str:
        states = self._gateway.states()
        if own:
            return listed(state for user_id, state in states if user_id == asker.user_id)
        return listed(
            state
            for _, state in states
            if asker.sees_all or (state.pop is not None and asker.sees(state.pop.campaign))
        )


def _sees(asker: User, happened: Happened) -> bool:
    """Events without a campaign, as of a seat that pauses, are for who sees all."""
    return asker.sees_all or (bool(happened.campaign) and asker.sees(happened.campaign))
