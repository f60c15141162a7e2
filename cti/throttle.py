"""Failed log-ins, counted per user and address and slowed down. In memory: a restart forgives."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

WINDOW_S = 900.0
# From one address one name may fail this often in the window: people mistype, guessers need thousands.
PER_PAIR = 5
# One address (an office behind one router) may fail this often in all.
PER_SOURCE = 60
# One name may fail this often from everywhere; high, so that a stranger can't lock an agent out with a few tries.
PER_LOGIN = 100
KEPT = 20_000  # keys remembered; the oldest is forgotten


@dataclass(slots=True)
class LogInThrottle:
    """Sliding windows of failures. `now` is monotonic seconds."""

    per_login: int = PER_LOGIN
    _failures: OrderedDict[tuple[str, str], deque[float]] = field(default_factory=OrderedDict)

    def wait_s(self, login: str, source: str, now: float) -> float:
        """For how long this log-in may not be tried; 0 when it may."""
        return max(self._wait(key, limit, now) for key, limit in self._keys(login, source))

    def failed(self, login: str, source: str, now: float) -> None:
        """Note a failure."""
        for key, limit in self._keys(login, source):
            times = self._failures.setdefault(key, deque(maxlen=limit))
            self._failures.move_to_end(key)
            times.append(now)
        while len(self._failures) > KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, login: str, source: str) -> None:
        """The person knows the password: their own mistypes are forgotten."""
        self._failures.pop((login.strip().lower()[:200], source), None)

    def _wait(self, key: tuple[str, str], limit: int, now: float) -> float:
        times = self._failures.get(key)
        if times is None:
            return 0.0
        while times and times[0] <= now - WINDOW_S:
            times.popleft()
        return times[0] + WINDOW_S - now if len(times) >= limit else 0.0

    def _keys(self, login: str, source: str) -> tuple[tuple[tuple[str, str], int], ...]:
        login = login.strip().lower()[:200]
        return ((login, source), PER_PAIR), (("", source), PER_SOURCE), ((login, ""), self.per_login)
