"""The second factor's pages: the code asked for at log-in, setting it up by a picture for the phone, turning it off."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic

import segno
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from campaigns.second_factor import SecondFactor, turn_off, uri
from campaigns.users import User, UserStore
from cti.desk import Desk, Stored
from cti.front import SESSION_COOKIE, Front, browser_of, home_of, source_of
from cti.throttle import LogInThrottle

LONGEST = 64  # characters of a code that are looked at
# A code is one of a million, of which three are good at a time: of so many tries in a quarter of an hour one in a
# thousand days would be right, and only with the right password first.
PER_LOGIN = 20


class SecondFactorDesk(Desk):
    """The pages and their forms."""

    def __init__(self, front: Front, stored: Stored) -> None:
        super().__init__(stored, "second-factor")
        self._front = front
        self._throttle = LogInThrottle(per_login=PER_LOGIN)

    # --- at log-in --------------------------------------------------------------------------------------------

    async def ask(self, request: Request) -> Response:
        """GET /login/code"""
        user = await self._half(request, "code")
        return self._asked(request, user) if user is not None else RedirectResponse("/login", 303)

    async def answer(self, request: Request) -> Response:
        """POST /login/code: a code, and the session is good, under another id."""
        user = await self._half(request, "code")
        if user is None:
            return RedirectResponse("/login", 303)
        problem = await self._checked(request, user)
        if problem:
            return self._asked(request, user, problem)
        response = RedirectResponse(home_of(user), 303)
        return await self._let_in(request, user, response)

    async def enrol(self, request: Request) -> Response:
        """GET /login/enrol: who must have a second factor, and has none, sets it up before anything else."""
        user = await self._half(request, "enrolment")
        return await self._offered(request, user) if user is not None else RedirectResponse("/login", 303)

    async def enrolled(self, request: Request) -> Response:
        """POST /login/enrol: a code that shows that the secret has arrived."""
        user = await self._half(request, "enrolment")
        if user is None:
            return RedirectResponse("/login", 303)
        response = await self._taken_up(request, user)
        return await self._let_in(request, user, response) if response.status_code == 200 else response

    # --- in one's account -------------------------------------------------------------------------------------

    async def page(self, request: Request, user: User) -> Response:
        """GET /account/factor"""
        return await self._offered(request, user)

    async def take_up(self, request: Request, user: User) -> Response:
        """POST /account/factor"""
        return await self._taken_up(request, user)

    async def turn_off(self, request: Request, user: User) -> Response:
        """POST /account/factor/off: with a code; every session ends."""
        problem = await self._checked(request, user)
        if problem:
            return self._front.page(
                request, "factor_off.html", 400, user=user, home=home_of(user), problem=problem
            )
        engine = self.acting(request, user)
        await self.run(lambda: turn_off(engine, user.login))
        return RedirectResponse("/login", 303)

    # --- within -----------------------------------------------------------------------------------------------

    async def _half(self, request: Request, waits_for: str) -> User | None:
        token = request.cookies.get(SESSION_COOKIE)
        users = UserStore(self._stored.engine)
        return await self.run(lambda: users.waiting(token, waits_for)) if token else None

    def _asked(self, request: Request, user: User, problem: str = "") -> Response:
        return self._front.page(request, "code.html", 400 if problem else 200, user=user, problem=problem)

    async def _checked(self, request: Request, user: User) -> str:
        """What is wrong with the code of the form; empty when it is good."""
        form = await self._front.form(request)
        source, now = source_of(request), datetime.now(UTC)
        if self._throttle.wait_s(user.login, source, monotonic()) > 0:
            return "factor.throttled"
        factor = SecondFactor(self.acting(request, user), self._stored.vault)
        code = form.get("code", "")[:LONGEST].strip()
        check = self.run(lambda: factor.check(user.user_id, code, now))
        right = await self._throttle.tried(user.login, source, monotonic(), check)
        return "" if right else "factor.wrong"

    async def _offered(self, request: Request, user: User, problem: str = "") -> Response:
        factor = SecondFactor(self._stored.engine, self._stored.vault)
        secret = await self.run(lambda: factor.offer(user.user_id))
        if secret is None:
            return self._front.page(request, "factor_off.html", user=user, home=home_of(user), problem="")
        picture = segno.make(uri(secret, user.login), error="m").svg_data_uri(scale=5, border=4, light="#fff")
        return self._front.page(
            request,
            "factor.html",
            400 if problem else 200,
            user=user,
            picture=picture,
            secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
            problem=problem,
        )

    async def _taken_up(self, request: Request, user: User) -> Response:
        code, now = (await self._front.form(request)).get("code", "")[:LONGEST].strip(), datetime.now(UTC)
        factor = SecondFactor(self.acting(request, user), self._stored.vault)
        codes = await self.run(lambda: factor.take_up(user.user_id, code, now))
        if codes is None:
            return await self._offered(request, user, "factor.wrong")
        return self._front.page(request, "recovery.html", user=user, home=home_of(user), codes=codes)

    async def _let_in(self, request: Request, user: User, response: Response) -> Response:
        waited, source, browser = request.cookies[SESSION_COOKIE], source_of(request), browser_of(request)
        factor = SecondFactor(self._stored.engine, self._stored.vault)
        token = await self.run(lambda: factor.let_in(waited, user, source, browser))
        self._front.set(request, response, SESSION_COOKIE, token)
        return response
