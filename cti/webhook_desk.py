"""`/api/webhooks/dead`, `/api/webhooks/resend`: the events that a company's own system did not take."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.users import User
from campaigns.webhooks import LAST_ID, dead, send_again
from cti.desk import Desk, Refusal, Stored

CLERKS = 1

Ids = Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=LAST_ID)]], msgspec.Meta(max_length=1_000)]


class Resent(msgspec.Struct, forbid_unknown_fields=True):
    """Which are to be sent again; without `ids` all of them."""

    ids: Ids | None = None


class WebhookDesk(Desk):
    """The endpoints."""

    def __init__(self, stored: Stored) -> None:
        super().__init__(stored, "webhooks", CLERKS)

    async def dead(self, request: Request, asker: User) -> Response:
        """GET /api/webhooks/dead: what was given up after hours, and why."""
        _for_all(asker)
        within = self.within(request, asker)
        found = await self.run(lambda: dead(within))
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def resend(self, request: Request, asker: User) -> Response:
        """POST /api/webhooks/resend: have them sent again; answers how many."""
        _for_all(asker)
        wanted = await self.fields(request, Resent)
        engine = self.acting(request, asker)
        again = await self.run(lambda: send_again(engine, wanted.ids, datetime.now(UTC)))
        return JSONResponse({"sent_again": again})


def _for_all(asker: User) -> None:
    if not asker.sees_all:
        raise Refusal(403, "not_allowed", "webhooks are of the whole company")
