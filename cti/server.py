"""Runs the web app inside the daemon's event loop, on a socket of our own making; signals stay the daemon's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Generator

import h11
import structlog
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from cti.settings import WebSettings

log = structlog.get_logger(__name__)

DRAIN_S = 2  # how long open requests may take at shutdown
# How long the kernel keeps what a peer does not take. A closed socket whose reader has stopped is held no longer.
UNREAD_LIMIT_MS = 30_000
HEAD_S = 10.0  # how long a connection may take for the whole head of its first or next request


class CannotListen(Exception):
    """The address could not be listened on. The text names it and says why."""


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class _Prompt(H11Protocol):
    """uvicorn's HTTP; a connection that brings no request in time is closed, as idle ones would leave no room."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def on_response_complete(self) -> None:
        self._wait_for_head()
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._wait_no_more()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._wait_no_more()
        self._late = self.loop.call_later(HEAD_S, self._close_if_idle)

    def _wait_no_more(self) -> None:
        if self._late is not None:
            self._late.cancel()

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:  # else a request is being answered
            self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; its connections inherit the options. Raises :class:`CannotListen`."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as fault:
        raise CannotListen(f"the web address {host}:{port} can't be used: {fault}") from fault
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_LIMIT_MS)
        sock.bind(address)
        sock.listen(2048)
        sock.setblocking(False)
    except OSError as fault:
        sock.close()
        raise CannotListen(
            f"the web address {host}:{port} can't be used: {fault.strerror}; choose another port, or stop what holds it"
        ) from fault
    return sock


async def serve(
    app: Starlette,
    host: str,
    port: int,
    ready: Callable[[int], None] | None = None,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve until cancelled, over `tls` where it is given. `ready` is called once with the port, which port 0 leaves
    to the system.

    Raises :class:`CannotListen` when the address is taken or not ours, and what a part of the app in the background
    fails with.
    """
    settings: WebSettings = app.state.settings
    sock = listen(host, port)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        http=_Prompt,
        ws="websockets-sansio",
        ws_max_size=settings.max_message_bytes,
        ws_per_message_deflate=False,  # 60 kB a socket against 20, for messages of a few hundred bytes
        ws_ping_interval=settings.ping_interval_s,
        ws_ping_timeout=settings.ping_timeout_s,
        lifespan="on",
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ssl_context_factory=(lambda config, default: tls) if tls is not None else None,
        limit_concurrency=settings.max_connections,
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[sock]), name="web server")
    try:
        while not server.started and not running.done():
            await asyncio.sleep(0.005)  # uvicorn offers nothing to wait for
        if ready is not None and server.started:
            ready(sock.getsockname()[1])
        parts = {running, *getattr(app.state, "background", ())}
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_EXCEPTION)
        for part in done:
            if not part.cancelled():
                part.result()
    finally:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({running}, timeout=DRAIN_S + 2)
        running.cancel()
        sock.close()
