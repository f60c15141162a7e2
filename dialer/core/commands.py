"""What seats ask of the engine: each command is checked, carried out at once, and answered with a code."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from msgspec import structs

from campaigns.numbers import NotANumber, number_of
from campaigns.patterns import fits
from campaigns.records import RECORDING_PAUSED, RECORDING_RESUMED, Audited
from campaigns.values import Lead, OutsideCaller
from cti.messages import (
    Assign,
    Colleague,
    Command,
    Complete,
    Confer,
    CustomerEdited,
    DialNumber,
    DialPreviewed,
    Dispose,
    HangUp,
    HangUpRinging,
    Hold,
    Listen,
    LogIn,
    LogOut,
    MoreTime,
    Mute,
    OpenPhone,
    PageBack,
    PageLost,
    Pause,
    PhoneAccess,
    PhoneLost,
    Queue,
    ReadScript,
    Ready,
    Record,
    RedialPhone,
    Reply,
    SaveNotes,
    SendKeys,
    Targets,
    Transfer,
    WhoIsThere,
)
from dialer.core.call import BEFORE_ANSWER, Call, CallEvent, CallState
from dialer.core.campaign import Campaign
from dialer.core.effects import Overhear, Press
from dialer.core.parties import Party
from dialer.core.seat import BY_HAND, Seat, SeatEvent, SeatState
from dialer.core.verdicts import OK, Verdicts, refuse

if TYPE_CHECKING:
    from dialer.core.engine import EngineCore

# What may stand in a dial string as an endpoint's name. AMI and the dialplan give other characters a meaning.
ENDPOINT = re.compile(r"[A-Za-z0-9_.+-]{1,64}")

PASSWORD_BYTES = 24  # of a page's phone, until its log-out
NUMBER = re.compile(r"\+?[0-9]{2,20}")
PUNCTUATION = re.compile(r"[\s().-]")  # as people write it between digits
SPYING = {
    "listen": "q",
    "whisper": "qw",
    "barge": "qB",
}  # ChanSpy: says nothing before, w to the target, B to both
MOST_TARGETS = 9  # one digit each on the page
TURN_S = (
    1.0  # so long who dials waits for their turn in the calls per second; the rules' word holds for longer
)
MOST_TEAM = 200  # colleagues in a list to choose from


class Commands:
    """Answers commands. A command never waits and never raises for what a seat may have sent."""

    def __init__(self, core: EngineCore) -> None:
        self.core = core
        self.verdicts = Verdicts(core)
        self._of_seat: dict[type, Callable[[Any, Seat, float], Reply]] = {
            LogOut: self._log_out,
            Ready: self._ready,
            Pause: self._pause,
            MoreTime: self._more_time,
            PageLost: self._page_lost,
            PageBack: self._page_back,
            CustomerEdited: self._customer_edited,
            Dispose: self._dispose,
            SaveNotes: self.verdicts.save_notes,
            ReadScript: self.verdicts.read_script,
            HangUp: self._hang_up,
            Hold: self._hold,
            Mute: self._mute,
            SendKeys: self._send_keys,
            Record: self._record,
            WhoIsThere: self._who_is_there,
            Transfer: self._transfer,
            Confer: self._confer,
            Complete: self._complete,
            RedialPhone: self._redial,
            PhoneLost: self._phone_lost,
            DialPreviewed: self._dial_previewed,
            Listen: self._listen,
            Assign: self._assign,
        }

    def answer(self, command: Command, now: float) -> Reply:
        """Carry a command out and say what came of it."""
        if isinstance(command, LogIn):
            return self._log_in(command, now)
        if isinstance(command, OpenPhone):
            return self._open_phone(command)
        if isinstance(command, HangUpRinging):
            return self._hang_up_ringing(command, now)
        seat = self.core.seats.by_user.get(command.user_id)
        if seat is None and isinstance(command, SaveNotes):  # of the customer it was logged out at
            seat = self.core.seats.gone.get(command.user_id)
        if seat is None:
            return refuse("not_at_seat")
        return self._of_seat[type(command)](command, seat, now)

    def _log_in(self, command: LogIn, now: float) -> Reply:
        seats = self.core.seats
        if not ENDPOINT.fullmatch(command.phone):
            return refuse("bad_phone", command.phone)
        if command.mode not in ("nailed", "ring"):
            return refuse("malformed", f"mode {command.mode!r} is neither nailed nor ring")
        if self.core.draining:
            return refuse("draining")
        if self._elsewhere(command.campaigns):
            return refuse("elsewhere")
        seat = seats.by_user.get(command.user_id)
        if seat is not None:
            if seat.phone == command.phone and seat.mode == command.mode:
                seats.step(seat, SeatEvent.REDIAL, now)
                seat.absent = False
                seats.tell_status(seat)
                return OK
            if seat.call:
                return refuse("in_call")
            seats.step(seat, SeatEvent.LOG_OUT, now)
        if any(other.phone == command.phone for other in seats.by_user.values()):
            return refuse("phone_taken", command.phone)
        switch = self.core.seat_switch(command.campaigns, command.user_id, command.phone)
        seats.log_in(command, switch, secrets.token_hex(8), now)
        return OK

    def _elsewhere(self, campaigns: Iterable[str]) -> bool:
        """Whether another engine has all the campaigns that there are of these."""
        ours = {campaign.name for campaign in self.core.ours()}
        found = self.core.known(campaigns)
        switches = self.core.switches.keys()
        known = [each.name for each in found if not switches.isdisjoint(each.config.switches)]
        return not self.core.owner or (bool(known) and ours.isdisjoint(known))

    def _hang_up_ringing(self, command: HangUpRinging, now: float) -> Reply:
        campaign = self.core.campaigns.get(command.campaign)
        if campaign is None:
            return refuse("unknown_campaign", command.campaign)
        if self._elsewhere([campaign.name]):
            return refuse("elsewhere")
        if campaign.config.running:  # it would dial others in their place
            return refuse("still_running", command.campaign)
        calls = self.core.calls
        ringing = [
            c for c in calls.by_id.values() if c.campaign == campaign.name and c.state in BEFORE_ANSWER
        ]
        for call in ringing:
            calls.step(call, CallEvent.HANG, now)
        return Reply(ok=True, detail=str(len(ringing)))

    def _open_phone(self, command: OpenPhone) -> Reply:
        """The switch is told of the password by the runtime, before the page is."""
        seat = self.core.seats.by_user.get(command.user_id)
        switch = seat.switch if seat is not None else self.core.seat_switch()
        lines = self.core.switches[switch]
        if not lines.softphone or not command.phone:
            return refuse("no_softphone", switch)
        if not lines.up:
            return refuse("switch_down", switch)
        endpoint = lines.softphone_endpoint.format(phone=command.phone)
        others = (each for each in self.core.seats.by_user.values() if each is not seat)
        if any(each.phone == endpoint for each in others):  # a new password would put their page out
            return refuse("phone_taken", endpoint)
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        return Reply(ok=True, phone=PhoneAccess(switch, lines.softphone, endpoint, password))

    def number_to_dial(self, command: DialNumber, now: float) -> tuple[Campaign, str] | Reply:
        """The campaign and the number (E.164) that a seat would dial by hand, or why it can't."""
        seat = self.core.seats.by_user.get(command.user_id)
        if seat is None:
            return refuse("not_at_seat")
        if seat.state not in BY_HAND or seat.absent:
            return refuse("wrong_state")
        campaign = self.core.campaigns.get(command.campaign)
        if campaign is None or command.campaign not in seat.campaigns or not campaign.config.manual.numbers:
            return refuse("no_manual", command.campaign)
        if self.core.draining:
            return refuse("draining")
        if not seat.is_reached_by(campaign):
            return refuse("other_switch", campaign.name)
        if not self.core.is_up(seat.switch):
            return refuse("switch_down", seat.switch)
        try:
            number = number_of(command.number, campaign.config.manual.country)
        except NotANumber:
            return refuse("bad_number", command.number)
        if not fits(campaign.config.manual.numbers, number):
            return refuse("number_not_allowed", number)
        if self._no_turn(seat.switch, now):
            return refuse("no_line")
        return campaign, number

    def _no_line(self, switch: str) -> bool:
        """Whether one call more would be above what this switch carries."""
        return self.core.calls.lines.get(switch, 0) >= self.core.switches[switch].max_lines

    def _no_turn(self, switch: str, now: float) -> bool:
        """Whether who dials now has no line, or would wait for too long until it is their turn."""
        return self._no_line(switch) or self.core.switches[switch].wait_s(now) > TURN_S

    def sends_outside(self, command: Transfer) -> tuple[Campaign, OutsideCaller] | None:
        """For whom a customer is sent to an outside number; None: nobody is."""
        call = self.core.calls.by_id.get(command.call_id)
        if not command.to_number or call is None or call.seat != command.user_id:
            return None
        campaign = self.core.campaigns[call.campaign]
        return campaign, campaign.caller(command.user_id)

    def dial_by_hand(self, command: DialNumber, lead: Lead, now: float) -> Reply:
        """Place the call to a number that was leased for this seat. Not ok: the lease is still there."""
        wanted = self.number_to_dial(command, now)  # while the database was asked, a customer may have come
        if isinstance(wanted, Reply):
            return wanted
        campaign, _ = wanted
        seat = self.core.seats.by_user[command.user_id]
        if seat.state is SeatState.PAUSED:  # and paused it is again, after the call
            seat.pause_later, seat.pause_reason = True, seat.reason
        seat.meet(lead, campaign, now)
        self.core.seats.step(seat, SeatEvent.SHOW, now)
        self.core.tell(
            self.core.screen_pop(campaign.name, lead, seat.user_id, now, preview=True, dialing=True)
        )
        self.core.reserve([lead], campaign.name, now, seat=seat.user_id)
        return OK

    def _log_out(self, command: LogOut, seat: Seat, now: float) -> Reply:
        self.core.seats.step(seat, SeatEvent.LOG_OUT, now)
        return OK

    def _ready(self, command: Ready, seat: Seat, now: float) -> Reply:
        if seat.state in (SeatState.PHONE, SeatState.NO_PHONE):
            return refuse("no_phone")
        seat.unanswered_s = 0.0
        if seat.pause_later:
            seat.pause_later = False
            self.core.pace_seat(seat, now)
        self.core.seats.step(seat, SeatEvent.READY, now)
        return OK

    def _pause(self, command: Pause, seat: Seat, now: float) -> Reply:
        if command.reason and command.reason not in self.core.pauses:
            return refuse("unknown_reason", command.reason)
        seat.pause_reason = command.reason
        seat.was = None
        self.core.seats.step(seat, SeatEvent.PAUSE, now, command.reason)
        return OK

    def _more_time(self, command: MoreTime, seat: Seat, now: float) -> Reply:
        return OK if self.core.seats.more_time(seat) else refuse("no_more_time")

    def _page_lost(self, command: PageLost, seat: Seat, now: float) -> Reply:
        seat.absent = True
        if seat.state is SeatState.READY:
            self.core.seats.step(seat, SeatEvent.PAUSE, now, "page_lost")
        return OK

    def _page_back(self, command: PageBack, seat: Seat, now: float) -> Reply:
        seat.absent = False
        if seat.state is SeatState.PAUSED and seat.reason == "page_lost":
            self.core.seats.step(seat, SeatEvent.READY, now)
        return OK

    def _customer_edited(self, command: CustomerEdited, seat: Seat, now: float) -> Reply:
        call = self.core.calls.by_id.get(command.call_id)
        lead = call.lead if call is not None else self.core.previews.get(seat.user_id)
        if lead is None or lead.call_id != command.call_id or seat.served(command.call_id) is None:
            return refuse("not_your_call")
        edited = structs.replace(lead, name=command.name, attributes=command.attributes)
        if call is not None:
            call.lead = edited
        else:
            self.core.previews[seat.user_id] = edited
        return OK

    def _dispose(self, command: Dispose, seat: Seat, now: float) -> Reply:
        reply = self.verdicts.dispose(command, seat, now)
        if reply.ok and command.hang_up and command.call_id == seat.call:
            hung_up = self._hang_up(HangUp(user_id=seat.user_id, call_id=seat.call), seat, now)
            if hung_up.code == "not_hung_up":  # what was said of the customer stands all the same
                return Reply(ok=True, code="still_on")
        if reply.ok and command.and_ready and seat.state is SeatState.WRAP_UP:
            self.core.seats.step(seat, SeatEvent.READY, now)
        return reply

    def _hang_up(self, command: HangUp, seat: Seat, now: float) -> Reply:
        call = self.core.calls.by_id.get(command.call_id)
        if call is None or seat.call != command.call_id:
            return refuse("not_your_call")
        if call.seat is not None and not self.core.is_up(call.switch):  # they go on hearing each other
            return refuse("not_hung_up", call.switch)
        if seat.state is SeatState.ASKED:  # leaves the two alone
            self.core.calls.step(call, CallEvent.PARTY_GONE, now)
            return OK
        call.ended_by = "agent"
        if call.state is CallState.RESERVED:
            return OK  # it is not dialed when its permit comes
        if call.connected_at is None and call.state in (CallState.WAITING, CallState.CONNECTING):
            self.core.calls.decline(call, seat.user_id, now)
            return OK
        return OK if self.core.calls.step(call, CallEvent.HANG, now) else refuse("wrong_state")

    def _hold(self, command: Hold, seat: Seat, now: float) -> Reply:
        call = self.core.calls.by_id.get(command.call_id)
        if call is None or call.seat != seat.user_id:
            return refuse("not_your_call")
        if not self.core.is_up(call.switch):
            return refuse("switch_down", call.switch)
        if not command.on and call.state in (CallState.CONSULTING, CallState.CONFERENCE):
            self.core.calls.step(call, CallEvent.RESUME, now)
            return OK
        wanted = CallState.HELD if command.on else CallState.CONNECTED
        if call.state is wanted:
            return OK
        if call.state is not (CallState.CONNECTED if command.on else CallState.HELD):
            return refuse("wrong_state")
        self.core.calls.step(call, CallEvent.HOLD if command.on else CallEvent.RESUME, now)
        return OK

    def _joined(self, call_id: str, seat: Seat) -> Call | Reply:
        """The call in which this seat and its customer hear each other, or why there is none."""
        call = self.core.calls.by_id.get(call_id)
        if call is None or call.seat != seat.user_id:
            return refuse("not_your_call")
        if call.state not in (CallState.CONNECTED, CallState.CONFERENCE):
            return refuse("wrong_state")
        return call if self.core.is_up(call.switch) else refuse("switch_down", call.switch)

    def _mute(self, command: Mute, seat: Seat, now: float) -> Reply:
        call = self._joined(command.call_id, seat)
        if isinstance(call, Reply):
            return call
        self.core.seats.mute(seat, command.on)
        self.core.calls.changed(call)
        return OK

    def _send_keys(self, command: SendKeys, seat: Seat, now: float) -> Reply:
        call = self._joined(command.call_id, seat)
        if isinstance(call, Reply):
            return call
        self.core.effects.append(Press(call.switch, call.uid, command.keys))
        return OK

    def _record(self, command: Record, seat: Seat, now: float) -> Reply:
        """Whether what is said is kept is on record, with who decided so."""
        call = self._joined(command.call_id, seat)
        if isinstance(call, Reply):
            return call
        wanted = "on" if command.on else "paused"
        if call.recording not in ("on", "paused"):
            return refuse("not_recorded")
        if call.recording != wanted:
            call.recording = wanted
            self.core.calls.set_recording(call, again=False)
            action = RECORDING_RESUMED if command.on else RECORDING_PAUSED
            self.core.write(Audited(at=self.core.wall(now), actor=seat.name, action=action, subject=call.id))
            self.core.calls.changed(call)
        return OK

    def _assign(self, command: Assign, seat: Seat, now: float) -> Reply:
        """Its leg stays where it is until its next log-in."""
        found = self.core.known(command.campaigns)
        if found and not any(map(seat.is_reached_by, found)):
            return refuse("other_switch", found[0].name)
        self.core.seats.assign(seat, command.campaigns, now)
        return OK

    def _listen(self, command: Listen, seat: Seat, now: float) -> Reply:
        """The customer's channel is heard, so that it ends with the call; a whisper goes to the seat's own leg."""
        call = self._joined(command.call_id, seat)
        if isinstance(call, Reply):
            return call
        if not ENDPOINT.fullmatch(command.phone):
            return refuse("bad_phone", command.phone)
        if command.phone == seat.phone:
            return refuse("phone_taken", command.phone)
        dial = self.core.phone(call.switch).format(endpoint=command.phone)
        target = seat.leg if command.how == "whisper" else call.uid
        self.core.effects.append(Overhear(call.switch, dial, target, SPYING[command.how]))
        return OK

    def _phone_lost(self, command: PhoneLost, seat: Seat, now: float) -> Reply:
        if seat.mode != "nailed":
            return refuse("wrong_state")
        self.core.seats.give_up_leg(seat, now)
        return OK

    def _who_is_there(self, command: WhoIsThere, seat: Seat, now: float) -> Reply:
        call = self.core.calls.by_id.get(command.call_id)
        if call is not None and call.seat != seat.user_id:
            call = None
        if call is None and (not command.call_id or command.call_id != seat.last_call):
            return refuse("not_your_call")
        seats = self.core.seats
        found: dict[int, Colleague] = {}
        queues = []
        for name in self._queues(call) if call is not None else ():
            ready = [seats.by_user[u] for u in self.core.campaigns[name].idle]
            ready = [each for each in ready if each.switch == seat.switch]
            found |= {each.user_id: Colleague(each.user_id, each.name) for each in ready}
            queues.append(Queue(name, len(ready)))
        numbers = call is not None and bool(self.core.campaigns[call.campaign].config.transfer_numbers)
        serving = call.campaign if call is not None else seat.last.campaign
        team = [each for each in seats.by_user.values() if serving in each.campaigns and each is not seat]
        self.core.tell(
            Targets(
                user_id=seat.user_id,
                call_id=command.call_id,
                team=tuple(Colleague(each.user_id, each.name) for each in team[:MOST_TEAM]),
                seats=tuple(found.values())[: MOST_TARGETS - len(queues)],
                queues=tuple(queues),
                numbers=numbers,
            )
        )
        return OK

    def _queues(self, call: Call) -> list[str]:
        """The campaigns to whose seats this call's customer may be sent."""
        names = (call.campaign, *self.core.campaigns[call.campaign].config.transfer_campaigns)
        return [name for name in dict.fromkeys(names) if name in self.core.campaigns]

    def _transfer(self, command: Transfer, seat: Seat, now: float) -> Reply:
        call = self.core.calls.by_id.get(command.call_id)
        if call is None or call.seat != seat.user_id:
            return refuse("not_your_call")
        if call.state not in (CallState.CONNECTED, CallState.HELD):
            return refuse("wrong_state")
        if not self.core.is_up(call.switch):
            return refuse("switch_down", call.switch)
        party = self._party(command, call)
        if isinstance(party, Reply):
            return party
        call.party = party
        self.core.calls.step(call, CallEvent.CONSULT if command.ask_first else CallEvent.SEND_ON, now)
        return OK

    def _party(self, command: Transfer, call: Call) -> Party | Reply:
        """Who is meant, or which rule does not let the customer be sent there."""
        seats, queues = self.core.seats, self._queues(call)
        if command.to_number:
            return self._outside(PUNCTUATION.sub("", command.to_number), call)
        if command.to_campaign:
            if command.to_campaign not in queues:
                return refuse("campaign_not_allowed", command.to_campaign)
            ready = seats.idle(call.switch, command.to_campaign)
            if not command.ask_first:
                return Party(command.to_campaign, campaign=command.to_campaign)
            return refuse("nobody_free") if ready is None else Party(ready.name, user=ready.user_id)
        other = seats.by_user.get(command.to_user)
        if other is None or not set(queues) & set(other.campaigns):
            return refuse("nobody_there")
        if other.state is not SeatState.READY or other.switch != call.switch:
            return refuse("not_free", other.name)
        return Party(other.name, user=other.user_id)

    def _outside(self, number: str, call: Call) -> Party | Reply:
        config = self.core.campaigns[call.campaign].config
        if not NUMBER.fullmatch(number):
            return refuse("bad_number", number)
        if not config.transfer_numbers:
            return refuse("no_numbers")
        if not fits(config.transfer_numbers, number):
            return refuse("number_not_allowed", number)
        if self._no_line(call.switch):
            return refuse("no_line")
        return Party(number, number=number, by=call.seat or 0)

    def _confer(self, command: Confer, seat: Seat, now: float) -> Reply:
        call = self._with_party(command.call_id, seat)
        if isinstance(call, Reply):
            return call
        if call.state is not CallState.CONSULTING:
            return refuse("wrong_state")
        self.core.calls.step(call, CallEvent.CONFER, now)
        return OK

    def _complete(self, command: Complete, seat: Seat, now: float) -> Reply:
        call = self._with_party(command.call_id, seat)
        if isinstance(call, Reply):
            return call
        to_seat = call.party is not None and call.party.user
        self.core.calls.step(call, CallEvent.GIVE if to_seat else CallEvent.GIVE_OUT, now)
        return OK

    def _with_party(self, call_id: str, seat: Seat) -> Call | Reply:
        """The call about which this seat speaks with a third party, or why there is none."""
        call = self.core.calls.by_id.get(call_id)
        if call is None or call.seat != seat.user_id:
            return refuse("not_your_call")
        if call.party is None or not call.party.up:
            return refuse("wrong_state")
        return call if self.core.is_up(call.switch) else refuse("switch_down", call.switch)

    def _redial(self, command: RedialPhone, seat: Seat, now: float) -> Reply:
        if seat.state is not SeatState.NO_PHONE:
            return refuse("wrong_state")
        self.core.seats.look_elsewhere(seat)
        if not self.core.is_up(seat.switch):
            return refuse("switch_down", seat.switch)
        seat.resumes = command.resume
        self.core.seats.step(seat, SeatEvent.REDIAL, now)
        return OK

    def _dial_previewed(self, command: DialPreviewed, seat: Seat, now: float) -> Reply:
        lead = self.core.previews.get(seat.user_id)
        if lead is None or lead.call_id != command.call_id or seat.state is not SeatState.PREVIEW:
            return refuse("not_your_call")
        if command.skip:
            self.core.seats.hide(seat, now, skipped=True)
            return OK
        if not seat.is_reached_by(self.core.campaigns[seat.serving]):
            return refuse("other_switch", seat.serving)
        if not self.core.is_up(seat.switch):
            return refuse("switch_down", seat.switch)
        if self._no_turn(seat.switch, now):  # they stay on the screen
            return refuse("no_line")
        del self.core.previews[seat.user_id]
        self.core.reserve([lead], seat.serving, now, seat=seat.user_id)
        return OK
