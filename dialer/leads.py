"""Leads on their way from the hopper to the dial: a small leased buffer a campaign, and the rules' last word.

Database work runs in named, bounded executors; the event loop only hands over and takes back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import takewhile
from time import monotonic
from typing import Protocol, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from campaigns.callbacks import Coming
from campaigns.config import CampaignsError
from campaigns.database import reason
from campaigns.values import Ask, InFlight, Lead, OutsideCaller, Permit, Refusal
from dialer.outage import Outage

log = structlog.get_logger(__name__)

T = TypeVar("T")

# The database is away; or the campaign's version was applied by a newer program, and this one can't read it.
FAULTS = (SQLAlchemyError, CampaignsError)

RENEW_S = 15.0  # leases live for minutes; a missed renewal or two costs nothing
STALE_S = 120.0  # a lead that waited longer in the buffer goes back: its window or its rank may have changed
DRY_RETRY_S = 2.0
GATHER_S = 0.02  # from one question of the rules to the next: a dial may wait that long, an answer never does
FAULT_RETRY_S = 1.0


class LeadSource(Protocol):
    """The hopper. Every method blocks and may raise when the database is away."""

    def lease(self, campaign_id: int, limit: int, now: datetime) -> list[Lead]: ...

    def lease_callbacks(self, campaign_id: int, users: Sequence[int], now: datetime) -> list[Lead]: ...

    def lease_number(
        self, campaign_id: int, number: str, by: OutsideCaller, now: datetime
    ) -> Lead | Refusal: ...

    def may_send_outside(self, by: OutsideCaller, now: datetime) -> Refusal | None: ...

    def sent_outside(
        self, by: OutsideCaller, uid: str, campaign_id: int, number: str, now: datetime
    ) -> Refusal | None: ...

    def who_called(self, campaign_id: int, number: str, call_id: str) -> Lead | None: ...

    def coming_callbacks(
        self, campaign_id: int, users: Sequence[int], now: datetime, until: datetime
    ) -> list[Coming]: ...

    def renew(self, call_ids: Collection[str], now: datetime) -> int: ...

    def stray(self, held: Collection[str], now: datetime) -> list[str]: ...

    def release(self, call_ids: Sequence[str], not_before: datetime | None = None) -> None: ...

    def authorize(self, calls: Sequence[Ask], now: datetime) -> Mapping[str, Permit | Refusal]: ...

    def in_flight(
        self, now: datetime, others: Iterable[str] = (), switches: Iterable[str] = ()
    ) -> list[InFlight]: ...

    def take_over(self, call_ids: Sequence[str], now: datetime) -> int: ...

    def left(self, campaign_id: int) -> int: ...


class Hopper:
    """The hopper behind executors: leases and returns in one, the rules' last word and counts in others: none waits."""

    def __init__(self, source: LeadSource) -> None:
        self.source = source
        self._leases = ThreadPoolExecutor(2, "hopper")
        self._rules = ThreadPoolExecutor(1, "rules")
        self._callers = ThreadPoolExecutor(1, "callers")  # who call in, and do not wait for leases
        self._counts = ThreadPoolExecutor(1, "lead counts")  # of long lists, a second each

    async def lease(self, campaign_id: int, limit: int) -> list[Lead]:
        return await self._in(self._leases, partial(self.source.lease, campaign_id, limit, _now()))

    async def lease_callbacks(self, campaign_id: int, users: Sequence[int]) -> list[Lead]:
        return await self._in(self._leases, partial(self.source.lease_callbacks, campaign_id, users, _now()))

    async def lease_number(self, campaign_id: int, number: str, by: OutsideCaller) -> Lead | Refusal:
        return await self._in(
            self._leases, partial(self.source.lease_number, campaign_id, number, by, _now())
        )

    async def may_send_outside(self, by: OutsideCaller) -> Refusal | None:
        return await self._in(self._leases, partial(self.source.may_send_outside, by, _now()))

    async def sent_outside(
        self, by: OutsideCaller, uid: str, campaign_id: int, number: str
    ) -> Refusal | None:
        return await self._in(
            self._leases, partial(self.source.sent_outside, by, uid, campaign_id, number, _now())
        )

    async def who_called(self, campaign_id: int, number: str, call_id: str) -> Lead | None:
        return await self._in(self._callers, partial(self.source.who_called, campaign_id, number, call_id))

    async def coming_callbacks(
        self, campaign_id: int, users: Sequence[int], within: timedelta
    ) -> list[Coming]:
        now = _now()
        return await self._in(
            self._leases, partial(self.source.coming_callbacks, campaign_id, users, now, now + within)
        )

    async def renew(self, call_ids: Collection[str]) -> int:
        return await self._in(self._leases, partial(self.source.renew, call_ids, _now()))

    async def stray(self, held: Collection[str]) -> list[str]:
        return await self._in(self._leases, partial(self.source.stray, held, _now()))

    async def release(self, call_ids: Sequence[str], not_before: datetime | None = None) -> None:
        await self._in(self._leases, partial(self.source.release, call_ids, not_before))

    async def in_flight(self, others: Iterable[str] = (), switches: Iterable[str] = ()) -> list[InFlight]:
        return await self._in(self._leases, partial(self.source.in_flight, _now(), others, switches))

    async def take_over(self, call_ids: Sequence[str]) -> int:
        return await self._in(self._leases, partial(self.source.take_over, call_ids, _now()))

    async def left(self, campaign_id: int) -> int:
        return await self._in(self._counts, partial(self.source.left, campaign_id))

    async def authorize(self, calls: Sequence[Ask]) -> Mapping[str, Permit | Refusal]:
        return await self._in(self._rules, lambda: self.source.authorize(calls, _now()))

    def close(self) -> None:
        """Let the threads end."""
        self._leases.shutdown(wait=False)
        self._rules.shutdown(wait=False)
        self._callers.shutdown(wait=False)
        self._counts.shutdown(wait=False)

    @staticmethod
    async def _in(executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, work)


