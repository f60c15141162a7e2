"""The database away, as a part that goes on without it says it: once for each reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import SQLAlchemyError

from campaigns.database import reason

log = structlog.get_logger(__name__)


class Outage:
    """What is said is `event`; anew when it went well in between."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._told = ""

    @contextmanager
    def told(self) -> Iterator[None]:
        """A turn of work that the database may break off: the next one comes."""
        try:
            yield
        except SQLAlchemyError as fault:
            self.met(reason(fault))
        else:
            self.over()

    def met(self, why: str, **more: object) -> None:
        """It was broken off, for this reason; `more` goes into the log beside it."""
        if why != self._told:
            log.warning(self._event, reason=why, **more)
        self._told = why

    def over(self) -> None:
        """It went well."""
        self._told = ""
