"""What the seat machine's actions do: the pool of idle seats, phone legs, wrap-up clocks, the seat session log."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from campaigns.records import SeatChanged
from cti.messages import CallStatus, LogIn, SeatStatus
from dialer.core.call import Call, CallEvent, CallState
from dialer.core.campaign import Campaign
from dialer.core.effects import Bar, Drop, Mute, Originate
from dialer.core.seat import BACK, BY_HAND, SEAT, Seat, SeatAction, SeatEvent, SeatState
from dialer.switch.port import LEG_PREFIX, Origination
from pacing.contract import SeatEvent as PacedSeat
from pacing.contract import SeatState as PacedState

if TYPE_CHECKING:
    from dialer.core.engine import EngineCore

PHONE_LIMIT_S = 20.0  # how long a seat's phone is rung at log-in
RING_LIMIT_S = 15.0  # how long it is rung for a customer, in ring mode; the connect limit is shorter
# A phone that rings so long unanswered, for customers in a row, has nobody by it. One of them is no proof: of their 2 s
# (47 CFR 64.1200(a)(7)) a seat that came free late has few. Each of them is abandoned.
UNANSWERED_S = 3.0

PACED = {
    SeatState.READY: PacedState.IDLE,
    SeatState.PREVIEW: PacedState.TALK,
    SeatState.CONNECTING: PacedState.TALK,
    SeatState.TALKING: PacedState.TALK,
    SeatState.ASKED: PacedState.TALK,
    SeatState.WRAP_UP: PacedState.WRAP,
}


def leg_uid(user_id: int) -> str:
    """A new channel id for a seat's leg: the user can be read from it after a restart."""
    return f"{LEG_PREFIX}{user_id:012x}{secrets.token_hex(10)}"


def leg_user(uid: str) -> int:
    """The user whose leg this channel is; 0 when the id is not of our making."""
    try:
        return int(uid[len(LEG_PREFIX) :][:12], 16)
    except ValueError:
        return 0


