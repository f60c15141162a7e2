"""State machines as tables: look-up and the drawing that goes into the docs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)
A = TypeVar("A", bound=StrEnum)

Entries = Mapping[tuple[S, E], tuple[S, tuple[A, ...]]]


class Table(Generic[S, E, A]):
    """A machine: (state, event) -> (next state, actions in order).

    `ignored` lists the pairs that are expected and mean nothing; any other pair without an entry is an anomaly for
    the caller to count: :meth:`step` returns None for it and the state stays.
    """

    def __init__(self, name: str, entries: Entries[S, E, A], ignored: frozenset[tuple[S, E]]) -> None:
        self.name = name
        self.entries = entries
        self.ignored = ignored

    def step(self, state: S, event: E) -> tuple[S, tuple[A, ...]] | None:
        """Return the next state and what to do, or None where the table has no entry."""
        return self.entries.get((state, event))

    def anomalous(self, state: S, event: E) -> bool:
        """Tell whether a pair has neither an entry nor a place in `ignored`."""
        return (state, event) not in self.entries and (state, event) not in self.ignored

    def mermaid(self) -> str:
        """Draw the table as a Mermaid state diagram, one arrow a pair of states."""
        arrows: dict[tuple[str, str], list[str]] = {}
        for (state, event), (following, _) in self.entries.items():
            arrows.setdefault((state.value, following.value), []).append(event.value)
        lines = ["stateDiagram-v2"]
        lines += [f"    {a} --> {b}: {', '.join(events)}" for (a, b), events in arrows.items()]
        return "\n".join(lines)
