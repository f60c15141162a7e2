"""A world around the core: a switch in a dictionary that obeys, late, twice or never, as a test likes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import msgspec

from campaigns.config import CampaignConfig, parse
from campaigns.records import AnyRecord, AttemptEnded
from campaigns.values import NO_PERSON, Lead
from cti.channel import SeatChannel
from cti.messages import Command, LogIn, Ready, Reply, ScreenPop, SeatMessage
from dialer.core.call import WITH_PARTY, CallState
from dialer.core.calls import IN_AIR
from dialer.core.effects import (
    Authorize,
    Confer,
    Drop,
    Effect,
    Free,
    Join,
    LookUp,
    Mute,
    Originate,
    Overhear,
    PauseRecording,
    Press,
    Send,
    StartRecording,
    Tell,
    Write,
)
from dialer.core.engine import EngineCore
from dialer.core.lines import SwitchLines
from dialer.core.seat import SeatState
from dialer.switch import port

SWITCH = "main"
SWITCH_AHEAD_S = 1_700_000_123.0  # its clock is nobody else's
CAMPAIGN = "spring"
CALLED = "02388880000"  # a number of the company's, where a test's campaign has it
UP, RINGING = 6, 5
HAS_SEAT = (
    CallState.CONNECTING,
    CallState.CONNECTED,
    CallState.HELD,
    CallState.CONSULTING,
    CallState.CONFERENCE,
)


def config(**changes: object) -> CampaignConfig:
    """A running campaign that dials at a ratio, for tests that bend one thing."""
    text = f'name = "{CAMPAIGN}"\nrunning = true\nmode = "progressive"\nswitch = "{SWITCH}"\n'
    return replace_config(parse(text, "test"), **changes)


def replace_config(base: CampaignConfig, **changes: object) -> CampaignConfig:
    try:
        return replace(base, **changes)  # type: ignore[type-var]
    except TypeError:
        return msgspec.structs.replace(base, **changes)  # type: ignore[type-var]


def lead(number: int) -> Lead:
    return Lead(
        call_id=f"{number:032x}",
        campaign_id=1,
        lead_id=number,
        number_id=number,
        number=f"+86138{number:08d}",
        name=f"客户{number}",
        zones=("Asia/Shanghai",),
        attempts=0,
    )


@dataclass(slots=True)
class Channel:
    uid: str
    state: int = 0
    bridge: str = ""
    answered: float | None = None  # as a snapshot knows it
    muted: bool = False


@dataclass
class World:
    """The core and everything it talks to. `at` is the monotonic clock of this world."""

    config: CampaignConfig = field(default_factory=config)
    at: float = 1_000.0
    max_lines: int = 50

    def __post_init__(self) -> None:
        lines = SwitchLines(SWITCH, self.max_lines, 1000.0, "PJSIP/{number}@carrier", "PJSIP/{endpoint}")
        self.core = EngineCore({SWITCH: lines}, wall_offset=1_700_000_000.0)
        self.channels: dict[str, Channel] = {}
        self.joins: list[Join] = []
        self.confers: list[Confer] = []
        self.asked: list[str] = []
        self.told: list[SeatMessage] = []
        self.screens: dict[int, SeatChannel] = {}  # by user, what their page shows
        self.records: list[AnyRecord] = []
        self.freed: list[str] = []
        self.originated: Counter[str] = Counter()
        self.dropped: list[str] = []
        self.cut: set[str] = set()  # calls in flight whose hang-up was ours
        self.sent: list[Send] = []
        self.done: list[Effect] = []
        self.leads = 0
        self.arm = ""  # of all of them
        self.callers = 0
        self.looking: list[LookUp] = []
        self.link_up()
        self.core.configure(1, self.config, self.at)
        self.run()

    # --- what the world does ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Carry out what the core wants, as a switch would."""
        while effects := self.core.take():
            for effect in effects:
                self._obey(effect)

    def _obey(self, effect: Effect) -> None:
        self.done.append(effect)
        match effect:
            case Originate():
                uid = effect.origination.uid
                self.originated[uid] += 1
                self.channels[uid] = Channel(uid)
            case Join():
                self.joins.append(effect)
            case Drop():
                self.dropped.append(effect.uid)
                call = self.core.call_of(effect.uid)
                if call is not None:
                    self.cut.add(call.id)
            case Send():
                self.sent.append(effect)
            case Confer():
                self.confers.append(effect)
            case Mute():
                if effect.uid in self.channels:
                    self.channels[effect.uid].muted = effect.on
            case StartRecording() if effect.again:
                self.core.calls.recorded_again(effect.call_id)
            case Press() | StartRecording() | PauseRecording() | Overhear():
                pass
            case Tell():
                self.told.append(effect.message)
                user = effect.message.user_id
                self.screens.setdefault(user, SeatChannel(user, "epoch", 1)).number(effect.message)
            case Write():
                self.records.append(effect.record)
            case Authorize():
                self.asked.extend(effect.call_ids)
            case LookUp():
                self.looking.append(effect)
            case Free():
                self.freed.extend(effect.call_ids)

    def event(self, event: port.SwitchEvent) -> None:
        self.core.handle(event)
        self.run()

    def link_up(self, lost: frozenset[str] = frozenset(), heard: float | None = None) -> None:
        for uid in lost:
            self.channels.pop(uid, None)
        bridges: dict[str, list[str]] = {}
        for channel in self.channels.values():
            if channel.bridge:
                bridges.setdefault(channel.bridge, []).append(channel.uid)
        snapshot = port.Snapshot(
            {c.uid: self._seen(c) for c in self.channels.values()},
            {name: tuple(members) for name, members in bridges.items()},
        )
        self.event(port.LinkUp(self.at, SWITCH, "22", snapshot, heard))

    def _seen(self, channel: Channel) -> port.Channel:
        since = channel.answered
        stamp = None if since is None else since + SWITCH_AHEAD_S
        name = f"PJSIP/{channel.uid}"
        return port.Channel(channel.uid, name, channel.state, channel.bridge, answered=since, stamp=stamp)

    def link_down(self) -> None:
        self.event(port.LinkDown(self.at, SWITCH, "test"))

    def ring(self, uid: str) -> None:
        self.channels[uid].state = RINGING
        self.event(port.Ringing(self.at, SWITCH, uid))

    def answer(self, uid: str) -> None:
        self.channels[uid].state = UP
        self.event(port.Answered(self.at, SWITCH, uid, f"PJSIP/{uid}", stamp=self.at + SWITCH_AHEAD_S))

    def hang_up(self, uid: str, cause: int = 16) -> None:
        channel = self.channels.pop(uid, None)
        if channel is not None and channel.bridge:
            self._dissolve(channel.bridge)
        self.event(port.HungUp(self.at, SWITCH, uid, cause))

    def bridge(self, join: Join, late_s: float = 0.0) -> None:
        """Join as asked, or refuse where a channel is missing; of a bridge it is heard so long after it was made."""
        here, there = self.channels.get(join.uid), self.channels.get(join.leg)
        if here is None or there is None or here.state != UP or there.state != UP:
            self.core.join_failed(join.call_id, self.at)
            self.run()
            return
        self._dissolve(here.bridge)
        self._dissolve(there.bridge)
        here.bridge = there.bridge = f"b-{join.call_id}"
        stamp = self.at - late_s + SWITCH_AHEAD_S
        self.event(port.Bridged(self.at, SWITCH, join.uid, here.bridge, self.at - late_s, stamp))

    def confer(self, effect: Confer) -> None:
        """Bring the customer in as the third, or refuse where that can't be."""
        here, there = self.channels.get(effect.uid), self.channels.get(effect.leg)
        if here is None or there is None or not there.bridge:
            call = self.core.call_of(effect.uid)
            if call is not None:
                self.core.join_failed(call.id, self.at)
            self.run()
            return
        here.bridge = there.bridge
        self.event(port.Bridged(self.at, SWITCH, here.uid, here.bridge))

    def _dissolve(self, bridge: str) -> None:
        for channel in self.channels.values():
            if bridge and channel.bridge == bridge:
                channel.bridge = ""

    def pass_time(self, seconds: float) -> None:
        until = self.at + seconds
        while self.at < until:
            self.at = min(until, self.at + 0.25)
            self.core.tick(self.at)
            self.run()

    # --- what people do ---------------------------------------------------------------------------------------

    def command(self, command: Command) -> Reply:
        reply = self.core.command(command, self.at)
        self.run()
        return reply

    def seat(self, user_id: int, mode: str = "nailed", ready: bool = True) -> None:
        """A seat that has logged in, whose phone is up, and who is ready."""
        self.command(
            LogIn(
                user_id=user_id, name=f"u{user_id}", phone=f"seat{user_id}", campaigns=(CAMPAIGN,), mode=mode
            )
        )
        if mode == "nailed":
            self.answer(self.core.seats.by_user[user_id].leg)
        if ready:
            self.command(Ready(user_id=user_id))

    def dial(self, count: int = 1) -> list[str]:
        """Place calls whatever pacing says; their ids."""
        leads = [msgspec.structs.replace(lead(self.leads + i + 1), arm=self.arm) for i in range(count)]
        self.leads += count
        self.core.reserve(leads, CAMPAIGN, self.at)
        self.run()
        for call_id in self.asked:
            self.core.permitted(call_id, "", self.at)
        self.asked.clear()
        self.run()
        return [each.call_id for each in leads]

    def call_in(self, called: str = CALLED, caller: str = "13800138000") -> str:
        """A customer calls in; their channel."""
        self.callers += 1
        uid = f"1700000000.{self.callers}"
        self.channels[uid] = Channel(uid, UP)
        self.event(port.CalledIn(self.at, SWITCH, uid, called, caller))
        return uid

    def look_up(self, known: bool = True) -> None:
        """The database says who calls in: a customer, or nobody whom it knows."""
        looking, self.looking = self.looking, []
        for effect in looking:
            found = msgspec.structs.replace(lead(77), call_id=effect.call_id) if known else None
            self.core.looked_up(effect.call_id, found, self.at)
        self.run()

    def join_all(self) -> None:
        joins, self.joins = self.joins, []
        for join in joins:
            self.bridge(join)
        confers, self.confers = self.confers, []
        for effect in confers:
            self.confer(effect)

    # --- what may be asked of it ------------------------------------------------------------------------------

    def outcomes(self) -> dict[str, str]:
        return {r.call_id: r.outcome for r in self.records if isinstance(r, AttemptEnded)}

    def pops(self) -> list[ScreenPop]:
        return [m for m in self.told if isinstance(m, ScreenPop)]

    def check(self) -> None:
        """Everything that must hold between two events."""
        core = self.core
        assert not core.breaches, core.breaches
        calls, seats = core.calls.by_id, core.seats.by_user
        for call in calls.values():
            if call.state in HAS_SEAT:
                assert call.seat is not None and seats[call.seat].call == call.id
            elif call.state is not CallState.RESERVED:
                assert call.seat is None, call
            assert call.state is not CallState.ENDED
            assert (call.party is None) is (call.state not in WITH_PARTY), call
        for seat in seats.values():
            if seat.state in (SeatState.CONNECTING, SeatState.TALKING):
                assert seat.call in calls and calls[seat.call].seat == seat.user_id, seat
            if seat.state is SeatState.ASKED:
                party = calls[seat.call].party
                assert party is not None and party.user == seat.user_id, seat
            if seat.state in (SeatState.READY, SeatState.PAUSED, SeatState.PHONE, SeatState.NO_PHONE):
                assert not seat.call, seat
            shown = self.screens[seat.user_id].pop
            if shown is not None and seat.state in (SeatState.PAUSED, SeatState.PHONE, SeatState.NO_PHONE):
                assert seat.served(shown.call_id) is not None, "a result is asked for that is not taken"
            if seat.state is SeatState.WRAP_UP:
                assert seat.timer, "wrap-up without an end"
            if seat.state is not SeatState.TALKING and core.is_up(SWITCH) and seat.leg in self.channels:
                assert not self.channels[seat.leg].muted, "the next customer would hear nothing"
            asks = seat.call in calls and calls[seat.call].state is CallState.CONSULTING
            if asks and core.is_up(SWITCH) and seat.leg in self.channels:
                assert not self.channels[seat.leg].muted, "who is asked would hear nothing"
        for campaign in core.campaigns.values():
            ready = {s.user_id for s in seats.values() if s.state is SeatState.READY}
            assert set(campaign.idle) == ready
            assert campaign.in_air == sum(c.state in IN_AIR and c.for_any_seat for c in calls.values())
            sent = {
                c.id
                for c in calls.values()
                if c.state is CallState.SENT and c.party is not None and not c.party.number
            }
            assert set(campaign.sent) == sent
            if core.is_up(SWITCH):
                assert not (sent and ready), "a customer who was sent on waits beside an idle seat"
            waiting = {c.id for c in calls.values() if c.state is CallState.WAITING}
            assert set(campaign.waiting) <= waiting
            if core.is_up(SWITCH):
                wanted = {calls[call_id].wanted_seat for call_id in campaign.waiting}
                beside = ready if None in wanted else ready & wanted
                assert not beside, "a customer waits beside an idle seat"
        assert set(core.calls.callers) == {c.channel for c in calls.values() if c.inbound}
        outside = core.calls.parties.by_uid
        assert {c.id for c in outside.values()} <= set(calls)
        assert core.calls.lines.get(SWITCH, 0) == len(calls) + len(outside)
        assert all(n == 1 for n in self.originated.values())
        ended = [r.call_id for r in self.records if isinstance(r, AttemptEnded)]
        assert len(ended) == len(set(ended)), "two outcomes for one call"
        assert not set(ended) & set(calls)
        left = [r for r in self.records if isinstance(r, AttemptEnded) and r.outcome == "hung_up"]
        left = [r for r in left if r.amd not in NO_PERSON and r.call_id in self.cut]
        assert not left, "who was hung up on without a seat is on record as one who left"
