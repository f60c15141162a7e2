"""The engine's core: switch events, seat commands and time in; effects out. No I/O, no clock, no task.

Theory of operation. Every input names `now` (monotonic seconds) and runs to its end at once: the call and seat
machines step by their tables, and what must happen outside is appended to `effects`, which the runtime takes after
each input and carries out in order. A screen-pop is always appended before the join it belongs to. The core never
trusts that an effect succeeded: it hears so from the switch, or a timer tells it otherwise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import structlog

from campaigns.config import CampaignConfig, crm_url
from campaigns.ids import new_call_id
from campaigns.numbers import NotANumber, number_told
from campaigns.records import AnyRecord, CalledIn
from campaigns.values import InFlight, Lead, Outcome
from cti.messages import Command, Crm, DispositionChoice, FieldLabel, LogIn, Reply, ScreenPop, SeatMessage
from cti.pauses import DEFAULT_PAUSES, PauseReason
from dialer.core.call import Call, CallEvent, CallState
from dialer.core.callbacks import Callbacks
from dialer.core.calls import Calls
from dialer.core.campaign import Campaign
from dialer.core.commands import Commands
from dialer.core.effects import Authorize, Drop, Effect, Free, LookUp, Tell, Write
from dialer.core.lines import SwitchLines
from dialer.core.part import Part
from dialer.core.recovery import Recovery
from dialer.core.seat import Seat, SeatEvent, SeatState
from dialer.core.seats import Seats, paced
from dialer.core.timers import Owner, Timers
from dialer.switch import port
from pacing.contract import NO_LIMIT, Decision, Mode, Room
from pacing.floor import Floor

log = structlog.get_logger(__name__)

# A permit is judged after its call was reserved: what allowed it, such as a calling window, may be over by then.
PERMIT_S = 3.0

CALL_UID = re.compile(port.CALL_PREFIX + "[0-9a-f]{32}")


class EngineCore:
    """All calls, seats and campaigns of one engine.

    `wall_offset` is POSIX seconds minus monotonic seconds; records and messages carry wall time.
    """

    def __init__(
        self,
        lines: Mapping[str, SwitchLines],
        wall_offset: float,
        agi_url: str = "",
        pauses: Iterable[PauseReason] = DEFAULT_PAUSES,
        name: str = "",
    ) -> None:
        self.name = name  # on record with the calls of customers who call in, whom no lease may name
        self.pauses = {each.code: each for each in pauses}
        self.wall_offset = wall_offset
        self.agi_url = agi_url
        self.switches = dict(lines)
        self.campaigns: dict[str, Campaign] = {}
        self.floor = Floor()
        self.timers = Timers()
        self.calls = Calls(self)
        self.seats = Seats(self)
        self.commands = Commands(self)
        self.recovery = Recovery(self)
        self.callbacks = Callbacks(self)
        self.effects: list[Effect] = []
        self.previews: dict[int, Lead] = {}  # shown to a seat, not dialed yet; by user
        self.touched: set[str] = set()  # campaigns whose pacing should be asked again
        self.anomalies: Counter[str] = Counter()
        self.breaches: Counter[str] = Counter()
        self.draining = False
        self.ended: Callable[[Call, Outcome], None] | None = None
        self._on: Mapping[type, Callable[[Any], None]] = {
            port.LinkUp: self._link_up,
            port.LinkDown: self._link_down,
            port.Created: self._created,
            port.CalledIn: self._called_in,
            port.Ringing: self._ringing,
            port.Answered: self._answered,
            port.OriginateFailed: self._originate_failed,
            port.HungUp: self._hung_up,
            port.Bridged: self._bridged,
            port.AmdResult: self._amd,
        }

    # --- time and effects -----------------------------------------------------------------------------------------

    def wall_s(self, at: float) -> float:
        """POSIX seconds of a monotonic instant."""
        return at + self.wall_offset

    def wall(self, at: float) -> datetime:
        return datetime.fromtimestamp(at + self.wall_offset, UTC)

    def take(self) -> list[Effect]:
        """Hand over the effects since the last take."""
        effects, self.effects = self.effects, []
        return effects

    def tell(self, message: SeatMessage) -> None:
        self.effects.append(Tell(message))

    def write(self, record: AnyRecord) -> None:
        self.effects.append(Write(record))

    def anomaly(self, name: str, subject: str) -> None:
        """Something came that no table expects: counted and logged, nothing else."""
        self.anomalies[name] += 1
        log.warning("anomaly", name=name, subject=subject)

    def breach(self, invariant: str, subject: str) -> None:
        """A promise was broken. The metric of this must stay 0."""
        self.breaches[invariant] += 1
        log.error("invariant breached", invariant=invariant, subject=subject)

    @contextmanager
    def faults_counted(self, where: str) -> Iterator[None]:
        """A fault of ours costs what it happened to, and must end neither a task, nor the engine, nor other calls."""
        try:
            yield
        except Exception:  # whatever it is: it is logged, and counted as a broken promise
            log.exception("the core failed", where=where)
            self.breach("core_fault", where)

    def tick(self, now: float) -> None:
        """Fire the timers that are due."""
        for owner, name, generation in self.timers.due(now):
            with self.faults_counted(f"timer of {owner} {name}"):
                self._fire(owner, name, generation, now)

    def _fire(self, owner: Owner, name: str | int, generation: int, now: float) -> None:
        if owner == "call":
            self.calls.fire(str(name), generation, now)
        elif owner == "turn":
            held = self.calls.by_id.get(str(name))
            if held is not None:
                self.permitted(held.id, held.caller_id, now)
        elif owner == "seat":
            self.seats.wrap_over(int(name), generation, now)
        elif owner == "join":
            self.calls.join_again(str(name))
        elif owner == "return":
            self.calls.not_returned(str(name), now)
        elif owner == "party":
            self.calls.parties.settled(str(name), now)
        else:
            self.recovery.let_go(int(name))

    # --- campaigns ------------------------------------------------------------------------------------------------

    def configure(self, campaign_id: int, config: CampaignConfig, now: float) -> Campaign:
        """Add a campaign or give it a new version."""
        campaign = self.campaigns.get(config.name)
        if campaign is None:
            campaign = self.campaigns[config.name] = Campaign(campaign_id, config, self.floor)
            for seat in self.seats.by_user.values():
                if seat.state is SeatState.READY and config.name in seat.campaigns:
                    campaign.idle[seat.user_id] = None
        else:
            whole = campaign.configure(config)
            if whole is not None:
                self._sort_out(campaign, whole, now)
        self.touched.add(config.name)
        self.repace(now)
        return campaign

    def _sort_out(self, campaign: Campaign, whole: Part, now: float) -> None:
        """It has a part for each switch from now on: what it still had on others than its last one is theirs."""
        for call in self.calls.by_id.values():
            if call.campaign == campaign.name and call.switch != whole.switch:
                self.calls.change_part(call, whole, now)
        for seat in self.seats.by_user.values():
            if campaign.name in seat.paced and seat.switch != whole.switch:
                whole.count_out(seat.user_id, now)
                self.pace_seat(seat, now)

    def decide(self, name: str, now: float, switch: str = "") -> Decision:
        """How many calls to place now for this campaign, within the lines and calls per second of one of its switches.

        Of a campaign on a single one that need not be named.
        """
        campaign = self.campaigns[name]
        part = campaign.part(switch or campaign.config.switches[0])
        lines = self.switches.get(part.switch)
        if lines is None or not lines.up:
            theirs = lines is not None and not lines.ours
            part.decision = Decision(0, "elsewhere" if theirs else "switch_down")
            return part.decision
        in_use = self.calls.lines.get(lines.name, 0)
        room = Room(
            free_lines=max(0, lines.max_lines - in_use),
            rate_allowance=lines.allowance(now, self.calls.reserved[lines.name]),
            leads=0 if campaign.dry else NO_LIMIT,
        )
        stopped = self.draining or part.switch not in campaign.config.switches
        return campaign.decide(part, now, room, stopped)

    def reserve(
        self, leads: Iterable[Lead], name: str, now: float, seat: int | None = None, switch: str = ""
    ) -> None:
        """Take leased leads on board and have the rules asked.

        What a `seat` previewed is called over its switch; of a campaign on a single one that need not be named.
        """
        by = self.seats.by_user.get(seat) if seat is not None else None
        switch = by.switch if by is not None else switch or self.campaigns[name].config.switches[0]
        found = (self.calls.reserve(lead, name, switch, now, seat) for lead in leads)
        turn = now + self.switches[switch].wait_s(now)
        calls = []
        for call in found:
            if call is not None:
                call.not_before = turn
                calls.append(call.id)
        self.switches[switch].spend(len(calls), now)
        self.effects.append(Authorize(switch, tuple(calls)))

    def permitted(self, call_id: str, caller_id: str, now: float) -> None:
        """The rules allow it and the attempt is on record: dial, if there is still somebody to dial for."""
        call = self.calls.by_id.get(call_id)
        if call is None:
            return
        seat = self.seats.by_user.get(call.wanted_seat) if call.wanted_seat is not None else None
        gone = call.wanted_seat is not None and (seat is None or seat.call != call.id)
        unwanted = gone or call.ended_by == "agent"
        late = now > call.reserved_at + PERMIT_S
        if unwanted or late or self.draining or not self.is_up(call.switch):
            self.calls.step(call, CallEvent.CANCEL, now)
            return
        call.caller_id = caller_id
        if now < call.not_before:
            self.timers.start(call.not_before, "turn", call.id)
            return
        self.calls.step(call, CallEvent.PERMIT, now)

    def refused(self, call_id: str, reason: str, now: float) -> None:
        """The rules, or the database, do not allow it: nothing was dialed."""
        call = self.calls.by_id.get(call_id)
        if call is not None:
            self.campaigns[call.campaign].counts.refusals[reason] += 1
            self.switches[call.switch].give_back()
            call.refusal = reason
            self.calls.step(call, CallEvent.REFUSE, now)

    def pace_seat(self, seat: Seat, now: float) -> None:
        """Tell pacing about this seat: every campaign that may call for it, and no longer those that may not."""
        told = self._who_counts_on(seat)
        for name in seat.paced:
            if name not in told:
                self.campaigns[name].part(seat.switch).count_out(seat.user_id, now)
                self.touched.add(name)
        seat.paced = told
        for name in told:
            part = self.campaigns[name].part(seat.switch)
            part.count_in(seat.user_id, paced(seat, now), seat.state is SeatState.READY)
            self.touched.add(name)

    def _who_counts_on(self, seat: Seat) -> tuple[str, ...]:
        """The campaigns whose pacing counts on this seat, the most important of those that dial now first.

        They are on its switch, too. Those that dial, still have calls out, or may be called by customers share it. A
        seat that has leads to preview is kept for them; and where nothing may be dialed one campaign has the seat, to
        say why.
        """
        if seat.state is SeatState.OFFLINE:
            return ()
        able = [campaign for campaign in self.known(seat.campaigns) if seat.is_reached_by(campaign)]
        able.sort(key=lambda c: (not self.may_dial(c), c.dry, -c.config.priority))
        first, rest = able[:1], able[1:]
        if first and first[0].config.mode == Mode.PREVIEW:
            rest = []
        shared = (
            c
            for c in rest
            if c.config.inbound.numbers or c.part(seat.switch).in_air or (self.may_dial(c) and not c.dry)
        )
        return tuple(c.name for c in (*first, *(c for c in shared if c.config.mode != Mode.PREVIEW)))

    def repace(self, now: float) -> None:
        """Campaigns started, stopped, ran dry or got leads: think again about the idle seats."""
        for seat in list(self.seats.by_user.values()):
            if seat.state is SeatState.READY:
                before = seat.works_for
                self.pace_seat(seat, now)
                if seat.works_for != before:
                    self.seats.log(seat, now)

    # --- seats ----------------------------------------------------------------------------------------------------

    def command(self, command: Command, now: float) -> Reply:
        """Carry out what a seat asks for."""
        return self.commands.answer(command, now)

    def show(self, user_id: int, lead: Lead, name: str, now: float) -> bool:
        """Show a leased lead to an idle seat of a preview campaign, or whose person's callback it is.

        False: it could not be, the lease is yours.
        """
        seat = self.seats.by_user.get(user_id)
        if seat is None or seat.state is not SeatState.READY:
            return False
        if name not in seat.campaigns if lead.user_id == user_id else seat.works_for != name:
            return False
        if not seat.is_reached_by(self.campaigns[name]) or not self.is_up(seat.switch):
            return False
        seat.meet(lead, self.campaigns[name], now)
        self.previews[user_id] = lead
        self.seats.step(seat, SeatEvent.SHOW, now)
        self.tell(self.screen_pop(name, lead, user_id, now, preview=True))
        return True

    def seat_switch(self, campaigns: Iterable[str] = (), user_id: int = 0, phone: str = "") -> str:
        """The switch for a seat of these campaigns that logs in: one of ours that has any of them, and is up if it can.

        Where its leg waits; else, of those of a campaign on several, the one with fewest seats; else the first in the
        order they were configured, where a phone in a page has opened its line.
        """
        able = self.seat_switches(campaigns)
        _, found, _ = self.recovery.spare.get(user_id, ("", "", ""))
        if found in able:
            return found
        if self.switches[able[0]].in_page(phone):
            return able[0]
        first = next((c.config.switches for c in self.known(campaigns) if able[0] in c.config.switches), ())
        taken = Counter(seat.switch for seat in self.seats.by_user.values())
        return min([name for name in able if name in first] or able[:1], key=lambda name: taken[name])

    def seat_switches(self, campaigns: Iterable[str]) -> list[str]:
        """All that could be it, of those that are up if any is."""
        ours = [name for name, lines in self.switches.items() if lines.ours] or [*self.switches]
        serve = {switch for campaign in self.known(campaigns) for switch in campaign.config.switches}
        ours = [name for name in ours if name in serve] or ours
        return [name for name in ours if self.switches[name].up] or ours[:1]

    def known(self, campaigns: Iterable[str]) -> list[Campaign]:
        """Those of these names that there are."""
        return [self.campaigns[name] for name in campaigns if name in self.campaigns]

    def largest(self, campaign: Campaign) -> Part:
        """Of the campaign's parts the one here with most seats, of all where none is here."""
        here = [part for part in campaign.parts if self.has(part.switch)]
        return max(here or campaign.parts, key=lambda part: part.pacer.working)

    def is_split(self, name: str) -> bool:
        """Whether this campaign is on several switches, or was."""
        return self.campaigns[name].sharing is not None

    @property
    def owner(self) -> bool:
        """Whether any switch is ours; an engine without one stands by."""
        return any(lines.ours for lines in self.switches.values())

    # --- routing --------------------------------------------------------------------------------------------------

    def is_up(self, switch: str) -> bool:
        lines = self.switches.get(switch)
        return lines is not None and lines.up

    def may_dial(self, campaign: Campaign) -> bool:
        """Whether leads are wanted for it: it runs, on a switch that is ours."""
        return campaign.config.running and any(map(self.has, campaign.config.switches))

    def ours(self) -> list[Campaign]:
        """The campaigns on switches that are ours, running or not."""
        return [each for each in self.campaigns.values() if any(map(self.has, each.config.switches))]

    def hearing(self, name: str) -> Counter[str]:
        """Customers of a campaign who hear the message, by switch: on record as abandoned when it is over."""
        return Counter(
            call.switch
            for call in self.calls.by_id.values()
            if call.campaign == name and call.outcome is Outcome.ABANDONED
        )

    def has(self, switch: str) -> bool:
        """Whether this switch is ours."""
        return switch in self.switches and self.switches[switch].ours

    def waiting_for(self, seat: Seat) -> Call | None:
        """The customer this seat should take: one who called in or was sent on before one who was dialed, then of the
        campaign with the highest priority, who waited longest.
        """
        served = [self.campaigns[n] for n in seat.campaigns if n in self.campaigns]
        served.sort(key=lambda c: -c.config.priority)
        found = None
        for campaign in served:
            for call_id in (*campaign.sent, *campaign.waiting):
                call = self.calls.by_id[call_id]
                mine = call.wanted_seat in (None, seat.user_id)
                if mine and call.switch == seat.switch and self.is_up(call.switch):
                    if call.inbound or call_id in campaign.sent:
                        return call
                    found = found or call
        return found

    def match(self, call: Call, seat: Seat, now: float) -> None:
        """Give this customer to this seat."""
        if seat.call and seat.call != call.id:
            self.breach("seat_with_two_customers", str(seat.user_id))
            return
        returns = seat.state is SeatState.WRAP_UP and seat.last_call == call.id
        if not returns and seat.state not in (SeatState.READY, SeatState.PREVIEW):
            self.breach("offered_while_not_ready", str(seat.user_id))
            return
        call.seat = seat.user_id
        seat.meet(call.lead, self.campaigns[call.campaign], now)
        self.seats.step(seat, SeatEvent.MATCH, now)
        self.calls.step(call, CallEvent.MATCH, now)

    def serve_waiting(self, now: float) -> None:
        """Match the customers who wait with idle seats, as after a lost link."""
        for campaign in sorted(self.campaigns.values(), key=lambda c: -c.config.priority):
            for call in [self.calls.by_id[call_id] for call_id in campaign.sent]:
                seat = self.seats.idle(call.switch, campaign.name)
                if seat is not None and call.state is CallState.SENT and self.is_up(call.switch):
                    self.match(call, seat, now)
            for call in [self.calls.by_id[call_id] for call_id in campaign.waiting]:
                seat = self.seats.for_call(call, campaign)
                if seat is not None and call.state is CallState.WAITING:
                    self.match(call, seat, now)

    def screen_pop(
        self,
        campaign: str,
        lead: Lead,
        user_id: int,
        answered_at: float,
        preview: bool = False,
        dialing: bool = False,
    ) -> ScreenPop:
        """What the seat's page shows of this lead."""
        of = self.campaigns[campaign]
        config, call = of.config, self.calls.by_id.get(lead.call_id)
        return ScreenPop(
            user_id=user_id,
            call_id=lead.call_id,
            campaign=campaign,
            number=lead.number,
            customer=lead.name,
            attributes=lead.attributes,
            answered_at=self.wall_s(answered_at),
            fields=tuple(
                FieldLabel(field.name, dict(field.label), field.type, field.choices)
                for field in config.fields
            ),
            dispositions=tuple(
                DispositionChoice(d.code, dict(d.label), d.key, d.other_number, d.within, d.required)
                for d in config.dispositions
            ),
            preview=preview,
            dialing=dialing,
            script=of.said(of.arm_of(lead)).script_id,
            notes=call.notes if call is not None else "",
            answers=call.answers if call is not None else {},
            lead_id=lead.lead_id,
            crm=Crm(crm_url(config, lead), config.crm.frame) if config.crm.url else None,
            inbound=call is not None and call.inbound,
            zone=lead.zones[0] if lead.zones else "",
        )

    def trunk(self, switch: str, config: CampaignConfig) -> str:
        """The dial string for customers, `{number}` (digits) in it."""
        return config.trunk or self.switches[switch].trunk

    def phone(self, switch: str) -> str:
        """The dial string for seats' phones, `{endpoint}` in it."""
        return self.switches[switch].phone

    def call_variables(self, config: CampaignConfig) -> dict[str, str]:
        """What the dialplan must know to abandon a customer lawfully, even with the engine gone."""
        return {
            "ZD_AGI": self.agi_url,
            "ZD_MESSAGE": config.safe_harbour.message,
            "ZD_OPTOUT": config.safe_harbour.opt_out_key,
        }

    # --- what the switch says -------------------------------------------------------------------------------------

    def handle(self, event: port.SwitchEvent) -> None:
        """Take an event from a switch."""
        handler = self._on.get(type(event))
        if handler is not None:
            handler(event)

    def _link_up(self, event: port.LinkUp) -> None:
        lines = self.switches[event.switch]
        lines.up = True
        self.recovery.resynchronise(event)
        self.touched.update(self.campaigns)

    def _link_down(self, event: port.LinkDown) -> None:
        self.switches[event.switch].up = False

    def _created(self, event: port.Created) -> None:
        """A channel of ours that nobody waits for, such as of an originate whose reply was lost, is hung up."""
        if not self.knows(event.uid):
            self.anomaly("unknown_channel", event.uid)
            self.effects.append(Drop(event.switch, event.uid))

    def knows(self, uid: str) -> bool:
        """Whether somebody here waits for this channel, or has it."""
        known = self.call_of(uid) is not None or uid in self.seats.by_leg
        return known or uid in self.calls.parties.by_uid or self.recovery.is_spare(uid)

    def _called_in(self, event: port.CalledIn) -> None:
        """A customer who is new is given to the campaign whose number was called; of one it has, it is a repeat.

        Of several whose number it is, one with seats where the customer is comes first: from another switch none can
        take them.
        """
        if event.uid in self.calls.callers or self.draining:
            return
        found = [c for c in self.campaigns.values() if event.called in c.config.inbound.numbers]
        if not found:
            self.anomaly("call_to_unknown_number", event.called)
            return
        campaign = max(found, key=lambda c: (event.switch in c.config.switches, c.config.priority))
        try:
            number = number_told(event.caller, campaign.config.inbound.country)
        except NotANumber:
            number = ""
        at = self.wall(event.at)
        lead = Lead(new_call_id(at), campaign.id, 0, 0, number, "", (), 0)
        call = Call(lead, campaign.name, event.switch, reserved_at=event.at, channel=event.uid)
        self.write(
            CalledIn(
                at=at,
                call_id=call.id,
                campaign_id=campaign.id,
                number=number,
                channel=event.uid,
                switch=event.switch,
                owner=self.name,
            )
        )
        self.calls.offer(call, event.at)
        self.effects.append(LookUp(call.id, campaign.id, number))

    def looked_up(self, call_id: str, lead: Lead | None, now: float) -> None:
        """Who calls in; None: nobody on the campaign's lists, or the database could not say."""
        call = self.calls.by_id.get(call_id)
        if call is None or call.state is not CallState.OFFERED:
            return
        if lead is not None:
            call.lead = lead
        self.calls.step(call, CallEvent.HUMAN, now)

    def _ringing(self, event: port.Ringing) -> None:
        call = self.call_of(event.uid)
        if call is not None:
            self.calls.step(call, CallEvent.RING, event.at)

    def _answered(self, event: port.Answered) -> None:
        seat = self.seats.by_leg.get(event.uid)
        if seat is not None:
            self.seats.leg_answered(seat, event.at)
            return
        asking = self.calls.parties.by_uid.get(event.uid)
        if asking is not None:
            self.calls.party_up(asking, event.at)
            return
        call = self.call_of(event.uid)
        if call is not None:
            screen = self.campaigns[call.campaign].config.amd
            self.calls.answered(call, event.happened or event.at, event.stamp)
            self.calls.step(call, CallEvent.SCREEN if screen else CallEvent.ANSWER, event.at)

    def _amd(self, event: port.AmdResult) -> None:
        call = self.call_of(event.uid)
        if call is not None:
            call.amd = event.status
            if event.status != "HANGUP":  # that they are gone is told by another event
                verdict = CallEvent.MACHINE if event.status == "MACHINE" else CallEvent.HUMAN
                self.calls.step(call, verdict, event.at)

    def _bridged(self, event: port.Bridged) -> None:
        call = self.call_of(event.uid)
        if call is not None:
            self.calls.bridged(call, event.happened or event.at, event.at, event.stamp)

    def _hung_up(self, event: port.HungUp) -> None:
        seat = self.seats.by_leg.get(event.uid)
        if seat is not None:
            self.seats.leg_gone(seat, event.at)
            return
        call = self.call_of(event.uid)
        if call is not None:
            call.cause, call.tech_cause, call.timed_out = event.cause, event.tech_cause, event.timed_out
            self.calls.left(call, event.happened or event.at, event.at)
            self.calls.step(call, CallEvent.GONE, event.at)
        else:
            self._party_gone(event.uid, event.at)

    def _originate_failed(self, event: port.OriginateFailed) -> None:
        seat = self.seats.by_leg.get(event.uid)
        if seat is not None:
            self.seats.leg_gone(seat, event.at)
            return
        call = self.call_of(event.uid)
        if call is not None:
            call.timed_out = event.reason == 3
            self.calls.step(call, CallEvent.GONE, event.at)
        else:
            self._party_gone(event.uid, event.at)

    def _party_gone(self, uid: str, now: float) -> None:
        call = self.calls.parties.gone(uid, now)
        if call is not None:
            self.calls.step(call, CallEvent.PARTY_GONE, now)

    def call_of(self, uid: str) -> Call | None:
        """The customer's call that this channel is of."""
        if uid.startswith(port.CALL_PREFIX):
            return self.calls.by_id.get(uid[len(port.CALL_PREFIX) :])
        return self.calls.callers.get(uid)

    # --- what came of an effect -----------------------------------------------------------------------------------

    def originate_refused(self, uid: str, now: float) -> None:
        """The switch would not place it: the channel never was."""
        self.handle(port.OriginateFailed(now, "", uid, 0))

    def originate_withheld(self, uid: str, now: float) -> None:
        """The switch places no calls at all for now, or is not there: it is nothing against this number."""
        call = self.call_of(uid)
        if call is not None:
            self.not_dialed(call.id, now)
        else:
            self.originate_refused(uid, now)

    def not_dialed(self, call_id: str, now: float) -> None:
        """Nothing was dialed, whatever is on record: the attempt is settled as cancelled and does not count."""
        call = self.calls.by_id.get(call_id)
        if call is not None and call.state in (CallState.RESERVED, CallState.DIALING):
            call.dialed_at = None
            self.calls.step(call, CallEvent.CANCEL, now)

    def join_failed(self, call_id: str, now: float) -> None:
        call = self.calls.by_id.get(call_id)
        if call is not None and not self.calls.will_join_again(call, now):
            self.calls.step(call, CallEvent.BRIDGE_FAILED, now)

    def no_such_channel(self, uid: str, now: float) -> None:
        """A hang-up found no channel: its Hangup was missed."""
        seat = self.seats.by_leg.get(uid)
        if seat is not None:
            self.seats.leg_gone(seat, now)
        call = self.call_of(uid)
        if call is not None:
            self.calls.step(call, CallEvent.LOST, now)
        else:
            self._party_gone(uid, now)

    def harbour_done(self, uid: str, played: bool, opted_out: bool, now: float) -> None:
        """The safe-harbour dialogue is over: what was heard, what was pressed. The call may be over before it."""
        call = self.call_of(uid)
        if call is not None:
            call.harbour_played = call.harbour_played or played
        else:
            self.anomaly("harbour_of_unknown_call", uid)
        if opted_out and CALL_UID.fullmatch(uid):
            self.calls.opted_out(uid.removeprefix(port.CALL_PREFIX), now)

    def call_ended(self, call: Call, outcome: Outcome, now: float) -> None:
        """Every end of a call passes here, once."""
        if call.state is not CallState.ENDED:
            self.breach("outcome_of_a_live_call", call.id)
        if self.ended is not None:
            self.ended(call, outcome)

    def recover(self, found: Iterable[InFlight], users: Mapping[int, LogIn], now: float) -> None:
        """What was in flight when the last engine stopped; settled as the switches come up."""
        self.recovery.expect(found, users)
        self.recovery.settle_unknown(now)

    def free(self, call_ids: tuple[str, ...], skipped: bool = False) -> None:
        """Give leases back."""
        if call_ids:
            self.effects.append(Free(call_ids, skipped))
