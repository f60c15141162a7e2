"""What the console asks of the database: who has seen an alarm is put on record, and what holds the lists back is
looked for while somebody watches.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.audit import ITSELF, write
from campaigns.jobs import HeldJob
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored
from cti.status import StatusBoard

log = structlog.get_logger(__name__)

HELD_EVERY_S = (
    120.0  # a look reads some thousand leads, in a process of its own that steps back behind the calls
)
FIRST_LOOK_S = 1.0
WRITERS = 1


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the body says: the alarm's id."""

    alarm: int


class ConsoleDesk(Desk):
    """The endpoint over alarms, and the looks at lists in the background."""

    def __init__(self, stored: Stored, board: StatusBoard) -> None:
        super().__init__(stored, "console", WRITERS)
        self._board = board

    async def acknowledge(self, request: Request, asker: User) -> Response:
        """An `alarm` has been seen; who was first stands."""
        asked = await self.fields(request, Seen)
        alarm = self._board.alarms.find(asked.alarm)
        if alarm is None or not asker.sees(alarm.campaign):
            raise Refusal(404, "not_found", f"there is no alarm {asked.alarm}, or it is over")
        engine = self.within(request, asker)

        def record() -> None:
            with engine.begin() as connection:
                about = " ".join(filter(None, (alarm.kind, alarm.subject, alarm.name)))
                write(connection, "alarm acknowledged", alarm.campaign, about)

        if not alarm.acknowledged_by:
            await self.run(record)
        seen = self._board.acknowledge(alarm.id, asker.name) or alarm
        return JSONResponse(msgspec.to_builtins(seen))

    async def run_looks(self) -> None:
        """Look at the lists of what runs in turns, while anybody watches, until cancelled."""
        looked: dict[str, float] = {}
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(FIRST_LOOK_S)
            due = [name for name in self._board.watched() if clock() - looked.get(name, -1e9) > HELD_EVERY_S]
            for name in due:
                looked[name] = clock()
                try:
                    found = await self.job(ITSELF, HeldJob(name), Path(tempfile.gettempdir()))
                except Refusal as refusal:
                    log.info("what holds a list back is not known", campaign=name, reason=refusal.detail)
                # As when the system has no room for one more process: the next look will do.
                except Exception:
                    log.warning("what holds a list back is not known", campaign=name, exc_info=True)
                else:
                    self._board.held(name, found)
