"""Attributes with types, by the campaign's `[[fields]]`: a cell becomes a value for JSON, or a reason why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from campaigns.config import Field
from campaigns.lists.mapping import plain

TRUE = frozenset(("true", "yes", "y", "1", "t", "是", "有", "对", "√"))
FALSE = frozenset(("false", "no", "n", "0", "f", "否", "无", "没有", "不是", "×"))
THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
INTEGER = re.compile(r"[+-]?\d{1,18}(?:\.0+)?")
DECIMAL = re.compile(r"[+-]?(?:\d{1,15}(?:\.\d{1,15})?|\.\d{1,15})")
DATE = re.compile(
    r"(\d{4})(?:-|/|\.|年)(\d{1,2})(?:-|/|\.|月)(\d{1,2})日?(?:[T ]0{1,2}:00(?::00(?:\.0+)?)?)?"
)
COMPACT = re.compile(r"(19\d\d|20\d\d)(\d\d)(\d\d)")
SERIAL = re.compile(r"([2-7]\d{4})(?:\.0+)?")  # days since FIRST: what a spreadsheet makes of 1954 to 2118
FIRST = date(1899, 12, 30)


class NotOfType(ValueError):
    """A cell that is not what its field says. The text is the reason."""


def by_column(fields: Sequence[Field]) -> Mapping[str, Field]:
    """Fields by the plain name of their column."""
    return {plain(field.name): field for field in fields}


def value_of(field: Field, cell: Any) -> Any:
    """The value of a cell that is not empty. Raises :class:`NotOfType`."""
    text = cell if isinstance(cell, str) else str(cell).lower() if isinstance(cell, bool) else str(cell)
    return READ[field.type](text.strip(), field)


def without_thousands(text: str) -> str:
    """A number as it is written in figures alone; a comma that parts no thousands stays."""
    return text.replace(",", "") if THOUSANDS.fullmatch(text) else text


def _integer(text: str, field: Field) -> int:
    whole = without_thousands(text)
    if not INTEGER.fullmatch(whole) or not whole.isascii():
        raise NotOfType("is no whole number")
    return int(whole.partition(".")[0])


def _decimal(text: str, field: Field) -> float:
    plain_text = without_thousands(text)
    if not DECIMAL.fullmatch(plain_text) or not plain_text.isascii():
        raise NotOfType("is no number")
    return float(plain_text)


def _date(text: str, field: Field) -> str:
    try:
        if found := DATE.fullmatch(text) or COMPACT.fullmatch(text):
            return date(int(found[1]), int(found[2]), int(found[3])).isoformat()
    except ValueError as fault:
        raise NotOfType("is no date") from fault
    if found := SERIAL.fullmatch(text):
        return (FIRST + timedelta(int(found[1]))).isoformat()
    raise NotOfType("is no date, such as 2026-01-31")


def _boolean(text: str, field: Field) -> bool:
    said = text.casefold()
    if said not in TRUE | FALSE:
        raise NotOfType("is neither yes nor no")
    return said in TRUE


def _choice(text: str, field: Field) -> str:
    if text not in field.choices:
        raise NotOfType(f"is none of {', '.join(field.choices)}")
    return text


READ: Mapping[str, Callable[[str, Field], Any]] = {
    "text": lambda text, field: text,
    "integer": _integer,
    "decimal": _decimal,
    "date": _date,
    "boolean": _boolean,
    "choice": _choice,
}
