"""Logging in and out: the form, the throttle on guesses, the session's cookie, the phone that was chosen."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from cti.provider import Provider

log = structlog.get_logger(__name__)

PHONE_COOKIE = "zd_phone"
SECRET_LIMIT = 256  # characters of a password or login that are looked at; hashing longer ones is only work


class LogIn:
    """The endpoints."""

    def __init__(
        self,
        front: Front,
        accounts: Accounts,
        settings: WebSettings,
        gateway: Gateway,
        board: StatusBoard,
        provider: Provider | None = None,
    ) -> None:
        self._front = front
        self._accounts = accounts
        self._gateway = gateway
        self._board = board
        self._required = settings.second_factor
        self._provider = provider
        self._throttle = LogInThrottle()

    async def form(self, request: Request) -> Response:
        """GET /login"""
        user = await self._front.user(request)
        if user is not None:
            return RedirectResponse(home_of(user), 303)
        return self.shown(request)

    async def log_in(self, request: Request) -> Response:
        """POST /login: check, open a new session (the id of an older one is never kept), set the cookie."""
        form = await self._front.form(request)
        login = form.get("login", "").strip()[:SECRET_LIMIT]
        password, phone = form.get("password", "")[:SECRET_LIMIT], form.get("phone", "").strip()
        source = source_of(request)

        def refused(problem: str, status: int, wait_s: float = 0.0) -> Response:
            return self.shown(request, status, problem, login, phone, wait_s)

        wait_s = self._throttle.wait_s(login, source, monotonic())
        if wait_s > 0:
            return refused("login.throttled", 429, wait_s)
        if phone and not wire.PHONE.fullmatch(phone):
            return refused("login.bad_phone", 400)
        if not login:
            return refused("login.wrong", 401)
        try:
            check = self._accounts.verify(login, password, source)
            user = await self._throttle.tried(login, source, monotonic(), check)
        except AccountsBusy:
            return refused("login.busy", 503, 5.0)
        if user is None:
            log.info("a log-in failed", login=login, source=source)
            return refused("login.wrong", 401)
        return await self.let_in(request, user, phone)

    async def let_in(
        self, request: Request, user: User, phone: str, second_factor: bool = False, id_token: str = ""
    ) -> Response:
        """Open a session for who has proved who they are, or one that waits for the second factor.

        `second_factor`: it was asked for already, by the provider whose `id_token` this is.
        """
        older = request.cookies.get(SESSION_COOKIE)
        if older:
            await self._accounts.close_session(older, source_of(request))
        waits_for, page = "", home_of(user) if not phone else "/"
        if second_factor:
            pass
        elif user.second_factor:
            waits_for, page = "code", "/login/code"
        elif user.role in self._required:
            waits_for, page = "enrolment", "/login/enrol"
        token = await self._accounts.open_session(
            user, source_of(request), browser_of(request), waits_for, id_token
        )
        response = RedirectResponse(page, 303)
        self._front.set(request, response, SESSION_COOKIE, token)
        self._front.set(request, response, PHONE_COOKIE, phone)
        return response

    def shown(
        self,
        request: Request,
        status: int = 200,
        problem: str = "",
        login: str = "",
        phone: str = "",
        wait_s: float = 0.0,
    ) -> Response:
        """The page, with what went wrong."""
        wait = max(1, round(wait_s))
        response = self._front.page(
            request,
            "login.html",
            status,
            problem=problem,
            wait_s=wait,
            login=login,
            phone=phone,
            oidc=self._provider is not None,
        )
        if wait_s:
            response.headers["Retry-After"] = str(wait)
        return response

    async def log_out(self, request: Request, user: User) -> Response:
        """POST /logout: end the session and free the seat; at the provider, too, for who came by it.

        Else the next at this desk would be let in as them. A page leads there: the answer to a form may not.
        """
        token = request.cookies[SESSION_COOKIE]
        id_token = await self._accounts.close_session(token, source_of(request))
        await self._gateway.sign_out(user, token)
        self._board.sign_out(token)
        url = await self._provider.end_url(id_token) if self._provider is not None and id_token else None
        response: Response = (
            self._front.page(request, "signed_out.html", url=url) if url else RedirectResponse("/login", 303)
        )
        self._front.unset(response, SESSION_COOKIE)
        self._front.unset(response, PHONE_COOKIE)
        return response