class LeadBuffer:
    """A campaign's leased leads. `on_filled` is called when leads came in, or when there are none left (`dry`)."""

    def __init__(self, campaign_id: int, hopper: Hopper, on_filled: Callable[[bool], None]) -> None:
        self.campaign_id = campaign_id
        self.wanted = 0  # how many it should hold; 0 lets go of all
        self._hopper = hopper
        self._on_filled = on_filled
        self._leads: deque[tuple[float, Lead]] = deque()
        self._low = asyncio.Event()

    def __len__(self) -> int:
        return len(self._leads)

    @property
    def call_ids(self) -> list[str]:
        return [lead.call_id for _, lead in self._leads]

    def take(self, limit: int) -> list[Lead]:
        """Up to `limit` leads, oldest first."""
        taken = [self._leads.popleft()[1] for _ in range(min(limit, len(self._leads)))]
        self._wake()
        return taken

    def want(self, size: int) -> None:
        """Set how many leads to hold: they are asked for when half of them are gone, many at a time."""
        self.wanted = size
        self._wake()

    async def run(self) -> None:
        """Keep it filled until cancelled; a lease under way is waited for, so that :meth:`empty` gives all back."""
        away = Outage("leads could not be leased")
        while True:
            try:
                async with asyncio.timeout(RENEW_S):
                    await self._low.wait()
            except TimeoutError:
                pass
            self._low.clear()
            try:
                await self._refill()
            except FAULTS as fault:  # what we hold stays ours, try again
                away.met(why(fault), campaign_id=self.campaign_id)
                await asyncio.sleep(FAULT_RETRY_S)
                self._low.set()
            else:
                away.over()

    async def empty(self) -> None:
        """Give everything back. What could not be given back is still held."""
        await self._give_back(len(self._leads))

    def _wake(self) -> None:
        """Have it filled or emptied where that is due: it is asked ten times a second, of stopped campaigns too."""
        if len(self._leads) <= self.wanted // 2 if self.wanted else self._leads:
            self._low.set()

    async def _refill(self) -> None:
        if not self.wanted:
            return await self.empty()
        oldest = monotonic() - STALE_S
        await self._give_back(sum(1 for _ in takewhile(lambda held: held[0] < oldest, self._leads)))
        missing = self.wanted - len(self._leads)
        if missing <= 0:
            return None
        leasing = asyncio.ensure_future(self._hopper.lease(self.campaign_id, missing))
        try:
            leads = await asyncio.shield(leasing)
        except asyncio.CancelledError:  # leads that nobody took in would wait for their lease to run out
            await asyncio.wait({leasing})
            if not leasing.cancelled() and leasing.exception() is None:
                self._take_in(leasing.result())
            raise
        self._take_in(leads)
        self._on_filled(not self._leads)
        if len(leads) < missing:
            await asyncio.sleep(DRY_RETRY_S)
        return None

    async def _give_back(self, count: int) -> None:
        """Release the oldest `count`. On a fault they are held again: nobody else would ever give them back."""
        if not count:
            return
        oldest = [self._leads.popleft() for _ in range(count)]
        try:
            await self._hopper.release([lead.call_id for _, lead in oldest])
        except BaseException:  # a cancelled release may be done or not; to do it twice does no harm
            self._leads.extendleft(reversed(oldest))
            raise

    def _take_in(self, leads: Sequence[Lead]) -> None:
        at = monotonic()
        self._leads.extend((at, lead) for lead in leads)


class Authorizer:
    """Asks the rules about reserved calls in batches: the next one gathers while one is asked about, and a little more.

    A batch costs the database and the loop much the same whether it is of one call or of twenty.
    """

    def __init__(self, hopper: Hopper, on_answer: Callable[[str, Permit | Refusal | None], None]) -> None:
        self._hopper = hopper
        self._on_answer = on_answer  # None: the database could not say
        self._asked: list[Ask] = []
        self._some = asyncio.Event()
        self.uncertain: set[str] = set()  # asked, and nobody knows whether the attempt was recorded
        self._unanswered = 0  # calls, since the database could say last

    def ask(self, calls: Sequence[Ask]) -> None:
        """Ask about calls; the answers come by the callback."""
        self._asked.extend(calls)
        self._some.set()

    async def run(self) -> None:
        """Answer until cancelled."""
        began = -GATHER_S
        while True:
            await self._some.wait()
            await asyncio.sleep(began + GATHER_S - monotonic())
            began = monotonic()
            self._some.clear()
            calls, self._asked = self._asked, []
            if not calls:
                continue
            answers: Mapping[str, Permit | Refusal] = {}
            try:
                answers = await self._hopper.authorize(calls)
            except FAULTS as fault:  # nothing is dialed that is not on record
                if not self._unanswered:  # batches come and go in milliseconds
                    log.warning("calls could not be authorized", calls=len(calls), reason=why(fault))
                self._unanswered += len(calls)
                self.uncertain.update(call.call_id for call in calls)
            else:
                if self._unanswered:
                    log.info("calls are authorized again", not_authorized=self._unanswered)
                self._unanswered = 0
            for call in calls:
                self._on_answer(call.call_id, answers.get(call.call_id))


def why(fault: Exception) -> str:
    """What one of :data:`FAULTS` says, in a line."""
    return reason(fault) if isinstance(fault, SQLAlchemyError) else str(fault)


def _now() -> datetime:
    return datetime.now(UTC)
