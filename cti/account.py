"""One's own account: who one is here, the password, and the sessions that are open."""

from __future__ import annotations

from time import monotonic

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from campaigns.passwords import LONGEST, WeakPassword
from campaigns.users import User, UserStore
from cti.desk import Desk, Refusal, Stored
from cti.front import SESSION_COOKIE, Front, browser_of, home_of, source_of
from cti.throttle import LogInThrottle

TELLS = ("password", "session")  # what was done, as the page is told in its query


class AccountDesk(Desk):
    """The page and its forms."""

    def __init__(self, front: Front, stored: Stored) -> None:
        super().__init__(stored, "account")
        self._front = front
        self._users = UserStore(stored.engine)
        self._throttle = LogInThrottle()  # a session that was left open must not be good for guessing

    async def page(self, request: Request, user: User) -> Response:
        """GET /account"""
        return await self._shown(request, user)

    async def password(self, request: Request, user: User) -> Response:
        """POST /account/password: every session ends, and this browser gets a new one."""
        form = await self._front.form(request)
        old, new = form.get("old", "")[: LONGEST + 1], form.get("new", "")[: LONGEST + 1]
        source = source_of(request)
        if self._throttle.wait_s(user.login, source, monotonic()) > 0:
            return await self._shown(request, user, "account.throttled")
        if new != form.get("again", ""):
            return await self._shown(request, user, "account.differ")

        users = UserStore(self.acting(request, user))

        def change() -> str | None:
            try:
                return users.change_password(user.user_id, old, new, source, browser_of(request))
            except WeakPassword as fault:
                raise Refusal(400, fault.code) from fault

        try:
            token = await self._throttle.tried(user.login, source, monotonic(), self.run(change))
        except Refusal as refusal:
            return await self._shown(request, user, f"account.password_{refusal.code}")
        if token is None:
            return await self._shown(request, user, "account.wrong")
        response = RedirectResponse("/account?done=password", 303)
        self._front.set(request, response, SESSION_COOKIE, token)
        return response

    async def end_session(self, request: Request, user: User) -> Response:
        """POST /account/sessions: end one of one's own, by its number."""
        number = (await self._front.form(request)).get("session", "")
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            raise Refusal(400, "malformed", "session: is a number")
        users = UserStore(self.acting(request, user))
        await self.run(lambda: users.revoke(user.user_id, int(number)))
        return RedirectResponse("/account?done=session", 303)

    async def _shown(self, request: Request, user: User, problem: str = "") -> Response:
        token = request.cookies[SESSION_COOKIE]
        sessions = await self.run(lambda: self._users.sessions(user.user_id, token))
        done = request.query_params.get("done", "")
        return self._front.page(
            request,
            "account.html",
            400 if problem else 200,
            user=user,
            home=home_of(user),
            sessions=sessions,
            problem=problem,
            done=f"account.done_{done}" if done in TELLS and not problem else "",
        )
