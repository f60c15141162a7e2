"""Who is at the door: the identity of a logged-in user and the port through which accounts are asked."""

from __future__ import annotations

from typing import Protocol

import msgspec

WATCHERS = frozenset({"supervisor", "admin"})  # roles that may see the status page


class UserIdentity(msgspec.Struct, frozen=True):
    """A user as the door knows them. `phone` is their usual SIP endpoint, `language` `en`, `zh` or empty."""

    user_id: int
    login: str
    name: str
    role: str
    phone: str
    campaigns: tuple[str, ...]
    language: str = ""

    @property
    def may_watch(self) -> bool:
        return self.role in WATCHERS


class AccountsBusy(Exception):
    """More log-ins wait to be checked than is sensible; try again in a moment."""


class Accounts(Protocol):
    """The port to users and sessions. No method blocks the event loop."""

    async def verify(self, login: str, password: str) -> UserIdentity | None:
        """The user, or None for a wrong name or password.

        Raises :class:`AccountsBusy` without looking at the password.
        """
        ...

    async def open_session(self, user: UserIdentity, source: str) -> str:
        """A new session's token: a secret for the cookie, never stored as such. `source` is the caller's address."""
        ...

    async def session(self, token: str) -> UserIdentity | None:
        """The user of a live session; looking it up counts as use."""
        ...

    async def close_session(self, token: str) -> None: ...
