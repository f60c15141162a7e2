"""Looks for callbacks of persons who are at their seats: those that are due, and those they are reminded of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic

import structlog

from cti.messages import CallbackSoon
from dialer.core.engine import EngineCore
from dialer.leads import FAULTS, Hopper, why

log = structlog.get_logger(__name__)

LOOK_S = 2.0  # between two looks; a callback is due to the minute
MOST_TOLD = 10_000  # reminders remembered, so that none comes twice


class CallbackWatch:
    """Asks the hopper in turns, while anybody is at a seat. `flush` carries out what the core wants done."""

    def __init__(self, core: EngineCore, hopper: Hopper, flush: Callable[[], object]) -> None:
        self._core = core
        self._hopper = hopper
        self._flush = flush
        self._told: set[tuple[int, datetime]] = set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except FAULTS as fault:  # the database is away: they wait
                log.warning("callbacks could not be looked for", reason=why(fault))

    async def look(self) -> None:
        """One look: whoever left gives their callback back, then what is due of those who are there."""
        callbacks = self._core.callbacks
        callbacks.let_go()
        for campaign in list(self._core.campaigns.values()):
            able = self._core.may_dial(campaign) and any(map(self._core.is_up, campaign.config.switches))
            persons = callbacks.persons(campaign.name) if able and not self._core.draining else ()
            if not persons:
                continue
            for lead in await self._hopper.lease_callbacks(campaign.id, persons):
                callbacks.due(campaign.name, lead, monotonic())
            soon = timedelta(seconds=campaign.config.callbacks.remind_s)
            for each in await self._hopper.coming_callbacks(campaign.id, persons, soon):
                if (each.id, each.due_at) not in self._told:
                    self._told.add((each.id, each.due_at))
                    self._core.tell(
                        CallbackSoon(
                            user_id=each.user_id,
                            due_at=each.due_at.astimezone(UTC).timestamp(),
                            customer=each.customer,
                            number=each.number,
                        )
                    )
        if len(self._told) > MOST_TOLD:
            self._told.clear()
        self._flush()
