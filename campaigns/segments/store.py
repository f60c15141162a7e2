"""Segments as saved: versions, who saved them, in which unit, and how many customers they fit now.

A segment is of a unit, and looks at the customers of that unit's campaigns and of those below. A customer is who has a
customer id, on however many lists: the newest lead says what they are like. Who has none counts for each lead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from campaigns.audit import write
from campaigns.config import CampaignsError
from campaigns.partitions import calls_since
from campaigns.segments.compiling import Compiler
from campaigns.segments.language import SegmentError, parse
from campaigns.units import BELOW, PATHS, unit_of

QUERY_CANCELED = "57014"
LONGEST_NAME = 100  # characters
COUNT_MS, SAMPLE_MS = 2_000, 1_500  # how long a page may wait for a figure
LOOKED_AT, MOST_ATTRIBUTES = 5_000, 200  # leads that are looked at for the names of attributes, and names
SAMPLED = 10_000  # leads that are looked at when all of them take too long

POOL = text(
    f"{BELOW.format(unit='CAST(:unit AS bigint)')} SELECT c.id FROM campaign c JOIN below b ON c.unit_id = b.id"
)
# What was bought is told by one's own unit, one below, or one above.
UNITS = text(f"""
{BELOW.format(unit="CAST(:unit AS bigint)")}, above AS (
    SELECT id, parent_id FROM unit WHERE id = :unit
    UNION ALL SELECT u.id, u.parent_id FROM unit u JOIN above a ON u.id = a.parent_id
) SELECT id FROM below UNION SELECT id FROM above
""")
# The customers' newest leads; an erased one has no zones. `few` is said of a sample: each of its leads is looked up.
CUSTOMERS = """
FROM lead l {beside} WHERE l.campaign_id = ANY(:pool) AND l.zones <> '{{}}' AND {conditions} AND NOT EXISTS (
    SELECT FROM lead k WHERE k.customer_id = l.customer_id AND k.id > l.id AND k.campaign_id = ANY(:pool) {few})
"""
# What the newest leads have.
ATTRIBUTES = text("""
SELECT DISTINCT jsonb_object_keys(attributes) AS name FROM (
    SELECT attributes FROM lead WHERE id > (SELECT max(id) FROM lead) - :looked AND campaign_id = ANY(:pool)
) l ORDER BY name LIMIT :most
""")
CAMPAIGNS = text(f"""
SELECT c.name FROM campaign c WHERE CAST(:within AS bigint) IS NULL
    OR c.unit_id IN ({BELOW.format(unit="CAST(:within AS bigint)")} SELECT id FROM below)
ORDER BY c.name
""")
LEADS = text("SELECT GREATEST(reltuples, 1) FROM pg_class WHERE oid = 'lead'::regclass")
SAVED = f"""
{PATHS}
SELECT s.id, s.name, s.unit_id, p.path AS unit, v.version, v.text, v.saved_by, v.saved_at FROM segment s
JOIN segment_version v ON v.segment_id = s.id AND v.version = s.version JOIN path p ON p.id = s.unit_id
"""
ALL = text(f"""
{SAVED} WHERE CAST(:within AS bigint) IS NULL
    OR s.unit_id IN ({BELOW.format(unit="CAST(:within AS bigint)")} SELECT id FROM below)
ORDER BY s.name
""")
ONE = text(f"{SAVED} WHERE s.name = :name")
HOLD = text("SELECT id, unit_id, version FROM segment WHERE name = :name FOR UPDATE")
ADD = text(
    "INSERT INTO segment (unit_id, name, version) VALUES (:unit, :name, 1) ON CONFLICT DO NOTHING RETURNING id"
)
RAISE = text("UPDATE segment SET version = :version WHERE id = :segment")
VERSION = text("""
INSERT INTO segment_version (segment_id, version, text, saved_by, saved_at)
VALUES (:segment, :version, :text, :who, :at)
""")
VERSIONS = text("""
SELECT v.version, v.text, v.saved_by, v.saved_at FROM segment_version v JOIN segment s ON s.id = v.segment_id
WHERE s.name = :name ORDER BY v.version DESC
""")


class NoSuchSegment(CampaignsError):
    """There is no segment of this name."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment in its newest version; `unit` is a path."""

    segment_id: int
    name: str
    unit_id: int
    unit: str
    version: int
    text: str
    saved_by: str
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """One that was saved."""

    version: int
    text: str
    saved_by: str
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class Counted:
    """How many customers fit: exactly, or `about` so many by a sample; None when that took too long, too."""

    customers: int | None
    about: bool


