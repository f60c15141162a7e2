"""What waits for one socket, and the one task that writes it: bounded, pops before snapshots, snapshots coalesced."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic

from cti.messages import SeatMessage

Send = Callable[[dict[str, str]], Awaitable[None]]
Delivered = Callable[[SeatMessage, float], None]


class Outbox:
    """Texts for one socket. Putting never waits; the writer alone does, for its own socket alone.

    Events keep their order and are never dropped: one too many is the sign that the reader has stopped, and the
    owner closes the socket. Snapshots wait one a key: a newer one takes the older one's place.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: deque[tuple[str, SeatMessage | None, float]] = deque()
        self._latest: dict[str, str] = {}
        self._wake = asyncio.Event()
        self._closed = False
        self._writing_since: float | None = None

    def put(self, text: str, message: SeatMessage | None = None, at: float = 0.0) -> bool:
        """Queue an event; False when the outbox is full. `at` is when it came, by `time.monotonic`."""
        if len(self._events) >= self._limit:
            return False
        self._events.append((text, message, at))
        self._wake.set()
        return True

    def put_latest(self, key: str, text: str) -> None:
        """Queue a snapshot in place of an unsent one of the same key."""
        self._latest[key] = text
        self._wake.set()

    def waits(self, key: str) -> bool:
        """Whether a snapshot of this key is still unsent."""
        return key in self._latest

    def close(self) -> None:
        """Let the writer end once everything is written."""
        self._closed = True
        self._wake.set()

    def stuck_s(self, now: float) -> float:
        """For how long the current write has been waiting for the reader."""
        return 0.0 if self._writing_since is None else now - self._writing_since

    async def write_to(self, send: Send, delivered: Delivered | None = None) -> None:
        """Write until closed. `delivered` hears of each event handed to the socket and its delay in seconds."""
        events, latest = self._events, self._latest
        while True:
            while events:
                text, message, at = events.popleft()
                await self._write(send, text)
                if message is not None and delivered is not None:
                    delivered(message, monotonic() - at)
            if latest:
                key = next(iter(latest))
                await self._write(send, latest.pop(key))
                continue
            if self._closed:
                return
            self._wake.clear()
            await self._wake.wait()

    async def _write(self, send: Send, text: str) -> None:
        self._writing_since = monotonic()
        await send({"type": "websocket.send", "text": text})
        self._writing_since = None
