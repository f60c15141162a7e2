"""`GET /api/audit`: the audit log, of the people of the asker's unit and those below."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from campaigns.audit import Line, lines
from campaigns.people import People
from campaigns.users import User
from cti.desk import Desk, Stored, instant_in, whole_in

READERS = 1
MOST = 1_000  # lines at a time


class AuditDesk(Desk):
    """The endpoint."""

    def __init__(self, stored: Stored) -> None:
        super().__init__(stored, "audit", READERS)

    async def lines(self, request: Request, asker: User) -> Response:
        """The newest lines first, `from` … `to`, of one `who`, of one `action`, at most `limit` (100)."""
        asked = request.query_params
        limit = whole_in(asked, "limit", 100, MOST)
        since, until = instant_in(asked.get("from")), instant_in(asked.get("to"))

        def read() -> Sequence[Line]:
            engine = self._stored.engine
            people = None
            if not asker.sees_all:
                people = [each.user.login for each in People(engine).list(asker.unit_id)]
            return lines(engine, since, until, asked.get("who", ""), asked.get("action", ""), people, limit)

        return Response(msgspec.json.encode(await self.run(read)), media_type="application/json")
