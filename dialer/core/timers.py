"""The core's timers: a heap of due instants; a timer is void once its owner has started another."""

from __future__ import annotations

import heapq
from typing import Literal

Owner = Literal["call", "seat", "spare", "join", "party", "return", "turn"]


class Timers:
    """Due instants in monotonic seconds. Nothing here reads a clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Owner, str | int, int]] = []
        self._serial = 0

    def start(self, due: float, owner: Owner, name: str | int) -> int:
        """Set a timer and return its generation, for the owner to keep and compare."""
        self._serial += 1
        heapq.heappush(self._heap, (due, self._serial, owner, name, self._serial))
        return self._serial

    def next_due(self) -> float | None:
        """When the next timer is due, None when there is none."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[tuple[Owner, str | int, int]]:
        """Take out what is due by `now`, oldest first."""
        fired = []
        while self._heap and self._heap[0][0] <= now:
            _, _, owner, name, generation = heapq.heappop(self._heap)
            fired.append((owner, name, generation))
        return fired
