"""The seats' drafts: kept in memory as they come, brought to the database a moment later, there again after a restart.

Nothing on a socket's way waits for the database. One writer task takes what has changed, the last word for each user;
while the database is away the changes wait, one for each user at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError

from campaigns.drafts import DraftStore, StoredDraft
from cti.wire import BadFrame, Draft

log = structlog.get_logger(__name__)

WRITE_EVERY_S = 0.5
SWEEP_EVERY_S = 3_600.0
MOST_BYTES = 24_576  # of a draft's fields: 4,000 characters of notes, and answers


class Drafts:
    """One draft a user, of the call they work on. Without a store they live as long as the process."""

    def __init__(self, store: DraftStore | None) -> None:
        self._store = store
        self._of: dict[int, Draft] = {}
        self._changed: dict[int, Draft | None] = {}
        self._swept = monotonic()

    def of(self, user_id: int) -> Draft | None:
        return self._of.get(user_id)

    def keep(self, user_id: int, draft: Draft) -> None:
        """Take a draft, unless a newer one of the same call is there. Raises BadFrame when it is too large."""
        if len(msgspec.json.encode(draft.fields)) > MOST_BYTES:
            raise BadFrame(f"a draft has at most {MOST_BYTES} bytes")
        before = self._of.get(user_id)
        if before is not None and before.call_id == draft.call_id and before.at > draft.at:
            return
        self._of[user_id] = self._changed[user_id] = draft

    def drop(self, user_id: int, unless: str = "") -> None:
        """Forget this user's draft, unless it is of this call."""
        before = self._of.get(user_id)
        if before is not None and before.call_id != unless:
            del self._of[user_id]
            self._changed[user_id] = None

    async def load(self) -> None:
        """Take up what was there when the last process ended."""
        if self._store is None:
            return
        found: list[StoredDraft] = []
        await self._try(lambda store: found.extend(store.all(datetime.now(UTC))))
        for kept in found:
            draft = Draft(call_id=kept.call_id, at=kept.at, fields=msgspec.json.decode(kept.fields))
            self._of[kept.user_id] = draft

    async def run(self) -> None:
        """Write what has changed, until cancelled; then once more."""
        try:
            while True:
                await asyncio.sleep(WRITE_EVERY_S)
                await self._write()
                if self._store is not None and monotonic() - self._swept > SWEEP_EVERY_S:
                    self._swept = monotonic()
                    await self._try(lambda store: store.all(datetime.now(UTC)))
        finally:
            await self._write()

    async def _write(self) -> None:
        if not self._changed or self._store is None:
            self._changed.clear()
            return
        changed, self._changed = self._changed, {}
        kept = [
            StoredDraft(user, draft.call_id, draft.at, msgspec.json.encode(draft.fields).decode())
            for user, draft in changed.items()
            if draft is not None
        ]
        dropped = [user for user, draft in changed.items() if draft is None]
        if not await self._try(lambda store: store.write(kept, dropped)):
            self._changed = changed | self._changed

    async def _try(self, work: Callable[[DraftStore], object]) -> bool:
        assert self._store is not None
        try:
            await asyncio.to_thread(work, self._store)
        except SQLAlchemyError as fault:  # the database is away: the pages' own copies are there meanwhile
            log.warning("the drafts could not be written", reason=str(fault).split("\n")[0])
            return False
        return True
