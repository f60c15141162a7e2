"""What the call machine's actions do: effects, records, pacing events, and the counts of outcomes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from campaigns.audit import ITSELF
from campaigns.records import (
    RECORDING_NOT_PAUSED,
    RECORDING_NOT_RESUMED,
    AttemptAnswered,
    AttemptConnected,
    AttemptEnded,
    Audited,
    OptedOut,
)
from campaigns.recycle import after_no_call, after_outcome, after_own_call
from campaigns.values import NO_PERSON, Lead, Outcome
from cti.messages import CallStatus, ScreenPop
from dialer.core.call import BEFORE_ANSWER, CALL, Call, CallAction, CallEvent, CallState
from dialer.core.effects import Drop, Join, Originate, PauseRecording, Refused, Send, StartRecording
from dialer.core.parties import SENT_LIMIT_S, SETTLE_S, Parties
from dialer.core.seat import SeatEvent
from dialer.switch.port import Origination
from pacing.contract import CallEvent as PacedCall
from pacing.contract import CallStage, InboundOffered, Mode
from pacing.pacer import SETTLED

if TYPE_CHECKING:
    from dialer.core.engine import EngineCore
    from dialer.core.part import Part

DIAL_GRACE_S = (
    10.0  # past the ring limit: the switch's own time-out comes first, this one catches a lost reply
)
HARBOUR_LIMIT_S = 45.0  # message and key together; longer means that the dialogue hangs
CLOSING_LIMIT_S = 5.0  # a hang-up takes milliseconds; after this the channel is given up and recorded
LOOK_UP_LIMIT_S = 1.0  # who calls in is looked up in milliseconds; past it the seat has their number alone
DETECTION_LIMIT_S = 5.5  # AMD of Asterisk decides within 5 s, also about silence
# So long before the connect limit a customer on whom the detection has no verdict is taken for a person. A bridge takes
# milliseconds; and AMD of Asterisk knows most people from machines after 1.6 s, which leaves 0.4 s of the legal 2.
UNJUDGED_S = 0.3
RESCUE_LIMIT_S = 8.0  # the dialplan keeps a customer who lost the seat for 10 s
RETURN_S = 5.0  # of that the seat's own: a page that is loaded anew has its phone again in 2 to 3 s
# A bridge that was asked for is told of within this, or the link is known to be dead: a ping in 2 s, 5 s for its reply.
WORD_LIMIT_S = 8.0
UNHEARD_S = 1.0  # how often a call whose time is up looks whether there is a link that tells of its end
HEARD_LATE_S = 0.25  # what a switch's clock may be off by, and more than a timer is
BRIDGE_TRIES = 3

IN_AIR = frozenset(
    {CallState.RESERVED, CallState.DIALING, CallState.RINGING, CallState.SCREENING, CallState.WAITING}
)
LIMITED = frozenset({CallState.SCREENING, CallState.WAITING, CallState.CONNECTING})

# Q.850 causes (ITU-T Q.850 table 1) to outcomes; what is not named is `failed`. As seen on Asterisk 22, SIP 480
# comes as 19 and 408 as 18, a 404 as 1, 484 as 28, 410 as 22, 503 as 34, 603 and 403 as 21.
CAUSES = {
    1: Outcome.INVALID,
    17: Outcome.BUSY,
    18: Outcome.NO_ANSWER,
    19: Outcome.NO_ANSWER,
    20: Outcome.NO_ANSWER,
    21: Outcome.REJECTED,
    22: Outcome.INVALID,
    28: Outcome.INVALID,
    34: Outcome.CONGESTION,
    42: Outcome.CONGESTION,
}

STAGES = {
    Outcome.CONNECTED: CallStage.ENDED,
    Outcome.ABANDONED: CallStage.ABANDONED,
    Outcome.HUNG_UP: CallStage.HUNG_UP,
    Outcome.MACHINE: CallStage.MACHINE,
    Outcome.BUSY: CallStage.BUSY,
    Outcome.NO_ANSWER: CallStage.NO_ANSWER,
    Outcome.CANCELLED: CallStage.CANCELLED,
}


class Calls:
    """All calls in flight, by id and by channel."""

    def __init__(self, core: EngineCore) -> None:
        self.core = core
        self.by_id: dict[str, Call] = {}
        self.callers: dict[str, Call] = {}  # those of customers who called in, by channel
        self.lines: dict[str, int] = {}  # calls by switch, from the moment they are decided on
        self.reserved: Counter[str] = Counter()  # of these those that the rules have not spoken on
        self.parties = Parties(core, self)
        ours = {action: getattr(self, f"_{action.value}", None) for action in CallAction}
        self._actions = {a: do or getattr(self.parties, a.value) for a, do in ours.items()}

    # --- in -------------------------------------------------------------------------------------------------------

    def reserve(
        self, lead: Lead, campaign: str, switch: str, now: float, seat: int | None = None
    ) -> Call | None:
        """Take a leased lead on board before the rules are asked. None when that lead is in flight already."""
        if lead.call_id in self.by_id:
            self.core.breach("lead_in_flight_twice", lead.call_id)
            return None
        call = Call(lead=lead, campaign=campaign, switch=switch, reserved_at=now, wanted_seat=seat)
        self.by_id[call.id] = call
        self.lines[switch] = self.lines.get(switch, 0) + 1
        self.reserved[switch] += 1
        self._enter_air(call)
        self._pace(call, CallStage.DIALED, now)
        return call

    def offer(self, call: Call, now: float) -> None:
        """Take on the call of a customer who called in, and have it looked up who it is."""
        campaign = self.core.campaigns[call.campaign]
        call.state, call.answered_at = CallState.OFFERED, now
        self.adopt(call)
        self._timer(call, now + LOOK_UP_LIMIT_S)
        campaign.counts.called_in += 1
        campaign.part(call.switch).observe(InboundOffered(now, call.id))
        self.core.touched.add(campaign.name)

    def adopt(self, call: Call) -> None:
        """Take on a call found alive after a restart. Its state is set by the caller."""
        self.by_id[call.id] = call
        if call.inbound:
            self.callers[call.channel] = call
        if call.state in IN_AIR:
            self._enter_air(call)
        if call.dialed_at is None:
            call.dialed_at = call.reserved_at
        self.lines[call.switch] = self.lines.get(call.switch, 0) + 1

    def step(self, call: Call, event: CallEvent, now: float) -> bool:
        """Move a call on. False, and an anomaly counted, where the table knows no way."""
        found = CALL.step(call.state, event)
        if found is None:
            if CALL.anomalous(call.state, event):
                self.core.anomaly(f"call:{call.state}:{event}", call.id)
            return False
        following, actions = found
        was_in_air = call.state in IN_AIR
        if call.state is CallState.RESERVED:
            self.reserved[call.switch] -= 1
        call.state = following
        if was_in_air and following not in IN_AIR:
            self._leave_air(call)
        elif not was_in_air and following in IN_AIR:
            self._enter_air(call)
        if following is not CallState.WAITING:
            self.core.campaigns[call.campaign].waiting.pop(call.id, None)
        for action in actions:
            self._actions[action](call, now)
        return True

    def fire(self, call_id: str, generation: int, now: float) -> None:
        """A call's timer is due."""
        call = self.by_id.get(call_id)
        if call is None or call.timer != generation:
            return
        if self._unheard(call):
            self._timer(call, now + UNHEARD_S)
            return
        call.timer = 0
        if call.state is CallState.CONNECTING and not call.unsure and self._bridge_is_asked(call):
            self.step(call, CallEvent.LIMIT_UNSURE, now)
            return
        if call.state is CallState.SENT:
            self.step(call, CallEvent.LIMIT, now)
        elif call.state is CallState.CONSULTING:
            self.step(call, CallEvent.PARTY_GONE, now)
        elif call.state in LIMITED:
            self.give_up(call, now)
        else:
            self.step(call, CallEvent.OVERDUE, now)

    def give_up(self, call: Call, now: float) -> None:
        """Let this customer wait for a seat no longer: who never had one hears the message.

        One that was connected before is no abandoned call, whatever its rescue or its way back comes to.
        """
        self.step(call, CallEvent.LIMIT if call.connected_at is None else CallEvent.HANG, now)

    def decline(self, call: Call, user_id: int, now: float) -> None:
        """This seat hangs up on who has answered and not met it yet: another free one has them, or they are given up.

        Nor are they offered to it at once, which is why they do not wait; only another one that hangs up, too, leaves
        them to it.
        """
        self.step(call, CallEvent.SEAT_LOST, now)
        if call.state is CallState.WAITING:
            self.give_up(call, now)
        self.core.seats.missed(user_id, call, now, "agent")

    def _unheard(self, call: Call) -> bool:
        """Whether nobody can say what came of it before the link is back, or another engine has its switch."""
        if self.core.is_up(call.switch):
            return False
        if call.state is CallState.CONNECTING:
            return call.unsure
        decided = call.outcome is not None or call.connected_at is not None
        return call.state in (*BEFORE_ANSWER, CallState.CLOSING) and not decided

    def _bridge_is_asked(self, call: Call) -> bool:
        """Whether the switch may have made a bridge of which nobody here has heard yet."""
        seat = self.core.seats.by_user.get(call.seat) if call.seat is not None else None
        return seat is not None and seat.leg_up

    def answered(self, call: Call, at: float, stamp: float | None = None) -> None:
        """It was answered then: maybe some time ago, when the link or the engine stood still."""
        if call.state in BEFORE_ANSWER:
            call.answered_at = at if call.dialed_at is None else max(at, call.dialed_at)
            call.answer_stamp = stamp

    def bridged(self, call: Call, at: float, now: float, stamp: float | None = None) -> None:
        """Customer and seat were brought together then, maybe some time ago: in time, or after the connect limit.

        Between two instants of the switch's own clock lies what it is, however late either was heard of.
        """
        if call.state is not CallState.CONNECTING or call.connected_at is not None:
            self.step(call, CallEvent.BRIDGED, now)
            return
        if call.answered_at is not None:
            if stamp is not None and call.answer_stamp is not None:
                measured = call.answered_at + (stamp - call.answer_stamp)
                if call.answered_at <= measured <= now + HEARD_LATE_S:  # else that clock was set meanwhile
                    at = measured
            at = min(now, max(at, call.answered_at))
        call.bridged_at = at
        late = not call.inbound and at > self._connect_due(call, at)
        self.step(call, CallEvent.BRIDGED_LATE if late else CallEvent.BRIDGED, now)

    def found_alone(self, call: Call, now: float) -> bool:
        """After a lost link the customer is in no bridge: whether it is too late for one now."""
        if call.state is not CallState.CONNECTING or call.connected_at is not None:
            return False
        return now > self._connect_due(call, now) and self.step(call, CallEvent.LIMIT, now)

    def left(self, call: Call, at: float, now: float) -> None:
        """The customer was gone then. Who had waited for longer than the limit was abandoned first, unheard."""
        if call.state not in (CallState.WAITING, CallState.CONNECTING) or call.inbound:
            return
        if call.connected_at is None and at > self._connect_due(call, at):
            self.step(call, CallEvent.LIMIT, now)

    def opted_out(self, call_id: str, now: float) -> None:
        """The customer pressed the opt-out key. Of a call that is over its attempt on record knows the number."""
        call = self.by_id.get(call_id)
        self.core.write(
            OptedOut(
                at=self.core.wall(now),
                call_id=call_id,
                number=call.lead.number if call is not None else "",
                source="key",
                campaign_id=call.lead.campaign_id if call is not None else 0,
            )
        )

    def changed(self, call: Call) -> None:
        """Tell its seat anew how the call stands: muted, recorded or not."""
        if call.seat is None or call.state is CallState.CONNECTING:  # it is told once they are joined
            return
        asks = call.party is not None and not call.party.up
        party = call.party.name if call.party is not None else ""
        self.tell(call, call.seat, "asking" if asks else call.state.value, party=party)

    def start_recording(self, call: Call, again: bool = False) -> None:
        """Have the switch record this call, if its campaign wants that; `again`: it may do so already."""
        if self.core.campaigns[call.campaign].config.record:
            call.recording = "on"
            self._record_it(call, again)

    def record_again(self, call: Call) -> None:
        """Have the switch record this call if it does not, and then as it shall be: the last word may be lost."""
        if call.recording in ("on", "paused"):
            self._record_it(call, again=True)

    def recorded_again(self, call_id: str) -> None:
        """The switch does record this call."""
        call = self.by_id.get(call_id)
        if call is not None:
            self.set_recording(call, again=True)

    def set_recording(self, call: Call, again: bool) -> None:
        """Have the switch record what is said, or silence, as it shall be; `again`: as its page shows it already.

        What a customer says to an outside number is not the company's to keep.
        """
        if call.recording not in ("on", "paused"):
            return
        on = call.recording == "on" and call.state is not CallState.OUTSIDE
        self.core.effects.append(PauseRecording(call.switch, call.id, call.uid, on, again))

    def recording_not_set(self, call_id: str, on: bool, reason: str, now: float) -> None:
        """The switch has not paused a recording, or not gone on with it: as it was before it is shown again."""
        call = self.by_id.get(call_id)
        wanted, was = ("on", "paused") if on else ("paused", "on")
        if call is None or call.recording != wanted:
            return
        action = RECORDING_NOT_RESUMED if on else RECORDING_NOT_PAUSED
        call.recording = was
        at = self.core.wall(now)
        self.core.write(Audited(at=at, actor=ITSELF.who, action=action, subject=call.id, detail=reason))
        self.changed(call)

    def recording_failed(self, call_id: str) -> None:
        """The switch does not record this call."""
        call = self.by_id.get(call_id)
        if call is not None:
            call.recording = "failed"
            self.changed(call)

    def hold(self, call: Call) -> None:
        """Ask the switch for music for the customer; the seat hears nothing."""
        seat = self.core.seats.by_user.get(call.seat) if call.seat is not None else None
        if seat is not None and seat.mode == "ring":  # else its phone is hung up as the bridge ends
            self.core.effects.append(Send(seat.switch, seat.leg, "zhudong-seat"))
        self.core.effects.append(Send(call.switch, call.uid, "zhudong-hold"))

    def not_held(self, uid: str, now: float) -> None:
        """The switch has refused to put a customer on hold: they hear the seat still, and the page says so."""
        call = self.core.call_of(uid)
        seat = self.core.seats.by_user.get(call.seat or 0) if call is not None else None
        if call is None or seat is None or call.state not in (CallState.HELD, CallState.CONSULTING):
            return
        if call.party is not None and call.party.up:  # the seat has left the customer's bridge meanwhile
            self.step(call, CallEvent.RESUME, now)
        elif self.step(call, CallEvent.NOT_HELD, now) and seat.mode == "ring":  # as it was asked to
            self.join(call, seat.leg)

    def join(self, call: Call, leg: str) -> None:
        """Ask the switch to bridge the customer with a seat's leg."""
        self.join_channels(call, call.uid, leg)

    def join_channels(self, call: Call, uid: str, leg: str) -> None:
        """Ask the switch to bridge two channels for this call."""
        self.core.effects.append(Join(call.switch, call.id, uid, leg))

    def will_join_again(self, call: Call, now: float) -> bool:
        """Whether two who were in one bridge before are tried again: a channel that just leaves one can't be had."""
        together = call.state in (CallState.CONNECTING, CallState.CONNECTED) and call.last_seat == call.seat
        if not together or call.bridge_tries >= BRIDGE_TRIES:
            return False
        call.bridge_tries += 1
        self.core.timers.start(now + SETTLE_S, "join", call.id)
        return True

    def join_again(self, call_id: str) -> None:
        """Customer and seat are asked for once more, if they still are to be joined."""
        call = self.by_id.get(call_id)
        seat = self.core.seats.by_user.get(call.seat or 0) if call is not None else None
        if call is None or seat is None or not seat.leg_up:
            return
        if call.state in (CallState.CONNECTING, CallState.CONNECTED):
            self.join(call, seat.leg)

    def limit(self, call: Call, due: float) -> None:
        """The state it is in may last so long."""
        self._timer(call, due)

    def party_up(self, call: Call, now: float) -> None:
        """The third party is there."""
        self.step(call, CallEvent.PARTY_UP, now)

    def let_go(self, call: Call, user_id: int, now: float) -> None:
        """This seat has handed the customer over: it wraps up."""
        call.came_from = user_id
        self._status(call, user_id, "ended", now, "transferred")
        self.core.seats.step_user(user_id, SeatEvent.RELEASE, now, call.id)

    def change_part(self, call: Call, before: Part, now: float) -> None:
        """This call is of another part of its campaign from now on: the one before does not wait for it."""
        before.observe(PacedCall(now, call.id, CallStage.CANCELLED))
        call.adopted = True
        if call.state in IN_AIR and call.for_any_seat:
            before.in_air -= 1
            self._enter_air(call)

    # --- actions, one a name in CallAction ------------------------------------------------------------------------

    def _originate(self, call: Call, now: float) -> None:
        campaign = self.core.campaigns[call.campaign]
        config = campaign.config
        call.dialed_at = now
        campaign.counts.dials += 1
        self._timer(call, now + config.ring_limit_s + DIAL_GRACE_S)
        self.core.effects.append(
            Originate(
                call.switch,
                Origination(
                    uid=call.uid,
                    dial=self.core.trunk(call.switch, config).format(number=call.lead.number.lstrip("+")),
                    context="zhudong-amd" if config.amd else "zhudong-customer",
                    ring_limit_s=config.ring_limit_s,
                    caller_id=call.caller_id,
                    variables=self.core.call_variables(config),
                ),
            )
        )

    def _forget(self, call: Call, now: float) -> None:
        self._pace(call, CallStage.CANCELLED, now)
        if call.wanted_seat is not None:
            self.core.seats.missed(call.wanted_seat, call, now, f"rule_{call.refusal}")
        self._remove(call)
        self.core.effects.append(Refused(call.id))

    def _note_ringing(self, call: Call, now: float) -> None:
        call.ringing_at = now
        self._pace(call, CallStage.RINGING, now)

    def _note_answer(self, call: Call, now: float) -> None:
        if call.answered_at is None:
            call.answered_at = now
        self._pace(call, CallStage.ANSWERED, now)
        self.core.write(AttemptAnswered(at=self.core.wall(call.answered_at), call_id=call.id))

    def _start_screening(self, call: Call, now: float) -> None:
        detected = self.core.campaigns[call.campaign].ledger.rule.clock == "detected"
        due = now + DETECTION_LIMIT_S if detected else self._connect_due(call, now) - UNJUDGED_S
        self._timer(call, max(now, due))

    def _seek_seat(self, call: Call, now: float) -> None:
        """Match at once with the longest-idle seat; else wait, with the connect clock running since the answer."""
        call.seat = None
        if call.human_at is None:
            call.human_at = now
            self._pace(call, CallStage.HUMAN, now)
        if call.connected_at is None:
            due = self._connect_due(call, now)
        else:  # who was sent on and not taken hears music, who lost the seat hears nothing
            due = now + (SENT_LIMIT_S if call.came_from is not None else RESCUE_LIMIT_S)
        self._timer(call, max(now, due))
        if now > due + HEARD_LATE_S:
            return  # heard of too late: the message is due, and a seat would greet who has waited in silence
        if self.core.seats.may_return_to(call):
            self.core.timers.start(now + RETURN_S, "return", call.id)
        elif call.bridge_tries < BRIDGE_TRIES:
            self._match_or_wait(call, now)

    def _connect_due(self, call: Call, now: float) -> float:
        """When the customer is to have a seat."""
        campaign = self.core.campaigns[call.campaign]
        detected = campaign.config.amd and campaign.ledger.rule.clock == "detected"
        begun = call.human_at if detected else call.answered_at
        limits = campaign.config
        limit_s = limits.inbound.wait_limit_s if call.inbound else limits.connect_limit_s
        return (now if begun is None else begun) + limit_s

    def not_returned(self, call_id: str, now: float) -> None:
        """The seat that its page's phone was lost of has not come back in time: its customer is anyone's."""
        call = self.by_id.get(call_id)
        if call is None or call.state is not CallState.WAITING:
            return
        if call.id not in self.core.campaigns[call.campaign].waiting:
            self._match_or_wait(call, now)

    def _match_or_wait(self, call: Call, now: float) -> None:
        campaign = self.core.campaigns[call.campaign]
        seat = self.core.seats.for_call(call, campaign)
        if seat is not None:
            self.core.match(call, seat, now)
        else:
            call.waited = True
            campaign.waiting[call.id] = None

    def _bridge(self, call: Call, now: float) -> None:
        """The screen-pop leaves first, then the connect command (or the ringing of the seat's phone)."""
        seat = self.core.seats.by_user[call.seat] if call.seat is not None else None
        if seat is None:
            self.core.breach("connect_without_seat", call.id)
            return
        call.bridge_tries += 1
        call.unsure = False
        self.core.tell(self._screen_pop(call, seat.user_id, now))
        if seat.leg_up:
            self.join(call, seat.leg)
        else:
            self.core.seats.ring(seat, now)

    def _await_word(self, call: Call, now: float) -> None:
        """To tear a customer from a seat they may be talking to is worse than to wait for what the switch has done."""
        call.unsure = True
        self._timer(call, now + WORD_LIMIT_S)

    def _take_back(self, call: Call, now: float) -> None:
        seat = self.core.seats.by_user.get(call.seat) if call.seat is not None else None
        call.bridge_tries, call.unsure = 0, False
        if seat is not None:
            self._timer(call, now + RESCUE_LIMIT_S)
            self.join(call, seat.leg)

    def _take_back_soon(self, call: Call, now: float) -> None:
        call.bridge_tries, call.unsure = 0, False
        self._timer(call, now + RESCUE_LIMIT_S)
        self.core.timers.start(now + SETTLE_S, "join", call.id)

    def _note_connected(self, call: Call, now: float) -> None:
        call.timer, call.unsure = 0, False
        first = call.connected_at is None
        if first:
            call.connected_at = now if call.bridged_at is None else call.bridged_at
            campaign = self.core.campaigns[call.campaign]
            campaign.counts.connected += 1
            self._count_human(call)
            self._pace(call, CallStage.CONNECTED, now)
            self.start_recording(call)
        elif call.came_from is not None:
            self.set_recording(call, again=True)  # silent while the customer was outside
        seat = call.seat
        assert seat is not None  # CONNECTING is entered with a seat only
        self.core.seats.taken_over(call)
        call.last_seat, call.came_from, call.wanted_seat = seat, None, None
        self.core.seats.joined(seat, call, now)
        if first:
            at = self.core.wall(now if call.connected_at is None else call.connected_at)
            split = self.core.is_split(call.campaign)
            self.core.write(AttemptConnected(at=at, call_id=call.id, user_id=seat, split=split))
        self._status(call, seat, "connected", now)

    def _release_seat(self, call: Call, now: float) -> None:
        if call.seat is None:
            return
        user, call.seat = call.seat, None
        if call.connected_at is not None:
            self._status(call, user, "ended", now, call.ended_by)
            self.core.seats.step_user(user, SeatEvent.RELEASE, now, call.id)
        else:
            self.core.seats.missed(user, call, now, "gone")

    def _rescue(self, call: Call, now: float) -> None:
        call.seat = None
        call.bridge_tries = 0

    def _let_go(self, call: Call, now: float) -> None:
        user, call.seat = call.seat, None
        if user is not None:
            self.let_go(call, user, now)

    def _tell_connected(self, call: Call, now: float) -> None:
        if call.seat is not None:
            self._status(call, call.seat, "connected", now)

    def _tell_held(self, call: Call, now: float) -> None:
        if call.seat is not None:
            self._status(call, call.seat, "held", now)

    def _put_on_hold(self, call: Call, now: float) -> None:
        self.hold(call)
        if call.seat is not None:
            self._status(call, call.seat, "held", now)

    def _abandon(self, call: Call, now: float) -> None:
        if call.inbound:
            call.outcome = Outcome.MISSED
            self._pace(call, CallStage.FAILED, now)  # while they hear that all are busy they want no seat
            return
        call.outcome = Outcome.ABANDONED
        campaign = self.core.campaigns[call.campaign]
        self._count_human(call)
        campaign.counts.abandoned += 1
        self._pace(call, CallStage.ABANDONED, now)

    def _play_harbour(self, call: Call, now: float) -> None:
        self._timer(call, now + HARBOUR_LIMIT_S)
        context = "zhudong-busy" if call.inbound else "zhudong-safe-harbour"
        self.core.effects.append(Send(call.switch, call.uid, context))

    def _mark_machine(self, call: Call, now: float) -> None:
        call.outcome = Outcome.MACHINE

    def _mark_cancelled(self, call: Call, now: float) -> None:
        call.outcome = Outcome.CANCELLED

    def _hang_up(self, call: Call, now: float) -> None:
        if call.human_at is not None and call.connected_at is None and call.outcome is None:
            self._abandon(call, now)  # they did not leave: our side does not wait for a seat any longer
        self._timer(call, now + CLOSING_LIMIT_S)
        self.core.effects.append(Drop(call.switch, call.uid))

    def _settle(self, call: Call, now: float) -> None:
        self._record(call, self._outcome(call), now)

    def _settle_lost(self, call: Call, now: float) -> None:
        """Who had answered and met no seat as far as we know counts as abandoned: nobody can say that they were not."""
        if call.connected_at is not None:
            return self._record(call, Outcome.CONNECTED, now)
        if call.outcome is None and call.answered_at is not None and not call.inbound:
            self._abandon(call, now)
        return self._record(call, call.outcome or Outcome.LOST, now)

    # --- within ---------------------------------------------------------------------------------------------------

    def _outcome(self, call: Call) -> Outcome:
        """Once connected, connected; else what was decided on the way; else what the switch's cause says."""
        if call.connected_at is not None:
            return Outcome.CONNECTED
        if call.outcome is not None:
            return call.outcome
        if call.inbound:
            return Outcome.MISSED
        if call.answered_at is not None:
            return Outcome.HUNG_UP
        if call.timed_out:
            return Outcome.NO_ANSWER
        return CAUSES.get(call.cause, Outcome.FAILED)

    def _remove(self, call: Call) -> None:
        del self.by_id[call.id]
        self.callers.pop(call.channel, None)
        self.lines[call.switch] -= 1

    def _count_human(self, call: Call) -> None:
        """Once a call, as soon as it is known whether the person who answered got a seat."""
        if not call.human_counted and not call.inbound:
            call.human_counted = True
            campaign = self.core.campaigns[call.campaign]
            campaign.counts.humans += 1

    def _record(self, call: Call, outcome: Outcome, now: float) -> None:
        campaign = self.core.campaigns[call.campaign]
        self._remove(call)
        call.timer = 0
        call.outcome = outcome
        campaign.counts.outcomes[outcome] += 1
        if outcome is Outcome.HUNG_UP and call.human_at is None:
            call.amd = "HANGUP"  # they left while it listened, a person or not
        unknown = outcome is Outcome.HUNG_UP and call.amd in NO_PERSON
        if outcome in (Outcome.CONNECTED, Outcome.HUNG_UP) and not unknown:
            self._count_human(call)
        if outcome is not Outcome.ABANDONED:  # pacing heard of it when it was decided
            self._pace(call, CallStage.FAILED if unknown else STAGES.get(outcome, CallStage.FAILED), now)
        if call.wanted_seat is not None:
            cause = "agent" if call.ended_by == "agent" else outcome.value
            self.core.seats.missed(call.wanted_seat, call, now, cause)
        at = self.core.wall(now)
        dialed = call.dialed_at is not None
        if call.inbound:
            after = after_own_call(campaign.config, outcome, at)
        elif dialed:
            after = after_outcome(campaign.config, outcome, call.lead.attempts + 1, at, call.lead.zones)
        else:
            after = after_no_call(campaign.config, at)
        self.core.write(
            AttemptEnded(
                at=at,
                call_id=call.id,
                outcome=outcome.value,
                cause=call.cause,
                tech_cause=call.tech_cause,
                ring_s=_span(call.ringing_at, call.answered_at or now),
                wait_s=_span(call.answered_at, call.connected_at or now),
                talk_s=_span(call.connected_at, now),
                user_id=call.last_seat,
                amd=call.amd,
                harbour_played=call.harbour_played,
                retry_at=after.retry_at,
                locked_until=after.locked_until,
                final=after.final,
                dialed=dialed,
                other_at=after.other_at,
                number_done=after.number_done,
                most=after.most,
                split=self.core.is_split(call.campaign),
            )
        )
        self.core.call_ended(call, outcome, now)

    def _screen_pop(self, call: Call, user_id: int, now: float) -> ScreenPop:
        return self.core.screen_pop(
            call.campaign, call.lead, user_id, call.answered_at if call.answered_at is not None else now
        )

    def _status(self, call: Call, user_id: int, state: str, now: float, cause: str = "") -> None:
        call.state_at = now
        self.tell(call, user_id, state, cause)

    def tell(self, call: Call, user_id: int, state: str, cause: str = "", party: str = "") -> None:
        """Tell a seat how this call of its stands."""
        seat = self.core.seats.by_user.get(user_id)
        self.core.tell(
            CallStatus(
                user_id=user_id,
                call_id=call.id,
                state=state,
                at=self.core.wall_s(call.state_at),
                cause=cause,
                muted=seat is not None and seat.muted,
                recording=call.recording,
                party=party,
            )
        )

    def _record_it(self, call: Call, again: bool) -> None:
        path = f"{call.id}.wav"
        self.core.effects.append(StartRecording(call.switch, call.id, call.uid, path, again))

    def _timer(self, call: Call, due: float) -> None:
        call.timer = self.core.timers.start(due, "call", call.id)

    def _pace(self, call: Call, stage: CallStage, now: float) -> None:
        if call.inbound and (call.adopted or stage is CallStage.HUMAN):
            return  # pacing knows since they called in; of a caller of an engine before this one, not at all
        campaign = self.core.campaigns[call.campaign]
        # A call for one seat alone keeps no other from being dialed for. Where all are such, they teach who answers.
        alone = call.wanted_seat is not None and campaign.config.mode != Mode.PREVIEW
        if alone and stage not in SETTLED:
            return
        hour = int(self.core.wall_s(now) // 3600.0) % 24  # any clock does that goes round once a day
        cause = call.cause or None
        part = campaign.part(call.switch)
        part.observe(PacedCall(now, call.id, stage, call.seat, cause, call.lead.list_id, hour))
        self.core.touched.add(call.campaign)

    def _enter_air(self, call: Call) -> None:
        if call.for_any_seat:
            self.core.campaigns[call.campaign].part(call.switch).in_air += 1

    def _leave_air(self, call: Call) -> None:
        if call.for_any_seat:
            self.core.campaigns[call.campaign].part(call.switch).in_air -= 1


def _span(start: float | None, end: float) -> float | None:
    return None if start is None else max(0.0, end - start)
