"""`/api/messages`: what came of a campaign's messages, who may be written to, and mails that came back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from campaigns.messages.bounces import MOST_MAIL, bounce_of, take_bounce
from campaigns.messages.choices import ChoiceStore, address_of
from campaigns.messages.figures import figures
from campaigns.messages.keys import Channel
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored, instant_in
from cti.settings import WebSettings

CLERKS = 1


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """That somebody agreed to be written to, or wants no more."""

    channel: Channel
    address: str
    agreed: bool
    source: str
    at: str | None = None
    expires: str | None = None
    country: str = "CN"


class MessageDesk(Desk):
    """The endpoints."""

    def __init__(self, stored: Stored, settings: WebSettings) -> None:
        super().__init__(stored, "messages", CLERKS)
        self._bounces, self._secret = settings.bounces

    async def show(self, request: Request, asker: User) -> Response:
        """GET /api/messages: of a `campaign`, by step, and why others wait or were not sent."""
        campaign = request.query_params.get("campaign", "")
        await self.campaign_id(asker, campaign)
        engine = self.within(request, asker)
        return _told(await self.run(lambda: figures(engine, campaign)))

    async def said(self, request: Request, asker: User) -> Response:
        """GET /api/messages/said: all that was said at an `address` of a `channel`."""
        if not asker.sees_all:
            raise Refusal(403, "not_allowed", "an address is of no campaign: it is told to who sees them all")
        asked = request.query_params
        engine = self.within(request, asker)

        def look() -> Any:
            address = address_of(
                asked.get("channel", ""), asked.get("address", ""), asked.get("country", "CN")
            )
            return ChoiceStore(engine).of(address)

        return _told(await self.run(look))

    async def say(self, request: Request, asker: User) -> Response:
        """POST /api/messages/said: put a yes or a no on record; whoever it is said to may."""
        wanted = await self.fields(request, Said)
        if not wanted.source.strip():
            raise Refusal(400, "malformed", "source: says how it was said")
        at, expires = instant_in(wanted.at) or datetime.now(UTC), instant_in(wanted.expires)
        engine = self.acting(request, asker)

        def keep() -> bool:
            address = address_of(wanted.channel, wanted.address, wanted.country)
            return ChoiceStore(engine).say(wanted.channel, address, wanted.agreed, wanted.source, at, expires)

        return _told({"new": await self.run(keep)})

    async def bounced(self, request: Request, asker: User) -> Response:
        """POST /api/messages/bounced: a mail that came back, as it is (message/rfc822)."""
        if not self._bounces:
            raise Refusal(404, "not_found", "there is no messages.email.bounces to which mails come back")
        mail = await self.bytes(request, MOST_MAIL)
        engine = self.acting(request, asker)

        def take() -> dict[str, object]:
            bounce = bounce_of(mail, self._bounces, self._secret)
            new = take_bounce(engine, bounce, datetime.now(UTC))
            return {"fate": bounce.fate, "why": bounce.why, "new": new}

        return _told(await self.run(take))


def _told(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
