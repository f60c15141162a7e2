"""What people said of being written to, by channel and address: yes, since when and until when, or no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, text

from campaigns.audit import masked, write
from campaigns.dnc import ADD as BAR

# A no that comes after a no says nothing new.
SAY = text("""
INSERT INTO message_choice (channel, address, agreed, source, at, expires_at)
SELECT :channel, :address, :agreed, :source, :at, :expires
WHERE :agreed OR COALESCE((SELECT agreed FROM message_choice WHERE channel = :channel AND address = :address
    ORDER BY at DESC, id DESC LIMIT 1), true)
ON CONFLICT DO NOTHING RETURNING id
""")
OF_ADDRESS = text("SELECT * FROM message_choice WHERE address = :address ORDER BY at, id")


@dataclass(frozen=True, slots=True)
class Said:
    """What was said, as it is on record."""

    id: int
    channel: str
    address: str
    agreed: bool
    source: str
    at: datetime
    expires_at: datetime | None


class ChoiceStore:
    """The choices of one database. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def say(
        self,
        channel: str,
        address: str,
        agreed: bool,
        source: str,
        at: datetime,
        expires_at: datetime | None = None,
    ) -> bool:
        """Put a yes or a no on record; the same again changes nothing. Returns whether it is new."""
        with self._engine.begin() as connection:
            return say(connection, channel, address, agreed, source, at, expires_at)

    def of(self, address: str) -> Sequence[Said]:
        """All that was said of an address, the last word at the end."""
        with self._engine.connect() as connection:
            return [Said(*row) for row in connection.execute(OF_ADDRESS, {"address": address})]


def say(
    connection: Connection,
    channel: str,
    address: str,
    agreed: bool,
    source: str,
    at: datetime,
    expires_at: datetime | None = None,
) -> bool:
    """The same within a transaction. Who wants no more texts at a number is not called there either."""
    address = address.lower() if channel == "email" else address
    values = {
        "channel": channel, "address": address, "agreed": agreed, "source": source, "at": at, "expires": expires_at,
    }  # fmt: skip
    new = connection.execute(SAY, values).scalar_one_or_none() is not None
    if not agreed and address.startswith("+"):
        barred = {
            "pattern": address, "layer": "company", "campaign": 0, "source": source, "reason": f"by {channel}",
            "at": at, "expires": None,
        }  # fmt: skip
        connection.execute(BAR[False], barred)
    if new:
        action = "messages agreed to" if agreed else "messages refused"
        write(connection, action, f"{channel} {masked(address)}", after={"source": source, "at": at})
    return new
