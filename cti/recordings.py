"""Recordings of calls: a page to find and play them, for who may; each that is played is on record."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta
from math import inf
from time import monotonic
from zoneinfo import ZoneInfo

import structlog
from starlette.requests import Request
from starlette.responses import Response

from campaigns.key_file import VaultError
from campaigns.numbers import NotANumber, number_of
from campaigns.recordings import CALL_ID, MOST, Found, Recordings
from campaigns.sealed import Damaged
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored
from cti.front import Front, home_of
from cti.sound import answer, begins

log = structlog.get_logger(__name__)

WEEK = timedelta(days=6)
SWEEP_S = 3_600.0
HEARD_S = 3_600.0  # after which a part of a recording is on record again
MOST_HEARD = 10_000
COUNTRY = "CN"  # of numbers without a country's code, as in cti/requeue.py


class RecordingDesk(Desk):
    """The endpoints over a folder of recordings."""

    def __init__(self, front: Front, stored: Stored) -> None:
        super().__init__(stored, "recordings", 1)
        self._front = front
        self._keep_days = stored.keep_recordings_days
        self._folder = stored.recordings or stored.imports.parent / "recordings"
        self._keys = stored.recording_keys
        self._recordings = Recordings(stored.engine, self._folder)
        self._heard: OrderedDict[tuple[int, str], float] = OrderedDict()

    async def page(self, request: Request, asker: User) -> Response:
        """GET /recordings: those of the days `from` … `to`, of a `campaign`, a `number`, an `agent`."""
        asked = request.query_params
        zone = ZoneInfo(self._stored.zone)
        today = datetime.now(zone).date()
        problem, found = "", Found((), None, ())
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
            try:
                found = await self.run(
                    lambda: within.find(since, until, campaigns, number, asked.get("agent", ""))
                )
            except OSError as fault:
                log.error("recordings can't be read", reason=str(fault))
                problem = "recordings.unreadable"
        return self._front.page(
            request,
            "recordings.html",
            user=asker,
            home=home_of(asker),
            found=found.recordings,
            looked_at=found.looked_at,
            filed=[f"{month:%Y-%m}" for month in found.filed],
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
        within = Recordings(self.within(request, asker), self._folder, self._keys)
        try:
            campaign = await self.run(lambda: within.campaign_of(call_id))
        except OSError as fault:
            raise unreadable(fault) from fault
        if campaign is None or not asker.sees(campaign):
            raise Refusal(404, "not_found", f"there is no recording of a call {call_id}")
        if begins(request) or not self._is_heard(asker, call_id):
            await self.run(lambda: within.played(call_id, campaign))
        self._hears(asker, call_id)

        def opened() -> Response:
            try:
                return answer(request, within.sound(call_id))
            except FileNotFoundError as fault:
                raise Refusal(404, "not_found", str(fault)) from fault
            except (Damaged, VaultError) as fault:
                log.error("a recording can't be played", reason=str(fault))
                raise Refusal(500, "sealed", str(fault)) from fault
            except OSError as fault:
                raise unreadable(fault) from fault

        return await self.run(opened)

    def _is_heard(self, asker: User, call_id: str) -> bool:
        """Whether they began with it a while ago: what is asked for in parts is on record once."""
        return monotonic() - self._heard.get((asker.user_id, call_id), -inf) < HEARD_S

    def _hears(self, asker: User, call_id: str) -> None:
        self._heard[asker.user_id, call_id] = monotonic()
        self._heard.move_to_end((asker.user_id, call_id))
        if len(self._heard) > MOST_HEARD:
            self._heard.popitem(last=False)

    async def run_retention(self) -> None:
        """Let go what is older than it is kept, once an hour, until cancelled."""
        while self._keep_days > 0:
            try:
                before = datetime.now(UTC) - timedelta(days=self._keep_days)
                gone = await self.run(lambda before=before: self._recordings.let_go(before))
                if gone:
                    log.info("recordings were deleted", recordings=gone, before=before)
            except Exception:  # the folder or the database is away: the next hour will do
                log.warning("recordings could not be looked through", exc_info=True)
            await asyncio.sleep(SWEEP_S)


def unreadable(fault: OSError) -> Refusal:
    """What is answered where folder or file are there, and not for the daemon's user; the log has it too."""
    log.error("recordings can't be read", reason=str(fault))
    return Refusal(500, "unreadable", str(fault))
