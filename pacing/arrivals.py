"""How many people will call in within the next seconds, so that seats are kept for them.

Theory of operation. Callers come as a Poisson process whose rate moves with the hour. A decision looks ahead by as long
as a phone rings, half a minute at most, so the rate of the last quarter of an hour is the forecast: arrivals over time,
both of which fade alike.
"""

from __future__ import annotations

import math

MEMORY_S = 900.0


class Arrivals:
    """The rate of callers. Times are seconds on the caller's clock."""

    def __init__(self) -> None:
        self._count = 0.0
        self._began = self._at = math.nan

    def offered(self, at: float) -> None:
        """Somebody called in. With the first one the watch begins: it counts for nothing, or one would be a rate."""
        if math.isnan(self._at):
            self._began = self._at = at
            return
        self._count = self._count * math.exp(-max(0.0, at - self._at) / MEMORY_S) + 1.0
        self._at = max(at, self._at)

    def per_s(self, now: float) -> float:
        """Callers a second; 0 until the second one."""
        gone = max(0.0, now - self._began) if self._count else 0.0
        watched = -MEMORY_S * math.expm1(-gone / MEMORY_S)
        if watched < 1.0:
            return 0.0
        return (self._count * math.exp(-max(0.0, now - self._at) / MEMORY_S)) / watched
