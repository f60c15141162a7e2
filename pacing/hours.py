"""What the hour of the day does to the share of people who answer, learned day by day.

Theory of operation. How many answer now is followed closely anyway (:mod:`pacing.ringing`); what days before can tell
is how that changes when one hour ends and the next begins. So for each hour of the clock the share is kept, of this day
and faded of those before, and at a full hour the estimate is moved by the ratio of the two hours' shares, as far as
both are known. Nobody's first day is moved at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

HOURS = 24
KNOWN_DIALS = 150.0  # of earlier days: with so many an hour's share is half believed
MEMORY_DIALS = 4_000.0  # of one hour
LARGEST_STEP = 4.0


class Hours:
    """Dials and people by hour of the day."""

    def __init__(self) -> None:
        self._dials = [0.0] * HOURS
        self._people = [0.0] * HOURS
        self._hour: int | None = None
        self._known = 0.0  # dials of earlier days in the present hour

    def enter(self, hour: int) -> float:
        """It is this hour now: by what the share of people should be multiplied, 1 when there is no reason to."""
        hour %= HOURS
        if hour == self._hour:
            return 1.0
        before, self._hour = self._hour, hour
        trusted, self._known = self._known, self._dials[hour]
        if before is None:
            return 1.0
        trusted = min(trusted, self._known)
        ratio = self._share(hour) / self._share(before)
        step = trusted / (trusted + KNOWN_DIALS) * math.log(ratio)
        return min(LARGEST_STEP, max(1.0 / LARGEST_STEP, math.exp(step)))

    def ended(self, person: bool) -> None:
        """A dial has ended in the present hour."""
        hour = self._hour
        if hour is not None:
            keep = 1.0 - 1.0 / MEMORY_DIALS
            self._dials[hour] = self._dials[hour] * keep + 1.0
            self._people[hour] = self._people[hour] * keep + person

    def learned(self) -> dict[str, Any]:
        """What was learned, as plain numbers."""
        return {
            "dials": [round(v, 2) for v in self._dials],
            "people": [round(v, 2) for v in self._people],
        }

    def restore(self, learned: Mapping[str, Any]) -> None:
        """Take what :meth:`learned` gave. Raises ValueError, KeyError or TypeError for anything else."""
        dials, people = ([float(v) for v in learned[name]] for name in ("dials", "people"))
        if not len(dials) == len(people) == HOURS or not all(
            math.isfinite(d) and 0.0 <= p <= d for d, p in zip(dials, people, strict=True)
        ):
            raise ValueError("the hours are not what was saved")
        self._dials, self._people = dials, people

    def _share(self, hour: int) -> float:
        return (self._people[hour] + 0.5) / (self._dials[hour] + 1.0)
