"""The sender: takes from the outbox what may be sent, brings it by its channel, and puts on record what came of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from campaigns import database
from campaigns.messages.announcing import Announcer
from campaigns.messages.outbox import Letter, Outbox
from dialer.channel import Channel, NotTaken

log = structlog.get_logger(__name__)
T = TypeVar("T")

AT_ONCE = 16  # messages of one channel
LIMIT_S = 60.0  # for one message; far below its lease
END_LIMIT_S = 10.0  # for what is on its way at the end
LOOK_S = 2.0  # between two looks where nothing was due
FULL_S = 0.1  # where a channel has had all that it is let have in a second
AWAY_S = 5.0  # between two tries of a database that is away
COUNT_S = 10.0
ANNOUNCE_S = 10.0  # between two looks at calls that are announced
SHOWN = 500  # characters of a fault


def _now() -> datetime:
    return datetime.now(UTC)


class Messages:
    """The messages of one engine. `counters` by (channel, result); `waiting` by channel."""

    def __init__(
        self,
        outbox: Outbox,
        channels: Mapping[str, Channel],
        announcer: Announcer,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._outbox = outbox
        self._channels = channels
        self._announcer = announcer
        self._clock = clock
        self.counters: Counter[tuple[str, str]] = Counter()
        self.waiting: Mapping[str, int] = {}

    async def run(self) -> None:
        """Send what is due until cancelled; what is on its way then is settled still, if that does not take long."""
        try:
            # The channels' sessions outlive what is on its way.
            async with asyncio.TaskGroup() as sessions:
                for channel in self._channels.values():
                    sessions.create_task(channel.run())
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._count())
                    tasks.create_task(self._announce())
                    for channel in self._channels:  # each by itself: one that is away holds up no other
                        tasks.create_task(self._send(channel))
        finally:
            for channel in self._channels.values():
                await channel.close()

    async def look(self, channel: str) -> float:
        """Send what is due of a channel now; in how many seconds to look again."""
        claimed = await self._try(lambda: self._outbox.claim([channel], AT_ONCE, self._clock()))
        if claimed is None:
            return AWAY_S
        for (of, reason), count in claimed.others.items():
            self.counters[of, reason] += count
        await asyncio.gather(*(self._bring(letter) for letter in claimed.letters))
        if claimed.letters or claimed.others:
            return 0.0
        return FULL_S if claimed.full else LOOK_S

    # --- within ---------------------------------------------------------------------------------------------------

    async def _send(self, channel: str) -> None:
        while True:
            # Broken off half-way nobody would know what was sent: it is waited for, as long as an end may take.
            looking = asyncio.ensure_future(self.look(channel))
            try:
                pause_s = await asyncio.shield(looking)
            finally:
                await asyncio.wait({looking}, timeout=END_LIMIT_S)
                looking.cancel()
            await asyncio.sleep(pause_s)

    async def _bring(self, letter: Letter) -> None:
        fault: NotTaken | None = None
        ids: tuple[str, ...] = ()
        try:
            async with asyncio.timeout(LIMIT_S):
                ids = await self._channels[letter.channel].send(letter)
        except NotTaken as why:
            fault = why
        except TimeoutError:
            fault = NotTaken(f"no answer within {LIMIT_S:g} s")
        except Exception as why:
            log.exception("a message could not be brought", message=letter.message_id)
            fault = NotTaken(f"{type(why).__name__}: {why}")
        if fault is None:
            ours = await self._try(lambda: self._outbox.sent(letter, self._clock(), ids))
            result = "sent"
        else:
            why = str(fault)[:SHOWN]
            log.warning(
                "a message was not taken", channel=letter.channel, message=letter.message_id, reason=why
            )
            ours = await self._try(
                lambda: self._outbox.failed(letter, self._clock(), why, fault.for_good, fault.nobody)
            )
            result = "given_up" if fault.for_good or letter.last else "failed"
        # Not on record: the lease runs out, and the message is sent again under the same key.
        self.counters[letter.channel, result if ours else "unsettled"] += 1

    async def _announce(self) -> None:
        """Also where no channel is ours: calls must not wait for what nobody sends."""
        while True:
            await self._try(lambda: self._announcer.look(self._clock()))
            await asyncio.sleep(ANNOUNCE_S)

    async def _count(self) -> None:
        while True:
            found = await self._try(self._outbox.waiting)
            if found is not None:
                self.waiting = {channel: found.get(channel, 0) for channel in {*self._channels, *found}}
            await asyncio.sleep(COUNT_S)

    async def _try(self, work: Callable[[], T]) -> T | None:
        """The work's value; None while the database is away."""
        try:
            return await asyncio.to_thread(work)
        except SQLAlchemyError as fault:
            log.warning("messages wait for the database", reason=database.reason(fault))
            return None
