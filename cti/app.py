"""The web app: routes, the guard around them, and what runs in the background while it is up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from campaigns.why import Explainer
from cti.bus import Bus
from cti.compliance import ComplianceDesk
from cti.desk import Refusal, Stored
from cti.gateway import Gateway
from cti.guard import Guard
from cti.identity import Accounts
from cti.lists import ListDesk
from cti.pages import Pages
from cti.reports import ReportDesk, Reports
from cti.requeue import Requeue, RequeueDesk
from cti.settings import WebSettings
from cti.status import StatusBoard
from cti.why import WhyDesk

STATIC = Path(__file__).parent / "static"


class _Static(StaticFiles):
    """Static files that a browser keeps but asks about each time, so that an upgrade shows at once."""

    def file_response(self, *args: object, **kwargs: object):  # type: ignore[no-untyped-def]
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app(
    bus: Bus,
    accounts: Accounts,
    settings: WebSettings | None = None,
    explainer: Explainer | None = None,
    reports: Reports | None = None,
    requeue: Requeue | None = None,
    stored: Stored | None = None,
) -> Starlette:
    """The app over a bus and accounts; supervisors ask why through `explainer`, read `reports`, have leads called again
    through `requeue`, and keep lists and what they answer for in `stored`, if there are.

    `app.state.gateway` and `app.state.board` carry counters and the `on_delivered` hook for an exporter.
    """
    settings = settings or WebSettings()
    gateway = Gateway(bus, accounts, settings)
    board = StatusBoard(bus, accounts, settings)
    pages = Pages(bus, accounts, settings, gateway, board)
    desk = WhyDesk(pages, explainer) if explainer is not None else None
    reading = ReportDesk(pages, reports) if reports is not None else None
    again = RequeueDesk(pages, requeue) if requeue is not None else None
    lists = ListDesk(pages, stored, "lists") if stored is not None else None
    compliance = ComplianceDesk(pages, stored, "compliance") if stored is not None else None

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        background = [asyncio.create_task(gateway.run()), asyncio.create_task(board.run())]
        try:
            yield
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            for each in (desk, reading, again, lists, compliance):
                if each is not None:
                    each.close()

    app = Starlette(
        routes=[
            Route("/", pages.agent),
            Route("/login", pages.log_in_form, methods=["GET"]),
            Route("/login", pages.log_in, methods=["POST"]),
            Route("/logout", pages.log_out, methods=["POST"]),
            Route("/language", pages.choose_language, methods=["POST"]),
            Route("/status", pages.status),
            Route("/healthz", pages.health),
            *([Route("/api/why", desk.why)] if desk is not None else []),
            *([Route("/api/caller-ids", reading.caller_ids)] if reading is not None else []),
            *([Route("/api/requeue", again.requeue, methods=["POST"])] if again is not None else []),
            *([Route("/api/best-time", reading.best_time)] if reading is not None else []),
            *(_list_routes(lists) if lists is not None else []),
            *(_compliance_routes(compliance) if compliance is not None else []),
            WebSocketRoute("/ws", pages.seat_socket),
            WebSocketRoute("/ws/status", pages.status_socket),
            Mount("/static", _Static(directory=STATIC)),
        ],
        middleware=[
            Middleware(Guard, allowed_origins=settings.allowed_origins, softphones=settings.softphones)
        ],
        exception_handlers={404: pages.not_found, 405: pages.not_found, Refusal: _refused},
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.gateway = gateway
    app.state.board = board
    return app


def _list_routes(desk: ListDesk) -> list[Route]:
    return [
        Route("/api/lists", desk.show, methods=["GET"]),
        Route("/api/lists", desk.take, methods=["POST"]),
        Route("/api/lists/undo", desk.undo, methods=["POST"]),
        Route("/api/lists/{list_id:int}/report", desk.report),
        Route("/api/lists/{list_id:int}/rejects", desk.rejects),
    ]


def _compliance_routes(desk: ComplianceDesk) -> list[Route]:
    return [
        Route("/api/dnc", desk.check, methods=["GET"]),
        Route("/api/dnc", desk.bar, methods=["POST"]),
        Route("/api/dnc", desk.unbar, methods=["DELETE"]),
        Route("/api/consents", desk.consents, methods=["GET"]),
        Route("/api/consents", desk.give, methods=["POST"]),
        Route("/api/consents/withdraw", desk.withdraw, methods=["POST"]),
        Route("/api/evidence", desk.evidence),
        Route("/api/person", desk.person),
    ]


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return refusal.response()
