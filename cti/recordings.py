"""Recordings of calls: a page to find and play them, for who may; each that is played is on record."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from campaigns.numbers import NotANumber, number_of
from campaigns.recordings import MOST, Recording, Recordings
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored
from cti.front import Front, home_of

log = structlog.get_logger(__name__)

CALL_ID = re.compile(r"[0-9a-f]{32}")
WEEK = timedelta(days=6)
SWEEP_S = 3_600.0
COUNTRY = "CN"  # of numbers without a country's code, as in cti/requeue.py


class RecordingDesk(Desk):
    """The endpoints over a folder of recordings."""

    def __init__(self, front: Front, stored: Stored) -> None:
        super().__init__(stored, "recordings", 1)
        self._front = front
        self._keep_days = stored.keep_recordings_days
        folder = stored.recordings or stored.imports.parent / "recordings"
        self._recordings = Recordings(stored.engine, folder)
        self._folder = folder

    async def page(self, request: Request, asker: User) -> Response:
        """GET /recordings: those of the days `from` … `to`, of a `campaign`, a `number`, an `agent`."""
        asked = request.query_params
        zone = ZoneInfo(self._stored.zone)
        today = datetime.now(zone).date()
        problem, found = "", list[Recording]()
        first, last = today - WEEK, today
        try:
            first = date.fromisoformat(asked.get("from") or str(first))
            last = date.fromisoformat(asked.get("to") or str(last))
            number = number_of(asked["number"], COUNTRY) if asked.get("number") else ""
            since = datetime.combine(first, datetime.min.time(), zone)
            until = datetime.combine(last, datetime.min.time(), zone) + timedelta(days=1)
        except (ValueError, OverflowError, NotANumber):
            problem = "recordings.malformed"
        else:
            campaign = asked.get("campaign", "")
            campaigns = asker.seen if not campaign else [campaign] if asker.sees(campaign) else []
            within = Recordings(self.within(request, asker), self._folder)
            found = list(
                await self.run(lambda: within.find(since, until, campaigns, number, asked.get("agent", "")))
            )
        return self._front.page(
            request,
            "recordings.html",
            user=asker,
            home=home_of(asker),
            found=found,
            most=MOST,
            problem=problem,
            zone=zone,
            since=first,
            until=last,
            asked={name: asked.get(name, "") for name in ("campaign", "number", "agent")},
        )

    async def play(self, request: Request, asker: User) -> Response:
        """GET /recordings/CALL: its sound. What is asked for in parts is on record once."""
        call_id = request.path_params["call_id"]
        if not CALL_ID.fullmatch(call_id):
            raise Refusal(404, "not_found")
        engine = self.within(request, asker)
        within = Recordings(engine, self._folder)
        campaign = await self.run(lambda: within.campaign_of(call_id))
        if campaign is None or not asker.sees(campaign):
            raise Refusal(404, "not_found", f"there is no recording of a call {call_id}")
        if request.headers.get("range", "bytes=0-").startswith("bytes=0-"):
            path = await self.run(lambda: within.played(engine, call_id, campaign))
        else:
            path = within.path(call_id)
        return FileResponse(path, media_type="audio/wav", headers={"Cache-Control": "no-store"})

    async def run_retention(self) -> None:
        """Let go what is older than it is kept, once an hour, until cancelled."""
        while self._keep_days:
            try:
                before = datetime.now(UTC) - timedelta(days=self._keep_days)
                gone = await self.run(lambda before=before: self._recordings.let_go(before))
                if gone:
                    log.info("recordings were deleted", recordings=gone, before=before)
            except Exception:  # the folder or the database is away: the next hour will do
                log.warning("recordings could not be looked through", exc_info=True)
            await asyncio.sleep(SWEEP_S)
