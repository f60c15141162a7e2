"""Makes calls and seats agree with what lives on a switch: after a lost link, a switch's restart, or the engine's own.

Theory of operation. A snapshot is taken before the link is announced, so what it lacks is gone and what it has is
alive. What an engine that died left behind is told by the leases: a call in one bridge with a seat's leg is adopted
with its seat, whose user is named in the leg's channel id; any other is hung up and recorded, one that is known to
have been answered as abandoned, be its channel still there or not. Channels of ours that nobody knows are hung up, but
a seat's leg waits some seconds for its user.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from campaigns.records import AttemptAnswered, AttemptConnected
from campaigns.values import InFlight
from cti.messages import LogIn
from dialer.core.call import Call, CallEvent, CallState
from dialer.core.effects import Drop
from dialer.core.parties import SETTLE_S
from dialer.core.seat import Seat, SeatEvent, SeatState
from dialer.core.seats import leg_user
from dialer.switch import port

if TYPE_CHECKING:
    from dialer.core.engine import EngineCore

SPARE_S = 30.0  # how long a leg waits for its user after a restart of the engine


class Recovery:
    """What was in flight before, and the legs that wait for their users."""

    def __init__(self, core: EngineCore) -> None:
        self.core = core
        self._expected: dict[str, dict[str, InFlight]] = {}  # by switch, then call id
        self._users: Mapping[int, LogIn] = {}
        self.spare: dict[int, tuple[str, str, str]] = {}  # user: leg, switch, channel's name

    def expect(self, found: Iterable[InFlight], users: Mapping[int, LogIn]) -> None:
        """Take note of what the leases say was in flight. What was not dialed is free at once."""
        self._users = users
        undialed = []
        for flight in found:
            if flight.dialed:
                self._expected.setdefault(flight.switch, {})[flight.call_id] = flight
            else:
                undialed.append(flight.call_id)
        self.core.free(tuple(undialed))

    def settle_unknown(self, now: float) -> None:
        """Settle what was dialed over switches that are no longer configured."""
        for switch in [name for name in self._expected if name not in self.core.switches]:
            for flight in self._expected.pop(switch).values():
                with self.core.faults_counted(f"settling of {flight.call_id}"):
                    self._lost(flight, next(iter(self.core.switches)), now)

    def resynchronise(self, event: port.LinkUp) -> None:
        """Bring everything on this switch into line with its snapshot. A fault on one call or seat costs no other."""
        channels, guarded = event.snapshot.channels, self.core.faults_counted
        legs = {s.leg: s for s in self.core.seats.by_user.values() if s.leg and s.switch == event.switch}
        for call in [c for c in self.core.calls.by_id.values() if c.switch == event.switch]:
            with guarded(f"check of call {call.id}"):
                self._check_call(call, channels.get(call.uid), event.at, event.heard)
        parties = self.core.calls.parties
        for uid in [u for u, c in parties.by_uid.items() if c.switch == event.switch and u not in channels]:
            with guarded(f"check of party {uid}"):
                self.core.no_such_channel(uid, event.at)
        for leg, seat in legs.items():
            if seat.leg == leg:  # else it has rung anew meanwhile, which the snapshot can't know
                with guarded(f"check of seat {seat.user_id}"):
                    self._check_seat(seat, channels.get(leg), event.at)
        for seat in self.core.seats.by_user.values():
            if seat.switch == event.switch and seat.reason == "switch_down":
                with guarded(f"call of seat {seat.user_id}"):
                    self.core.seats.step(seat, SeatEvent.REDIAL, event.at)
        for flight in self._expected.pop(event.switch, {}).values():
            with guarded(f"recovery of {flight.call_id}"):
                self._find(flight, event)
        for uid, channel in channels.items():
            with guarded(f"check of channel {uid}"):
                self._check_channel(uid, channel, event)
        self.core.serve_waiting(event.at)

    def claim(self, user_id: int, switch: str, phone: str) -> str:
        """A spare leg of this user on this phone, or nothing."""
        leg, found_on, name = self.spare.get(user_id, ("", "", ""))
        dial = self.core.phone(switch).format(endpoint=phone)
        if leg and found_on == switch and name.startswith(f"{dial}-"):
            del self.spare[user_id]
            return leg
        return ""

    def let_go(self, user_id: int) -> None:
        """Nobody came for this leg."""
        leg, switch, _ = self.spare.pop(user_id, ("", "", ""))
        if leg:
            self.core.effects.append(Drop(switch, leg))

    def is_spare(self, uid: str) -> bool:
        return any(leg == uid for leg, _, _ in self.spare.values())

    # --- within ---------------------------------------------------------------------------------------------------

    def _check_call(self, call: Call, channel: port.Channel | None, at: float, heard: float | None) -> None:
        step = self.core.calls.step
        if call.state is CallState.RESERVED:
            return
        if channel is not None:
            self.core.calls.record_again(call)
        if channel is None:
            step(call, CallEvent.LOST, at)
        elif call.state is CallState.CLOSING:
            self.core.effects.append(Drop(call.switch, call.uid))
        elif call.state in (CallState.DIALING, CallState.RINGING) and channel.state == port.UP:
            screen = self.core.campaigns[call.campaign].config.amd
            unheard = at if heard is None else heard  # maybe as soon as nobody listened
            since = unheard if channel.answered is None else min(max(unheard, channel.answered), at)
            self.core.calls.answered(call, since, channel.stamp)
            step(call, CallEvent.SCREEN if screen else CallEvent.ANSWER, at)
        elif call.state is CallState.CONNECTING and channel.bridge_id:
            step(call, CallEvent.BRIDGED, at)
        elif self.core.calls.found_alone(call, at):
            pass  # abandoned: the limit passed meanwhile
        elif call.state in (CallState.HELD, CallState.CONSULTING, CallState.SENT) and channel.bridge_id:
            self.core.calls.hold(call)  # it was not heard
        elif call.state is CallState.CONFERENCE and not channel.bridge_id:
            step(call, CallEvent.PARTY_GONE, at)  # its bridge is over: the two that are ours again
        elif call.state is CallState.OUTSIDE and not channel.bridge_id and call.party is not None:
            self.core.calls.join(call, call.party.uid)
        elif call.state in (CallState.CONNECTED, CallState.CONNECTING) and not channel.bridge_id:
            seat = self.core.seats.by_user.get(call.seat) if call.seat is not None else None
            if seat is not None and seat.leg_up:
                self.core.calls.join(call, seat.leg)

    def _check_seat(self, seat: Seat, channel: port.Channel | None, at: float) -> None:
        seats = self.core.seats
        call = self.core.calls.by_id.get(seat.call)
        consults = call is not None and call.state is CallState.CONSULTING
        if channel is None:
            seats.leg_gone(seat, at)
            seats.step(seat, SeatEvent.REDIAL, at)  # the switch lost it, not its user
        elif channel.state == port.UP and not seat.leg_up:
            seats.leg_answered(seat, at)
        elif seat.leg_up:  # its call may have ended, or its conference, while the link was away
            seats.mute_again(seat, seat.muted and seat.state is SeatState.TALKING and not consults)

    def _find(self, flight: InFlight, event: port.LinkUp) -> None:
        channel = event.snapshot.channels.get(flight.channel or port.CALL_PREFIX + flight.call_id)
        if channel is None:
            self._lost(flight, event.switch, event.at)
            return
        call = self._call(flight, event.switch, event.at)
        if call is None:
            return
        if channel.state != port.UP:
            call.state = CallState.RINGING
            self.core.calls.adopt(call)
            self.core.calls.step(call, CallEvent.HANG, event.at)
            return
        if call.answered_at is None:
            call.answered_at = event.at if channel.answered is None else min(channel.answered, event.at)
            if not call.inbound:
                self.core.write(AttemptAnswered(at=self.core.wall(call.answered_at), call_id=call.id))
        call.human_at = call.answered_at
        legs = self._with(port.LEG_PREFIX, channel, event.snapshot)
        legs.sort(key=lambda each: leg_user(each) != flight.seat_user_id)  # before who was asked
        leg = next(iter(legs), "")
        party = next(iter(self._with(port.PARTY_PREFIX, channel, event.snapshot)), "")
        seat = self._seat(leg, call, event) if leg else None
        if seat is not None:
            call.state_at = event.at if call.connected_at is None else call.connected_at
            if call.connected_at is None:  # the record was lost with the engine
                self.core.write(
                    AttemptConnected(
                        at=self.core.wall(event.at),
                        call_id=call.id,
                        user_id=seat.user_id,
                        split=self.core.is_split(call.campaign),
                    )
                )
                call.connected_at = event.at
                self.core.calls.start_recording(call, again=True)  # that may not have been heard, either
            else:
                self.core.calls.record_again(call)
            call.seat = call.last_seat = seat.user_id
            call.state = CallState.CONNECTED
            self.core.calls.adopt(call)
            self.core.seats.adopt(seat, leg, event.at)
            self.core.tell(self.core.screen_pop(call.campaign, call.lead, seat.user_id, event.at))
            self.core.calls.changed(call)
            if len(event.snapshot.bridges[channel.bridge_id]) > 2:  # a bridge ends with who is third in it
                self.core.timers.start(event.at + SETTLE_S, "join", call.id)
        elif party and not leg:
            if call.connected_at is None:
                call.connected_at = event.at
            call.state, call.came_from = CallState.OUTSIDE, call.last_seat
            self.core.calls.adopt(call)
            self.core.calls.record_again(call)
            self.core.calls.parties.adopt(call, party)
        elif call.inbound and call.connected_at is None:
            call.state = CallState.OFFERED
            self.core.calls.adopt(call)
            self.core.calls.step(call, CallEvent.HUMAN, event.at)
        else:
            call.state = CallState.WAITING
            self.core.calls.adopt(call)
            ended = call.connected_at is not None
            self.core.calls.step(call, CallEvent.HANG if ended else CallEvent.LIMIT, event.at)

    def _with(self, prefix: str, channel: port.Channel, snapshot: port.Snapshot) -> list[str]:
        """The seats' legs, or the third party, in one bridge with this channel."""
        members = snapshot.bridges.get(channel.bridge_id, ()) if channel.bridge_id else ()
        return [uid for uid in members if uid.startswith(prefix)]

    def _seat(self, leg: str, call: Call, event: port.LinkUp) -> Seat | None:
        """The seat this leg belongs to, as it was before the engine stopped."""
        user = self._users.get(leg_user(leg))
        if user is None:
            return None
        here = self.core.seats.by_user.get(user.user_id)  # whose page was back before the switch was
        if here is not None:
            if here.call:
                return None
            self.core.seats.step(here, SeatEvent.LOG_OUT, event.at)
        seat = Seat(
            user_id=user.user_id,
            name=user.name,
            phone=user.phone if here is None else here.phone,
            campaigns=user.campaigns,
            ranks=user.ranks,
            session_id=leg[-16:],
            mode=user.mode,
            switch=event.switch,
            since=event.at,
            state=SeatState.TALKING,
            reason="page_lost" if here is None else "",
            absent=here is None,
        )
        met_at = event.at if call.answered_at is None else call.answered_at
        seat.meet(call.lead, self.core.campaigns[call.campaign], met_at)
        return seat

    def _lost(self, flight: InFlight, switch: str, at: float) -> None:
        """Dialed, and its channel is no more: what came of it is what the records say, or nobody knows."""
        call = self._call(flight, switch, at)
        if call is not None:
            call.state = CallState.DIALING
            self.core.calls.adopt(call)
            self.core.calls.step(call, CallEvent.LOST, at)

    def _call(self, flight: InFlight, switch: str, at: float) -> Call | None:
        names = [c.name for c in self.core.campaigns.values() if c.id == flight.campaign_id]
        if not names:
            self.core.anomaly("in_flight_of_unknown_campaign", flight.call_id)
            return None
        call = Call(
            lead=flight.lead,
            campaign=names[0],
            switch=switch,
            reserved_at=at,
            dialed_at=at,
            channel=flight.channel,
            adopted=True,
            notes=flight.notes,
            answers=flight.answers,
        )
        if flight.answered_at is not None:
            call.answered_at = self._instant(flight.answered_at, at)
        if flight.seat_user_id is not None:
            connected = flight.connected_at
            call.connected_at = at if connected is None else self._instant(connected, at)
            call.last_seat = flight.seat_user_id
            if self.core.campaigns[call.campaign].config.record:
                call.recording = "paused" if flight.paused else "on"
        return call

    def _instant(self, on_record: datetime, now: float) -> float:
        """When that was, before now, by the engine's own clock."""
        return now - max(0.0, (self.core.wall(now) - on_record).total_seconds())

    def _check_channel(self, uid: str, channel: port.Channel, event: port.LinkUp) -> None:
        """Channels with our ids that are nobody's."""
        if uid.startswith(port.PARTY_PREFIX) and uid not in self.core.calls.parties.by_uid:
            self.core.effects.append(Drop(event.switch, uid))
        if uid.startswith(port.CALL_PREFIX):
            if uid[len(port.CALL_PREFIX) :] not in self.core.calls.by_id:
                self.core.effects.append(Drop(event.switch, uid))
        elif uid.startswith(port.LEG_PREFIX) and uid not in self.core.seats.by_leg and not self.is_spare(uid):
            user = leg_user(uid)
            here = self.core.seats.by_user.get(user)
            if channel.state == port.UP and here is not None and self._may_come_back(here, event.switch):
                self._come_back(here, uid, channel, event)
            elif channel.state == port.UP and user not in self.core.seats.by_user and user not in self.spare:
                self.spare[user] = (uid, event.switch, channel.name)
                self.core.timers.start(event.at + SPARE_S, "spare", user)
            else:
                self.core.effects.append(Drop(event.switch, uid))

    def _may_come_back(self, seat: Seat, switch: str) -> bool:
        """Whether a page was here before its switch was, and has no phone on another one that its campaign is on."""
        moved = seat.switch != switch and seat.mode == "nailed"
        return moved and seat.state in (SeatState.PHONE, SeatState.NO_PHONE) and not seat.call

    def _come_back(self, seat: Seat, leg: str, channel: port.Channel, event: port.LinkUp) -> None:
        """It is where its leg is."""
        self.core.seats.step(seat, SeatEvent.LOG_OUT, event.at)
        self.spare[seat.user_id] = (leg, event.switch, channel.name)
        self.core.timers.start(event.at + SPARE_S, "spare", seat.user_id)
        command = LogIn(
            seat.user_id, seat.name, seat.phone, seat.campaigns, seat.mode, ranks=dict(seat.ranks)
        )
        self.core.seats.log_in(command, event.switch, leg[-16:], event.at)