class Seats:
    """All seats, by user and by the channel of their leg."""

    def __init__(self, core: EngineCore) -> None:
        self.core = core
        self.by_user: dict[int, Seat] = {}
        self.gone: dict[int, Seat] = {}  # the last one of each user that was logged out
        self.by_leg: dict[str, Seat] = {}
        self._actions = {action: getattr(self, f"_{action.value}") for action in SeatAction}

    # --- in -------------------------------------------------------------------------------------------------------

    def log_in(self, command: LogIn, switch: str, session_id: str, now: float) -> Seat:
        """Take a seat and ring its phone; in ring mode there is nothing to ring yet."""
        seat = Seat(
            user_id=command.user_id,
            name=command.name,
            phone=command.phone,
            campaigns=command.campaigns,
            session_id=session_id,
            ranks=command.ranks,
            mode=command.mode,
            switch=switch,
            since=now,
        )
        self.by_user[seat.user_id] = seat
        spare = self.core.recovery.claim(seat.user_id, switch, seat.phone) if seat.mode == "nailed" else ""
        if spare:
            self.attach_leg(seat, spare)
        if spare or seat.mode == "ring":
            seat.state = SeatState.PAUSED
        else:
            self._ring_phone(seat, now)
        self._changed(seat, now)
        return seat

    def adopt(self, seat: Seat, leg: str, now: float) -> None:
        """Take on a seat found in a call after a restart: its leg is up."""
        self.by_user[seat.user_id] = seat
        self.attach_leg(seat, leg)
        self._changed(seat, now)

    def look_elsewhere(self, seat: Seat) -> None:
        """A phone that has not answered is looked for on the next switch of its campaign, if that is on several."""
        if seat.reason != "phone_no_answer" or self.core.switches[seat.switch].in_page(seat.phone):
            return
        names = [name for name in seat.campaigns if name in self.core.campaigns]
        split = {
            s for name in names if self.core.is_split(name) for s in self.core.campaigns[name].config.switches
        }
        able = [switch for switch in self.core.seat_switches(names) if switch in split]
        if seat.switch in able:
            seat.switch = able[(able.index(seat.switch) + 1) % len(able)]

    def attach_leg(self, seat: Seat, leg: str) -> None:
        """This channel, which is up, is the seat's leg."""
        seat.leg, seat.leg_up = leg, True
        self.by_leg[leg] = seat
        self.mute_again(seat, False)

    def step(self, seat: Seat, event: SeatEvent, now: float, reason: str = "") -> bool:
        """Move a seat on. False, and an anomaly counted, where the table knows no way."""
        found = SEAT.step(seat.state, event)
        if found is None:
            if SEAT.anomalous(seat.state, event):
                self.core.anomaly(f"seat:{seat.state}:{event}", str(seat.user_id))
            return False
        following, actions = found
        if event is SeatEvent.RELEASE:
            seat.leave()
            self.mute(seat, False)
        if event is SeatEvent.RELEASE and seat.mode == "ring":
            self._drop_leg(seat, now)
        if following is SeatState.READY and (seat.pause_later or seat.absent):
            reason = seat.pause_reason if seat.pause_later else "page_lost"
            following, actions, seat.pause_later = SeatState.PAUSED, (), False
        if following is not seat.state:
            self._account(seat, now)
            seat.state, seat.since, seat.reason = following, now, reason
            seat.timer, seat.until, seat.more = 0, None, 0
            if following is SeatState.WRAP_UP:
                self._start_wrap(seat, now)
            elif following is SeatState.PAUSED and reason in self.core.pauses:
                limit_s = self.core.pauses[reason].limit_s
                seat.until = now + limit_s if limit_s else None
            self._changed(seat, now)
        for action in actions:
            self._actions[action](seat, now)
        return True

    def step_user(self, user_id: int, event: SeatEvent, now: float, reason: str = "") -> None:
        """Move a user's seat on, if there is one."""
        seat = self.by_user.get(user_id)
        if seat is not None:
            self.step(seat, event, now, "" if event is SeatEvent.RELEASE else reason)

    def missed(self, user_id: int, call: Call, now: float, cause: str) -> None:
        """The customer shown to this seat was not reached, or went before the two were joined."""
        seat = self.by_user.get(user_id)
        if seat is None or seat.call != call.id:
            return
        if seat.state is SeatState.PREVIEW:  # of whom something may have been written down
            seat.leave()
        seat.call = ""
        if seat.mode == "ring":
            self._note_unanswered(seat, call, now)
            self._drop_leg(seat, now)
        self.core.tell(
            CallStatus(user_id=user_id, call_id=call.id, state="ended", at=self.core.wall_s(now), cause=cause)
        )
        self.step(seat, SeatEvent.MISSED, now)

    def joined(self, user_id: int, call: Call, now: float) -> None:
        """Seat and customer are in one bridge."""
        seat = self.by_user[user_id]
        if seat.state is SeatState.CONNECTING:
            seat.calls += 1
            self.mute(seat, False)  # if that could not be done after the call before
            self.step(seat, SeatEvent.BRIDGED, now)

    def taken_over(self, call: Call) -> None:
        """Seat and customer have met: another seat that had them before has handed them on."""
        before = self.by_user.get(call.last_seat or 0)
        if before is not None and call.last_seat != call.seat and before.last_call == call.id:
            before.last = before.last._replace(handed_on=True)

    def leg_answered(self, seat: Seat, now: float) -> None:
        """The seat's phone was picked up."""
        seat.leg_up = True
        seat.unanswered_s = 0.0
        call = self.core.calls.by_id.get(seat.call)
        if seat.mode == "ring" and call is not None and call.state is CallState.CONNECTING:
            self.core.calls.join(call, seat.leg)
        elif seat.mode == "ring" and call is not None and seat.state is SeatState.ASKED:
            self.core.calls.party_up(call, now)
        back = BACK.get(seat.was) if seat.was is not None and seat.resumes else None
        seat.was = None
        self.step(seat, back or SeatEvent.LEG_UP, now)
        lost = self.core.calls.by_id.get(seat.last_call)
        waits = lost is not None and lost.state is CallState.WAITING and lost.last_seat == seat.user_id
        if lost is not None and waits and seat.state is SeatState.WRAP_UP and self.core.is_up(lost.switch):
            self.core.match(lost, seat, now)  # its customer is still there

    def give_up_leg(self, seat: Seat, now: float) -> None:
        """The seat hears nothing on its leg any more: it has none, and the switch shall not keep it either."""
        was_up = seat.leg_up
        self._drop_leg(seat, now)
        self._lost(seat, now, was_up)

    def leg_gone(self, seat: Seat, now: float) -> None:
        """The seat's leg is lost, was hung up, or was never picked up."""
        self.by_leg.pop(seat.leg, None)
        seat.leg, was_up = "", seat.leg_up
        seat.leg_up = seat.muted = False
        call = self.core.calls.by_id.get(seat.call)
        if seat.mode != "ring":
            self._lost(seat, now, was_up)
        elif seat.state is SeatState.ASKED and was_up and call is not None:
            self.core.calls.step(call, CallEvent.PARTY_GONE, now)
        elif seat.state in (SeatState.CONNECTING, SeatState.ASKED):
            self.step(seat, SeatEvent.NO_REPLY, now, "phone_no_answer")
        elif seat.state is SeatState.TALKING and call is not None:
            self.core.calls.step(call, CallEvent.HANG, now)  # putting the phone down ends the call

    def mute(self, seat: Seat, on: bool, again: bool = False) -> None:
        """Let the far end hear nothing of this seat, or hear it again. While the switch is away it stays as it is.

        `again`: nothing has changed, so that no reply means nothing.
        """
        if seat.muted is not on and self.core.is_up(seat.switch):
            seat.muted = on
            self.core.effects.append(Mute(seat.switch, seat.leg, on, again))

    def mute_again(self, seat: Seat, on: bool) -> None:
        """Mute or unmute it whatever is known: a reply may have been lost with the link."""
        seat.muted = not on
        self.mute(seat, on, again=True)

    def not_muted(self, leg: str, on: bool) -> None:
        """The switch has not muted this leg, or not unmuted it, or nobody knows: that it was is not said."""
        seat = self.by_leg.get(leg)
        if seat is not None and seat.muted is on:
            seat.muted = not on
            call = self.core.calls.by_id.get(seat.call)
            if call is not None:
                self.core.calls.changed(call)

    def tell_status(self, seat: Seat) -> None:
        """Tell the page how its seat stands."""
        core = self.core
        core.tell(
            SeatStatus(
                user_id=seat.user_id,
                state=seat.state.value,
                since=core.wall_s(seat.since),
                reason=seat.reason,
                call_id=seat.call or (seat.last_call if seat.state is SeatState.WRAP_UP else ""),
                until=None if seat.until is None else core.wall_s(seat.until),
                more=seat.more,
                dials=self._may_dial_for(seat),
                last_call=seat.last_call,
            )
        )

    def _may_dial_for(self, seat: Seat) -> tuple[str, ...]:
        """The campaigns for which it may dial a number by hand now."""
        if seat.state not in BY_HAND:
            return ()
        able = filter(seat.is_reached_by, self.core.known(seat.campaigns))
        return tuple(c.name for c in able if c.config.running and c.config.manual.numbers)

    def log(self, seat: Seat, now: float) -> None:
        """A line of the seat log: its state from now on, and for which campaign."""
        campaign = self.core.campaigns.get(seat.works_for)
        self.core.write(
            SeatChanged(
                at=self.core.wall(now),
                user_id=seat.user_id,
                session_id=seat.session_id,
                state=seat.state.value,
                reason=seat.reason,
                call_id=seat.call,
                campaign_id=campaign.id if campaign is not None else 0,
            )
        )

    def dismiss(self, now: float) -> None:
        """The engine stops: every seat leaves and its leg is hung up; so are the legs that wait for their users."""
        for seat in list(self.by_user.values()):
            self.step(seat, SeatEvent.LOG_OUT, now)
        for user_id in list(self.core.recovery.spare):
            self.core.recovery.let_go(user_id)

    def hide(self, seat: Seat, now: float, skipped: bool = False) -> None:
        """Take a previewed customer off the seat's screen."""
        self._forget_preview(seat, skipped)
        seat.leave()
        self.step(seat, SeatEvent.MISSED, now)

    def for_call(self, call: Call, campaign: Campaign) -> Seat | None:
        """The longest-idle seat that may take this call now."""
        if not self.core.is_up(call.switch):
            return None
        if call.came_from is not None:
            home = self._home(call, call.came_from)
            if home is not None:
                return home
        elif call.wanted_seat is not None:
            seat = self.by_user.get(call.wanted_seat)
            if seat is None or seat.switch != call.switch:
                return None
            return seat if seat.state in (SeatState.PREVIEW, SeatState.READY) else None
        return self.idle(call.switch, campaign.name)

    def may_return_to(self, call: Call) -> bool:
        """Whether only the phone in its page was lost of the seat of this customer, as when that is loaded anew."""
        seat = self.by_user.get(call.last_seat or 0)
        if seat is None or call.connected_at is None or call.came_from is not None:
            return False
        lost = seat.state is SeatState.NO_PHONE and seat.was is not None and seat.last_call == call.id
        return lost and self.core.switches[seat.switch].in_page(seat.phone)

    def idle(self, switch: str, name: str) -> Seat | None:
        """The longest-idle seat of a campaign on this switch, of those that stand first among the idle ones."""
        best: Seat | None = None
        for user in self.core.campaigns[name].idle:
            seat = self.by_user[user]
            if seat.switch != switch or (best is not None and seat.rank(name) >= best.rank(name)):
                continue
            best = seat
            if seat.rank(name) == 1:
                break
        return best

    def _home(self, call: Call, user_id: int) -> Seat | None:
        """The seat that sent this customer on, where it can have them back."""
        seat = self.by_user.get(user_id)
        if seat is None or seat.switch != call.switch or seat.absent:
            return None
        wraps_up = seat.state is SeatState.WRAP_UP and seat.last_call == call.id
        return seat if wraps_up or seat.state is SeatState.READY else None

    def ring(self, seat: Seat, now: float) -> None:
        """Ring mode: ring the seat's phone for the customer it was matched with."""
        seat.leg = leg_uid(seat.user_id)
        self.by_leg[seat.leg] = seat
        self._originate_leg(seat, "zhudong-ring", RING_LIMIT_S)

    def assign(self, seat: Seat, campaigns: tuple[str, ...], now: float) -> None:
        """Have a seat serve these campaigns from now on."""
        ready = seat.state is SeatState.READY
        if ready:
            self._withdraw(seat, now)
        seat.campaigns = campaigns
        self._changed(seat, now)
        if ready:
            self._offer(seat, now)

    def more_time(self, seat: Seat) -> bool:
        """Let wrap-up last once more as long; False where it may not."""
        campaign = self.core.campaigns.get(seat.serving)
        if seat.state is not SeatState.WRAP_UP or not seat.more or seat.until is None or campaign is None:
            return False
        seat.more -= 1
        seat.until += campaign.config.wrap_up_s
        seat.timer = self.core.timers.start(seat.until, "seat", seat.user_id)
        self.tell_status(seat)
        return True

    def wrap_over(self, user_id: int, generation: int, now: float) -> None:
        """A wrap-up clock is due."""
        seat = self.by_user.get(user_id)
        if seat is not None and seat.timer == generation:
            self.step(seat, SeatEvent.WRAP_OVER, now)

    # --- actions, one a name in SeatAction ------------------------------------------------------------------------

    def _ring_phone(self, seat: Seat, now: float) -> None:
        seat.leg = leg_uid(seat.user_id)
        self.by_leg[seat.leg] = seat
        self._originate_leg(seat, "zhudong-seat", PHONE_LIMIT_S)

    def _drop_leg(self, seat: Seat, now: float) -> None:
        if seat.leg:
            self.core.effects.append(Drop(seat.switch, seat.leg))
            self.by_leg.pop(seat.leg, None)
            seat.leg, seat.leg_up, seat.muted = "", False, False

    def _offer(self, seat: Seat, now: float) -> None:
        if self.core.callbacks.show(seat, now):
            return
        for name in seat.campaigns:
            campaign = self.core.campaigns.get(name)
            if campaign is not None:
                campaign.idle[seat.user_id] = None
        call = self.core.waiting_for(seat)
        if call is not None:
            self.core.match(call, seat, now)

    def _withdraw(self, seat: Seat, now: float) -> None:
        for name in seat.campaigns:
            campaign = self.core.campaigns.get(name)
            if campaign is not None:
                campaign.idle.pop(seat.user_id, None)

    def _lose_call(self, seat: Seat, now: float) -> None:
        call = self.core.calls.by_id.get(seat.call)
        self._forget_preview(seat)
        asked = call is not None and call.party is not None and call.party.user == seat.user_id
        stranger = (  # neither seen beforehand nor spoken to
            call is not None
            and call.seat == seat.user_id
            and seat.user_id not in (call.last_seat, call.wanted_seat)
        )
        if asked or stranger:
            seat.call = ""
        else:
            seat.leave()
        self.tell_status(seat)  # of whom something may be said by now
        if call is None:
            return
        if call.seat == seat.user_id:
            self.core.calls.step(call, CallEvent.SEAT_LOST, now)
        elif asked:
            self.core.calls.step(call, CallEvent.PARTY_GONE, now)
        else:  # previewed: dialed for this seat alone
            self.core.calls.step(call, CallEvent.HANG, now)

    def _hang_call(self, seat: Seat, now: float) -> None:
        call = self.core.calls.by_id.get(seat.call)
        self._forget_preview(seat)
        seat.leave()
        if call is not None:
            call.seat = None
            self.core.calls.step(call, CallEvent.HANG, now)

    def _pause_later(self, seat: Seat, now: float) -> None:
        seat.pause_later = True
        self.core.pace_seat(seat, now)

    # --- within ---------------------------------------------------------------------------------------------------

    def _lost(self, seat: Seat, now: float, was_up: bool) -> None:
        if was_up:
            seat.was = None if seat.pause_later else seat.state
        self.step(seat, SeatEvent.LEG_GONE, now, self._why_gone(seat, was_up))

    def _why_gone(self, seat: Seat, was_up: bool) -> str:
        if not self.core.is_up(seat.switch):
            return "switch_down"
        return "phone_lost" if was_up else "phone_no_answer"

    def _note_unanswered(self, seat: Seat, call: Call, now: float) -> None:
        """The customer for whom its phone rang is gone. Once it has rung in vain for long enough the seat pauses.

        Who called in has no such limit, and may put down when they like: for them it rings for `RING_LIMIT_S`.
        """
        if call.inbound or seat.state is not SeatState.CONNECTING or seat.leg_up:
            return
        seat.unanswered_s += now - seat.since
        if seat.unanswered_s >= UNANSWERED_S and not seat.pause_later:
            seat.pause_later, seat.pause_reason = True, "phone_no_answer"

    def _forget_preview(self, seat: Seat, skipped: bool = False) -> None:
        lead = self.core.previews.pop(seat.user_id, None)
        if lead is not None:
            self.core.free((lead.call_id,), skipped)

    def _start_wrap(self, seat: Seat, now: float) -> None:
        campaign = self.core.campaigns.get(seat.serving)
        seat.until = now + (campaign.config.wrap_up_s if campaign is not None else 0.0)
        seat.more = campaign.config.wrap_up_extensions if campaign is not None else 0
        seat.timer = self.core.timers.start(seat.until, "seat", seat.user_id)

    def _account(self, seat: Seat, now: float) -> None:
        """Account for the time in the state that is being left."""
        spent = now - seat.since
        campaign = self.core.campaigns.get(seat.works_for)
        if seat.state is SeatState.READY:
            seat.idle_s += spent
            if campaign is not None:
                campaign.counts.idle_s += spent
        elif seat.state in PACED:
            seat.busy_s += spent
            if campaign is not None:
                campaign.counts.busy_s += spent

    def _originate_leg(self, seat: Seat, context: str, limit_s: float) -> None:
        self.core.effects.append(
            Originate(
                seat.switch,
                Origination(
                    uid=seat.leg,
                    dial=self.core.phone(seat.switch).format(endpoint=seat.phone),
                    context=context,
                    ring_limit_s=limit_s,
                ),
            )
        )

    def _changed(self, seat: Seat, now: float) -> None:
        """Tell the page, pacing and the log."""
        self.tell_status(seat)
        self.core.pace_seat(seat, now)
        self.log(seat, now)
        if seat.state is SeatState.OFFLINE:
            self.by_user.pop(seat.user_id, None)
            self.gone[seat.user_id] = seat
            if self.core.switches[seat.switch].softphone:
                self.core.effects.append(Bar(seat.switch, seat.phone))


def paced(seat: Seat, at: float) -> PacedSeat:
    """The seat as pacing sees it."""
    return PacedSeat(
        at,
        seat.user_id,
        PACED.get(seat.state, PacedState.AWAY),
        gone=seat.state is SeatState.OFFLINE,
        leaving=seat.pause_later or seat.absent,
    )
