"""Failed log-ins, counted per user and address and slowed down. In memory: a restart forgives."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
Key = tuple[str, str, str]  # what is counted, then the login, the address, or both

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
    _failures: OrderedDict[Key, deque[float]] = field(default_factory=OrderedDict)

    def wait_s(self, login: str, source: str, now: float) -> float:
        """For how long this log-in may not be tried; 0 when it may."""
        keys = [*self._of_name(login, source), _of_source(source)]
        return max(self._wait(key, limit, now) for key, limit in keys)

    async def tried(self, login: str, source: str, now: float, check: Awaitable[T]) -> T:
        """What a check gives; what is falsy, as of a wrong password, is noted as a failure.

        A try counts for its name while it goes on: of many at once no more are let through than one after the other.
        For its address it does not: when an office begins its day, all of it logs in at once. A check that raises was
        no try, and who is let in has their own mistypes forgotten.
        """
        of_name = self._of_name(login, source)
        self._note(of_name, now)
        try:
            found = await check
        except BaseException:
            self._take_back(of_name, now)
            raise
        if found:
            self._take_back(of_name, now)
            self._failures.pop(of_name[0][0], None)
        else:
            self.failed(source, now)
        return found

    def failed(self, source: str, now: float) -> None:
        """Note a failure from this address, whoever it was."""
        self._note([_of_source(source)], now)

    def _note(self, keys: Sequence[tuple[Key, int]], now: float) -> None:
        for key, limit in keys:
            times = self._failures.setdefault(key, deque(maxlen=limit))
            self._failures.move_to_end(key)
            times.append(now)
        while len(self._failures) > KEPT:
            self._failures.popitem(last=False)

    def _take_back(self, keys: Sequence[tuple[Key, int]], now: float) -> None:
        for key, _ in keys:
            with suppress(KeyError, ValueError):  # it is out of the window, or was forgotten
                self._failures[key].remove(now)

    def _wait(self, key: Key, limit: int, now: float) -> float:
        times = self._failures.get(key)
        if times is None:
            return 0.0
        while times and times[0] <= now - WINDOW_S:
            times.popleft()
        return times[0] + WINDOW_S - now if len(times) >= limit else 0.0

    def _of_name(self, login: str, source: str) -> Sequence[tuple[Key, int]]:
        login = login.strip().lower()[:200]
        return (("pair", login, source), PER_PAIR), (("login", login, ""), self.per_login)


def _of_source(source: str) -> tuple[Key, int]:
    return ("source", "", source), PER_SOURCE
