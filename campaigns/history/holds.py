"""Legal holds: what they cover is neither erased nor let go when its time is over, until they are lifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, text

from campaigns.audit import write
from campaigns.config import CampaignsError

PLACE = text("""
INSERT INTO legal_hold (campaign_id, e164, customer_id, why, placed_by, placed_at)
VALUES (:campaign_id, :e164, :customer_id, :why, :who, :at) RETURNING id
""")
LIFT = text("UPDATE legal_hold SET lifted_by = :who, lifted_at = :at WHERE id = :id AND lifted_at IS NULL")
FOUND = text("""
SELECT h.id, h.campaign_id, c.name AS campaign, h.e164, h.customer_id, h.why, h.placed_by, h.placed_at, h.lifted_by,
    h.lifted_at
FROM legal_hold h LEFT JOIN campaign c ON c.id = h.campaign_id
WHERE h.lifted_at IS NULL OR :lifted ORDER BY h.id
""")


class NoSuchHold(CampaignsError):
    """There is no hold with this number that could be lifted."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Of a campaign, a number or a customer: one of the three is there."""

    id: int
    campaign_id: int | None
    campaign: str | None
    e164: str | None
    customer_id: str | None
    why: str
    placed_by: str
    placed_at: datetime
    lifted_by: str | None
    lifted_at: datetime | None

    def __str__(self) -> str:
        return f"legal hold {self.id} ({self.why}; {self.placed_by}, {self.placed_at:%F})"


class Holds:
    """The holds of one database. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def place(
        self,
        who: str,
        why: str,
        at: datetime,
        campaign_id: int | None = None,
        e164: str | None = None,
        customer_id: str | None = None,
    ) -> int:
        """Hold a campaign, a number or a customer from now on; returns the hold's number."""
        subject = {"campaign_id": campaign_id, "e164": e164, "customer_id": customer_id}
        with self._engine.begin() as connection:
            hold = connection.execute(PLACE, {**subject, "why": why, "who": who, "at": at}).scalar_one()
            write(connection, "hold placed", f"hold {hold}", why, at=at, who=who)
        return hold

    def lift(self, hold: int, who: str, why: str, at: datetime) -> None:
        """End a hold. Raises :class:`NoSuchHold`."""
        with self._engine.begin() as connection:
            if not connection.execute(LIFT, {"id": hold, "who": who, "at": at}).rowcount:
                raise NoSuchHold(f"there is no hold {hold}, or it was lifted before")
            write(connection, "hold lifted", f"hold {hold}", why, at=at, who=who)

    def all(self, lifted: bool = False) -> Sequence[Hold]:
        """Those in force, and with `lifted` those that were."""
        with self._engine.connect() as connection:
            return in_force(connection, lifted)


def in_force(connection: Connection, lifted: bool = False) -> Sequence[Hold]:
    """The holds as this connection sees them."""
    return [Hold(*row) for row in connection.execute(FOUND, {"lifted": lifted})]
