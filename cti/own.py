"""`/api/contacts`, `/api/customer`, `/api/day`: the customer at the seat, changes to it, and the agent's day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.contacts import Contacts
from campaigns.editing import CanNotEdit, Customer, Edit, edit
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored, number_in
from cti.gateway import Gateway

LONGEST_DAY = timedelta(hours=36)  # a shift over midnight, and then some


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change to the customer's data. A number without a country code is read in `country`."""

    call_id: str
    name: str | None = None
    attributes: dict[str, str] = {}
    number: str = ""
    country: str = "CN"


class OwnDesk(Desk):
    """The endpoints. Nobody sees by them what is not at their own seat."""

    def __init__(self, stored: Stored, gateway: Gateway) -> None:
        super().__init__(stored, "own")
        self._gateway = gateway

    async def contacts(self, request: Request, asker: User) -> Response:
        """Numbers and earlier contacts of the customer of the call `call_id`, if it is the asker's own."""
        pop = self._gateway.pop_of(asker.user_id)
        if pop is None or pop.call_id != request.query_params.get("call_id") or not pop.lead_id:
            raise Refusal(404, "not_your_call")
        contacts = Contacts(self.within(request, asker))
        found = await self.run(lambda: contacts.of_customer(pop.lead_id, pop.call_id, asker.seen))
        return JSONResponse(msgspec.to_builtins(found))

    async def edit(self, request: Request, asker: User) -> Response:
        """Change the data of the customer of the call `call_id`, if it is the asker's own; answers what they are."""
        asked = await self.fields(request, Asked)
        pop = self._gateway.pop_of(asker.user_id)
        if pop is None or pop.call_id != asked.call_id or not pop.lead_id:
            raise Refusal(404, "not_your_call")
        number = number_in(asked.number, asked.country) if asked.number.strip() else ""
        wanted = Edit(asked.name, asked.attributes, number)

        def change() -> Customer:
            try:
                at = datetime.now(UTC)
                return edit(self.within(request, asker), pop.lead_id, asker.user_id, wanted, at)
            except CanNotEdit as fault:
                raise Refusal(422, fault.code, fault.field) from fault

        now = await self.run(change)
        await self._gateway.customer_edited(asker.user_id, asked.call_id, now.name, now.attributes)
        return JSONResponse(msgspec.to_builtins(now))

    async def day(self, request: Request, asker: User) -> Response:
        """The asker's day from `since` on (POSIX seconds: their midnight), and the callbacks that wait for them."""
        now = datetime.now(UTC)
        try:
            since = datetime.fromtimestamp(float(request.query_params["since"]), UTC)
        except (KeyError, ValueError, OverflowError, OSError) as fault:
            raise Refusal(400, "malformed", "since must be POSIX seconds") from fault
        since = max(since, now - LONGEST_DAY)
        contacts = Contacts(self._stored.engine)  # what is their own, wherever they work now
        found = await self.run(lambda: contacts.day(asker.user_id, since, now, asker.campaigns))
        return JSONResponse(msgspec.to_builtins(found))
