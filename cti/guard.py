"""What every request passes: the same-origin check on whatever could change something, and the security headers.

A browser tells where a request comes from: `Sec-Fetch-Site` over https and on localhost, `Origin` otherwise. A request
that has neither does not come from a modern browser and carries no one's cookies against their will. The WebSocket
handshake is checked too: cookies travel with it, and the same-origin policy does not cover it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src {connect}; frame-src {frames}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PERMISSIONS = "camera=(), geolocation=(), microphone={voice}, payment=(), speaker-selection={voice}, usb=()"

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: with it a browser sends `Origin: null` even to ourselves (Fetch, "append a request Origin").
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def headers_of(
    softphones: tuple[str, ...] = (), frames: tuple[str, ...] = (), others: tuple[str, ...] = ()
) -> dict[str, str]:
    """The security headers; the voice, and sockets to other hosts, are for phones in the page alone.

    `frames` are the origins that a page may show within itself, `others` those that it may ask whether to move there.
    """
    hosts = sorted({f"wss://{urlsplit(url).netloc}" for url in softphones})
    return HEADERS | {
        "Content-Security-Policy": CSP.format(
            connect=" ".join(["'self'", *hosts, *others]), frames=" ".join(frames) or "'none'"
        ),
        "Permissions-Policy": PERMISSIONS.format(voice="(self)" if softphones else "()"),
    }


def from_here(headers: Headers, allowed_origins: frozenset[str]) -> bool:
    """Whether a browser sent this request from one of our own pages (or no browser sent it)."""
    origin = headers.get("origin")
    if origin is not None and origin in allowed_origins:
        return True
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def bearer_of(headers: Headers) -> str | None:
    """The token that a program sends; no page of another site can send one in somebody's name."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


class Guard:
    """ASGI middleware. `refused` counts what was turned away."""

    def __init__(
        self,
        app: ASGIApp,
        allowed_origins: tuple[str, ...] = (),
        softphones: tuple[str, ...] = (),
        frames: tuple[str, ...] = (),
        others: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._headers = headers_of(softphones, frames, others)
        self._allowed = frozenset(allowed_origins)
        self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        risky = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        headers = Headers(scope=scope)
        if risky and bearer_of(headers) is None and not from_here(headers, self._allowed):
            self.refused += 1
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            else:
                await PlainTextResponse("cross-origin request refused", 403)(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)
