"""Consents on record: who may be called because they said so, since when, until when, and by which source."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, text

from campaigns.audit import masked, write
from campaigns.config import CampaignsError
from campaigns.numbers import NotANumber, number_of
from campaigns.rules.held import let_numbers_go

GIVE = text("""
INSERT INTO consent (e164, source, given_at, expires_at)
SELECT * FROM unnest(CAST(:numbers AS text[]), CAST(:sources AS text[]), CAST(:given AS timestamptz[]),
    CAST(:expires AS timestamptz[])) AS g (e164, source, given_at, expires_at)
WHERE NOT EXISTS (
    SELECT FROM consent c WHERE c.e164 = g.e164 AND c.source = g.source AND c.given_at = g.given_at
) RETURNING id
""")
# One that ended before stays as it ended.
WITHDRAW = text("""
UPDATE consent SET withdrawn_at = :at
WHERE e164 = :number AND withdrawn_at IS NULL AND (expires_at IS NULL OR expires_at > :at)
""")
OF_NUMBER = text("SELECT * FROM consent WHERE e164 = :number ORDER BY given_at, id")
CHUNK = 50_000


class ConsentError(CampaignsError):
    """A file of consents that can't be read. The text names the file, the line and why; nothing of it is recorded."""


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """A consent as it is on record."""

    id: int
    number: str
    source: str
    given_at: datetime
    expires_at: datetime | None
    withdrawn_at: datetime | None


class ConsentStore:
    """The consents of one database. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def give(
        self, number: str, source: str, given_at: datetime, expires_at: datetime | None = None
    ) -> Sequence[int]:
        """Record a consent; the same one again (number, source, instant) changes nothing. Returns its id, if new."""
        return self._give([(number, source, given_at, expires_at)])

    def withdraw(self, number: str, at: datetime) -> int:
        """End every consent of a number that holds at `at` or would begin later; returns how many."""
        with self._engine.begin() as connection:
            ended = connection.execute(WITHDRAW, {"number": number, "at": at}).rowcount
            write(connection, "consents withdrawn", masked(number), after={"at": at, "ended": ended})
            return ended

    def of(self, number: str) -> Sequence[ConsentRecord]:
        """All consents of a number, those that have ended too."""
        with self._engine.connect() as connection:
            return [ConsentRecord(*row) for row in connection.execute(OF_NUMBER, {"number": number})]

    def load(self, path: Path, source: str, region: str = "CN") -> int:
        """Record the consents of a CSV of number, given, expires (ISO 8601; UTC without an offset).

        All or, when a line is wrong, none. Returns how many are new. Raises :class:`ConsentError`.
        """
        rows, line = [], 0
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                for line, cells in enumerate(csv.reader(file, strict=True), 1):
                    if cells and (line > 1 or any(c.isdigit() for c in cells[0])):
                        rows.append(
                            (number_of(cells[0], region), source, instant_of(cells, 1), end_of(cells))
                        )
        except (NotANumber, ValueError, csv.Error) as fault:
            raise ConsentError(f"{path}, line {line}: {fault}") from fault
        except OSError as fault:
            raise ConsentError(f"{path}: can't be read: {fault.strerror}") from fault
        return sum(len(self._give(rows[at : at + CHUNK])) for at in range(0, len(rows), CHUNK))

    def _give(self, rows: Sequence[tuple[str, str, datetime, datetime | None]]) -> Sequence[int]:
        numbers, sources, given, expires = map(list, zip(*rows, strict=True))
        values = {"numbers": numbers, "sources": sources, "given": given, "expires": expires}
        with self._engine.begin() as connection:
            new = connection.execute(GIVE, values).scalars().all()
            let_numbers_go(connection, numbers)
            if len(rows) == 1:
                subject, told = (
                    masked(numbers[0]),
                    {"source": sources[0], "given": given[0], "ids": list(new)},
                )
            else:
                subject, told = f"{len(rows)} numbers", {"source": sources[0], "new": len(new)}
            write(connection, "consent given", subject, after=told)
            return new


def instant_of(cells: Sequence[str], at: int) -> datetime:
    """The instant in a cell, UTC without an offset. Raises ValueError."""
    if len(cells) <= at:
        raise ValueError("the second column says when the consent was given")
    found = datetime.fromisoformat(cells[at].strip())
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def end_of(cells: Sequence[str]) -> datetime | None:
    """The instant in the third cell; None when it is empty. Raises ValueError."""
    return instant_of(cells, 2) if len(cells) > 2 and cells[2].strip() else None
