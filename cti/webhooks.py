"""Events of calls to a company's own systems: signed, in the order of each call, again and again until they are taken.

Theory of operation. An event is put into a bounded queue in the engine's own call, and from there within a moment into
the database: from then on no restart loses it. A sender for each hook takes what is due, of each call the first one
only, and removes what was taken. What fails is tried again with growing pauses, and given up after hours: then it is
kept apart, told of, and may be sent again by hand; the call's later events go on meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from campaigns.webhooks import Delivery, NewDelivery, WebhookStore
from cti.feed import Happened, told
from cti.outbound import Network, NotSent, Outbound

log = structlog.get_logger(__name__)
T = TypeVar("T")

KINDS = frozenset({"screen_pop", "call_status", "disposed"})
RESULTS = ("delivered", "retried", "dead", "lost")
MOST_QUEUED = (
    20_000  # events while the database is away: minutes of a large floor; then new ones are lost, and counted
)
AT_ONCE = 8  # requests to one hook
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0  # doubling
GIVE_UP = timedelta(hours=6)
LOOK_S = 1.0  # for what is due, where nothing new came
COUNT_S = 10.0
AWAY_S = 2.0  # between two tries of a database that is away
END_LIMIT_S = 10.0  # for what is queued at the end


@dataclass(frozen=True, slots=True)
class Hook:
    """Where events go. `campaigns` empty: of all. `networks`: private ones that may be reached."""

    name: str
    url: str
    secret: str
    campaigns: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()


def headers_of(secret: str, delivery: int, body: str) -> dict[str, str]:
    """What goes with everything that is sent to a company's own systems now: the body is JSON."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "Zhudong",
        "Zhudong-Delivery": str(delivery),
        "Zhudong-Signature": signature(secret, int(time.time()), delivery, body),
    }


def signature(secret: str, at: int, delivery: int, body: str) -> str:
    """What proves that it comes from us, and when: HMAC-SHA256 over instant, number and body."""
    return f"t={at},v1={signed(secret, f'{at}.{delivery}.{body}'.encode())}"


def signed(secret: str, what: bytes) -> str:
    """HMAC-SHA256, in hex."""
    return hmac.new(secret.encode(), what, hashlib.sha256).hexdigest()


