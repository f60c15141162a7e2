"""Logging in and out: the form, the throttle on guesses, the session's cookie, the phone that was chosen."""

from __future__ import annotations

from time import monotonic

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from campaigns.users import User
from cti import wire
from cti.front import SESSION_COOKIE, Front, browser_of, home_of, source_of
from cti.gateway import Gateway
from cti.identity import Accounts, AccountsBusy
from cti.settings import WebSettings
from cti.status import StatusBoard
from cti.throttle import LogInThrottle

log = structlog.get_logger(__name__)

PHONE_COOKIE = "zd_phone"
SECRET_LIMIT = 256  # characters of a password or login that are looked at; hashing longer ones is only work


class LogIn:
    """The endpoints."""

    def __init__(
        self, front: Front, accounts: Accounts, settings: WebSettings, gateway: Gateway, board: StatusBoard
    ) -> None:
        self._front = front
        self._accounts = accounts
        self._gateway = gateway
        self._board = board
        self._required = settings.second_factor
        self._throttle = LogInThrottle()

    async def form(self, request: Request) -> Response:
        """GET /login"""
        user = await self._front.user(request)
        if user is not None:
            return RedirectResponse(home_of(user), 303)
        return self._front.page(request, "login.html", problem="", wait_s=0, login="", phone="")

    async def log_in(self, request: Request) -> Response:
        """POST /login: check, open a new session (the id of an older one is never kept), set the cookie."""
        form = await self._front.form(request)
        login = form.get("login", "").strip()[:SECRET_LIMIT]
        password, phone = form.get("password", "")[:SECRET_LIMIT], form.get("phone", "").strip()
        source = source_of(request)

        def refused(problem: str, status: int, wait_s: float = 0.0) -> Response:
            return self._refused(request, problem, status, login, phone, wait_s)

        wait_s = self._throttle.wait_s(login, source, monotonic())
        if wait_s > 0:
            return refused("login.throttled", 429, wait_s)
        if phone and not wire.PHONE.fullmatch(phone):
            return refused("login.bad_phone", 400)
        try:
            user = await self._accounts.verify(login, password, source)
        except AccountsBusy:
            return refused("login.busy", 503, 5.0)
        if user is None:
            self._throttle.failed(login, source, monotonic())
            log.info("a log-in failed", login=login, source=source)
            return refused("login.wrong", 401)
        self._throttle.succeeded(login, source)
        return await self._let_in(request, user, phone)

    async def _let_in(self, request: Request, user: User, phone: str) -> Response:
        older = request.cookies.get(SESSION_COOKIE)
        if older:
            await self._accounts.close_session(older, source_of(request))
        waits_for, page = "", home_of(user) if not phone else "/"
        if user.second_factor:
            waits_for, page = "code", "/login/code"
        elif user.role in self._required:
            waits_for, page = "enrolment", "/login/enrol"
        token = await self._accounts.open_session(user, source_of(request), browser_of(request), waits_for)
        response = RedirectResponse(page, 303)
        self._front.set(request, response, SESSION_COOKIE, token)
        self._front.set(request, response, PHONE_COOKIE, phone)
        return response

    def _refused(
        self, request: Request, problem: str, status: int, login: str, phone: str, wait_s: float
    ) -> Response:
        wait = max(1, round(wait_s))
        response = self._front.page(
            request, "login.html", status, problem=problem, wait_s=wait, login=login, phone=phone
        )
        if wait_s:
            response.headers["Retry-After"] = str(wait)
        return response

    async def log_out(self, request: Request, user: User) -> Response:
        """POST /logout: end the session and free the seat."""
        token = request.cookies[SESSION_COOKIE]
        await self._accounts.close_session(token, source_of(request))
        await self._gateway.sign_out(user, token)
        self._board.sign_out(token)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(SESSION_COOKIE)
        response.delete_cookie(PHONE_COOKIE)
        return response
