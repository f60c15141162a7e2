"""Failed log-ins, counted per user and address and slowed down. In memory: a restart forgives."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")
Key = tuple[str, str, str]  # what is counted, then the login, the address, or both

WINDOW_S = 900.0
# From one address one name may fail this often in the window: people mistype, guessers need thousands.
PER_PAIR = 5
# One address may fail this often in all, and once more for each name that was let in from there in the window: behind
# one router may be a thousand people, of whom some mistype and some have forgotten. Who guesses pays with an account
# that is theirs for each further guess.
PER_SOURCE = 60
# One name may fail this often from everywhere; high, so that a stranger can't lock an agent out with a few tries.
PER_LOGIN = 100
KEPT = 20_000  # keys remembered; the oldest is forgotten


@dataclass(slots=True)
class LogInThrottle:
    """Sliding windows of failures. `now` is monotonic seconds."""

    per_login: int = PER_LOGIN
    # No longer than its limit and what was under way when that was reached: who has to wait is not tried.
    _failures: OrderedDict[Key, deque[float]] = field(default_factory=OrderedDict)
    # By address, the names that were let in there, and when last: the latest at the end, of addresses and of names.
    _let_in: OrderedDict[str, OrderedDict[str, float]] = field(default_factory=OrderedDict)

    def wait_s(self, login: str, source: str, now: float) -> float:
        """For how long this log-in may not be tried; 0 when it may."""
        keys = [*self._of_name(login, source), self._of_source(source, now)]
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
            self._note_let_in(login, source, now)
        else:
            self.failed(source, now)
        return found

    def failed(self, source: str, now: float) -> None:
        """Note a failure from this address, whoever it was."""
        key, limit = self._of_source(source, now)
        self._note([(key, limit)], now)
        if len(self._failures[key]) == limit:
            log.warning(
                "so many log-ins failed from one address that nobody there may log in for a while; if it is a proxy, "
                "name it in `trusted_proxies`",
                source=source,
                failures=limit,
                wait_s=round(self._wait(key, limit, now)),
            )

    def _note(self, keys: Sequence[tuple[Key, int]], now: float) -> None:
        for key, _ in keys:
            self._failures.setdefault(key, deque()).append(now)
            self._failures.move_to_end(key)
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
        return times[-limit] + WINDOW_S - now if len(times) >= limit else 0.0

    def _note_let_in(self, login: str, source: str, now: float) -> None:
        names = self._let_in.setdefault(source, OrderedDict())
        names[_folded(login)] = now
        names.move_to_end(_folded(login))
        self._let_in.move_to_end(source)
        while len(self._let_in) > KEPT:
            self._let_in.popitem(last=False)

    def _of_name(self, login: str, source: str) -> Sequence[tuple[Key, int]]:
        login = _folded(login)
        return (("pair", login, source), PER_PAIR), (("login", login, ""), self.per_login)

    def _of_source(self, source: str, now: float) -> tuple[Key, int]:
        names = self._let_in.get(source, OrderedDict())
        while names and next(iter(names.values())) <= now - WINDOW_S:
            names.popitem(last=False)
        return ("source", "", source), PER_SOURCE + len(names)


def _folded(login: str) -> str:
    return login.strip().lower()[:200]