class Webhooks:
    """All hooks of one engine. `counters` by hook and one of :data:`RESULTS`, `waiting` by hook."""

    def __init__(self, hooks: Sequence[Hook], store: WebhookStore) -> None:
        self._hooks = hooks
        self._store = store
        self._queue: deque[tuple[Hook, Happened, str]] = deque()
        self._new = asyncio.Event()
        self._writing: asyncio.Future[bool] | None = None
        self._due = {hook.name: asyncio.Event() for hook in hooks}
        # They stand at 0 from the start, so that the first one is a rise.
        self.counters = Counter({(hook.name, result): 0 for hook in hooks for result in RESULTS})
        self.waiting: dict[str, int] = {}

    def hear(self, happened: Happened, event_id: str) -> None:
        """Take an event. Hot path: nothing waits."""
        if happened.kind not in KINDS or not happened.campaign:
            return
        for hook in self._hooks:
            if hook.campaigns and happened.campaign not in hook.campaigns:
                continue
            if len(self._queue) >= MOST_QUEUED:
                self.counters[hook.name, "lost"] += 1
                continue
            self._queue.append((hook, happened, event_id))
            self._new.set()

    async def run(self) -> None:
        """Write and send, until cancelled; what is queued then is written still, if that does not take long."""
        try:
            async with Outbound() as outbound, asyncio.TaskGroup() as tasks:
                tasks.create_task(self._count())
                for hook in self._hooks:
                    tasks.create_task(self._send(hook, outbound))
                while True:
                    await self._new.wait()
                    self._new.clear()
                    # Broken off half-way it would not be known what is written, and all be written twice.
                    self._writing = asyncio.ensure_future(self._write())
                    if not await asyncio.shield(self._writing):
                        await asyncio.sleep(AWAY_S)
                        self._new.set()
        finally:
            try:
                async with asyncio.timeout(END_LIMIT_S):
                    if self._writing is not None:
                        await asyncio.wait({self._writing})
                    await self._write()
            except TimeoutError:
                log.error("the database does not answer: events may be lost", events=len(self._queue))

    # --- within ---------------------------------------------------------------------------------------------

    async def _write(self) -> bool:
        taken = list(self._queue)
        if not taken:
            return True
        new = [
            NewDelivery(hook.name, happened.event.call_id, happened.kind, told(event_id, happened))  # type: ignore[union-attr]
            for hook, happened, event_id in taken
        ]
        if await self._try(lambda: self._store.add(new, datetime.now(UTC)) or True) is None:
            return False
        for _ in taken:
            self._queue.popleft()
        for name in {each.hook for each in new}:
            self._due[name].set()
        return True

    async def _send(self, hook: Hook, outbound: Outbound) -> None:
        """Send what is due, a few at a time, and look again when something may be."""
        while True:
            now = datetime.now(UTC)
            found = await self._try(lambda: self._store.due(hook.name, datetime.now(UTC), AT_ONCE))
            if found:
                await asyncio.gather(*(self._deliver(hook, each, outbound, now) for each in found))
                continue
            self._due[hook.name].clear()
            try:
                async with asyncio.timeout(LOOK_S if found is not None else AWAY_S):
                    await self._due[hook.name].wait()
            except TimeoutError:
                pass

    async def _deliver(self, hook: Hook, due: Delivery, outbound: Outbound, now: datetime) -> None:
        headers = headers_of(hook.secret, due.delivery_id, due.body) | {"Zhudong-Event": due.kind}
        try:
            status = await outbound.post(hook.url, due.body.encode(), headers, hook.networks)
            fault = "" if 200 <= status < 300 else f"answered with {status}"
        except NotSent as why:
            fault = str(why)[:500]
        number = due.delivery_id
        if not fault:
            self.counters[hook.name, "delivered"] += 1
            await self._surely(lambda: self._store.taken(number))
        elif now - due.since > GIVE_UP:
            log.warning("an event was given up", hook=hook.name, delivery=number, reason=fault)
            if await self._surely(lambda: self._store.given_up(number, datetime.now(UTC), fault)):
                self.counters[hook.name, "dead"] += 1
        else:
            self.counters[hook.name, "retried"] += 1
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**due.tries) * random.uniform(0.5, 1.5)
            next_at = datetime.now(UTC) + timedelta(seconds=pause_s)
            await self._surely(lambda: self._store.later(number, next_at, fault))

    async def _count(self) -> None:
        names, began = [hook.name for hook in self._hooks], datetime.now(UTC)
        while True:
            # Where nobody answers, each try takes long and few have a turn. What waited for this engine has one first.
            now = datetime.now(UTC)
            if now - began > GIVE_UP:
                old = await self._try(lambda now=now: self._store.overdue(names, now - GIVE_UP, now)) or {}
                for hook, count in old.items():
                    self.counters[hook, "dead"] += count
                    log.warning("events were given up", hook=hook, events=count)
            left = await self._try(lambda: self._store.sweep(names, datetime.now(UTC))) or {}
            for hook, count in left.items():  # at 0 while they wait, so that the first one is a rise
                self.counters[hook, "dead"] += count
                if count:
                    log.warning("events were given up that no engine sends any more", hook=hook, events=count)
            found = await self._try(self._store.waiting)
            if found is not None:
                self.waiting = {hook.name: found.get(hook.name, 0) for hook in self._hooks}
            await asyncio.sleep(COUNT_S)

    async def _surely(self, work: Callable[[], T]) -> T:
        """Put on record what came of a request, however long the database is away: else it is sent again at once."""
        while (done := await self._try(lambda: (work(),))) is None:
            await asyncio.sleep(AWAY_S)
        return done[0]

    async def _try(self, work: Callable[[], T]) -> T | None:
        """The work's value; None while the database is away."""
        try:
            return await asyncio.to_thread(work)
        except SQLAlchemyError as fault:
            log.warning("the webhooks' events wait for the database", reason=str(fault).split("\n")[0])
            return None
