"""What calls were worth, and when customers are best called: pages and endpoints, and orders that come in."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.best_time.store import BestTimes, BestTimeStore
from campaigns.evaluation.evaluating import SPLITS, Evaluation, evaluate
from campaigns.evaluation.purchases import BroughtIn, Purchase, bring_in, from_csv
from campaigns.rights import Right
from campaigns.store import CampaignStore
from campaigns.units import Units
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored
from cti.front import Front, home_of

READERS = 1  # evaluations come one at a time, so that calls go on beside them
MOST_BYTES, MOST_ROWS = 4_000_000, 10_000  # of orders at a time
CSV = "text/csv"
DAYS = (7, 30, 90, 365)
SHOWN = 60  # segments on the page of best times
SHADES = 9
ZONE = "Asia/Shanghai"


class WorthDesk(Desk):
    """The endpoints and pages, each about the campaigns that the asker sees."""

    def __init__(self, front: Front, stored: Stored) -> None:
        super().__init__(stored, "worth", READERS)
        self._front = front

    async def evaluation(self, request: Request, asker: User) -> Response:
        """GET /api/evaluation: of a `campaign`, split `by`, of the last `days`."""
        campaign = request.query_params.get("campaign", "")
        await self.campaign_id(asker, campaign)
        return JSONResponse(msgspec.to_builtins(await self._evaluated(request, asker, campaign)))

    async def bring_in(self, request: Request, asker: User) -> Response:
        """POST /api/results: orders of the asker's `unit`; times without a zone are of `zone`.

        They are a JSON array, or with a CSV's type a file as `dialer results` takes it.
        """
        if not request.headers.get("content-type", "").startswith(CSV):
            rows = await self.fields(request, list[Purchase], MOST_BYTES)
            if len(rows) > MOST_ROWS:
                raise Refusal(413, "too_large", f"at most {MOST_ROWS:,} rows are taken at a time")
            return await self._brought_in(request, asker, rows, "by the API")
        folder = self._stored.imports / secrets.token_hex(8)
        folder.mkdir(parents=True, mode=0o700)
        try:
            await self.to_file(request, folder / "sent.csv", MOST_BYTES)
            return await self._brought_in(request, asker, from_csv(folder / "sent.csv"), "a file")
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def page(self, request: Request, user: User) -> Response:
        """GET /evaluation"""
        engine = self.within(request, user)
        campaigns = await self.run(lambda: _campaigns(engine, user))
        asked = request.query_params
        campaign, by, days = (
            self._chosen(asked.get("campaign"), campaigns),
            asked.get("by", "list"),
            _days(request),
        )
        found: Evaluation | None = None
        problem = ""
        units = await self.run(lambda: Units(engine).below(user.unit_id)) if user.may(Right.PLAN) else ()
        if campaign:
            try:
                found = await self._evaluated(request, user, campaign)
            except Refusal as refusal:
                problem = refusal.detail or refusal.code
        return self._front.page(
            request,
            "evaluation.html",
            user=user,
            home=home_of(user),
            campaigns=campaigns,
            campaign=campaign,
            splits=list(SPLITS),
            by=by,
            days=days,
            choices=DAYS,
            found=found,
            problem=problem,
            units=[each.path for each in units],
            zone=self._stored.zone,
        )

    async def best_time(self, request: Request, user: User) -> Response:
        """GET /best-time"""
        engine = self.within(request, user)
        campaigns = await self.run(lambda: _campaigns(engine, user))
        campaign = self._chosen(request.query_params.get("campaign"), campaigns)
        now = datetime.now(UTC)
        found: BestTimes | None = None
        if campaign:
            found = await self.run(lambda: BestTimeStore(engine).report(campaign, now))
        return self._front.page(
            request,
            "best_time.html",
            user=user,
            home=home_of(user),
            campaigns=campaigns,
            campaign=campaign,
            found=found,
            segments=found.segments[:SHOWN] if found is not None else (),
            hours=[each.hour for each in found.segments[0].hours]
            if found is not None and found.segments
            else [],
            shade=_shade,
        )

    # --- within -----------------------------------------------------------------------------------------------

    async def _brought_in(
        self, request: Request, asker: User, rows: Iterable[Purchase], about: str
    ) -> Response:
        asked, engine = request.query_params, self.within(request, asker)

        def bringing() -> BroughtIn:
            unit = self.unit(asker, asked.get("unit")).unit_id
            return bring_in(engine, unit, rows, asked.get("zone", ZONE), about)

        return JSONResponse(msgspec.to_builtins(await self.run(bringing)))

    async def _evaluated(self, request: Request, asker: User, campaign: str) -> Evaluation:
        days, by, until = _days(request), request.query_params.get("by", "list"), datetime.now(UTC)
        engine = self.within(request, asker)
        return await self.run(lambda: evaluate(engine, campaign, until - timedelta(days=days), until, by))

    @staticmethod
    def _chosen(asked: str | None, campaigns: Sequence[str]) -> str:
        """The campaign that was asked for, or the first one; empty without any. Raises :class:`Refusal`."""
        if asked is None:
            return campaigns[0] if campaigns else ""
        if asked not in campaigns:
            raise Refusal(404, "not_found", f"there is no campaign {asked!r}")
        return asked


def _campaigns(engine: Engine, user: User) -> list[str]:
    known = CampaignStore(engine).readable()
    return [each.config.name for each in known if user.sees(each.config.name)]


def _days(request: Request) -> int:
    written = request.query_params.get("days", "30")
    if not written.isascii() or not written.isdigit() or not 1 <= int(written[:4]) <= 400 or len(written) > 3:
        raise Refusal(400, "malformed", f"{written[:20]!r} is no number of days from 1 to 400")
    return int(written)


def _shade(chance: float, chances: Sequence[float]) -> int:
    """How dark an hour's cell is among those of its row."""
    low, high = min(chances), max(chances)
    return round(SHADES * (chance - low) / (high - low)) if high > low else 0
