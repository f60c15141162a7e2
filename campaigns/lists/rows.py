"""A record of a list becomes a lead, or is told apart with the column and the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from campaigns.config import Field, known_zone
from campaigns.lists.fields import NotOfType, by_column, value_of
from campaigns.lists.mapping import Columns, plain
from campaigns.lists.normalising import NumberReader, clean, clean_name
from campaigns.lists.places import ZONES, region_of
from campaigns.lists.reading import SHOWN, Fault, as_text

MAX_NAME = 200  # characters; a longer one is something else in the wrong column
MAX_ID = 200


class Row(msgspec.Struct, frozen=True, gc=False):
    """A lead to be. `row` is its number in the file; `numbers` are E.164 in the order of calling."""

    row: int
    numbers: tuple[str, ...]
    name: str
    attributes: dict[str, Any]
    zones: tuple[str, ...]
    kinds: tuple[str, ...] = ("phone",)
    customer_id: str | None = None
    region: str = ""
    left_out: tuple[Fault, ...] = ()  # numbers that can't be dialed, beside others that can


def maker(
    columns: Columns, numbers: NumberReader, zone: str = "", fields: Sequence[Field] = ()
) -> Callable[[int, Sequence[Any]], Row | Fault]:
    """What makes leads of records under these columns. `zone` stands for numbers that name none.

    A required field that is no column leaves out every row.
    """
    header = columns.header
    named, identified, zoned = columns.name, columns.customer_id, columns.zone
    family, given = columns.family_name, columns.given_name
    one = columns.numbers[0] if len(columns.numbers) == 1 else None
    read, zones_of = numbers.read, numbers.zones
    shown = columns.numbers[0][0]

    named_fields = by_column(fields)
    keys = [(at, key, named_fields.get(plain(key))) for at, key in columns.keys]
    required = [field for field in fields if field.required]
    regions: dict[str, str] = {}

    def region_at(cells: Sequence[Any]) -> str:
        for at in columns.places:
            place = cells[at]
            found = regions.get(place)
            if found is None:
                if len(regions) > 10_000:
                    regions.clear()
                found = regions[place] = region_of(place, numbers.country)
            if found:
                return found
        return ""

    def several(cells: Sequence[Any]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Fault, ...]]:
        found: dict[str, str] = {}
        faults = []
        for at, kind in columns.numbers:
            read_here, fault = read(cells[at])
            for e164 in read_here:
                found.setdefault(e164, kind)
            if fault:
                faults.append(Fault(fault, header[at], cells[at][:SHOWN]))
        return tuple(found), tuple(found.values()), tuple(faults)

    def full_name(cells: Sequence[Any]) -> str:
        if named is not None:
            return clean_name(cells[named])
        last = clean_name(cells[family]) if family is not None else ""
        first = clean_name(cells[given]) if given is not None else ""
        return f"{first} {last}".strip() if (last + first).isascii() else last + first

    def make(row: int, cells: Sequence[Any]) -> Row | Fault:
        if one is not None:
            e164s, fault = read(cells[one[0]])
            kinds = (one[1],) * len(e164s)
            left_out = (Fault(fault, header[one[0]], cells[one[0]][:SHOWN]),) if fault else ()
        else:
            e164s, kinds, left_out = several(cells)
        if not e164s:
            return left_out[0] if left_out else Fault("holds no number", header[shown], cells[shown][:SHOWN])
        name = full_name(cells)
        if len(name) > MAX_NAME:
            return Fault(f"is {len(name):,} characters long, a name has at most {MAX_NAME}",
                         header[named or 0], name[:SHOWN])  # fmt: skip
        attributes = {}
        for at, key, field in keys:
            cell = cells[at]
            if cell != "":
                if cell.__class__ is str:
                    cell = clean(cell)
                    if not cell:
                        continue
                if field is None:
                    attributes[key] = cell
                    continue
                try:
                    attributes[field.name] = value_of(field, cell)
                except NotOfType as no:
                    return Fault(str(no), header[at], as_text(cell)[:SHOWN])
        for field in required:
            if field.name not in attributes:
                return Fault("is empty, and must not be", field.name)
        region = region_at(cells) if columns.places else ""
        zones: tuple[str, ...] = ()
        if zoned is not None and (said := clean(cells[zoned])):
            if not known_zone(said):
                return Fault("is no time zone of the IANA database", header[zoned], said[:SHOWN])
            zones = (said,)
        elif len(e164s) == 1 and region not in ZONES:
            zones = zones_of(e164s[0])
        else:
            numbers_zones = (each for e164 in e164s for each in zones_of(e164))
            zones = tuple(dict.fromkeys((*ZONES.get(region, ()), *numbers_zones)))
        if not zones:
            if not zone:
                return Fault("names no time zone, and none was given", header[shown], cells[shown][:SHOWN])
            zones = (zone,)
        customer = None
        if identified is not None:
            customer = clean(as_text(cells[identified])) or None
            if customer is not None and len(customer) > MAX_ID:
                return Fault("is no customer's id: it is too long", header[identified], customer[:SHOWN])
        return Row(row, e164s, name, attributes, zones, kinds, customer, region, left_out)

    return make
