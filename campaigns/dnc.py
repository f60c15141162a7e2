"""The do-not-call lists: layers of numbers and prefixes with source, reason and end; loaded by the million."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from campaigns.audit import masked, write
from campaigns.config import CampaignsError
from campaigns.numbers import NotANumber, patterns_of
from campaigns.rules.held import let_numbers_go, let_prefix_go
from campaigns.values import DNC_LAYERS

CHUNK = 200_000  # rows of one transaction: a load that is cut short keeps what went in, and is done again
SHOWN = 20  # of the rows that are no number
MAX_LINE = 4_096  # characters
WRONG_SHARE = 0.01  # of a new version's lines

_ENTRY = """
INSERT INTO {table} AS t ({column}, layer, campaign_id, source, reason, at, expires_at, load_id) {rows}
ON CONFLICT ({column}, layer, campaign_id, source) DO UPDATE SET reason = excluded.reason, load_id = excluded.load_id,
    expires_at = {expires}
"""
_ONE = "VALUES (:pattern, :layer, :campaign, :source, :reason, :at, :expires, NULL)"
# Not everybody who may add an entry may take it off: one that is added again lasts at least as long as it did.
_LONGER = """
CASE WHEN t.expires_at IS NULL OR excluded.expires_at IS NULL THEN NULL
    ELSE GREATEST(t.expires_at, excluded.expires_at) END
"""
_STAGED = """
SELECT DISTINCT ON (pattern) pattern, :layer, CAST(:campaign AS bigint), :source, reason, CAST(:at AS timestamptz),
    expires, CAST(:load AS bigint)
FROM stage WHERE prefix = :prefix ORDER BY pattern, expires DESC NULLS FIRST
"""
# A file has the last word on its entries, and of one that stands in it twice the longer time.
_AS_FILED = f"CASE WHEN t.load_id = excluded.load_id THEN {_LONGER} ELSE excluded.expires_at END"
TABLES = {False: ("dnc", "e164"), True: ("dnc_prefix", "prefix")}
ADD = {
    p: text(_ENTRY.format(table=t, column=c, rows=_ONE, expires=_LONGER) + "RETURNING expires_at")
    for p, (t, c) in TABLES.items()
}
TAKE_STAGED = {
    p: text(_ENTRY.format(table=t, column=c, rows=_STAGED, expires=_AS_FILED)) for p, (t, c) in TABLES.items()
}
# What will end sooner than it does. OFFSET 0: each is looked up, and nothing where none of them ends.
SOONER = {
    p: text(f"""
SELECT pattern FROM stage s WHERE prefix = :prefix AND expires IS NOT NULL AND EXISTS (
    SELECT FROM {t} t WHERE t.{c} = s.pattern AND t.layer = :layer AND t.campaign_id = :campaign AND t.source = :source
        AND COALESCE(t.expires_at, 'infinity') > s.expires OFFSET 0)
""")
    for p, (t, c) in TABLES.items()
}
REMOVE = {
    p: text(
        f"DELETE FROM {t} WHERE {c} = ANY(:patterns) AND (:layer = '' OR layer = :layer) AND campaign_id = :campaign"
    )
    for p, (t, c) in TABLES.items()
}
OUTDATED = {
    p: text(
        f"DELETE FROM {t} WHERE layer = :layer AND campaign_id = :campaign AND source = :source AND load_id < :load "
        f"RETURNING {c}"
    )
    for p, (t, c) in TABLES.items()
}
CHECK = text("""
SELECT layer, e164 AS pattern, campaign_id, source, reason, at, expires_at FROM dnc WHERE e164 = :number
UNION ALL
SELECT layer, prefix || '*', campaign_id, source, reason, at, expires_at FROM dnc_prefix WHERE prefix = ANY(:prefixes)
ORDER BY layer, pattern, source
""")
BEGIN_LOAD = text("""
INSERT INTO dnc_load (layer, campaign_id, source, file, at, by) VALUES (:layer, :campaign, :source, :file, :at, :by)
RETURNING id
""")
END_LOAD = text("UPDATE dnc_load SET entries = :entries, done_at = :at WHERE id = :load")
STAGE = """
CREATE TEMPORARY TABLE stage (pattern text COLLATE "C", prefix bool, reason text, expires timestamptz) ON COMMIT DROP
"""


class DncError(CampaignsError):
    """A list that can't be read or an entry that can't be. The text says why; of a list, nothing more goes in."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it is on record. `campaign_id` 0: for all campaigns."""

    layer: str
    pattern: str
    campaign_id: int
    source: str
    reason: str
    at: datetime
    expires_at: datetime | None


