"""Rows as lines of COPY, in one piece: after each the thread that reads the file must stand aside."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from campaigns.lists.rows import Row
from campaigns.order import spread

COPY = "COPY stage (row, numbers, kinds, name, attributes, zones, region, customer_id) FROM STDIN"


def copy_lines(rows: Sequence[Row]) -> bytes:
    """Rows in COPY's text form, columns in the order of :data:`COPY`, neighbours of the file apart."""
    encode = msgspec.json.encode
    arrays: dict[tuple[str, ...], str] = {}

    def array(values: tuple[str, ...]) -> str:
        found = arrays.get(values)
        if found is None:
            found = arrays[values] = "{" + ",".join(values) + "}"
        return found

    lines = []
    for at in spread(len(rows)):
        r = rows[at]
        attributes = encode(r.attributes).decode() if r.attributes else "{}"
        if "\\" in attributes:
            attributes = attributes.replace("\\", "\\\\")
        numbers = r.numbers[0] if len(r.numbers) == 1 else ",".join(r.numbers)
        customer = "\\N" if r.customer_id is None else _escaped(r.customer_id)
        lines.append(
            f"{r.row}\t{{{numbers}}}\t{array(r.kinds)}\t{_escaped(r.name)}\t{attributes}\t{array(r.zones)}\t{r.region}\t"
            f"{customer}\n"
        )
    return "".join(lines).encode()


def _escaped(cell: str) -> str:
    if "\\" in cell:
        cell = cell.replace("\\", "\\\\")
    if cell.isprintable():
        return cell
    return cell.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
