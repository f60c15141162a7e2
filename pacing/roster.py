"""Things that come and go by id, with their times in arrays, so that a decision over thousands of them is one sweep."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from pacing.lifetable import Floats

FIRST_SIZE = 64


class Roster:
    """Ids with a start time and a factor each, dense in memory. Adding and removing take constant time."""

    def __init__(self) -> None:
        self._place: dict[Hashable, int] = {}
        self._ids: list[Hashable] = []
        self._since = np.zeros(FIRST_SIZE)
        self._factor = np.ones(FIRST_SIZE)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._place

    def add(self, key: Hashable, since: float, factor: float = 1.0) -> None:
        """Put it in, or give it another time and factor."""
        place = self._place.get(key)
        if place is None:
            place = self._place[key] = len(self._ids)
            self._ids.append(key)
            if place == len(self._since):
                self._since = np.concatenate((self._since, np.zeros(place)))
                self._factor = np.concatenate((self._factor, np.ones(place)))
        self._since[place], self._factor[place] = since, factor

    def pop(self, key: Hashable) -> float | None:
        """Take it out; returns its start time, None when it was not in."""
        place = self._place.pop(key, None)
        if place is None:
            return None
        since = float(self._since[place])
        last = len(self._ids) - 1
        moved = self._ids.pop()
        if place != last:
            self._ids[place] = moved
            self._place[moved] = place
            self._since[place], self._factor[place] = self._since[last], self._factor[last]
        return since

    def ages(self, now: float) -> Floats:
        """Seconds since each began, never negative. In no particular order, that of :meth:`factors`."""
        return np.maximum(now - self._since[: len(self._ids)], 0.0)

    def factors(self) -> Floats:
        """The factor of each."""
        return self._factor[: len(self._ids)]