@dataclass(slots=True)
class Loaded:
    """What became of a file; `rejects` are its first few, as (line, why)."""

    entries: int = 0
    outdated: int = 0
    rejected: int = 0
    rejects: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layer:
    """Where entries go: a layer, for one campaign or (0) for all, and where they come from."""

    name: str
    source: str
    campaign_id: int = 0

    def __post_init__(self) -> None:
        if self.name not in DNC_LAYERS:
            raise DncError(f"{self.name!r} is no layer; use {', '.join(DNC_LAYERS)}")
        if (self.name == "campaign") is (self.campaign_id == 0):
            raise DncError("the layer campaign needs a campaign, and no other layer has one")


class DncStore:
    """The lists of one database. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(
        self, pattern: str, layer: Layer, at: datetime, reason: str = "", expires_at: datetime | None = None,
        region: str = "CN",
    ) -> Sequence[str]:  # fmt: skip
        """Add a number, a prefix or a range; returns what it stands for. Raises NotANumber.

        An entry of the same source that lasts longer goes on as long: to end it sooner takes :meth:`remove`.
        """
        found, prefix = patterns_of(pattern, region)
        with self._engine.begin() as connection:
            for each in found:
                values = {
                    "pattern": each, "layer": layer.name, "campaign": layer.campaign_id, "source": layer.source,
                    "reason": reason, "at": at, "expires": expires_at,
                }  # fmt: skip
                lasts = connection.execute(ADD[prefix], values).scalar_one()
                told = {"source": layer.source, "reason": reason, "expires": lasts}
                write(connection, "dnc added", _told(layer.name, layer.campaign_id, each, prefix), after=told)
        return [each + "*" * prefix for each in found]

    def remove(self, pattern: str, layer: str = "", campaign_id: int = 0, region: str = "CN") -> int:
        """Take a number, prefix or range off a layer, or off all of them; returns how many entries went.

        A number under a prefix stays under it.
        """
        found, prefix = patterns_of(pattern, region)
        with self._engine.begin() as connection:
            values = {"patterns": list(found), "layer": layer, "campaign": campaign_id}
            gone = connection.execute(REMOVE[prefix], values).rowcount
            _let_go(connection, found, prefix)
            for each in found if gone else ():
                subject = _told(layer or "all layers", campaign_id, each, prefix)
                write(connection, "dnc removed", subject, before={"entries": gone})
            return gone

    def check(self, number: str) -> Sequence[Entry]:
        """Every entry that a number in E.164 falls under, in whichever campaign's layer, ended ones too."""
        values = {"number": number, "prefixes": [number[:n] for n in range(3, len(number) + 1)]}
        with self._engine.connect() as connection:
            return [Entry(*row) for row in connection.execute(CHECK, values)]

    def load(
        self, path: Path, layer: Layer, by: str, at: datetime, replace: bool = False,
        expires_at: datetime | None = None, region: str = "CN",
    ) -> Loaded:  # fmt: skip
        """Load a file of numbers, prefixes and ranges, one a line, with reason and end as further columns of a CSV.

        An entry of the same source gets the end that the file says, also a sooner one; one that stands in it twice, the
        later one.

        With `replace`, entries of an earlier load of the same source that are not in this file go, once all of it is
        in; none goes when more than one line in a hundred is no number: it may be another file than was meant. Raises
        :class:`DncError`.
        """
        loaded = Loaded()
        values: dict[str, Any] = {
            "layer": layer.name, "campaign": layer.campaign_id, "source": layer.source, "at": at,
            "expires": expires_at,
        }  # fmt: skip
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                with self._engine.begin() as connection:
                    begun = connection.execute(BEGIN_LOAD, values | {"file": str(path), "by": by})
                    values["load"] = begun.scalar_one()
                rows = _rows(file, region, loaded)
                while chunk := list(islice(rows, CHUNK)):
                    loaded.entries += self._take(chunk, values)
        except UnicodeDecodeError as fault:
            raise DncError(f"{path}: is not UTF-8 at byte {fault.start}") from fault
        except OSError as fault:
            raise DncError(f"{path}: can't be read: {fault.strerror}") from fault
        with self._engine.begin() as connection:
            sound = loaded.entries > 0 and loaded.rejected <= WRONG_SHARE * loaded.entries
            if replace and sound:
                connection.execute(text("SET LOCAL statement_timeout = 0"))  # a scan of all that is there
                for prefix, each in OUTDATED.items():
                    gone = connection.execute(each, values).scalars().all()
                    loaded.outdated += len(gone)
                    _let_go(connection, gone, prefix)
            connection.execute(
                END_LOAD, {"entries": loaded.entries, "at": datetime.now(UTC), "load": values["load"]}
            )
            told = {"source": layer.source, "entries": loaded.entries, "outdated": loaded.outdated}
            write(connection, "dnc imported", f"{layer.name}, load {values['load']}", after=told, who=by)
        if replace and not sound:
            line, why = loaded.rejects[0] if loaded.rejects else (0, "there is none")
            raise DncError(
                f"{path}: {loaded.rejected} lines are no numbers, {loaded.entries} are in, and nothing was taken off; "
                f"line {line}: {why}"
            )
        return loaded

    def _take(self, chunk: Sequence[tuple[str, bool, str, str]], values: dict[str, Any]) -> int:
        with self._engine.begin() as connection:
            cursor = connection.connection.cursor()
            cursor.execute(STAGE)
            default = values["expires"].isoformat() if values["expires"] else "\\N"
            lines = "".join(
                f"{pattern}\t{'t' if prefix else 'f'}\t{reason}\t{expires or default}\n"
                for pattern, prefix, reason, expires in chunk
            )
            cursor.copy_expert("COPY stage FROM STDIN", StringIO(lines))
            connection.execute(text("SET LOCAL statement_timeout = 0"))  # a whole registry may end sooner
            of = {prefix: values | {"prefix": prefix} for prefix in TABLES}
            sooner = {
                prefix: connection.execute(SOONER[prefix], of[prefix]).scalars().all() for prefix in TABLES
            }
            taken = sum(connection.execute(TAKE_STAGED[prefix], of[prefix]).rowcount for prefix in TABLES)
            for prefix, patterns in sooner.items():
                _let_go(connection, patterns, prefix)
            return taken


