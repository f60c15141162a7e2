"""Values of rows that have types, as text and as JSON holds them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

MOST_INT = 1 << 63  # an integer beyond is kept as text


def as_text(value: Any) -> str:
    """A value as it would stand in a text file: no decimals for a whole number, several numbers with ; between."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return ";".join(map(as_text, value))
    return str(value)


def texts(value: Any) -> Iterator[str]:
    """All text within a value, the names of its parts too."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    else:
        yield str(value)


def plain_value(value: Any) -> Any:
    """A value that JSON can hold; NaN and its like can't be."""
    if value is None:
        return ""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, int) and not -MOST_INT <= value < MOST_INT:
        return str(value)
    if isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, dict):
        return {str(key): plain_value(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(each) for each in value]
    return as_text(value)
