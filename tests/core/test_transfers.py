"""A customer is sent on: to a colleague, to a campaign's seats, outside; asked first, all three, and back again."""

from __future__ import annotations

import pytest
from msgspec import structs

from campaigns.config import ConfigError, parse
from campaigns.records import AttemptEnded, Dispositioned, OptedOut, OutsideEnded, SeatChanged
from campaigns.values import InFlight
from cti.messages import (
    CallStatus,
    Complete,
    Confer,
    CustomerEdited,
    DialPreviewed,
    Dispose,
    HangUp,
    Hold,
    Mute,
    Pause,
    Ready,
    Record,
    Reply,
    SaveNotes,
    SeatStatus,
    Targets,
    Transfer,
    WhoIsThere,
)
from dialer.core.effects import Originate, PauseRecording
from dialer.core.seats import paced
from dialer.switch.port import PARTY_PREFIX
from pacing.contract import SeatState as PacedState
from tests.core.test_verdicts import FULL
from tests.core.world import CAMPAIGN, SWITCH, UP, Channel, World, config, lead

LINA, ZHANG = 7, 8
DESK = "+861069001234"


class Floor(World):
    """Lina, 7, has a customer."""

    def __init__(self, **changes: object) -> None:
        super().__init__(config(**{"transfer_numbers": ("+86106900????",), "wrap_up_s": 60.0} | changes))
        self.seat(LINA)
        [self.call_id] = self.dial()
        self.customer = f"zdc-{self.call_id}"
        self.answer(self.customer)
        self.join_all()

    def transfer(self, ask_first: bool = True, **to: object) -> Reply:
        fields = {"user_id": LINA, "call_id": self.call_id, "ask_first": ask_first}
        reply = self.command(Transfer(**(fields | (to or {"to_user": ZHANG}))))  # type: ignore[arg-type]
        self.settle()
        self.check()
        return reply

    def settle(self) -> None:
        """What is to be joined soon is joined."""
        self.pass_time(0.5)
        self.join_all()

    def complete(self) -> None:
        assert self.command(Complete(user_id=LINA, call_id=self.call_id)).ok
        self.join_all()
        self.check()

    def state(self, user: int) -> str:
        return self.core.seats.by_user[user].state.value

    def call_state(self) -> str:
        return self.core.calls.by_id[self.call_id].state.value

    def leg(self, user: int) -> str:
        return self.core.seats.by_user[user].leg

    def outside(self) -> str:
        """The channel of the outside number."""
        [uid] = [uid for uid in self.channels if uid.startswith(PARTY_PREFIX)]
        return uid

    def together(self, *uids: str) -> bool:
        bridges = {self.channels[uid].bridge for uid in uids}
        return len(bridges) == 1 and "" not in bridges

    def shown(self, user: int) -> tuple[str, str]:
        """What this seat's page says of the call, and of whom else."""
        newest = [m for m in self.told if isinstance(m, CallStatus) and m.user_id == user][-1]
        return newest.state, newest.party

    def drop(self) -> None:
        """The switch hangs up what it was told to."""
        for uid in self.dropped:
            if uid in self.channels:
                self.hang_up(uid)


class Previewed(Floor):
    """Lina has previewed her customer, and dialed."""

    def __init__(self) -> None:
        super().__init__(mode="preview")

    def dial(self, count: int = 1) -> list[str]:
        self.leads += count
        shown = lead(self.leads)
        assert self.core.show(LINA, shown, CAMPAIGN, self.at)
        assert self.command(DialPreviewed(user_id=LINA, call_id=shown.call_id)).ok
        [call_id] = self.asked
        self.core.permitted(call_id, "", self.at)
        self.asked.clear()
        self.run()
        return [call_id]