def _let_go(connection: Connection, patterns: Sequence[str], prefix: bool) -> None:
    """Have the rules asked anew about the leads of these numbers, or of all that begin so."""
    if not prefix:
        let_numbers_go(connection, patterns)
    for beginning in patterns if prefix else ():
        let_prefix_go(connection, beginning)


def _rows(file: Iterable[str], region: str, loaded: Loaded) -> Iterator[tuple[str, bool, str, str]]:
    """The entries of a file: pattern, whether it is a prefix, reason, end. What is none is counted and told.

    A line is an entry, whatever quotes are in it: one that is never closed keeps nobody else off the list.
    """
    csv.field_size_limit(MAX_LINE)
    for place, line in enumerate(file, 1):
        try:
            cells = next(csv.reader([line]))
            if not cells or not cells[0].strip() or (place == 1 and not any(c.isdigit() for c in cells[0])):
                continue  # an empty line, or the header
            reason = " ".join(cells[1].split()).replace("\\", "/") if len(cells) > 1 else ""
            expires = _end(cells[2]) if len(cells) > 2 else ""
            found, prefix = patterns_of(cells[0], region)
        except (NotANumber, ValueError, csv.Error) as fault:
            loaded.rejected += 1
            if len(loaded.rejects) < SHOWN:
                loaded.rejects.append((place, str(fault)))
            continue
        for each in found:
            yield each, prefix, reason, expires


def _told(layer: str, campaign_id: int, pattern: str, prefix: bool) -> str:
    """An entry as the audit log names it."""
    where = f"{layer} of campaign {campaign_id}" if campaign_id else layer
    return f"{where}: {pattern + '*' if prefix else masked(pattern)}"


def _end(cell: str) -> str:
    """An instant in ISO 8601 as the table takes it; without an offset it is UTC. Raises ValueError."""
    if not cell.strip():
        return ""
    at = datetime.fromisoformat(cell.strip())
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).isoformat()
