"""What was learned of calls, about the campaigns that the asker sees: how caller-IDs are answered, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.best_time.store import BestTimeStore
from campaigns.caller_ids.watch import CallerIdWatch
from campaigns.store import NoSuchCampaign
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored

READERS = 1  # reports come one at a time, so that calls go on beside them


class ReportDesk(Desk):
    """The endpoints over reports from the database."""

    def __init__(self, stored: Stored) -> None:
        super().__init__(stored, "reports", READERS)

    async def caller_ids(self, request: Request, asker: User) -> Response:
        """How each number is used and answered, of a `campaign` or all that this asker sees."""
        return await self._answer(request, asker, CallerIdWatch(self.within(request, asker)).report)

    async def best_time(self, request: Request, asker: User) -> Response:
        """The chance of an answer by segment and hour, and what the order gained, as `GET /api/caller-ids` is asked."""
        now = datetime.now(UTC)
        store = BestTimeStore(self.within(request, asker))
        return await self._answer(request, asker, lambda name: store.reports(name, now))

    async def _answer(
        self, request: Request, asker: User, report: Callable[[str | None], Sequence[object]]
    ) -> Response:
        campaign = request.query_params.get("campaign")
        if campaign is not None and not asker.sees(campaign):
            raise Refusal(404, "not_found", f"there is no campaign {campaign!r}")
        seen = asker.seen
        names = [campaign] if campaign is not None or seen is None else sorted(seen)

        def reported(name: str | None) -> Sequence[object]:
            try:
                return report(name)
            except NoSuchCampaign as fault:
                raise Refusal(404, "not_found", str(fault)) from fault

        found = [each for name in names for each in await self.run(lambda name=name: reported(name))]
        return JSONResponse(msgspec.to_builtins(found))