def test_a_colleague_is_asked_and_takes_the_customer_over() -> None:
    floor = Floor()
    floor.seat(ZHANG)
    assert floor.transfer().ok
    assert floor.together(floor.leg(LINA), floor.leg(ZHANG)) and not floor.channels[floor.customer].bridge
    assert (floor.state(LINA), floor.state(ZHANG), floor.call_state()) == ("talking", "asked", "consulting")
    assert (floor.shown(LINA), floor.shown(ZHANG)) == (("consulting", "u8"), ("consulting", "u7"))
    assert floor.pops()[-1].user_id == ZHANG  # sees of whom they speak
    floor.complete()
    assert floor.together(floor.customer, floor.leg(ZHANG))
    assert (floor.state(LINA), floor.state(ZHANG), floor.call_state()) == (
        "wrap_up",
        "talking",
        "connected",
    )
    assert floor.command(Dispose(user_id=LINA, call_id=floor.call_id, code="interested")).ok
    assert floor.state(LINA) == "ready"
    floor.hang_up(floor.customer)
    assert floor.state(ZHANG) == "wrap_up"
    [ended] = [r for r in floor.records if isinstance(r, AttemptEnded)]
    assert (ended.outcome, ended.user_id) == ("connected", ZHANG)


def test_going_back_frees_the_colleague_without_wrap_up() -> None:
    floor = Floor()
    floor.seat(ZHANG)
    floor.transfer()
    floor.command(Hold(user_id=LINA, call_id=floor.call_id, on=False))
    floor.join_all()
    assert floor.together(floor.customer, floor.leg(LINA))
    assert (floor.state(LINA), floor.state(ZHANG), floor.call_state()) == ("talking", "ready", "connected")
    floor.check()


def test_all_three_and_then_the_colleague_alone_with_the_customer() -> None:
    floor = Floor()
    floor.seat(ZHANG)
    floor.transfer()
    assert floor.command(Confer(user_id=LINA, call_id=floor.call_id)).ok
    floor.join_all()
    assert floor.together(floor.customer, floor.leg(LINA), floor.leg(ZHANG))
    assert floor.shown(LINA) == ("conference", "u8")
    floor.complete()
    assert floor.together(floor.customer, floor.leg(ZHANG))
    assert floor.state(LINA) == "wrap_up"


@pytest.mark.parametrize(
    "how", ["the colleague goes back", "the phone is lost", "the phone is not picked up"]
)
def test_who_was_asked_and_pauses_owes_no_result_of_a_colleagues_customer(how: str) -> None:
    floor = Floor()
    floor.seat(ZHANG, mode="ring" if how == "the phone is not picked up" else "nailed")
    floor.transfer()
    assert floor.screens[ZHANG].pop is not None
    floor.command(Pause(user_id=ZHANG))
    if how == "the colleague goes back":
        floor.command(Hold(user_id=LINA, call_id=floor.call_id, on=False))
    else:
        floor.hang_up(floor.leg(ZHANG))
    floor.settle()
    assert floor.state(ZHANG) == ("no_phone" if how == "the phone is lost" else "paused")
    assert floor.screens[ZHANG].pop is None
    floor.check()


@pytest.mark.parametrize("conference", [False, True])
def test_a_customer_who_hangs_up_meanwhile_ends_it_for_all(conference: bool) -> None:
    floor = Floor()
    floor.seat(ZHANG)
    floor.transfer()
    if conference:
        floor.command(Confer(user_id=LINA, call_id=floor.call_id))
        floor.join_all()
    floor.hang_up(floor.customer)
    assert (floor.state(LINA), floor.state(ZHANG)) == ("wrap_up", "ready")
    floor.check()


@pytest.mark.parametrize("conference", [False, True])
def test_a_colleague_who_leaves_leaves_the_two_as_they_were(conference: bool) -> None:
    floor = Floor()
    floor.seat(ZHANG)
    floor.transfer()
    if conference:
        floor.command(Confer(user_id=LINA, call_id=floor.call_id))
        floor.join_all()
    assert floor.command(HangUp(user_id=ZHANG, call_id=floor.call_id)).ok
    floor.settle()
    assert (floor.state(LINA), floor.state(ZHANG)) == ("talking", "ready")
    assert floor.call_state() == ("connected" if conference else "held")
    assert floor.shown(LINA)[0] == ("connected" if conference else "held")
    floor.check()


def test_two_who_could_not_be_joined_again_at_once_are_tried_again() -> None:
    """When the third hangs up the bridge of all three ends, and a channel that just leaves it can't be had."""
    floor = Floor()
    floor.seat(ZHANG)
    floor.transfer()
    floor.command(Confer(user_id=LINA, call_id=floor.call_id))
    floor.join_all()
    floor.command(HangUp(user_id=ZHANG, call_id=floor.call_id))
    floor.pass_time(0.5)
    floor.joins.clear()
    floor.core.join_failed(floor.call_id, floor.at)
    floor.settle()
    assert floor.together(floor.customer, floor.leg(LINA))
    assert (floor.call_state(), floor.state(LINA)) == ("connected", "talking")


