"""What was learned of calls, for supervisors, about the campaigns they serve: how caller-IDs are answered, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.best_time.store import BestTimeStore
from campaigns.caller_ids.watch import CallerIdWatch
from campaigns.store import NoSuchCampaign
from cti.pages import Pages
from cti.why import refused, visible

T = TypeVar("T")

READERS = 1  # reports come one at a time, so that calls go on beside them
WAITING = 8


@dataclass(frozen=True, slots=True)
class Reports:
    """Where the reports come from."""

    caller_ids: CallerIdWatch
    best_times: BestTimeStore


class ReportDesk:
    """The endpoints over reports from the database. Call :meth:`close` at the end."""

    def __init__(self, pages: Pages, reports: Reports) -> None:
        self._pages = pages
        self._reports = reports
        self._readers = ThreadPoolExecutor(READERS, "reports")
        self._waiting = 0

    async def caller_ids(self, request: Request) -> Response:
        """How each number is used and answered, of a `campaign` or all that this supervisor serves.

        401 without a session, 403 for who may not watch, 404 for a campaign that there is not, or not for them.
        """
        return await self._answer(request, self._reports.caller_ids.report)

    async def best_time(self, request: Request) -> Response:
        """The chance of an answer by segment and hour, and what the order gained, as `GET /api/caller-ids` is asked."""
        now = datetime.now(UTC)
        return await self._answer(request, lambda name: self._reports.best_times.reports(name, now))

    def close(self) -> None:
        """Let the thread end."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request: Request, report: Callable[[str | None], Sequence[object]]) -> Response:
        user = await self._pages.user(request)
        if user is None:
            return refused(401, "no_session")
        if not user.may_watch:
            return refused(403, "not_allowed")
        campaign = request.query_params.get("campaign")
        seen = visible(user, campaign)
        if campaign is not None and seen is not None and campaign not in seen:
            return refused(404, "not_found", f"there is no campaign {campaign!r}")
        if self._waiting >= WAITING:
            return refused(503, "busy")
        self._waiting += 1
        try:
            names = [None] if seen is None else seen
            found = [each for name in names for each in await self._run(lambda name=name: report(name))]
        except NoSuchCampaign as fault:
            return refused(404, "not_found", str(fault))
        finally:
            self._waiting -= 1
        return JSONResponse(msgspec.to_builtins(found))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)
