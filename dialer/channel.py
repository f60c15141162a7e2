"""What a channel of messages promises: a letter is taken at the other end when `send` returns."""

from __future__ import annotations

from typing import Protocol

from campaigns.messages.outbox import Letter


class NotTaken(Exception):
    """It was not taken, as far as is known. The text says why. `for_good`: to try again would change nothing.

    `nobody`: the address is no one's, so that other messages need not be tried either.
    """

    def __init__(self, why: str, for_good: bool = False, nobody: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good or nobody
        self.nobody = nobody


class Channel(Protocol):
    """Brings letters. Cancelled, it leaves open whether the letter was taken."""

    async def send(self, letter: Letter) -> tuple[str, ...]:
        """Bring one, under its key; by which ids the other end will tell of its parts, if it does.

        Raises :class:`NotTaken`.
        """
        ...

    async def run(self) -> None:
        """Hold what it needs for that, a session perhaps, until cancelled."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...
