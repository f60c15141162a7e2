"""Units: the tree from the whole company down to its teams, in which people and campaigns belong.

A unit is named by its path from the root, as in `兰州分公司/一组`; the root itself, the whole company, by an empty one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from campaigns.audit import write
from campaigns.config import CampaignsError

LONGEST = 100  # characters of a name

# Of every unit its path, and of a unit all below it, itself too.
PATHS = """
WITH RECURSIVE path AS (
    SELECT id, name AS path FROM unit WHERE parent_id IS NULL
    UNION ALL
    SELECT u.id, CASE WHEN p.path = '' THEN u.name ELSE p.path || '/' || u.name END
    FROM unit u JOIN path p ON u.parent_id = p.id
)
"""
BELOW = """
WITH RECURSIVE below AS (
    SELECT {unit} AS id UNION ALL SELECT u.id FROM unit u JOIN below b ON u.parent_id = b.id
)
"""
ROOT = text("SELECT id FROM unit WHERE parent_id IS NULL")
CHILD = text("SELECT id FROM unit WHERE parent_id = :parent AND name = :name")
ADD = text("""
INSERT INTO unit (parent_id, name) VALUES (:parent, :name)
ON CONFLICT (parent_id, name) DO UPDATE SET name = excluded.name RETURNING id
""")
ALL = text(f"""
{PATHS}
SELECT p.id, p.path, (SELECT count(*) FROM app_user a WHERE a.unit_id = p.id AND a.enabled) AS people,
    (SELECT count(*) FROM campaign c WHERE c.unit_id = p.id) AS campaigns
FROM path p ORDER BY string_to_array(p.path, '/')
""")


class NoSuchUnit(CampaignsError):
    """There is no unit of this path."""


class BadUnit(CampaignsError):
    """A path that no unit can have."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit, and how many people and campaigns are directly in it."""

    unit_id: int
    path: str
    people: int
    campaigns: int


class Units:
    """The units of one database. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> Sequence[Unit]:
        """Every unit, the root first, each before those in it."""
        with self._engine.connect() as connection:
            return [Unit(row.id, row.path, row.people, row.campaigns) for row in connection.execute(ALL)]

    def below(self, unit_id: int) -> Sequence[Unit]:
        """A unit and all below it, each before those in it; of one that is not there nothing."""
        every = self.all()
        own = next((each.path for each in every if each.unit_id == unit_id), None)
        if own is None:
            return []
        return [each for each in every if not own or each.path == own or each.path.startswith(f"{own}/")]

    def add(self, path: str) -> int:
        """The id of a unit, made if need be with all above it. Raises :class:`BadUnit`."""
        names = _names(path)
        with self._engine.begin() as connection:
            unit = connection.execute(ROOT).scalar_one()
            for place, name in enumerate(names, 1):
                found = connection.execute(CHILD, {"parent": unit, "name": name}).scalar_one_or_none()
                if found is None:
                    found = connection.execute(ADD, {"parent": unit, "name": name}).scalar_one()
                    write(connection, "unit added", "/".join(names[:place]))
                unit = found
        return unit


def unit_of(connection: Connection, path: str) -> int:
    """The id of the unit of this path. Raises :class:`NoSuchUnit`."""
    unit = connection.execute(ROOT).scalar_one()
    for name in _names(path):
        unit = connection.execute(CHILD, {"parent": unit, "name": name}).scalar_one_or_none()
        if unit is None:
            raise NoSuchUnit(f"there is no unit {path!r}; `dialer unit list` shows those there are")
    return unit


def _names(path: str) -> list[str]:
    if not path.strip():
        return []
    names = [name.strip() for name in path.split("/")]
    for name in names:
        if not name or len(name) > LONGEST or not name.isprintable():
            raise BadUnit(
                f"{path!r} is no path of units: names of at most {LONGEST} characters with / between"
            )
    return names
