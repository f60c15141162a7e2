"""Whatever comes, in whatever order, twice, late or never: no invariant breaks, no call and no seat is stranded."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from campaigns.config import Inbound
from cti.messages import (
    Complete,
    Confer,
    DialPreviewed,
    Dispose,
    HangUp,
    Hold,
    LogIn,
    LogOut,
    Mute,
    PageBack,
    PageLost,
    Pause,
    PhoneLost,
    Ready,
    Record,
    RedialPhone,
    SendKeys,
    Transfer,
    WhoIsThere,
)
from dialer.core.call import CallState
from dialer.core.seat import SeatState
from dialer.switch import port
from tests.core.world import CALLED, CAMPAIGN, SWITCH, UP, World, config, lead

CALLERS = "17"  # what the channels of customers who call in begin with
USERS = st.integers(1, 3)
PICK = st.integers(0, 1_000)
DOES = (
    "dispose", "wrong_person", "hang_up", "hold", "resume", "mute", "unmute", "keys", "pause_recording", "dial", "skip",
    "who", "ask_number", "send_number", "ask_queue", "send_queue", "confer", "complete",
)  # fmt: skip


class AnyOrder(RuleBasedStateMachine):
    """Seats, customers and a switch that behave, misbehave, and forget."""

    @initialize(amd=st.booleans(), mode=st.sampled_from(["progressive", "ratio", "preview"]))
    def begin(self, amd: bool, mode: str) -> None:
        self.world = World(
            config(
                amd=amd,
                mode=mode,
                wrap_up_s=5.0,
                record=True,
                transfer_numbers=("+8610*",),
                inbound=Inbound((CALLED,), wait_limit_s=30.0),
            )
        )
        self.old: list[str] = []
        self.seat_ready(1, "nailed")
        self.seat_ready(2, "ring")

    def some_uid(self, pick: int, prefix: str = "zd") -> str | None:
        uids = sorted(uid for uid in self.world.channels if uid.startswith((prefix, CALLERS)))
        return uids[pick % len(uids)] if uids else None

    # seats
    @rule(user=USERS, mode=st.sampled_from(["nailed", "ring"]))
    def log_in(self, user: int, mode: str) -> None:
        self.world.command(
            LogIn(user_id=user, name="x", phone=f"seat{user}", campaigns=(CAMPAIGN,), mode=mode)
        )

    @rule(user=USERS, mode=st.sampled_from(["nailed", "ring"]))
    def seat_ready(self, user: int, mode: str) -> None:
        self.log_in(user, mode)
        self.seat_up(user)

    @rule(user=USERS)
    def seat_up(self, user: int) -> None:
        seat = self.world.core.seats.by_user.get(user)
        if seat is not None and seat.leg in self.world.channels:
            self.world.answer(seat.leg)
        self.world.command(Ready(user_id=user))

    @rule(
        user=USERS,
        kind=st.sampled_from([LogOut, Ready, Pause, PageLost, PageBack, PhoneLost, RedialPhone]),
    )
    def seat_does(self, user: int, kind: type) -> None:
        self.world.command(kind(user_id=user))

    @rule(user=USERS, what=st.sampled_from(DOES))
    def seat_acts_on_call(self, user: int, what: str) -> None:
        seat = self.world.core.seats.by_user.get(user)
        if seat is None:
            return
        call = seat.call or seat.last_call
        command = {
            "dispose": Dispose(user_id=user, call_id=call, code="sold"),
            "wrong_person": Dispose(user_id=user, call_id=call, code="wrong_person", hang_up=True),
            "mute": Mute(user_id=user, call_id=call, on=True),
            "unmute": Mute(user_id=user, call_id=call, on=False),
            "keys": SendKeys(user_id=user, call_id=call, keys="1#"),
            "pause_recording": Record(user_id=user, call_id=call, on=False),
            "hang_up": HangUp(user_id=user, call_id=call),
            "hold": Hold(user_id=user, call_id=call, on=True),
            "resume": Hold(user_id=user, call_id=call, on=False),
            "who": WhoIsThere(user_id=user, call_id=call),
            "ask_number": Transfer(user_id=user, call_id=call, to_number="+861069000000"),
            "send_number": Transfer(user_id=user, call_id=call, to_number="+861069000000", ask_first=False),
            "ask_queue": Transfer(user_id=user, call_id=call, to_campaign=CAMPAIGN),
            "send_queue": Transfer(user_id=user, call_id=call, to_campaign=CAMPAIGN, ask_first=False),
            "confer": Confer(user_id=user, call_id=call),
            "complete": Complete(user_id=user, call_id=call),
            "dial": DialPreviewed(user_id=user, call_id=call),
            "skip": DialPreviewed(user_id=user, call_id=call, skip=True),
        }[what]
        self.world.command(command)

    @rule(user=USERS)
    def switch_refused_it(self, user: int) -> None:
        """The hold, or the pause of the recording, that this seat wanted last."""
        seat = self.world.core.seats.by_user.get(user)
        call = self.world.core.calls.by_id.get(seat.call) if seat is not None else None
        if call is not None and self.world.core.is_up(SWITCH):
            self.world.core.calls.not_held(call.uid, self.world.at)
            self.world.core.calls.recording_not_set(call.id, False, "refused", self.world.at)
            self.world.run()

    # calls
    @rule(count=st.integers(1, 4), answered=st.booleans(), joined=st.booleans())
    def dial(self, count: int, answered: bool, joined: bool) -> None:
        """The usual course, as far as it goes."""
        for call_id in self.world.dial(count):
            uid = port.CALL_PREFIX + call_id
            if answered and uid in self.world.channels:
                self.world.ring(uid)
                self.world.answer(uid)
        if joined:
            self.joins_done()

    @rule(user=USERS, logs_out=st.booleans())
    def let_go_before_they_met(self, user: int, logs_out: bool) -> None:
        """The usual course of a seat that leaves as a customer has answered."""
        self.dial(1, answered=True, joined=False)
        if logs_out:
            self.seat_does(user, LogOut)
        else:
            self.seat_acts_on_call(user, "hang_up")
        self.drops_done()

    @rule(known=st.booleans(), withheld=st.booleans(), joined=st.booleans())
    def customer_calls_in(self, known: bool, withheld: bool, joined: bool) -> None:
        """The usual course, as far as it goes."""
        self.world.call_in(caller="" if withheld else "13800138000")
        self.world.look_up(known)
        if joined:
            self.joins_done()

    @rule(pick=PICK)
    def said_again(self, pick: int) -> None:
        """The dialplan says once more that a customer calls in; it may be one whom the engine has let go of."""
        uid = self.some_uid(pick, "17")
        if uid is not None:
            self.world.event(port.CalledIn(self.world.at, SWITCH, uid, CALLED, "13800138000"))

    @rule(known=st.booleans())
    def looked_up(self, known: bool) -> None:
        self.world.look_up(known)

    @rule(pick=PICK, joined=st.booleans())
    def customer_answers(self, pick: int, joined: bool) -> None:
        uid = self.some_uid(pick, port.CALL_PREFIX)
        if uid is not None:
            self.world.answer(uid)
            if self.world.core.campaigns[CAMPAIGN].config.amd:
                self.world.event(port.AmdResult(self.world.at, SWITCH, uid, "HUMAN", ""))
        if joined:
            self.joins_done()

    @rule(
        user=USERS,
        other=USERS,
        ask_first=st.booleans(),
        then=st.sampled_from(["", "confer", "complete", "resume"]),
    )
    def to_a_colleague(self, user: int, other: int, ask_first: bool, then: str) -> None:
        """The usual course of a transfer, as far as it goes."""
        seat = self.world.core.seats.by_user.get(user)
        if seat is not None:
            command = Transfer(user_id=user, call_id=seat.call, to_user=other, ask_first=ask_first)
            self.world.command(command)
            self.time_passes(0.5)
            self.joins_done()
        if then:
            self.seat_acts_on_call(user, then)

    @rule(pick=PICK, then=st.sampled_from(["", "confer", "complete", "resume"]), user=USERS)
    def outside_answers(self, pick: int, then: str, user: int) -> None:
        uid = self.some_uid(pick, port.PARTY_PREFIX)
        if uid is not None:
            self.world.answer(uid)
            self.joins_done()
            if then:
                self.seat_acts_on_call(user, then)

    @rule(pick=PICK)
    def leg_lost(self, pick: int) -> None:
        uid = self.some_uid(pick, port.LEG_PREFIX)
        if uid is not None:
            self.old.append(uid)
            self.world.hang_up(uid)

    @rule(user=USERS, joined=st.booleans())
    def preview_and_dial(self, user: int, joined: bool) -> None:
        self.preview(user)
        self.seat_acts_on_call(user, "dial")
        self.rules_answer(True)
        self.customer_answers(0, joined)

    @rule(count=st.integers(1, 3))
    def reserve(self, count: int) -> None:
        world = self.world
        leads = [lead(world.leads + i + 1) for i in range(count)]
        world.leads += count
        world.core.reserve(leads, CAMPAIGN, world.at)
        world.run()

    @rule(permit=st.booleans())
    def rules_answer(self, permit: bool) -> None:
        asked, self.world.asked = self.world.asked, []
        for call_id in asked:
            if permit:
                self.world.core.permitted(call_id, "", self.world.at)
            else:
                self.world.core.refused(call_id, "window", self.world.at)
        self.world.run()

    @rule(user=USERS)
    def preview(self, user: int) -> None:
        world = self.world
        world.leads += 1
        shown = lead(world.leads)
        if not world.core.show(user, shown, CAMPAIGN, world.at):
            world.freed.append(shown.call_id)
        world.run()

    @rule(pick=PICK)
    def ring(self, pick: int) -> None:
        uid = self.some_uid(pick)
        if uid is not None and self.world.channels[uid].state != UP:
            self.world.ring(uid)

    @rule(pick=PICK, repeat=st.booleans())
    def answer(self, pick: int, repeat: bool) -> None:
        uid = self.some_uid(pick)
        if uid is not None:
            self.world.answer(uid)
            if repeat and uid in self.world.channels:
                self.world.answer(uid)

    @rule(pick=PICK, status=st.sampled_from(["HUMAN", "MACHINE", "NOTSURE", "HANGUP"]))
    def amd(self, pick: int, status: str) -> None:
        uid = self.some_uid(pick)
        if uid is not None:
            self.world.event(port.AmdResult(self.world.at, SWITCH, uid, status, ""))

    @rule(pick=PICK, cause=st.sampled_from([0, 16, 17, 19, 34, 1]), repeat=st.booleans())
    def hang_up(self, pick: int, cause: int, repeat: bool) -> None:
        uid = self.some_uid(pick)
        if uid is not None:
            self.old.append(uid)
            self.world.hang_up(uid, cause)
            if repeat:
                self.world.event(port.HungUp(self.world.at, SWITCH, uid, cause))

    @rule(pick=PICK)
    def channel_vanishes_unheard(self, pick: int) -> None:
        self.world.channels.pop(self.some_uid(pick) or "", None)

    @rule(pick=PICK)
    def originate_fails(self, pick: int) -> None:
        uid = self.some_uid(pick)
        if uid is not None and self.world.channels[uid].state != UP:
            self.world.channels.pop(uid)
            self.world.event(port.OriginateFailed(self.world.at, SWITCH, uid, 3))

    @rule()
    def joins_done(self) -> None:
        self.world.join_all()

    @rule(late_s=st.sampled_from([0.3, 1.0, 4.0]))
    def joins_heard_late(self, late_s: float) -> None:
        joins, self.world.joins = self.world.joins, []
        for join in joins:
            self.world.bridge(join, late_s)

    @rule()
    def joins_lost(self) -> None:
        self.world.joins.clear()
        self.world.confers.clear()

    @rule()
    def drops_done(self) -> None:
        dropped, self.world.dropped = self.world.dropped, []
        for uid in dropped:
            if uid in self.world.channels:
                self.world.hang_up(uid)
            else:
                self.world.core.no_such_channel(uid, self.world.at)
                self.world.run()

    @precondition(lambda self: self.old)
    @rule(pick=PICK, kind=st.sampled_from([port.Ringing, port.Answered, port.Bridged, port.Created]))
    def late_event(self, pick: int, kind: type) -> None:
        uid = self.old[pick % len(self.old)]
        more = {port.Answered: ("PJSIP/x",), port.Created: ("PJSIP/x",), port.Bridged: ("b",)}.get(kind, ())
        self.world.event(kind(self.world.at, SWITCH, uid, *more))

    @rule(pick=PICK, opted=st.booleans())
    def harbour_done(self, pick: int, opted: bool) -> None:
        uid = self.some_uid(pick)
        if uid is not None:
            self.world.core.harbour_done(uid, True, opted, self.world.at)
            self.world.run()

    # the switch and time
    @rule()
    def link_down(self) -> None:
        self.world.link_down()

    @rule(lose=st.booleans())
    def link_up(self, lose: bool) -> None:
        self.world.link_up(frozenset(self.world.channels) if lose else frozenset())

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 3.0, 12.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @invariant()
    def everything_holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        """However it went, it ends: every call with one outcome, every seat where its user can leave."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.joins.clear()
        self.rules_answer(False)
        for uid in list(world.channels):
            if uid.startswith((port.CALL_PREFIX, CALLERS)):
                world.hang_up(uid)
        world.link_up()
        for _ in range(4):
            world.pass_time(60.0)
            self.drops_done()
            self.rules_answer(False)
        world.check()
        assert not world.core.calls.by_id, [c.state for c in world.core.calls.by_id.values()]
        dialed = {uid[4:] for uid in world.originated if uid.startswith(port.CALL_PREFIX)}
        assert dialed <= set(world.outcomes())
        for user in list(world.core.seats.by_user):
            world.command(LogOut(user_id=user))
        assert not world.core.seats.by_user
        assert not world.core.previews


AnyOrder.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestAnyOrder = AnyOrder.TestCase


def test_the_tables_have_a_way_out_of_every_state() -> None:
    from dialer.core.call import CALL
    from dialer.core.seat import SEAT

    for table, states, end in ((CALL, CallState, CallState.ENDED), (SEAT, SeatState, SeatState.OFFLINE)):
        reach = {end}
        while True:
            more = {s for (s, _), (following, _) in table.entries.items() if following in reach} - reach
            if not more:
                break
            reach |= more
        assert reach == set(states), f"{table.name}: no way out of {set(states) - reach}"
