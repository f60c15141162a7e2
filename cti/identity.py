"""The port through which the door asks for users and their sessions."""

from __future__ import annotations

from typing import Protocol

from campaigns.users import User


class AccountsBusy(Exception):
    """More log-ins wait to be checked than is sensible; try again in a moment."""


class Accounts(Protocol):
    """The port to users and sessions. No method blocks the event loop."""

    async def verify(self, login: str, password: str, source: str = "") -> User | None:
        """The user, or None for a wrong name or password; `source` is the caller's address.

        Raises :class:`AccountsBusy` without looking at the password.
        """
        ...

    async def open_session(
        self, user: User, source: str, browser: str = "", waits_for: str = "", id_token: str = ""
    ) -> str:
        """A new session's token: a secret for the cookie, never stored as such.

        `source` is the caller's address, `browser` what theirs says it is. One that `waits_for` a
        second factor (`code`) or its setting up (`enrolment`) is no user's in :meth:`session`.
        `id_token` is what the company's own sign-on gave for it.
        """
        ...

    async def session(self, token: str) -> User | None:
        """The user of a live session; looking it up counts as use."""
        ...

    async def token(self, token: str, source: str) -> User | None:
        """The owner of an API token, with its rights alone."""
        ...

    async def close_session(self, token: str, source: str = "") -> str:
        """End it; the ID token that it was opened with, empty without one."""
        ...
