"""Routes, each declared with the right it needs: who asks is found out here, once, before the endpoint is reached.

An endpoint is called with the request and the user; one that anybody may ask, with the request alone. Who is not signed
in is sent to the log-in by a page, refused by the API with 401, by a socket with its own code; and so with who is, and
lacks the right.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from campaigns.rights import Right
from campaigns.users import User
from cti import wire
from cti.desk import Refusal
from cti.front import Front
from cti.page import refuse

Endpoint = Callable[[Request, User], Awaitable[Response]]
GET, POST, PUT, DELETE = ("GET",), ("POST",), ("PUT",), ("DELETE",)


class Way(Route):
    """A route that knows the right it needs; None: anybody may."""

    needs: Right | None = None


class SocketWay(WebSocketRoute):
    """The same for a socket."""

    needs: Right | None = None


class Entry:
    """Makes the routes of an app."""

    def __init__(self, front: Front) -> None:
        self._front = front

    def anybody(
        self, path: str, endpoint: Callable[[Request], Awaitable[Response]], methods: Sequence[str] = GET
    ) -> Way:
        """A route that needs no log-in."""
        return Way(path, endpoint, methods=list(methods))

    def page(self, path: str, needs: Right, endpoint: Endpoint, methods: Sequence[str] = GET) -> Way:
        """A page, or a form of one."""

        async def asked(request: Request) -> Response:
            user = await self._front.user(request)
            if user is None:
                return RedirectResponse("/login", 303)
            if not user.may(needs):
                return self._front.not_allowed(request, user)
            return await endpoint(request, user)

        way = Way(path, asked, methods=list(methods))
        way.needs = needs
        return way

    def api(self, path: str, needs: Right, endpoint: Endpoint, methods: Sequence[str] = GET) -> Way:
        """An endpoint for programs."""

        async def asked(request: Request) -> Response:
            user = await self._front.program(request)
            if user is None:
                raise Refusal(401, "no_session")
            if not user.may(needs):
                raise Refusal(403, "not_allowed")
            return await endpoint(request, user)

        way = Way(path, asked, methods=list(methods))
        way.needs = needs
        return way

    def socket(
        self,
        path: str,
        needs: Right,
        endpoint: Callable[[WebSocket, User], Awaitable[None]],
        programs: bool = False,
    ) -> SocketWay:
        """A socket of a page, or for `programs`."""
        who = self._front.program if programs else self._front.user

        async def asked(ws: WebSocket) -> None:
            user = await who(ws)
            if user is None:
                await refuse(ws, wire.NO_SESSION)
            elif not user.may(needs):
                await refuse(ws, wire.NOT_ALLOWED)
            else:
                await endpoint(ws, user)

        way = SocketWay(path, asked)
        way.needs = needs
        return way
