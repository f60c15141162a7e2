"""The agent's page and the status page with their sockets, the choice of language, health, and what is not there."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Match
from starlette.websockets import WebSocket

from campaigns.users import User
from cti import wire
from cti.bus import Bus
from cti.entry import Way
from cti.front import SESSION_COOKIE, Front
from cti.gateway import Gateway
from cti.language import COOKIE as LANGUAGE_COOKIE
from cti.language import LANGUAGES
from cti.log_in import PHONE_COOKIE
from cti.settings import WebSettings
from cti.status import StatusBoard

YEAR_S = 365 * 86_400


class Pages:
    """The routes' endpoints."""

    def __init__(
        self, front: Front, bus: Bus, settings: WebSettings, gateway: Gateway, board: StatusBoard
    ) -> None:
        self._front = front
        self._bus = bus
        self._settings = settings
        self._gateway = gateway
        self._board = board

    async def choose_language(self, request: Request) -> Response:
        """POST /language: remember the choice, return to where it was made."""
        form = await self._front.form(request)
        response = RedirectResponse(_page_at(request, form.get("back", "")), 303)
        if form.get("language") in LANGUAGES:
            self._front.set(request, response, LANGUAGE_COOKIE, form["language"], max_age=YEAR_S)
        return response

    # --- pages ----------------------------------------------------------------------------------------------

    async def agent(self, request: Request, user: User) -> Response:
        """GET /"""
        typed = request.cookies.get(PHONE_COOKIE, "")
        typed = typed if wire.PHONE.fullmatch(typed) else ""
        softphone = bool(self._settings.softphones and user.phone)
        return self._front.page(
            request,
            "agent.html",
            user=user,
            phone=typed or user.phone,
            typed=typed,
            softphone=softphone,
            pauses=self._settings.pauses,
            frames=self._settings.frames,
            others=self._settings.others,
        )

    async def status(self, request: Request, user: User) -> Response:
        """GET /status"""
        if elsewhere := self._bus.elsewhere:
            return RedirectResponse(f"{elsewhere}/status", 303)
        return self._front.page(
            request, "status.html", user=user, pauses=self._settings.pauses, others=self._settings.others
        )

    async def health(self, request: Request) -> Response:
        """GET /healthz: 200 while the door is open and the engine listens."""
        well = self._bus.served
        return JSONResponse(
            {"ok": well, "engine": well, "pages": self._gateway.pages, "watchers": self._board.watchers},
            200 if well else 503,
        )

    async def ready(self, request: Request) -> Response:
        """GET /readyz: 200 while calls can be placed: the database takes records, a switch is up, it does not drain."""
        found = self._bus.ready
        well = all(found.values())
        response = JSONResponse({"ok": well, **found}, 200 if well else 503, {"Vary": "Origin"})
        origin = request.headers.get("origin", "")
        if origin in self._settings.others:  # another engine's page asks whether to move here
            response.headers["Access-Control-Allow-Origin"] = origin
        return response

    async def not_found(self, request: Request, fault: Exception) -> Response:
        """What a browser sees for an address that is none of ours, or a method an address does not take."""
        status = fault.status_code if isinstance(fault, HTTPException) else 500
        title = "message.not_found" if status == 404 else "message.not_taken"
        return self._front.page(
            request, "message.html", status, user=None, title=title, text="message.not_found_why", home="/"
        )

    # --- sockets --------------------------------------------------------------------------------------------

    async def seat_socket(self, ws: WebSocket, user: User) -> None:
        """/ws"""
        await self._gateway.serve(ws, user, ws.cookies[SESSION_COOKIE])

    async def status_socket(self, ws: WebSocket, user: User) -> None:
        """/ws/status"""
        await self._board.serve(ws, user, ws.cookies[SESSION_COOKIE])


def _page_at(request: Request, path: str) -> str:
    """Our own page at this path, or that whose form was sent there: one above it."""
    ways = [way for way in request.app.routes if isinstance(way, Way)]
    for shown in (path, path.rpartition("/")[0]):
        asked = {**request.scope, "method": "GET", "path": shown}
        if any(way.matches(asked)[0] is Match.FULL for way in ways):
            return shown
    return "/"