def test_a_colleague_who_is_asked_gives_no_result_and_is_busy_for_pacing() -> None:
    floor = Floor()
    floor.seat(ZHANG)
    floor.transfer()
    assert floor.command(Dispose(user_id=ZHANG, call_id=floor.call_id, code="sold")).code == "not_your_call"
    assert paced(floor.core.seats.by_user[ZHANG], floor.at).state is PacedState.TALK
    log = [r.state for r in floor.records if isinstance(r, SeatChanged) and r.user_id == ZHANG]
    assert log[-1] == "asked"


def test_who_is_asked_writes_nothing_down_and_goes_on_with_what_is_there_once_it_is_theirs() -> None:
    floor = Floor(script=FULL.script)
    floor.seat(ZHANG)

    def save(user: int, notes: str, **answers: str) -> str:
        return floor.command(
            SaveNotes(user_id=user, call_id=floor.call_id, notes=notes, answers=answers)
        ).code

    assert save(LINA, "hers", bill="99") == "ok"
    floor.transfer()
    assert (floor.pops()[-1].user_id, floor.pops()[-1].notes) == (ZHANG, "hers")
    assert save(ZHANG, "his") == "not_your_call"
    assert save(LINA, "hers, and more", bill="99") == "ok"
    floor.told.clear()
    floor.complete()
    [pop] = floor.pops()
    assert (pop.user_id, pop.notes, pop.answers) == (ZHANG, "hers, and more", {"bill": "99"})
    [status] = [m for m in floor.told if isinstance(m, SeatStatus) and m.state == "connecting"]
    assert floor.told.index(pop) < floor.told.index(status)  # the page was asked until then
    assert save(LINA, "hers, too late") == "not_your_call"
    assert save(ZHANG, "hers, and his", bill="99") == "ok"
    floor.hang_up(floor.customer)
    assert save(LINA, "hers, later still") == "not_your_call"
    assert save(ZHANG, "hers, and his", bill="98") == "ok"


def test_what_was_written_down_outlives_the_engine() -> None:
    here = World()
    flight = InFlight(
        lead(5).call_id, 1, lead(5), "x", True, SWITCH, LINA, notes="hers", answers={"bill": "99"}
    )
    here.core.recover([flight], {}, here.at)
    here.channels[f"zdc-{flight.call_id}"] = Channel(f"zdc-{flight.call_id}", UP)
    here.link_up()
    call = here.core.calls.by_id[flight.call_id]
    assert (call.notes, call.answers) == ("hers", {"bill": "99"})


def test_who_hangs_up_while_the_rules_are_asked_has_nobody_dialed() -> None:
    world = World(config(mode="preview"))
    world.seat(LINA)
    assert world.core.show(LINA, lead(1), CAMPAIGN, world.at)
    assert world.command(DialPreviewed(user_id=LINA, call_id=lead(1).call_id)).ok
    assert world.command(HangUp(user_id=LINA, call_id=lead(1).call_id)).ok
    world.core.permitted(lead(1).call_id, "", world.at)
    world.run()
    assert world.outcomes() == {lead(1).call_id: "cancelled"}
    assert [m.cause for m in world.told if isinstance(m, CallStatus)] == ["agent"]
    assert world.core.seats.by_user[LINA].state.value == "ready"
    world.check()


def test_a_customer_sent_on_comes_with_what_was_written_down() -> None:
    floor = Floor()
    floor.seat(ZHANG)
    floor.command(SaveNotes(user_id=LINA, call_id=floor.call_id, notes="hers"))
    floor.transfer(ask_first=False)
    assert (floor.pops()[-1].user_id, floor.pops()[-1].notes) == (ZHANG, "hers")


def test_who_sent_a_customer_on_may_still_say_that_they_want_no_more_calls() -> None:
    floor = Floor()
    floor.seat(ZHANG)
    floor.transfer(ask_first=False)
    said = SaveNotes(user_id=LINA, call_id=floor.call_id, notes="late", do_not_call=True)
    assert floor.command(said).code == "not_your_call"  # the notes are the other one's
    assert [r.source for r in floor.records if isinstance(r, OptedOut)] == ["agent"]
    assert floor.core.calls.by_id[floor.call_id].notes == ""


