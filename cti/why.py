"""`GET /api/why`: whether a customer would be called and why not, for supervisors, about the campaigns they serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.numbers import NotANumber, number_of
from campaigns.why import Explainer, NoSuchLead, asked_about
from cti.identity import UserIdentity
from cti.pages import Pages

T = TypeVar("T")

READERS = 1  # a campaign's sample takes a core for a second: one at a time, so that calls go on beside it
WAITING = 8
LONGEST_LEAD = 18  # digits of the largest id


class WhyDesk:
    """The endpoint over an explainer of the database. Call :meth:`close` at the end."""

    def __init__(self, pages: Pages, explainer: Explainer) -> None:
        self._pages = pages
        self._explainer = explainer
        self._readers = ThreadPoolExecutor(READERS, "why")
        self._waiting = 0

    async def why(self, request: Request) -> Response:
        """Of a `number` (read in `country`, CN when not given) or a `lead`; of all leads of a `campaign` without those.

        `at` is an instant in ISO 8601, now when not given; without an offset it is UTC. 401 without a session, 403 for
        who may not watch, 400 for what makes no sense, 404 for what there is not, or not for this supervisor.
        """
        user = await self._pages.user(request)
        if user is None:
            return refused(401, "no_session")
        if not user.may_watch:
            return refused(403, "not_allowed")
        try:
            ask = self._asked(request, user)
        except (NotANumber, ValueError) as fault:
            return refused(400, "malformed", str(fault))
        if self._waiting >= WAITING:
            return refused(503, "busy")
        self._waiting += 1
        try:
            answer = msgspec.to_builtins(await self._run(ask))
        except NoSuchLead as fault:
            return refused(404, "not_found", str(fault))
        finally:
            self._waiting -= 1
        texts = self._pages.texts(request, user)
        answers = answer if isinstance(answer, list) else [answer]
        for each in answers:
            for reason in each.get("reasons", ()):
                reason["label"] = texts(f"refusal.{reason['reason']}")
            for name, held in each.get("held", {}).items():
                held["label"] = texts(f"refusal.{name}")
        return JSONResponse(answer)

    def close(self) -> None:
        """Let the thread end."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _asked(self, request: Request, user: UserIdentity) -> Callable[[], Any]:
        asked = request.query_params
        at = asked_about(asked["at"]) if "at" in asked else datetime.now(UTC)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        campaign = asked.get("campaign")
        seen = visible(user, campaign)
        if "number" in asked:
            number = number_of(asked["number"], asked.get("country", "CN"))
            return lambda: self._explainer.number(number, at, seen)
        if "lead" in asked:
            lead = asked["lead"]
            if not lead.isascii() or not lead.isdigit() or len(lead) > LONGEST_LEAD:
                raise ValueError(f"{lead!r} is no lead's id")
            return lambda: self._explainer.lead(int(lead), at, seen)
        if campaign is None:
            raise ValueError("name a number, a lead or a campaign")

        def of_campaign() -> Any:
            if seen is not None and campaign not in seen:
                raise NoSuchLead(f"there is no campaign {campaign!r}")
            return self._explainer.campaign(campaign, at)

        return of_campaign

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)


def visible(user: UserIdentity, campaign: str | None) -> Collection[str] | None:
    """The campaigns this user is told of, None: all."""
    if user.role == "admin":
        return None if campaign is None else [campaign]
    return [name for name in user.campaigns if campaign in (None, name)]


def refused(status: int, code: str, detail: str = "") -> Response:
    return JSONResponse({"error": code, "detail": detail}, status)
