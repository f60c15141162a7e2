"""Callbacks for the person at a seat: shown to them at their next free moment, before any other customer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from campaigns.values import Lead
from dialer.core.seat import Seat, SeatState

if TYPE_CHECKING:
    from dialer.core.engine import EngineCore

AT_WORK = frozenset({SeatState.READY, SeatState.CONNECTING, SeatState.TALKING, SeatState.WRAP_UP})


class Callbacks:
    """At most one leased callback a person, kept until their seat is free. Who leaves their seat gives it back."""

    def __init__(self, core: EngineCore) -> None:
        self.core = core
        self.waiting: dict[int, tuple[str, Lead]] = {}  # by user: the campaign and the customer

    def persons(self, campaign: str) -> Sequence[int]:
        """Who is at work for this campaign, on a switch of its, and could take a callback of theirs soon."""
        of = self.core.campaigns.get(campaign)
        if of is None:
            return []
        seats = [seat for seat in self.core.seats.by_user.values() if campaign in seat.campaigns]
        return [
            seat.user_id
            for seat in seats
            if seat.is_reached_by(of) and seat.user_id not in self.waiting and _at_work(seat)
        ]

    def due(self, campaign: str, lead: Lead, now: float) -> None:
        """A person's callback was leased: it is shown at once, or waits until their seat is free."""
        user = lead.user_id
        seat = self.core.seats.by_user.get(user) if user is not None else None
        if seat is None or user is None or user in self.waiting or not _at_work(seat) or self.core.draining:
            return self.core.free((lead.call_id,))
        self.waiting[user] = (campaign, lead)
        if seat.state is SeatState.READY:
            self.show(seat, now)
        return None

    def show(self, seat: Seat, now: float) -> bool:
        """Show a seat that is free the callback that waits for its person, if there is one."""
        campaign, lead = self.waiting.pop(seat.user_id, ("", None))
        if lead is None:
            return False
        if self.core.show(seat.user_id, lead, campaign, now):
            return True
        self.core.free((lead.call_id,))
        return False

    def let_go(self, everyone: bool = False) -> None:
        """Give back the callbacks of those who left their seats, or paused."""
        for user, (_, lead) in list(self.waiting.items()):
            seat = self.core.seats.by_user.get(user)
            if everyone or seat is None or not _at_work(seat):
                del self.waiting[user]
                self.core.free((lead.call_id,))


def _at_work(seat: Seat) -> bool:
    return seat.state in AT_WORK and not seat.pause_later and not seat.absent
