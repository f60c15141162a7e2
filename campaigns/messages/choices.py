"""What people said of being written to, by channel and address: yes, since when and until when, or no more."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from campaigns.audit import masked, write
from campaigns.config import CampaignsError
from campaigns.consents import ConsentError, end_of, instant_of
from campaigns.dnc import ADD as BAR
from campaigns.messages.keys import CHANNELS
from campaigns.messages.permission import BOUNCED
from campaigns.messages.writing import MAIL_ADDRESS, plain
from campaigns.numbers import NotANumber, number_of

SAY = text("""
INSERT INTO message_choice (channel, address, agreed, source, at, expires_at)
VALUES (:channel, :address, :agreed, :source, :at, :expires)
ON CONFLICT DO NOTHING RETURNING id
""")
# Of nos in a row the first one and the newest stay, however many there are: a yes may become known that is in between.
LAST_TWO = text("""
SELECT id, agreed, at, source FROM message_choice WHERE channel = :channel AND address = :address
ORDER BY at DESC, id DESC LIMIT 2
""")
AGAIN = text("UPDATE message_choice SET source = :source, at = :at WHERE id = :id AND at < :at")
OF_ADDRESS = text("SELECT * FROM message_choice WHERE address = :address ORDER BY at, id")


MOST_ADDRESS = 254  # characters
GIVEN = text("""
INSERT INTO message_choice (channel, address, agreed, source, at, expires_at)
SELECT :channel, a, true, :source, g, e
FROM unnest(CAST(:addresses AS text[]), CAST(:given AS timestamptz[]), CAST(:expires AS timestamptz[])) AS v (a, g, e)
ON CONFLICT DO NOTHING
""")


class NotAnAddress(CampaignsError):
    """What was given is no address of its channel, or the channel none of ours. The text says what it was."""


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
        """Put a yes or a no on record. Returns whether it is new: the same again is not, nor a no after a no."""
        with self._engine.begin() as connection:
            return say(connection, channel, address, agreed, source, at, expires_at)

    def load(self, path: Path, channel: str, source: str, region: str = "CN") -> int:
        """Record those who agreed, from a CSV of address, given, expires (ISO 8601; UTC without an offset).

        All or, when a line is wrong, none. Returns how many are new. Raises
        :class:`campaigns.consents.ConsentError`.
        """
        addresses, given, expires = [], list[datetime](), list[datetime | None]()
        line = 0
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                for line, cells in enumerate(csv.reader(file, strict=True), 1):
                    if cells and (line > 1 or any(c.isdigit() or c == "@" for c in cells[0])):
                        addresses.append(address_of(channel, cells[0], region))
                        given.append(instant_of(cells, 1))
                        expires.append(end_of(cells))
        except (NotAnAddress, ValueError, csv.Error) as fault:
            raise ConsentError(f"{path}, line {line}: {fault}") from fault
        except OSError as fault:
            raise ConsentError(f"{path}: can't be read: {fault.strerror}") from fault
        values = {
            "channel": channel,
            "source": source,
            "addresses": addresses,
            "given": given,
            "expires": expires,
        }
        with self._engine.begin() as connection:
            new = connection.execute(GIVEN, values).rowcount
            subject = f"{channel}, {len(addresses)} addresses"
            write(connection, "messages agreed to", subject, after={"source": source, "new": new})
        return new

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
    values = {
        "channel": channel, "address": address, "agreed": agreed, "source": source, "at": at, "expires": expires_at,
    }  # fmt: skip
    new = _kept(connection, values)
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


def address_of(channel: str, given: str, region: str = "CN") -> str:
    """An address as it is kept: a mail address in small letters, a number in E.164. Raises :class:`NotAnAddress`."""
    found = plain(given)
    if channel not in CHANNELS:
        raise NotAnAddress(f"{channel!r} is no channel; use {', '.join(CHANNELS)}")
    if channel == "sms":
        try:
            return number_of(found, region)
        except NotANumber as fault:
            raise NotAnAddress(str(fault)) from fault
    if not found or len(found) > MOST_ADDRESS or (channel == "email" and not MAIL_ADDRESS.fullmatch(found)):
        raise NotAnAddress(f"{given!r} is no address by {channel}")
    return found.lower() if channel == "email" else found


def _kept(connection: Connection, values: dict[str, Any]) -> bool:
    """Whether it is new. A no that comes after a no is not, and counts from then on all the same."""
    said = connection.execute(LAST_TWO, values).all()
    if values["agreed"] or not said or said[0].agreed:
        return connection.execute(SAY, values).scalar_one_or_none() is not None
    same = said[0].source.startswith(BOUNCED) == values["source"].startswith(BOUNCED)  # else it is not theirs
    if len(said) == 2 and not said[1].agreed and same:
        connection.execute(AGAIN, values | {"id": said[0].id})
    elif said[0].at < values["at"]:
        connection.execute(SAY, values)
    return False
