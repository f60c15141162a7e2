"""`POST /api/requeue`: leads of the campaigns that the asker sees are called again."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.requeue import NothingToRequeue, Which, requeue
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored, number_in

WRITERS = 1
MOST_BYTES = 1_000_000  # of a request: some ten thousand numbers


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"list_name": "list"}):
    """What the body says. Numbers without a country code are read in `country`."""

    campaign: str
    numbers: tuple[str, ...] = ()
    list_name: str = ""
    outcome: str = ""
    country: str = "CN"


class RequeueDesk(Desk):
    """The endpoint over what has leads called again."""

    def __init__(self, stored: Stored) -> None:
        super().__init__(stored, "requeue", WRITERS)

    async def requeue(self, request: Request, asker: User) -> Response:
        """Leads of a `campaign` by `numbers`, `list` or `outcome`; answers how many."""
        asked = await self.fields(request, Asked, MOST_BYTES)
        await self.campaign_id(asker, asked.campaign)
        numbers = tuple(number_in(number, asked.country) for number in asked.numbers)
        which = Which(asked.campaign, numbers, asked.list_name, asked.outcome)

        def again() -> int:
            try:
                return requeue(self.within(request, asker), which, asker.login, datetime.now(UTC))
            except NothingToRequeue as fault:
                raise Refusal(404, "not_found", str(fault)) from fault

        return JSONResponse({"leads": await self.run(again)})
