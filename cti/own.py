"""`/api/contacts` and `/api/day`: what an agent's page shows of the customer at the seat, and of the agent's day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.contacts import Contacts
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored
from cti.gateway import Gateway

LONGEST_DAY = timedelta(hours=36)  # a shift over midnight, and then some


class OwnDesk(Desk):
    """The endpoints. Nobody sees by them what is not at their own seat."""

    def __init__(self, stored: Stored, gateway: Gateway) -> None:
        super().__init__(stored, "own")
        self._gateway = gateway
        self._contacts = Contacts(stored.engine)

    async def contacts(self, request: Request, asker: User) -> Response:
        """Numbers and earlier contacts of the customer of the call `call_id`, if it is the asker's own."""
        pop = self._gateway.pop_of(asker.user_id)
        if pop is None or pop.call_id != request.query_params.get("call_id") or not pop.lead_id:
            raise Refusal(404, "not_your_call")
        found = await self.run(lambda: self._contacts.of_customer(pop.lead_id, pop.call_id, asker.seen))
        return JSONResponse(msgspec.to_builtins(found))

    async def day(self, request: Request, asker: User) -> Response:
        """The asker's day from `since` on (POSIX seconds: their midnight), and the callbacks that wait for them."""
        now = datetime.now(UTC)
        try:
            since = datetime.fromtimestamp(float(request.query_params["since"]), UTC)
        except (KeyError, ValueError, OverflowError, OSError) as fault:
            raise Refusal(400, "malformed", "since must be POSIX seconds") from fault
        since = max(since, now - LONGEST_DAY)
        found = await self.run(lambda: self._contacts.day(asker.user_id, since, now, asker.campaigns))
        return JSONResponse(msgspec.to_builtins(found))