def test_a_colleague_sees_what_was_put_right_before() -> None:
    floor = Floor()
    floor.seat(ZHANG)
    right = CustomerEdited(user_id=LINA, call_id=floor.call_id, name="王小明", attributes={"plan": "family"})
    assert floor.command(structs.replace(right, user_id=ZHANG)).code == "not_your_call"
    assert floor.command(right).ok
    floor.transfer()
    assert (floor.pops()[-1].user_id, floor.pops()[-1].customer) == (ZHANG, "王小明")
    assert floor.pops()[-1].attributes == {"plan": "family"}
    floor.hang_up(floor.customer)
    assert floor.command(right).code == "not_your_call"  # nobody has them any more


def test_what_was_put_right_at_a_preview_goes_with_the_call() -> None:
    world = World(config(mode="preview"))
    world.seat(LINA)
    world.seat(ZHANG)
    shown = lead(1).call_id
    assert world.core.show(LINA, lead(1), CAMPAIGN, world.at)
    assert world.command(CustomerEdited(user_id=LINA, call_id=shown, name="王小明", attributes={})).ok
    assert world.command(DialPreviewed(user_id=LINA, call_id=shown)).ok
    world.core.permitted(shown, "", world.at)
    world.run()
    assert world.core.calls.by_id[shown].lead.name == "王小明"


def test_the_verdict_of_who_has_handed_the_customer_on_says_so() -> None:
    floor = Floor()
    floor.seat(ZHANG)

    def verdict(user: int) -> bool:
        assert floor.command(Dispose(user_id=user, call_id=floor.call_id, code="sold", and_ready=False)).ok
        return [r for r in floor.records if isinstance(r, Dispositioned)][-1].handed_on

    assert not verdict(LINA)
    floor.transfer(ask_first=False)
    assert (verdict(LINA), verdict(ZHANG)) == (True, False)
    floor.hang_up(floor.customer)
    assert (verdict(ZHANG), verdict(LINA)) == (False, True)


def test_the_verdict_on_a_customer_whom_nobody_took_is_that_of_who_sent_them_on() -> None:
    floor = Floor()
    floor.transfer(ask_first=False, to_campaign=CAMPAIGN)
    floor.hang_up(floor.customer)
    assert floor.command(Dispose(user_id=LINA, call_id=floor.call_id, code="sold")).ok
    [said] = [r for r in floor.records if isinstance(r, Dispositioned)]
    assert not said.handed_on


def test_who_had_muted_the_customer_is_heard_by_whom_they_ask_and_mutes_with_all_three_anew() -> None:
    floor = Floor()
    floor.seat(ZHANG)

    def mute(on: bool) -> str:
        return floor.command(Mute(user_id=LINA, call_id=floor.call_id, on=on)).code

    def muted() -> tuple[bool, bool]:
        newest = [m for m in floor.told if isinstance(m, CallStatus) and m.user_id == LINA][-1]
        return floor.channels[floor.leg(LINA)].muted, newest.muted

    assert mute(True) == "ok" and muted() == (True, True)
    floor.transfer()
    assert muted() == (False, False)
    floor.command(Confer(user_id=LINA, call_id=floor.call_id))
    assert mute(True) == "ok" and muted() == (True, True)
    floor.confers.clear()
    floor.core.join_failed(floor.call_id, floor.at)  # the three could not be brought together
    floor.run()
    assert floor.call_state() == "consulting" and muted() == (False, False)
    floor.check()


def test_while_the_switch_is_away_who_is_asked_is_not_left_for_the_customer() -> None:
    floor = Floor()
    floor.seat(ZHANG)
    assert floor.transfer().ok
    floor.link_down()
    assert floor.command(Hold(user_id=LINA, call_id=floor.call_id, on=False)).code == "switch_down"
    assert (floor.call_state(), floor.state(ZHANG)) == ("consulting", "asked")
    floor.link_up()
    assert floor.command(Hold(user_id=LINA, call_id=floor.call_id, on=False)).ok
    floor.join_all()
    assert floor.together(floor.customer, floor.leg(LINA))
    floor.check()


