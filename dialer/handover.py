"""A switch that its engine does not reach goes to one that does: who says so, who offers, and who lets it go.

Theory of operation. An engine that has had no link to a switch of its own for too long says so in the lease, and stays.
Another one that can have the switch sees that, tries all that a link needs, every other second, and offers to take it
as long as that works. The engine that has it then tries once more itself: when the switch is back for all, there is
nothing to hand over. When that has failed and the offer still stands, it lets go as it would for a stop, and begins
anew; what it knew of calls there is on record before the other one takes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from time import monotonic
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError

from campaigns.database import reason
from dialer.switch.asterisk import REFUSED_WAIT_S, LoginRefused
from dialer.switch.port import SwitchError
from dialer.tenure import Tenure

log = structlog.get_logger(__name__)

TRY_EVERY_S = 2.0
TRY_LIMIT_S = 3.0  # who takes longer reaches it badly


class Switch(Protocol):
    """What is asked of a switch here; see :class:`dialer.switch.asterisk.AsteriskSwitch`."""

    failed: float

    @property
    def connected(self) -> bool: ...

    def hurry(self) -> None: ...

    async def try_out(self) -> None: ...


class Handover:
    """Of the switches of one engine. `due` is set once one of them is to be let go; `heirs` says to whom."""

    def __init__(
        self, tenure: Tenure, switches: Mapping[str, Switch], clock: Callable[[], float] = monotonic
    ) -> None:
        self.due = asyncio.Event()
        self.heirs: dict[str, str] = {}
        self._tenure = tenure
        self._switches = switches
        self._clock = clock
        self._down: dict[str, float] = {}  # ours without a link: since when
        self._offered: dict[str, float] = {}  # those of them that another one reaches: since when
        self._barred: dict[str, float] = {}  # that refuse our log-in: until when nothing is tried
        self._told: frozenset[str] = frozenset()  # others' that we do not reach either

    def unreached(self, apart: Collection[str] = ()) -> dict[str, float]:
        """For how long those of ours have had no link that have none; those apart are not to have one yet."""
        now = self._clock()
        ours = self._tenure.tokens.keys() - apart
        down = {name for name in ours if not self._switches[name].connected}
        self._down = {name: self._down.get(name, now) for name in down}
        return {name: now - since for name, since in self._down.items()}

    def look(self) -> None:
        """After each turn of the leases: whether another engine reaches what we don't."""
        now = self._clock()
        offers = {name: heir for name, heir in self._tenure.offers.items() if name in self._down}
        for name in offers.keys() - self._offered:
            self._switches[name].hurry()
        self._offered = {name: self._offered.get(name, now) for name in offers}
        for name, since in self._offered.items():
            switch = self._switches[name]
            if switch.failed >= since and not switch.connected and name not in self.heirs:
                log.warning(
                    "another engine reaches the switch, and this one does not; it lets it go",
                    switch=name,
                    to=offers[name],
                    seconds=round(now - self._down[name], 1),
                )
                self.heirs[name] = offers[name]
                self.due.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Try the switches whose engines do not reach them, and offer to take those that we do, until we stop."""
        while not (stop.is_set() or self.due.is_set()):
            await self.offer()
            await asyncio.sleep(TRY_EVERY_S)

    async def offer(self) -> None:
        """Try each of them once."""
        asked = self._tenure.asked
        self._told &= frozenset(asked)
        await asyncio.gather(*(self._try(name) for name in asked))

    async def _try(self, name: str) -> None:
        if self._barred.get(name, 0.0) > self._clock():
            return
        try:
            async with asyncio.timeout(TRY_LIMIT_S):
                await self._switches[name].try_out()
            if await self._tenure.offer(name):
                log.info(
                    "this engine reaches a switch that its own does not; it offers to take it", switch=name
                )
        except LoginRefused:
            self._barred[name] = self._clock() + REFUSED_WAIT_S
        except (OSError, SwitchError) as fault:  # TimeoutError is one
            if name not in self._told:
                self._told |= {name}
                log.info(
                    "nor does this engine reach the switch", switch=name, reason=str(fault) or "no answer"
                )
        except SQLAlchemyError as fault:
            log.info("a switch could not be offered to be taken", switch=name, reason=reason(fault))
