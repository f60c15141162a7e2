"""`POST /api/requeue`: a supervisor has leads of the campaigns they serve called again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.numbers import NotANumber, number_of
from campaigns.requeue import NothingToRequeue, Which
from cti.pages import Pages
from cti.why import refused

Requeue = Callable[[Which, str, datetime], int]

MOST_BYTES = 1_000_000  # of a request: some ten thousand numbers


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"list_name": "list"}):
    """What the body says. Numbers without a country code are read in `region`."""

    campaign: str
    numbers: tuple[str, ...] = ()
    list_name: str = ""
    outcome: str = ""
    region: str = "CN"


class RequeueDesk:
    """The endpoint over what has leads called again. Call :meth:`close` at the end."""

    def __init__(self, pages: Pages, requeue: Requeue) -> None:
        self._pages = pages
        self._requeue = requeue
        self._writer = ThreadPoolExecutor(1, "requeue")

    async def requeue(self, request: Request) -> Response:
        """Leads of a `campaign` by `numbers`, `list` or `outcome`; answers how many.

        401 without a session, 403 for who may not watch, 400 for what makes no sense, 404 for what there is not, or
        not for this supervisor.
        """
        user = await self._pages.user(request)
        if user is None:
            return refused(401, "no_session")
        if not user.may_watch:
            return refused(403, "not_allowed")
        try:
            if int(request.headers.get("content-length", MOST_BYTES + 1)) > MOST_BYTES:
                return refused(413, "too_long")
            asked = msgspec.json.decode(await request.body(), type=Asked)
            numbers = tuple(number_of(number, asked.region) for number in asked.numbers)
        except (NotANumber, ValueError, msgspec.DecodeError) as fault:
            return refused(400, "malformed", str(fault))
        if user.role != "admin" and asked.campaign not in user.campaigns:
            return refused(404, "not_found", f"there is no campaign {asked.campaign!r}")
        which = Which(asked.campaign, numbers, asked.list_name, asked.outcome)
        work = asyncio.get_running_loop().run_in_executor(
            self._writer, self._requeue, which, user.login, datetime.now(UTC)
        )
        try:
            return JSONResponse({"leads": await work})
        except NothingToRequeue as fault:
            return refused(404, "not_found", str(fault))

    def close(self) -> None:
        """Let the thread end."""
        self._writer.shutdown(wait=False, cancel_futures=True)
