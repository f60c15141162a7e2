"""The database away, as a part that goes on without it says it: once for each reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2.errors
import structlog
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from campaigns.database import reason

# The server is gone, busy to the last connection, or (25006) a standby that takes no writes after a failover.
AWAY = (
    OperationalError,
    InterfaceError,
    NoConnectionFree,
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
    psycopg2.errors.lookup("25006"),
)

log = structlog.get_logger(__name__)


class Outage:
    """What is said is `event`; anew when it went well in between. `away`: the last turn found no database."""

    def __init__(self, event: str) -> None:
        self.away = False
        self._event = event
        self._told = ""

    @contextmanager
    def told(self) -> Iterator[None]:
        """A turn of work that the database may break off: the next one comes."""
        try:
            yield
        except SQLAlchemyError as fault:
            self.away = isinstance(fault, AWAY)
            self.met(reason(fault))
        else:
            self.away = False
            self.over()

    def met(self, why: str, **more: object) -> None:
        """It was broken off, for this reason; `more` goes into the log beside it."""
        if why != self._told:
            log.warning(self._event, reason=why, **more)
        self._told = why

    def over(self) -> None:
        """It went well."""
        self._told = ""
