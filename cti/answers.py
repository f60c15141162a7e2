"""What customers and gateways answer to messages: the page behind a mail's link, and the gateways' receipts.

Both are open to the whole internet. A link's key is as long as a session's token and was told to one customer; a
gateway signs what it tells with the secret that it shares with us, and says when.
"""

from __future__ import annotations

import hmac
import re
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.audit import By, acting
from campaigns.messages.answers import Event, Linked, linked, no_more, take
from cti.desk import MOST_BODY, Desk, Refusal, Stored, decoded
from cti.front import Front, source_of
from cti.settings import WebSettings
from cti.webhooks import signed

CLOCKS_S = 300  # how far a gateway's clock may be from ours; within it the same may be told again, and changes nothing
SIGNATURE = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a gateway tells at once."""

    events: Annotated[list[Event], msgspec.Meta(max_length=500)]


class AnswerDesk(Desk):
    """The page and the endpoint."""

    def __init__(self, front: Front, stored: Stored, settings: WebSettings) -> None:
        super().__init__(stored, "answers")
        self._front = front
        self._secrets = dict(settings.gateways)

    async def ask(self, request: Request) -> Response:
        """GET /unsubscribe/{key}: a page with a button. Programs that look into links change nothing by it."""
        message = await self._linked(request)
        return self._page(request, message, done=False)

    async def no_more(self, request: Request) -> Response:
        """POST /unsubscribe/{key}: no more of these, by the button or by a mail program (RFC 8058)."""
        message = await self._linked(request)
        if message is not None:
            engine = acting(self._stored.engine, By("a customer", source_of(request)))
            await self.run(lambda: no_more(engine, message, datetime.now(UTC)))
        return self._page(request, message, done=True)

    async def told(self, request: Request) -> Response:
        """POST /api/messages/{channel}/told: what a gateway tells."""
        channel = request.path_params["channel"]
        secret = self._secrets.get(channel)
        if secret is None:
            raise Refusal(404, "not_found", "no such gateway")
        body = await self.bytes(request, MOST_BODY)
        _check(request, secret, body)
        events = decoded(body, Told).events
        engine = acting(self._stored.engine, By(f"gateway {channel}", source_of(request)))
        taken = await self.run(lambda: take(engine, channel, events, datetime.now(UTC)))
        return JSONResponse(asdict(taken))

    # --- within -----------------------------------------------------------------------------------------------

    async def _linked(self, request: Request) -> Linked | None:
        key = request.path_params["key"]
        return await self.run(lambda: linked(self._stored.engine, key))

    def _page(self, request: Request, message: Linked | None, done: bool) -> Response:
        known = message is not None
        state = "unknown" if not known else "done" if done else "ask"
        return self._front.page(
            request,
            "unsubscribe.html",
            200 if known else 404,
            state=state,
            address=message.address if message else "",
        )


def _check(request: Request, secret: str, body: bytes) -> None:
    """Raises :class:`Refusal` for what the gateway did not sign, or not just now."""
    found = SIGNATURE.fullmatch(request.headers.get("zhudong-signature", ""))
    if found is None or abs(time.time() - int(found[1])) > CLOCKS_S:
        raise Refusal(401, "bad_signature", "Zhudong-Signature must be t=SECONDS,v1=HEX, of now")
    if not hmac.compare_digest(found[2], signed(secret, f"{found[1]}.".encode() + body)):
        raise Refusal(401, "bad_signature", "the signature is not that of this body")
