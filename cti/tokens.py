"""One's own API tokens: made with a name, rights and an end, told once, and revoked."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from campaigns.rights import Right
from campaigns.tokens import BadToken, Token, Tokens, grantable
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored
from cti.front import Front, home_of

DAYS = (30, 90, 365)
FIELDS = len(Right) + 2  # of the form


class TokenDesk(Desk):
    """The page and its forms."""

    def __init__(self, front: Front, stored: Stored) -> None:
        super().__init__(stored, "tokens")
        self._front = front

    async def page(self, request: Request, user: User) -> Response:
        """GET /account/tokens"""
        return await self._shown(request, user)

    async def make(self, request: Request, user: User) -> Response:
        """POST /account/tokens: the answer shows the token, and nothing does again."""
        form = await self._front.form(request, FIELDS)
        rights = [right for right in grantable(user) if form.get(right)]
        days = form.get("days", "")
        tokens, now = Tokens(self.acting(request, user)), datetime.now(UTC)

        def made() -> str:
            try:
                span = int(days) if days in {str(each) for each in DAYS} else 0
                return tokens.make(user, form.get("name", ""), rights, span, now)
            except BadToken as fault:
                raise Refusal(400, fault.code) from fault

        try:
            token = await self.run(made)
        except Refusal as refusal:
            return await self._shown(request, user, f"token.bad_{refusal.code}")
        return self._front.page(request, "token.html", user=user, home=home_of(user), token=token)

    async def revoke(self, request: Request, user: User) -> Response:
        """POST /account/tokens/revoke: end one, by its number."""
        number = (await self._front.form(request)).get("token", "")
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            raise Refusal(400, "malformed", "token: is a number")
        tokens, now = Tokens(self.acting(request, user)), datetime.now(UTC)
        await self.run(lambda: tokens.revoke(user.user_id, int(number), now))
        return RedirectResponse("/account/tokens", 303)

    async def _shown(self, request: Request, user: User, problem: str = "") -> Response:
        def read() -> list[Token]:
            return list(Tokens(self._stored.engine).of(user.user_id, datetime.now(UTC)))

        return self._front.page(
            request,
            "tokens.html",
            400 if problem else 200,
            user=user,
            home=home_of(user),
            tokens=await self.run(read),
            rights=grantable(user),
            days=DAYS,
            problem=problem,
        )
