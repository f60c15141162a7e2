"""Accounts over the database: its blocking calls, password hashing above all, run in small executors of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

from campaigns.tokens import Tokens
from campaigns.users import User, UserStore
from cti.identity import AccountsBusy

T = TypeVar("T")

HASHERS = 2  # each check of a password takes 64 MiB and about 0.1 s of a core
READERS = 2
# Log-ins that may wait for a hasher: a morning's rush of some ten seconds. More are told to come back.
WAITING_LIMIT = 200


class StoredAccounts:
    """The :class:`cti.identity.Accounts` of a real installation. Call :meth:`close` at the end."""

    def __init__(self, users: UserStore) -> None:
        self._users = users
        self._tokens = Tokens(users.engine)
        self._hashers = ThreadPoolExecutor(HASHERS, "password")
        self._readers = ThreadPoolExecutor(READERS, "session")
        self._waiting = 0

    async def verify(self, login: str, password: str, source: str = "") -> User | None:
        if self._waiting >= WAITING_LIMIT:
            raise AccountsBusy(f"{self._waiting} log-ins are waiting to be checked")
        self._waiting += 1
        try:
            return await self._run(self._hashers, lambda: self._users.verify(login, password, source))
        finally:
            self._waiting -= 1

    async def open_session(
        self, user: User, source: str, browser: str = "", waits_for: str = "", id_token: str = ""
    ) -> str:
        return await self._run(
            self._readers,
            lambda: self._users.open_session(user.user_id, source, browser, waits_for, id_token),
        )

    async def session(self, token: str) -> User | None:
        return await self._run(self._readers, lambda: self._users.session(token))

    async def token(self, token: str, source: str) -> User | None:
        return await self._run(self._readers, lambda: self._tokens.user(token, source, datetime.now(UTC)))

    async def close_session(self, token: str, source: str = "") -> str:
        return await self._run(self._readers, lambda: self._users.close_session(token, source))

    def close(self) -> None:
        """Let the executors' threads end."""
        self._hashers.shutdown(wait=False, cancel_futures=True)
        self._readers.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    async def _run(executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, work)