def test_a_conference_that_ended_while_the_link_was_away_leaves_nobody_muted() -> None:
    floor = Floor()
    floor.seat(ZHANG)
    floor.transfer()
    floor.command(Confer(user_id=LINA, call_id=floor.call_id))
    floor.command(Mute(user_id=LINA, call_id=floor.call_id, on=True))
    floor.confers.clear()
    floor.link_down()
    floor.core.join_failed(floor.call_id, floor.at)
    floor.link_up()
    assert floor.call_state() == "consulting" and not floor.channels[floor.leg(LINA)].muted
    floor.check()


def test_a_previewed_customer_who_was_handed_on_and_lost_the_seat_is_anyones() -> None:
    floor = Previewed()
    floor.seat(ZHANG)
    floor.transfer(ask_first=False)
    assert floor.state(ZHANG) == "talking"
    floor.command(Ready(user_id=LINA))
    assert floor.core.show(LINA, lead(50), CAMPAIGN, floor.at)  # her next one
    floor.seat(9)
    floor.hang_up(floor.leg(ZHANG))
    assert (floor.state(LINA), floor.state(9)) == ("preview", "connecting")
    floor.join_all()
    assert floor.together(floor.customer, floor.leg(9))
    floor.check()


def test_a_customer_sent_to_a_colleague_is_theirs_at_once() -> None:
    floor = Floor()
    floor.seat(ZHANG)
    assert floor.transfer(ask_first=False).ok
    assert floor.together(floor.customer, floor.leg(ZHANG))
    assert (floor.state(LINA), floor.state(ZHANG)) == ("wrap_up", "talking")
    assert floor.pops()[-1].user_id == ZHANG


def test_where_the_colleagues_phone_is_not_picked_up_the_customer_comes_back() -> None:
    floor = Floor()
    floor.seat(ZHANG, "ring")
    floor.transfer(ask_first=False)
    floor.hang_up(floor.leg(ZHANG), 19)
    floor.join_all()
    assert (floor.state(LINA), floor.state(ZHANG)) == ("talking", "paused")
    assert floor.together(floor.customer, floor.leg(LINA))
    floor.check()


def test_a_customer_sent_to_a_campaigns_seats_waits_with_music_for_the_next_that_is_ready() -> None:
    floor = Floor()
    assert floor.transfer(ask_first=False, to_campaign=CAMPAIGN).ok
    assert (floor.call_state(), floor.state(LINA)) == ("sent", "wrap_up")
    floor.seat(ZHANG)
    floor.join_all()
    assert floor.together(floor.customer, floor.leg(ZHANG))
    floor.check()


def test_whom_nobody_takes_in_time_comes_back_to_the_seat_in_wrap_up() -> None:
    floor = Floor()
    floor.transfer(ask_first=False, to_campaign=CAMPAIGN)
    floor.pass_time(31.0)
    floor.join_all()
    assert (floor.call_state(), floor.state(LINA)) == ("connected", "talking")
    assert floor.together(floor.customer, floor.leg(LINA))
    floor.check()


def test_an_outside_number_is_asked_and_then_has_the_customer_without_any_seat() -> None:
    floor = Floor()
    assert floor.transfer(to_number="+86 10 6900-1234").ok
    [asked] = [e for e in floor.done if isinstance(e, Originate) and e.origination.uid == floor.outside()]
    call = asked.origination
    assert asked.outside is not None and (asked.outside.by.user_id, asked.outside.number) == (LINA, DESK)
    assert call.dial == "PJSIP/861069001234@carrier"
    assert floor.shown(LINA) == ("asking", DESK)
    floor.answer(floor.outside())
    floor.join_all()
    assert floor.together(floor.leg(LINA), floor.outside())
    floor.complete()
    assert floor.together(floor.customer, floor.outside())
    assert (floor.state(LINA), floor.call_state()) == ("wrap_up", "outside")
    floor.pass_time(50.0)
    floor.hang_up(floor.outside())
    floor.drop()
    [ended] = [r for r in floor.records if isinstance(r, AttemptEnded)]
    assert ended.outcome == "connected" and ended.talk_s == 50.5  # the consultation too
    [over] = [r for r in floor.records if isinstance(r, OutsideEnded)]
    assert over.uid == call.uid
    floor.check()


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("ask_first", [False, True])
def test_what_a_customer_says_to_an_outside_number_is_not_recorded(ask_first: bool, paused: bool) -> None:
    """And once they are back with a seat it is as that seat had it."""
    floor = Floor(record=True)
    if paused:
        assert floor.command(Record(user_id=LINA, call_id=floor.call_id, on=False)).ok
    floor.transfer(ask_first=ask_first, to_number=DESK)
    floor.done.clear()
    floor.answer(floor.outside())
    if ask_first:
        floor.join_all()
        floor.complete()
    assert [e.on for e in floor.done if isinstance(e, PauseRecording)] == [False]
    floor.done.clear()
    floor.joins.clear()
    floor.core.join_failed(floor.call_id, floor.at)  # the two could not be brought together
    floor.run()
    floor.join_all()
    assert (floor.call_state(), floor.state(LINA)) == ("connected", "talking")
    assert [e.on for e in floor.done if isinstance(e, PauseRecording)] == [not paused]
    floor.check()


