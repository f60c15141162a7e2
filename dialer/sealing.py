"""Seals recordings once their calls are over, in a thread, one after the other."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from campaigns import database
from campaigns.key_file import KeyFile, VaultError
from campaigns.recordings import Recordings
from campaigns.sealed import Damaged
from dialer.config import Config
from dialer.metrics import Metrics

log = structlog.get_logger(__name__)

LOOK_S = 20.0
CLEARED_EVERY = timedelta(hours=1)  # a look at all that is in the folder, for what is there once in years


class Sealing:
    """The sealing of one daemon. Several may do it in one folder: a recording is then sealed twice, and is whole."""

    def __init__(self, stored: Engine, folder: Path, keys: KeyFile | None, metrics: Metrics) -> None:
        self._recordings = Recordings(stored, folder, keys)
        self._wanted = keys is not None
        self._metrics = metrics
        self._cleared = datetime.min.replace(tzinfo=UTC)

    async def run(self) -> None:
        """Seal what is over until cancelled; nothing without keys."""
        while self._wanted:
            try:
                self._metrics.recordings_unsealed.set(await self.look(datetime.now(UTC)))
            except SQLAlchemyError as fault:
                log.warning("recordings wait for the database", reason=database.reason(fault))
            except OSError as fault:  # the folder is away
                log.warning("recordings could not be looked through", reason=str(fault))
            await asyncio.sleep(LOOK_S)
        await asyncio.Event().wait()  # a part of the daemon that ends ends it

    async def look(self, now: datetime) -> int:
        """Seal what is over now; how many could not be, and are as they were."""
        if now - self._cleared >= CLEARED_EVERY:
            await asyncio.to_thread(self._recordings.clear, now)
            self._cleared = now
        left = 0
        for call_id in await asyncio.to_thread(self._recordings.to_seal, now):
            try:
                await asyncio.to_thread(self._recordings.seal, call_id)
            except FileNotFoundError:
                continue  # another engine was faster, or it was let go
            except (OSError, VaultError, Damaged) as fault:
                left += 1
                log.error("a recording could not be sealed", call=call_id, reason=str(fault))
        return left


def recordings_of(config: Config, data: Path) -> Path:
    """Where they are."""
    return Path(config.recordings.folder) if config.recordings.folder else data / "recordings"