class SegmentStore:
    """The segments of one database. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self, within: int | None = None) -> Sequence[Segment]:
        """Those of a unit and all below it, or of the company."""
        with self._engine.connect() as connection:
            return [_segment(row) for row in connection.execute(ALL, {"within": within})]

    def find(self, name: str) -> Segment:
        """Raises :class:`NoSuchSegment`."""
        with self._engine.connect() as connection:
            row = connection.execute(ONE, {"name": name}).one_or_none()
        if row is None:
            raise NoSuchSegment(f"there is no segment {name!r}; `dialer segment list` shows those there are")
        return _segment(row)

    def versions(self, name: str) -> Sequence[Version]:
        """All of a segment's versions, the newest first."""
        with self._engine.connect() as connection:
            return [Version(*row) for row in connection.execute(VERSIONS, {"name": name})]

    def attributes(self, unit_id: int) -> Sequence[str]:
        """What is known of the newest customers of a unit."""
        with self._engine.connect() as connection:
            pool = list(connection.execute(POOL, {"unit": unit_id}).scalars())
            values = {"pool": pool, "looked": LOOKED_AT, "most": MOST_ATTRIBUTES}
            return list(connection.execute(ATTRIBUTES, values).scalars())

    def campaigns(self, within: int | None) -> Sequence[str]:
        """Those that may take customers: of a unit and all below it, or of the company."""
        with self._engine.connect() as connection:
            return list(connection.execute(CAMPAIGNS, {"within": within}).scalars())

    def calls_since(self) -> datetime | None:
        """Since when calls are looked at; None: all of them are."""
        with self._engine.connect() as connection:
            return calls_since(connection)

    def save(self, name: str, words: str, unit: str, who: str, at: datetime) -> Segment:
        """A new version, or a new segment in the unit of this path; the same text again changes nothing.

        The unit of one that is there stays. Raises :class:`campaigns.segments.language.SegmentError` and
        :class:`campaigns.units.NoSuchUnit`.
        """
        if not name or name != name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
            raise SegmentError(
                f"{name!r} is no name: at most {LONGEST_NAME} characters, none of them a control"
            )
        parse(words)
        with self._engine.begin() as connection:
            values: dict[str, Any] = {"name": name, "text": words, "who": who, "at": at, "version": 1}
            there = connection.execute(HOLD, values).one_or_none()
            if there is None:
                added = connection.execute(
                    ADD, values | {"unit": unit_of(connection, unit)}
                ).scalar_one_or_none()
                there = connection.execute(HOLD, values).one_or_none() if added is None else None
                if added is None and there is None:
                    raise SegmentError(f"there is a segment {name!r} already, of a unit that is not yours")
                values["segment"] = added
            if there is not None:
                values |= {"segment": there.id, "version": there.version + 1}
                before = connection.execute(ONE, values).one()
                if before.text == words:
                    return _segment(before)
                connection.execute(RAISE, values)
            connection.execute(VERSION, values)
            write(connection, "segment saved", name, after={"version": values["version"]}, at=at)
        return self.find(name)

    def count(self, words: str, unit_id: int, now: datetime) -> Counted:
        """How many customers of a unit a text fits, within a few seconds. Raises :class:`SegmentError`."""
        with self._engine.connect() as connection:
            conditions, values = looked_at(connection, words, unit_id, now)
            leads: float = connection.execute(LEADS).scalar_one()
        whole = self._counted(conditions, values, "", COUNT_MS)
        if whole is not None:
            return Counted(whole, False)
        share = min(1.0, SAMPLED / leads)
        sample = f"TABLESAMPLE SYSTEM ({100 * share:.6f}) REPEATABLE (1)"
        part = self._counted(conditions, values, sample, SAMPLE_MS)
        return Counted(None if part is None else round(part / share), True)

    def _counted(self, conditions: str, values: Mapping[str, Any], sample: str, limit_ms: int) -> int | None:
        """None: it took longer than the limit."""
        few = "OFFSET 0" if sample else ""
        counted = text(f"SELECT count(*) {CUSTOMERS.format(beside=sample, conditions=conditions, few=few)}")
        try:
            with self._engine.begin() as connection:
                connection.execute(text(f"SET LOCAL statement_timeout = {limit_ms}"))
                return connection.execute(counted, values).scalar_one()
        except OperationalError as fault:
            if getattr(fault.orig, "pgcode", "") != QUERY_CANCELED:
                raise
            return None


def looked_at(connection: Connection, words: str, unit_id: int, now: datetime) -> tuple[str, dict[str, Any]]:
    """A text's conditions as SQL, and its parameters for a segment of this unit. Raises :class:`SegmentError`."""
    compiler = Compiler(now, calls_since(connection))
    conditions = compiler.sql(parse(words))
    pool = list(connection.execute(POOL, {"unit": unit_id}).scalars())
    units = list(connection.execute(UNITS, {"unit": unit_id}).scalars())
    return conditions, compiler.values | {"pool": pool, "units": units}


def _segment(row: Any) -> Segment:
    return Segment(row.id, row.name, row.unit_id, row.unit, row.version, row.text, row.saved_by, row.saved_at)
