"""Third parties to a call: a colleague's seat or an outside number, asked first, joined to, or given the customer.

Theory of operation. A call has at most one party. While it is asked the customer hears music (`consulting`); the party
then leaves, joins the two (`conference`) or takes the customer over, and the first seat is free. A customer who is
sent on at once (`sent`) hears music until somebody takes them; where nobody does in time, they come back, first of
all to the seat that sent them. A colleague who is asked is out of the pool; who is outside has a line of the switch.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.records import OutsideEnded
from cti.messages import CallStatus
from dialer.core.effects import Confer, Drop, Originate, Outside
from dialer.core.seat import Seat, SeatEvent, SeatState
from dialer.switch.port import PARTY_PREFIX, Origination

if TYPE_CHECKING:
    from dialer.core.call import Call
    from dialer.core.calls import Calls
    from dialer.core.engine import EngineCore

PARTY_RING_S = 30.0  # how long an outside number is rung
PARTY_LIMIT_S = 40.0  # past it, also for a seat: catches what no event told
SENT_LIMIT_S = 30.0  # how long a customer who was sent on to a campaign's seats hears music
# Asterisk 22 hangs a channel up at the end of a bridge into which it was taken while it just left another one.
SETTLE_S = 0.3
PARTY_CONTEXT = "zhudong-ring"  # answered, it waits some seconds to be joined, and ends with that bridge


@dataclass(slots=True)
class Party:
    """Who else there is. Exactly one of `user`, `campaign` and `number` is set; `uid` is its channel."""

    name: str  # for the page
    user: int = 0
    campaign: str = ""
    number: str = ""
    by: int = 0  # the agent who calls the number
    uid: str = ""
    up: bool = False


class Parties:
    """What the call machine's actions do with third parties; by channel those outside."""

    def __init__(self, core: EngineCore, calls: Calls) -> None:
        self.core = core
        self.calls = calls
        self.by_uid: dict[str, Call] = {}

    def seat_of(self, call: Call) -> Seat | None:
        """The colleague's seat that is asked about this call."""
        user = call.party.user if call.party is not None else 0
        seat = self.core.seats.by_user.get(user)
        return seat if seat is not None and seat.state is SeatState.ASKED and seat.call == call.id else None

    def leg(self, call: Call) -> str:
        """The party's channel, empty while there is none."""
        if call.party is None:
            return ""
        seat = self.seat_of(call)
        return seat.leg if seat is not None else call.party.uid

    def adopt(self, call: Call, uid: str) -> None:
        """An outside party found with its customer after a restart."""
        call.party = Party(name="", number="?", uid=uid, up=True)
        self.by_uid[uid] = call
        self.calls.lines[call.switch] += 1

    def gone(self, uid: str, now: float) -> Call | None:
        """An outside party's channel ended by itself: of this call."""
        call = self.by_uid.get(uid)
        if call is not None and call.party is not None:
            self._forget(call, call.party, now)
            call.party.uid = ""
        return call

    # --- actions, one a name in CallAction ------------------------------------------------------------------------

    def call_party(self, call: Call, now: float) -> None:
        """Ring the outside number, or have the colleague, whose phone is up or is rung. They will hear who asks."""
        party = call.party
        assert party is not None  # the command that leads here sets it
        self._unmute(call)
        self.calls.limit(call, now + PARTY_LIMIT_S)
        if party.number:
            self._originate(call, party)
        else:
            seat = self.core.seats.by_user[party.user]
            seat.meet(call.lead, self.core.campaigns[call.campaign], now)
            self.core.seats.step(seat, SeatEvent.ASK, now)
            self.core.tell(self.core.screen_pop(call.campaign, call.lead, seat.user_id, now))
            if seat.mode == "ring":
                self.core.seats.ring(seat, now)
            else:
                self.core.timers.start(now + SETTLE_S, "party", call.id)
        self.tell(call, now)

    def settled(self, call_id: str, now: float) -> None:
        """The seat that asks has left the customer's bridge: a colleague whose phone is up can be had."""
        call = self.calls.by_id.get(call_id)
        seat = self.seat_of(call) if call is not None else None
        if call is None or call.party is None or seat is None:
            return
        if seat.leg_up and not call.party.up:
            self.calls.party_up(call, now)

    def join_party(self, call: Call, now: float) -> None:
        """The party is there: it and the seat hear each other."""
        seat = self.core.seats.by_user.get(call.seat) if call.seat is not None else None
        if call.party is None or seat is None:
            return
        call.party.up = True
        call.timer = 0
        self.calls.join_channels(call, self.leg(call), seat.leg)
        self.tell(call, now)

    def drop_party(self, call: Call, now: float) -> None:
        """The party leaves, or is let go."""
        party, seat = call.party, self.seat_of(call)
        call.party = None
        if party is None:
            return
        if party.campaign:
            self.core.campaigns[party.campaign].sent.pop(call.id, None)
        if party.uid:
            self.core.effects.append(Drop(call.switch, party.uid))
            self._forget(call, party, now)
        if seat is not None:
            self.core.seats.missed(seat.user_id, call, now, "consulted")

    def tell_party(self, call: Call, now: float) -> None:
        """The conference could not be: they are two as before."""
        self._unmute(call)
        self.tell(call, now)

    def confer(self, call: Call, now: float) -> None:
        """The customer comes to the seat and the party."""
        seat = self.core.seats.by_user.get(call.seat) if call.seat is not None else None
        if seat is not None:
            self.core.effects.append(Confer(call.switch, call.uid, seat.leg))
        self.tell(call, now)

    def give(self, call: Call, now: float) -> None:
        """The colleague who was asked takes the customer over."""
        seat = self.seat_of(call)
        call.party, call.bridge_tries = None, 0
        if seat is None:
            self.core.breach("handed_to_nobody", call.id)
            return
        before, call.seat = call.seat, seat.user_id
        self.calls.limit(call, now + SENT_LIMIT_S)
        # Once more, with what has been written down by now: as long as the page is asked it takes it.
        self.core.tell(self.core.screen_pop(call.campaign, call.lead, seat.user_id, now))
        self.core.seats.step(seat, SeatEvent.MATCH, now)
        self.calls.join(call, seat.leg)
        if before is not None:  # after the join: where its phone is hung up, that ends its bridge
            self.calls.let_go(call, before, now)

    def give_out(self, call: Call, now: float) -> None:
        """The outside number takes the customer over."""
        call.timer = 0
        if call.party is not None:
            call.party.up = True
            self.calls.join(call, call.party.uid)
        self.calls.set_recording(call, again=True)
        before, call.seat = call.seat, None
        if before is not None:
            self.calls.let_go(call, before, now)

    def seek_target(self, call: Call, now: float) -> None:
        """Whom the customer was sent to: at once where there is somebody, else they wait for one."""
        party = call.party
        assert party is not None
        call.bridge_tries = 0
        self.calls.limit(call, now + (PARTY_LIMIT_S if party.number else SENT_LIMIT_S))
        if party.number:
            self._originate(call, party)
            return
        seats = self.core.seats
        seat = seats.by_user.get(party.user) if party.user else seats.idle(call.switch, party.campaign)
        if seat is not None:
            self.core.match(call, seat, now)
        else:
            self.core.campaigns[party.campaign].sent[call.id] = None

    def tell(self, call: Call, now: float) -> None:
        """Tell both seats how they stand."""
        if call.party is None or call.seat is None:
            return
        state = call.state.value if call.party.up else "asking"
        call.state_at = now
        self.calls.tell(call, call.seat, state, party=call.party.name)
        asked = self.seat_of(call)
        seat = self.core.seats.by_user.get(call.seat)
        if asked is not None and seat is not None:
            self.core.tell(
                CallStatus(
                    user_id=asked.user_id,
                    call_id=call.id,
                    state=state,
                    at=self.core.wall_s(now),
                    party=seat.name,
                )
            )

    def _unmute(self, call: Call) -> None:
        """The customer is on hold: what the seat says is for the party."""
        seat = self.core.seats.by_user.get(call.seat) if call.seat is not None else None
        if seat is not None:
            self.core.seats.mute(seat, False)

    def _forget(self, call: Call, party: Party, now: float) -> None:
        """Its channel is no more, or no more ours to wait for."""
        if self.by_uid.pop(party.uid, None) is not None:
            self.calls.lines[call.switch] -= 1
            self.core.write(OutsideEnded(at=self.core.wall(now), uid=party.uid))

    def _originate(self, call: Call, party: Party) -> None:
        campaign = self.core.campaigns[call.campaign]
        config = campaign.config
        party.uid = PARTY_PREFIX + secrets.token_hex(16)
        self.by_uid[party.uid] = call
        self.calls.lines[call.switch] += 1
        self.core.effects.append(
            Originate(
                call.switch,
                Origination(
                    uid=party.uid,
                    dial=self.core.trunk(call.switch, config).format(number=party.number.lstrip("+")),
                    context=PARTY_CONTEXT,
                    ring_limit_s=PARTY_RING_S,
                    caller_id=call.caller_id,
                ),
                Outside(campaign.caller(party.by), campaign.id, party.number),
            )
        )
