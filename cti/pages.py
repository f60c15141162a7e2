"""The pages and their forms: log in, log out, the agent's page, the status page, health."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic
from urllib.parse import parse_qs

import jinja2
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.websockets import WebSocket

from campaigns.rights import Right
from campaigns.users import User
from cti import wire
from cti.bus import Bus
from cti.gateway import Gateway
from cti.identity import Accounts, AccountsBusy
from cti.language import COOKIE as LANGUAGE_COOKIE
from cti.language import LANGUAGES, Catalogue, catalogue, choose
from cti.settings import WebSettings
from cti.status import StatusBoard
from cti.throttle import LogInThrottle

log = structlog.get_logger(__name__)

SESSION_COOKIE = "zd_session"
PHONE_COOKIE = "zd_phone"
YEAR_S = 365 * 86_400
SECRET_LIMIT = 256  # characters of a password or login that are looked at; hashing longer ones is only work

_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Pages:
    """The routes' endpoints."""

    def __init__(
        self, bus: Bus, accounts: Accounts, settings: WebSettings, gateway: Gateway, board: StatusBoard
    ) -> None:
        self._bus = bus
        self._accounts = accounts
        self._settings = settings
        self._gateway = gateway
        self._board = board
        self._throttle = LogInThrottle()

    # --- log in and out -------------------------------------------------------------------------------------

    async def log_in_form(self, request: Request) -> Response:
        """GET /login"""
        user = await self.user(request)
        if user is not None:
            return RedirectResponse(_home(user), 303)
        return self._page(request, "login.html", problem="", wait_s=0, login="", phone="")

    async def log_in(self, request: Request) -> Response:
        """POST /login: check, open a new session (the id of an older one is never kept), set the cookie."""
        form = await self._form(request)
        login, password = (
            form.get("login", "").strip()[:SECRET_LIMIT],
            form.get("password", "")[:SECRET_LIMIT],
        )
        phone = form.get("phone", "").strip()
        source = request.client.host if request.client else "unknown"

        def refused(problem: str, status: int, wait_s: float = 0.0) -> Response:
            response = self._page(
                request,
                "login.html",
                status,
                problem=problem,
                wait_s=max(1, round(wait_s)),
                login=login,
                phone=phone,
            )
            if wait_s:
                response.headers["Retry-After"] = str(max(1, round(wait_s)))
            return response

        wait_s = self._throttle.wait_s(login, source, monotonic())
        if wait_s > 0:
            return refused("login.throttled", 429, wait_s)
        if phone and not wire.PHONE.fullmatch(phone):
            return refused("login.bad_phone", 400)
        try:
            user = await self._accounts.verify(login, password)
        except AccountsBusy:
            return refused("login.busy", 503, 5.0)
        if user is None:
            self._throttle.failed(login, source, monotonic())
            log.info("a log-in failed", login=login, source=source)
            return refused("login.wrong", 401)
        self._throttle.succeeded(login, source)
        older = request.cookies.get(SESSION_COOKIE)
        if older:
            await self._accounts.close_session(older)
        token = await self._accounts.open_session(user, source)
        response = RedirectResponse(_home(user) if not phone else "/", 303)
        self._set(response, SESSION_COOKIE, token)
        self._set(response, PHONE_COOKIE, phone)
        return response

    async def log_out(self, request: Request, user: User) -> Response:
        """POST /logout: end the session and free the seat."""
        token = request.cookies[SESSION_COOKIE]
        await self._accounts.close_session(token)
        await self._gateway.sign_out(user, token)
        self._board.sign_out(token)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(SESSION_COOKIE)
        response.delete_cookie(PHONE_COOKIE)
        return response

    async def choose_language(self, request: Request) -> Response:
        """POST /language: remember the choice, return to where it was made."""
        form = await self._form(request)
        back = form.get("back", "/")
        response = RedirectResponse(back if back in ("/", "/status", "/login") else "/", 303)
        if form.get("language") in LANGUAGES:
            self._set(response, LANGUAGE_COOKIE, form["language"], max_age=YEAR_S)
        return response

    # --- pages ----------------------------------------------------------------------------------------------

    async def agent(self, request: Request, user: User) -> Response:
        """GET /"""
        typed = request.cookies.get(PHONE_COOKIE, "")
        typed = typed if wire.PHONE.fullmatch(typed) else ""
        softphone = bool(self._settings.softphones and user.phone)
        return self._page(
            request, "agent.html", user=user, phone=typed or user.phone, typed=typed, softphone=softphone
        )

    async def status(self, request: Request, user: User) -> Response:
        """GET /status"""
        return self._page(request, "status.html", user=user)

    async def health(self, request: Request) -> Response:
        """GET /healthz: 200 while the door is open and the engine listens."""
        well = self._bus.served
        return JSONResponse(
            {"ok": well, "engine": well, "pages": self._gateway.pages, "watchers": self._board.watchers},
            200 if well else 503,
        )

    def not_allowed(self, request: Request, user: User) -> Response:
        """What a browser sees of a page that this user's role has no right to."""
        return self._page(
            request,
            "message.html",
            403,
            user=user,
            title="message.not_allowed",
            text="message.not_allowed_why",
            home=_home(user),
        )

    async def not_found(self, request: Request, fault: Exception) -> Response:
        """What a browser sees for an address that is none of ours, or a method an address does not take."""
        status = fault.status_code if isinstance(fault, HTTPException) else 500
        title = "message.not_found" if status == 404 else "message.not_taken"
        return self._page(
            request, "message.html", status, user=None, title=title, text="message.not_found_why", home="/"
        )

    # --- sockets --------------------------------------------------------------------------------------------

    async def seat_socket(self, ws: WebSocket, user: User) -> None:
        """/ws"""
        await self._gateway.serve(ws, user, ws.cookies[SESSION_COOKIE])

    async def status_socket(self, ws: WebSocket, user: User) -> None:
        """/ws/status"""
        await self._board.serve(ws, user, ws.cookies[SESSION_COOKIE])

    # --- within ---------------------------------------------------------------------------------------------

    async def user(self, connection: HTTPConnection) -> User | None:
        """Who is logged in here; None: nobody."""
        token = connection.cookies.get(SESSION_COOKIE)
        return await self._accounts.session(token) if token else None

    async def _form(self, request: Request) -> dict[str, str]:
        """The fields of a form, the first of each name. Raises HTTP 413 or 400 for what no page of ours sends."""
        body = bytearray()
        async with asyncio.timeout(self._settings.hello_limit_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > self._settings.max_form_bytes:
                    raise HTTPException(413)
        try:
            fields = parse_qs(
                body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=10
            )
        except ValueError as fault:
            raise HTTPException(400) from fault
        return {name: values[0] for name, values in fields.items()}

    def _page(self, request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
        user = values.get("user")
        texts = self.texts(request, user if isinstance(user, User) else None)
        html = _templates.get_template(template).render(
            {"user": None} | values, t=texts, path=request.url.path, languages=LANGUAGES
        )
        return HTMLResponse(
            html, status, headers={"Content-Language": texts.tag, "Vary": "Accept-Language, Cookie"}
        )

    def texts(self, connection: HTTPConnection, user: User | None) -> Catalogue:
        """The catalogue for this browser and user."""
        return catalogue(
            choose(
                connection.cookies.get(LANGUAGE_COOKIE),
                user.language if user else "",
                connection.headers.get("accept-language"),
                self._settings.default_language,
            )
        )

    def _set(self, response: Response, name: str, value: str, max_age: int | None = None) -> None:
        response.set_cookie(
            name, value, max_age=max_age, httponly=True, samesite="lax", secure=self._settings.secure_cookie
        )


def _home(user: User) -> str:
    """Where this user's work is."""
    return "/status" if user.may(Right.WATCH) or not user.may(Right.SEAT) else "/"
