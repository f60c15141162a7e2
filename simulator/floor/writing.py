"""A scenario as the text of its file, for one that was not written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import msgspec

from simulator.floor.scenario import Scenario


def as_toml(scenario: Scenario) -> str:
    """The file that `load` makes the same scenario of."""
    return "\n".join(_lines(msgspec.to_builtins(scenario))) + "\n"


def _lines(table: Mapping[str, object]) -> Iterator[str]:
    groups = ("seats", "campaigns")
    yield from _pairs({key: value for key, value in table.items() if key not in groups})
    for key in groups:
        for each in table[key]:  # type: ignore[attr-defined]
            yield f"\n[[{key}]]"
            yield from _pairs(each)


def _pairs(table: Mapping[str, object]) -> Iterator[str]:
    return (f"{key} = {_value(value)}" for key, value in table.items() if value is not None)


def _value(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_pairs(value))} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return str(value).lower() if isinstance(value, bool) else repr(value)
