"""What allowed an attempt, recorded once for all attempts that it is the same for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from campaigns.rules import calendar
from campaigns.rules.decision import Facts, hours_spoken
from campaigns.rules.terms import Terms

FIND = text("""
SELECT id, change, profile, profile_version, zones, region, hours, data FROM permit_basis
WHERE change = ANY(:changes) AND hours = ANY(:hours)
""")
ADD = text("""
INSERT INTO permit_basis (change, profile, profile_version, zones, region, hours, data)
VALUES (:change, :profile, :profile_version, :zones, :region, :hours, :data)
ON CONFLICT (change, profile, profile_version, zones, region, hours, data) DO UPDATE SET data = excluded.data
RETURNING id
""")


@dataclass(frozen=True, slots=True)
class Basis:
    """What many attempts have in common that allowed them. `change` is the campaign's version that was asked."""

    change: int
    profile: str
    profile_version: int
    zones: str
    region: str
    hours: str
    data: str  # versions of the zones and calendars


def basis_of(facts: Facts, terms: Terms, change: int, now: datetime) -> Basis:
    """The basis of a permit that was given at `now`."""
    regions = terms.regions_of(facts.region, facts.number)
    return Basis(
        change=change,
        profile=terms.profile,
        profile_version=terms.version,
        zones=" ".join(facts.zones),
        region=" ".join(region.code for region in regions) or facts.region,
        hours=hours_spoken(facts, terms, now),
        data=calendar.versions_spoken(),
    )


def bases_on_record(connection: Connection, wanted: Iterable[Basis]) -> dict[Basis, int]:
    """The ids of bases, recorded if need be."""
    wanted = set(wanted)
    if not wanted:
        return {}
    values = {"changes": [b.change for b in wanted], "hours": [b.hours for b in wanted]}
    found = {Basis(*row[1:]): row[0] for row in connection.execute(FIND, values)}
    names = Basis.__dataclass_fields__
    for basis in sorted(wanted - found.keys(), key=astuple):  # two engines take them in one order
        row = dict(zip(names, astuple(basis), strict=True))
        found[basis] = connection.execute(ADD, row).scalar_one()
    return found
