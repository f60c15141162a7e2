"""`/api/seat`: a company's own desktop asks for its seat's state and gives the page's commands, over the same bus."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from campaigns.users import User
from cti import wire
from cti.desk import Refusal
from cti.front import Front
from cti.gateway import Gateway
from cti.messages import Reply
from cti.settings import WebSettings

LONGEST_KEY = 64
# What is not the asker's fault, and may be tried again; all other refusals are a conflict with the seat's state.
LATER = frozenset({"no_engine", "engine_slow", "draining", "not_saved", "switch_down", "not_hung_up"})


class SeatApi:
    """The endpoints of one's own seat."""

    def __init__(self, front: Front, gateway: Gateway, settings: WebSettings) -> None:
        self._front = front
        self._gateway = gateway
        self._settings = settings

    async def state(self, request: Request, asker: User) -> Response:
        """GET /api/seat: the seat's state, its customer and its call, as its page would be told."""
        return _told(self._gateway.state_of(asker.user_id))

    async def command(self, request: Request, asker: User) -> Response:
        """POST /api/seat/commands: one command of the page; with the same `Idempotency-Key` it is done once."""
        key = request.headers.get("idempotency-key", "")
        if len(key) > LONGEST_KEY:
            raise Refusal(400, "malformed", f"Idempotency-Key: has at most {LONGEST_KEY} characters")
        body = await self._front.body(request, self._settings.max_message_bytes)
        try:
            command = wire.read_command(msgspec.Raw(bytes(body)), asker)
        except wire.BadFrame as fault:
            raise Refusal(400, fault.code, str(fault)) from fault
        reply = await self._gateway.do(command, key and f"api:{key}")
        if reply.ok:
            return _told(reply)
        return _told(reply, 422 if reply.code == "key_reused" else 503 if reply.code in LATER else 409)

    async def draft(self, request: Request, asker: User) -> Response:
        """POST /api/seat/draft: a page's last word on its way out, when its socket may be gone before it is sent."""
        body = await self._front.body(request, self._settings.max_message_bytes)
        try:
            frame = wire.read_frame(body.decode())
            if not isinstance(frame, wire.Draft):
                raise wire.BadFrame("no draft")
            self._gateway.drafts.keep(asker.user_id, frame)
        except (wire.BadFrame, UnicodeDecodeError) as fault:
            raise Refusal(400, "malformed", str(fault)) from fault
        return Response(status_code=204)


def _told(value: wire.FullState | Reply, status: int = 200) -> Response:
    return Response(wire.encode(value), status, media_type="application/json")