def test_an_outside_number_that_is_busy_leaves_the_customer_on_hold() -> None:
    floor = Floor()
    floor.transfer(to_number=DESK)
    floor.hang_up(floor.outside(), 17)
    assert (floor.call_state(), floor.shown(LINA)) == ("held", ("held", ""))
    floor.check()


def test_a_customer_sent_outside_comes_back_where_nobody_answers() -> None:
    floor = Floor()
    floor.transfer(ask_first=False, to_number=DESK)
    assert floor.state(LINA) == "wrap_up"
    floor.hang_up(floor.outside(), 19)
    floor.join_all()
    assert (floor.call_state(), floor.state(LINA)) == ("connected", "talking")


def test_a_customer_who_hangs_up_while_the_outside_number_rings_ends_that_too() -> None:
    floor = Floor()
    floor.transfer(ask_first=False, to_number=DESK)
    outside = floor.outside()
    floor.hang_up(floor.customer)
    assert outside in floor.dropped
    floor.check()


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ({"to_number": "+447911123456"}, "number_not_allowed"),
        ({"to_number": "+86106900123"}, "number_not_allowed"),
        ({"to_number": "+8610690012345"}, "number_not_allowed"),
        ({"to_number": "1;rm"}, "bad_number"),
        ({"to_number": "861069001234@elsewhere"}, "bad_number"),
        ({"to_campaign": "summer"}, "campaign_not_allowed"),
        ({"to_campaign": CAMPAIGN}, "nobody_free"),
        ({"to_user": 99}, "nobody_there"),
        ({"to_user": LINA}, "not_free"),
    ],
)
def test_a_refusal_says_which_rule(to: dict[str, object], code: str) -> None:
    floor = Floor()
    assert floor.transfer(**to).code == code  # type: ignore[arg-type]
    assert floor.call_state() == "connected"


def test_a_campaign_without_numbers_sends_nobody_outside() -> None:
    assert Floor(transfer_numbers=()).transfer(to_number=DESK).code == "no_numbers"


@pytest.mark.parametrize("pattern", ["*", "+*", "+8*", "00?*", "+86*10", "sip:x", "+86 10*"])
def test_a_pattern_that_lets_all_the_world_through_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="transfer_numbers"):
        parse(f'name = "x"\nswitch = "y"\ntransfer_numbers = ["{pattern}"]', "x")


def test_the_page_is_told_who_is_there() -> None:
    floor = Floor()
    floor.seat(ZHANG)
    floor.seat(9, ready=False)
    assert floor.command(WhoIsThere(user_id=LINA, call_id=floor.call_id)).ok
    [targets] = [m for m in floor.told if isinstance(m, Targets)]
    assert [(each.user_id, each.name) for each in targets.seats] == [(ZHANG, "u8")]
    assert [(each.campaign, each.ready) for each in targets.queues] == [(CAMPAIGN, 1)]
    assert targets.numbers


def test_a_call_outside_outlives_the_link_and_the_engines_own_restart_knows_it() -> None:
    floor = Floor()
    floor.transfer(ask_first=False, to_number=DESK)
    floor.answer(floor.outside())
    floor.join_all()
    floor.link_down()
    floor.link_up()
    assert floor.call_state() == "outside" and floor.together(floor.customer, floor.outside())
    floor.check()
    floor.link_down()
    floor.link_up(frozenset({floor.outside()}))
    floor.drop()
    assert floor.outcomes() == {floor.call_id: "connected"}
    floor.check()
