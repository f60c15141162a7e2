"""A company's own gateway as a channel of messages: a signed POST of JSON for each, with a key to know it again by.

It goes where webhooks may go and nowhere else (cti/outbound.py). A status of 2xx says that the gateway has the message;
what becomes of it the gateway tells at `/api/messages/{channel}/told`.
"""

from __future__ import annotations

import ipaddress

import msgspec

from campaigns.messages.outbox import Letter
from cti.outbound import NotSent, Outbound
from cti.webhooks import headers_of
from dialer.channel import NotTaken
from dialer.config import GatewaySection

# Of 4xx these may be another answer later: a time-out, a request still at work under this key, too early, too many.
NOT_FOR_GOOD = frozenset({401, 403, 404, 408, 409, 425, 429})


class Posted(msgspec.Struct, frozen=True):
    """What a gateway is sent."""

    message: str
    channel: str
    to: str
    sender: str
    text: str
    campaign: str


class Gateway:
    """Sends by HTTP."""

    def __init__(self, section: GatewaySection) -> None:
        self._section = section
        self._networks = tuple(map(ipaddress.ip_network, section.networks))
        self._outbound = Outbound()

    async def send(self, letter: Letter) -> tuple[str, ...]:
        """Have the gateway take it. Raises :class:`NotTaken`."""
        told = Posted(letter.key, letter.channel, letter.address, letter.sender, letter.body, letter.campaign)
        body = msgspec.json.encode(told).decode()
        headers = headers_of(self._section.secret, letter.message_id, body) | {"Idempotency-Key": letter.key}
        try:
            status = await self._outbound.post(self._section.url, body.encode(), headers, self._networks)
        except NotSent as why:
            raise NotTaken(str(why)) from why
        if not 200 <= status < 300:
            raise NotTaken(f"answered with {status}", 400 <= status < 500 and status not in NOT_FOR_GOOD)
        return ()

    async def run(self) -> None:
        """Nothing: what becomes of it comes to our own door."""

    async def close(self) -> None:
        """Let its connections go."""
        await self._outbound.__aexit__()
