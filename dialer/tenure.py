"""An engine's hold on its switches: renewed beside the event loop, and asked for anew by one that woke from a sleep.

Theory of operation. What this engine has is its own until its lease runs out, counted from before it was renewed. Past
that moment one of two things happened. The loop ran all the time, and the database does not answer: then nobody can
have taken anything by it, calls in progress are served on, and new ones are not placed. Or the process, or the whole
machine, stood still: then another engine may be at work, and the database is asked at once, while the loop waits. An
engine that has lost a switch does nothing more at all; what it knows of calls and seats is another's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NoAnswer
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from campaigns.database import reason
from campaigns.ownership import LEASE_S, Known, Ownership, Turn

log = structlog.get_logger(__name__)

T = TypeVar("T")

TURN_S = 0.5
MARGIN_S = (
    0.5  # between our end of a lease and the database's: a command that was decided on is sent meanwhile
)
SLEPT_S = 1.0  # the loop looks 50 times a second; a lease that is renewed in time outlasts shorter stops
ANSWER_LIMIT_S = 2.0


class Lost(Exception):
    """Another engine has taken over what this one had."""


class Hold(Protocol):
    """Whether an engine may act."""

    def ours(self) -> bool:
        """Whether calls and seats are still this engine's to serve."""
        ...

    def sure(self) -> bool:
        """Whether nobody else can have them: what a new call needs."""
        ...


class Alone:
    """The hold of an engine that shares nothing."""

    def ours(self) -> bool:
        return True

    def sure(self) -> bool:
        return True


def awake_s() -> float:
    """A clock that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Tenure:
    """The hold by leases. `engines` are all that were seen in the last turn. Call :meth:`close` at the end."""

    def __init__(self, stored: Ownership, name: str, clock: Callable[[], float] = awake_s) -> None:
        self.name = name
        self.engines: tuple[Known, ...] = ()
        self.offers: Mapping[str, str] = {}  # ours that we do not reach, each with the engine that does
        self.asked: tuple[str, ...] = ()  # another's that it does not reach
        self._stored = stored
        self._clock = clock
        self._good_until = self._seen = clock()
        self._lost = False
        self._thread = ThreadPoolExecutor(1, "ownership")

    @property
    def tokens(self) -> Mapping[str, int]:
        """Those of the switches that are ours."""
        return self._stored.tokens

    def ours(self) -> bool:
        now = self._clock()
        gap, self._seen = now - self._seen, now
        if self._lost or now < self._good_until or not self.tokens:
            return not self._lost
        return gap < SLEPT_S or self._asked(gap)

    def sure(self) -> bool:
        return not self._lost and self._clock() < self._good_until

    async def turn(self, unreached: Mapping[str, float] | None = None) -> Mapping[str, str]:
        """Renew, and take what is free: each switch that is ours now, with who had it. Raises :class:`Lost`.

        `unreached`: for how long those of ours have had no link that have none.
        """
        began = self._clock()
        turn = await asyncio.get_running_loop().run_in_executor(self._thread, self._stored.turn, unreached)
        self._told(began, turn.lost)
        if self._lost:
            raise Lost("another engine has taken over what this one had")
        self._notice(turn)
        return turn.taken

    async def heir(self, *switches: str) -> Known | None:
        """A living engine that can take these, or all we have. It may have ended since our last turn: asked anew."""
        these = set(switches or self.tokens)
        if not these:
            return None
        try:
            self.engines = await self._in_time(self._stored.seen)
        except (SQLAlchemyError, TimeoutError):  # by this database nobody can take anything
            return None
        return next(
            (
                each
                for each in self.engines
                if each.alive and each.name != self.name and these <= {*each.able}
            ),
            None,
        )

    def elsewhere(self) -> str:
        """The address of the engine that has the switches, while we have none of them; else nothing."""
        if self.tokens:
            return ""
        return next((each.address for each in self.engines if each.alive and each.switches), "")

    async def offer(self, switch: str) -> bool:
        """Offer to take a switch that its engine does not reach. False: that is no longer wanted of us."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._stored.offer, switch)

    async def pass_on(self, switch: str) -> Known | None:
        """Give one of ours up to a living engine that can take it: which one, None where there is none.

        As long as its offer would hold the switch is not taken again here.
        """
        heir = await self.heir(switch)
        if heir is not None:  # not in a limited time: whether it is still ours must be known
            await asyncio.get_running_loop().run_in_executor(
                self._thread, self._stored.hand, {switch: heir.name}
            )
        return heir

    async def hand(self, heirs: Mapping[str, str]) -> None:
        """Give these switches up, each to the engine that offered to take it."""
        if self._lost:
            return
        try:
            await self._in_time(partial(self._stored.hand, heirs))
        except (SQLAlchemyError, TimeoutError) as fault:  # they run out by themselves
            log.warning("the switches could not be handed over", reason=_why(fault))

    async def release(self) -> None:
        """Give everything up; whoever stands by has it within a moment."""
        if self._lost:
            return
        try:
            await self._in_time(self._stored.release)
        except (SQLAlchemyError, TimeoutError) as fault:  # it runs out by itself
            log.warning("the switches could not be given up", reason=_why(fault))

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False)

    # --- within -----------------------------------------------------------------------------------------------

    async def _in_time(self, work: Callable[[], T]) -> T:
        """The end of an engine waits no longer for a database that hangs. Raises TimeoutError."""
        async with asyncio.timeout(ANSWER_LIMIT_S):
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _asked(self, gap: float) -> bool:
        """Ask on the loop, which waits: nothing may be done meanwhile."""
        began = self._clock()
        log.warning(
            "this engine stood still; it asks whether its switches are still its own", seconds=round(gap, 1)
        )
        with suppress(SQLAlchemyError, NoAnswer):  # an answer that comes later counts as well
            self._thread.submit(lambda: self._told(began, self._stored.renew())).result(ANSWER_LIMIT_S)
        self._seen = self._clock()
        return not self._lost

    def _told(self, began: float, lost: frozenset[str]) -> None:
        if lost and not self._lost:
            log.error("another engine has taken over; this one does nothing more", switches=sorted(lost))
        self._lost = self._lost or bool(lost)
        self._good_until = began + LEASE_S - MARGIN_S

    def _notice(self, turn: Turn) -> None:
        before = {each.name: each for each in self.engines}
        for each in turn.engines:
            if each.name != self.name and each.alive != (each.name in before and before[each.name].alive):
                log.info(
                    "another engine is there" if each.alive else "another engine is gone", engine=each.name
                )
        for switch, who in turn.taken.items():
            log.info("this engine has the switch", switch=switch, before=who, token=self.tokens[switch])
        self.engines, self.offers, self.asked = turn.engines, turn.offers, turn.asked


def _why(fault: SQLAlchemyError | TimeoutError) -> str:
    return reason(fault) if isinstance(fault, SQLAlchemyError) else "the database does not answer"
