"""The life of one seat, as a table. Everything that moves a seat from state to state stands here.

A seat is a logged-in user with a phone. In `nailed` mode its leg stays up and its loss takes the seat out of the
pool at once; in `ring` mode the phone is rung for each customer. A seat has one customer or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from campaigns.values import Lead
from dialer.core.machine import Table

if TYPE_CHECKING:
    from dialer.core.campaign import Campaign


class SeatState(StrEnum):
    PHONE = "phone"  # its leg is being rung
    NO_PHONE = "no_phone"  # its leg is lost; waits for a redial
    PAUSED = "paused"
    READY = "ready"
    PREVIEW = "preview"  # looks at a customer, or waits for that customer's answer
    CONNECTING = "connecting"  # matched, the bridge is asked for
    TALKING = "talking"
    ASKED = "asked"  # by a colleague, about that one's customer
    WRAP_UP = "wrap_up"
    OFFLINE = "offline"


class SeatEvent(StrEnum):
    LEG_UP = "leg_up"
    BACK_READY = "back_ready"  # its leg is up again, and nobody had left it
    BACK_WRAP = "back_wrap"  # the same, with a result still to be given
    LEG_GONE = "leg_gone"
    REDIAL = "redial"
    READY = "ready"
    PAUSE = "pause"
    SHOW = "show"  # a customer to preview
    ASK = "ask"
    MATCH = "match"
    BRIDGED = "bridged"
    MISSED = "missed"  # the customer went, or was not reached, before the two were joined; or the colleague has asked
    RELEASE = "release"  # the call is over for this seat
    NO_REPLY = "no_reply"  # ring mode: its phone was not picked up
    WRAP_OVER = "wrap_over"
    LOG_OUT = "log_out"


class SeatAction(StrEnum):
    RING_PHONE = "ring_phone"
    DROP_LEG = "drop_leg"
    OFFER = "offer"  # enter the pool: take the longest-waiting customer, if any
    WITHDRAW = "withdraw"  # leave the pool
    LOSE_CALL = "lose_call"  # tell its call that the seat is gone
    PAUSE_LATER = "pause_later"
    HANG_CALL = "hang_call"


S, E, A = SeatState, SeatEvent, SeatAction

LOGGED_IN = tuple(state for state in S if state is not S.OFFLINE)
WITH_CALL = (S.CONNECTING, S.TALKING)
BY_HAND = (S.READY, S.PAUSED)  # in which a number may be dialed by hand
WITH_CUSTOMER = (S.PREVIEW, *WITH_CALL, S.ASKED, S.WRAP_UP)

_entries: dict[tuple[SeatState, SeatEvent], tuple[SeatState, tuple[SeatAction, ...]]] = {
    (S.PHONE, E.LEG_UP): (S.PAUSED, ()),
    (S.PHONE, E.BACK_READY): (S.READY, (A.OFFER,)),
    (S.PHONE, E.BACK_WRAP): (S.WRAP_UP, ()),
    (S.PHONE, E.LEG_GONE): (S.NO_PHONE, ()),
    (S.NO_PHONE, E.REDIAL): (S.PHONE, (A.RING_PHONE,)),
    (S.PAUSED, E.READY): (S.READY, (A.OFFER,)),
    (S.PAUSED, E.LEG_GONE): (S.NO_PHONE, ()),
    (S.READY, E.PAUSE): (S.PAUSED, (A.WITHDRAW,)),
    (S.READY, E.MATCH): (S.CONNECTING, (A.WITHDRAW,)),
    (S.READY, E.SHOW): (S.PREVIEW, (A.WITHDRAW,)),
    (S.PAUSED, E.SHOW): (S.PREVIEW, ()),  # a number that it dials by hand
    (S.READY, E.LEG_GONE): (S.NO_PHONE, (A.WITHDRAW,)),
    (S.PREVIEW, E.MATCH): (S.CONNECTING, ()),
    (S.PREVIEW, E.MISSED): (S.READY, (A.OFFER,)),
    (S.PREVIEW, E.PAUSE): (S.PREVIEW, (A.PAUSE_LATER,)),
    (S.PREVIEW, E.LEG_GONE): (S.NO_PHONE, (A.LOSE_CALL,)),
    (S.CONNECTING, E.BRIDGED): (S.TALKING, ()),
    (S.CONNECTING, E.MISSED): (S.READY, (A.OFFER,)),
    (S.CONNECTING, E.RELEASE): (S.WRAP_UP, ()),
    (S.CONNECTING, E.NO_REPLY): (S.PAUSED, (A.LOSE_CALL,)),
    (S.CONNECTING, E.PAUSE): (S.CONNECTING, (A.PAUSE_LATER,)),
    (S.CONNECTING, E.LEG_GONE): (S.NO_PHONE, (A.LOSE_CALL,)),
    (S.TALKING, E.RELEASE): (S.WRAP_UP, ()),
    (S.TALKING, E.PAUSE): (S.TALKING, (A.PAUSE_LATER,)),
    (S.TALKING, E.LEG_GONE): (S.NO_PHONE, (A.LOSE_CALL,)),
    (S.READY, E.ASK): (S.ASKED, (A.WITHDRAW,)),
    (S.ASKED, E.MATCH): (S.CONNECTING, ()),
    (S.ASKED, E.MISSED): (S.READY, (A.OFFER,)),
    (S.ASKED, E.NO_REPLY): (S.PAUSED, (A.LOSE_CALL,)),
    (S.ASKED, E.PAUSE): (S.ASKED, (A.PAUSE_LATER,)),
    (S.ASKED, E.LEG_GONE): (S.NO_PHONE, (A.LOSE_CALL,)),
    (S.WRAP_UP, E.MATCH): (S.CONNECTING, ()),  # nobody took the customer it had sent on
    (S.WRAP_UP, E.READY): (S.READY, (A.OFFER,)),
    (S.WRAP_UP, E.WRAP_OVER): (S.READY, (A.OFFER,)),
    (S.WRAP_UP, E.PAUSE): (S.PAUSED, ()),
    (S.WRAP_UP, E.LEG_GONE): (S.NO_PHONE, ()),
    (S.PHONE, E.LOG_OUT): (S.OFFLINE, (A.DROP_LEG,)),
    (S.NO_PHONE, E.LOG_OUT): (S.OFFLINE, ()),
    (S.PAUSED, E.LOG_OUT): (S.OFFLINE, (A.DROP_LEG,)),
    (S.READY, E.LOG_OUT): (S.OFFLINE, (A.WITHDRAW, A.DROP_LEG)),
    (S.PREVIEW, E.LOG_OUT): (S.OFFLINE, (A.HANG_CALL, A.DROP_LEG)),
    (S.CONNECTING, E.LOG_OUT): (S.OFFLINE, (A.LOSE_CALL, A.DROP_LEG)),
    (S.TALKING, E.LOG_OUT): (S.OFFLINE, (A.HANG_CALL, A.DROP_LEG)),
    (S.ASKED, E.LOG_OUT): (S.OFFLINE, (A.LOSE_CALL, A.DROP_LEG)),
    (S.WRAP_UP, E.LOG_OUT): (S.OFFLINE, (A.DROP_LEG,)),
}

# A repeat of what is already so. A leg that comes up outside PHONE is ring mode's, or a late answer.
_ignored = frozenset(
    {
        *product(LOGGED_IN, (E.LEG_UP,)),
        *product((S.READY, *WITH_CALL, S.PREVIEW, S.ASKED), (E.READY,)),
        *product((S.PAUSED, S.PHONE, S.NO_PHONE), (E.PAUSE,)),
        *product((S.TALKING,), (E.BRIDGED,)),
        *product((S.NO_PHONE,), (E.LEG_GONE, E.RELEASE, E.MISSED, E.READY)),
        *product((S.PHONE,), (E.READY, E.REDIAL)),
        *product((S.PAUSED, S.READY, S.WRAP_UP, S.PREVIEW, S.ASKED, *WITH_CALL), (E.REDIAL,)),
        *product((S.PAUSED, S.READY, S.NO_PHONE, S.PHONE, S.PREVIEW, S.ASKED, *WITH_CALL), (E.WRAP_OVER,)),
    }
) - frozenset(_entries)

# Where a seat goes back to when only its line was lost: one that had a customer still owes a result.
BACK = {
    S.READY: E.BACK_READY,
    S.PREVIEW: E.BACK_READY,
    S.ASKED: E.BACK_READY,
    S.CONNECTING: E.BACK_READY,
    S.TALKING: E.BACK_WRAP,
    S.WRAP_UP: E.BACK_WRAP,
}

SEAT = Table("seat", _entries, _ignored)


class Served(NamedTuple):
    """A customer of a seat's: of which campaign, by which number (E.164, empty where it is withheld), in which zones,
    and in which arm of its trial; since when (monotonic), and whether another seat has had them since.
    """

    campaign: str = ""
    number: str = ""
    zones: tuple[str, ...] = ()
    arm: str = ""
    met_at: float = 0.0
    handed_on: bool = False


NOBODY = Served()


@dataclass(slots=True)
class Seat:
    """A seat and what is known of it. Instants are monotonic seconds."""

    user_id: int
    name: str
    phone: str
    campaigns: tuple[str, ...]
    session_id: str
    mode: str  # nailed or ring
    switch: str
    since: float
    state: SeatState = SeatState.PHONE
    leg: str = ""  # uid of its leg's channel, while there is one
    leg_up: bool = False
    call: str = ""  # id of its customer's call
    serving: str = ""  # the campaign of its last customer
    number: str = ""  # of its last customer
    zones: tuple[str, ...] = ()  # of its last customer
    arm: str = ""  # of that campaign's trial, for its last customer
    met_at: float = 0.0  # when that one came
    last_call: str = ""  # the last one, which may still be disposed of
    machine: str = ""  # the last one that it found a machine in
    last: Served = NOBODY  # whose that was
    reason: str = ""
    was: SeatState | None = None  # when its leg was lost
    resumes: bool = False  # it goes back there once the leg is up again
    pause_later: bool = False
    pause_reason: str = ""
    muted: bool = False  # the customer does not hear it
    unanswered_s: float = 0.0  # its phone has rung for customers, in ring mode, and nobody was there
    absent: bool = False  # its page is gone: no customers until it is back
    ranks: Mapping[str, int] = field(
        default_factory=dict
    )  # of the campaigns in which it does not stand first
    paced: tuple[
        str, ...
    ] = ()  # the campaigns whose pacing counts on this seat, the first of which it is there for
    timer: int = 0
    until: float | None = None  # when wrap-up ends by itself, or a pause should be over
    more: int = 0  # how often wrap-up may still be made longer
    idle_s: float = 0.0
    busy_s: float = 0.0
    calls: int = 0

    def rank(self, campaign: str) -> int:
        """Where it stands among the seats of this campaign: 1 before 2."""
        return self.ranks.get(campaign, 1)

    def is_reached_by(self, campaign: Campaign) -> bool:
        """Whether this campaign calls over its switch: a leg meets nobody on another one."""
        return self.switch in campaign.config.switches

    def meet(self, lead: Lead, campaign: Campaign, now: float) -> None:
        """Have this customer of a campaign."""
        self.met_at = now
        self.call, self.serving = lead.call_id, campaign.name
        self.number, self.zones, self.arm = lead.number, lead.zones, campaign.arm_of(lead)

    def leave(self) -> None:
        """Have the customer no more; of whom something may be said still, when the next one is there already."""
        self.last_call, self.last = self.call, self._present()
        self.call = ""

    def served(self, call_id: str) -> Served | None:
        """The customer of this call, if it is this seat's present one or its last."""
        if call_id and call_id == self.call:
            return self._present()
        return self.last if call_id and call_id == self.last_call else None

    def _present(self) -> Served:
        return Served(self.serving, self.number, self.zones, self.arm, self.met_at)

    @property
    def works_for(self) -> str:
        """The campaign its time is booked to: that of its customer; of an idle seat, the first it is there for."""
        if self.state in WITH_CUSTOMER and self.serving:
            return self.serving
        return self.paced[0] if self.paced else ""
