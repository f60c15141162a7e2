"""A person's callback reaches that person's seat: at once when it is free, else at its next free moment."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from campaigns.records import Dispositioned
from campaigns.values import Lead
from cti.messages import DialPreviewed, Dispose, LogOut, Pause, Ready, Reply, ScreenPop, Targets, WhoIsThere
from dialer.core.seat import SeatState
from tests.core.world import CAMPAIGN, World, config, lead

LI, WU = 1, 2


def mine(number: int, user: int = LI) -> Lead:
    return msgspec.structs.replace(lead(number), user_id=user)


def talk(world: World, user: int) -> str:
    """A customer whom this seat talks to; the call's id."""
    [call_id] = world.dial()
    world.answer(world.core.calls.by_id[call_id].uid)
    world.join_all()
    assert world.core.seats.by_user[user].state is SeatState.TALKING
    return call_id


def pops(world: World, user: int) -> list[ScreenPop]:
    return [m for m in world.told if isinstance(m, ScreenPop) and m.user_id == user]


def due(world: World, callback: Lead) -> None:
    world.core.callbacks.due(CAMPAIGN, callback, world.at)
    world.run()


@pytest.mark.parametrize("mode", ["progressive", "predictive", "preview"])
def test_a_free_person_sees_their_callback_at_once_and_dials_it_when_they_say_so(mode: str) -> None:
    world = World(config(mode=mode))
    world.seat(LI)
    world.seat(WU)
    due(world, mine(9, WU))
    assert [pop.call_id for pop in pops(world, WU)] == [mine(9).call_id] and pops(world, WU)[0].preview
    assert not pops(world, LI) and WU not in world.core.campaigns[CAMPAIGN].idle
    assert world.core.command(DialPreviewed(user_id=WU, call_id=mine(9).call_id), world.at).ok
    world.run()
    assert world.asked == [mine(9).call_id]
    assert world.core.calls.by_id[mine(9).call_id].wanted_seat == WU


def test_who_talks_gets_it_after_the_call_and_before_any_other_customer() -> None:
    world = World()
    world.seat(LI)
    talk(world, LI)
    due(world, mine(9))
    assert world.core.callbacks.persons(CAMPAIGN) == []  # one at a time
    world.hang_up(world.core.calls.by_id[world.core.seats.by_user[LI].call].uid)
    seat = world.core.seats.by_user[LI]
    assert seat.state is SeatState.WRAP_UP
    world.command(Ready(user_id=LI))
    assert seat.state is SeatState.PREVIEW and seat.call == mine(9).call_id


@pytest.mark.parametrize("leaving", [LogOut(user_id=LI), Pause(user_id=LI, reason="lunch")])
def test_who_leaves_gives_it_back(leaving: LogOut | Pause) -> None:
    world = World()
    world.seat(LI)
    talk(world, LI)
    due(world, mine(9))
    assert world.core.command(leaving, world.at).ok
    world.core.callbacks.let_go()
    world.run()
    assert world.freed == [mine(9).call_id] and not world.core.callbacks.waiting
    assert world.core.callbacks.persons(CAMPAIGN) == []


def test_who_is_not_there_any_more_is_not_waited_for() -> None:
    world = World()
    due(world, mine(9))
    assert world.freed == [mine(9).call_id]


def test_only_those_at_work_for_the_campaign_are_asked_for() -> None:
    world = World()
    world.seat(LI)
    assert world.core.callbacks.persons(CAMPAIGN) == [LI]
    assert world.core.callbacks.persons("summer") == []


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ({"callback_local": "2026-11-25T15:30"}, datetime(2026, 11, 25, 7, 30, tzinfo=UTC)),  # in Shanghai
        ({"callback_at": 1_800_000_000.0}, datetime.fromtimestamp(1_800_000_000, UTC)),
    ],
)
def test_a_callback_is_due_in_the_customers_own_time_and_is_no_final_result(
    told: dict[str, object], at: datetime
) -> None:
    world = World()
    world.seat(LI)
    call = talk(world, LI)
    command = Dispose(user_id=LI, call_id=call, code="sold", callback_for=LI, **told)  # type: ignore[arg-type]
    assert world.core.command(command, world.at).ok
    world.run()
    [record] = [r for r in world.records if isinstance(r, Dispositioned)]
    assert (record.callback_at, record.personal, record.final) == (at, True, False)
    assert record.team_at is not None and record.anyone_at is not None and record.expires_at is not None
    assert (record.team_at - at).total_seconds() == world.config.callbacks.personal_wait_s
    assert (record.anyone_at - record.team_at).total_seconds() == world.config.callbacks.team_wait_s
    assert (record.expires_at - at).total_seconds() == world.config.callbacks.expire_s


def test_a_colleague_who_is_at_a_seat_may_be_the_one_who_calls_back() -> None:
    world = World()
    world.seat(LI)
    world.seat(WU, ready=False)
    call = talk(world, LI)
    world.hang_up(world.core.calls.by_id[call].uid)
    assert world.command(WhoIsThere(user_id=LI, call_id=call)).ok  # in wrap-up, too: to choose from
    [targets] = [m for m in world.told if isinstance(m, Targets)]
    assert ([each.user_id for each in targets.team], targets.seats, targets.queues) == ([WU], (), ())
    verdict = Dispose(
        user_id=LI, call_id=call, code="sold", callback_local="2026-11-25T15:30", callback_for=99
    )
    assert world.command(verdict).code == "colleague_away"
    assert world.command(msgspec.structs.replace(verdict, callback_for=WU)).ok
    [record] = [r for r in world.records if isinstance(r, Dispositioned)]
    assert (record.user_id, record.personal, record.callback_for) == (LI, True, WU)


@pytest.mark.parametrize(
    "local", ["tomorrow", "2026-11-25T15:30+08:00", "1900-01-01T00:00", "9999-12-31T23:59"]
)
def test_a_time_that_is_none_is_refused(local: str) -> None:
    world = World()
    world.seat(LI)
    call = talk(world, LI)
    reply = world.core.command(Dispose(user_id=LI, call_id=call, code="sold", callback_local=local), world.at)
    assert (reply.ok, reply.code) == (False, "bad_callback")


@pytest.mark.parametrize("mode", ["progressive", "ratio", "predictive"])
def test_colleagues_are_dialed_for_while_callbacks_ring(mode: str) -> None:
    """Half the seats have their own callback on the screen, and dial it; the others are idle."""
    world = World(config(mode=mode, ratio=1.0))
    for user in range(1, 11):
        world.seat(user)
    for user in range(1, 6):
        due(world, mine(user, user))
        world.command(DialPreviewed(user_id=user, call_id=mine(user).call_id))
    assert world.core.decide(CAMPAIGN, world.at).dial == 5
    for call_id in world.asked:
        world.core.permitted(call_id, "", world.at)
    world.asked.clear()
    world.run()
    uids = [world.core.calls.by_id[mine(user).call_id].uid for user in range(1, 6)]
    for uid in uids:
        world.ring(uid)
    assert world.core.decide(CAMPAIGN, world.at).dial == 5
    world.answer(uids[0])
    world.answer(uids[1])
    world.join_all()
    world.hang_up(uids[2], 17)  # busy: that seat is free again
    campaign = world.core.campaigns[CAMPAIGN]
    assert campaign.ledger.answered == 2  # they count for the law, as every answer
    assert world.core.decide(CAMPAIGN, world.at).dial == 6
    world.check()


def test_a_callback_whose_seat_is_lost_as_it_is_answered_is_an_abandoned_call() -> None:
    world = World()
    world.seat(LI)
    world.seat(WU)
    due(world, mine(9))
    world.command(DialPreviewed(user_id=LI, call_id=mine(9).call_id))
    world.core.permitted(mine(9).call_id, "", world.at)
    world.run()
    world.answer(world.core.calls.by_id[mine(9).call_id].uid)
    world.hang_up(world.core.seats.by_user[LI].leg)  # before the two were joined
    world.pass_time(3.0)
    ledger = world.core.campaigns[CAMPAIGN].ledger
    assert (ledger.answered, ledger.given_up) == (1, 1)
    assert world.core.decide(CAMPAIGN, world.at).dial == 1  # for the other seat
    world.check()


def test_what_previews_bring_teaches_who_answers() -> None:
    """All calls of such a campaign are for one seat; it may be switched to predictive one day."""
    world = World(config(mode="preview"))
    world.seat(LI)
    assert world.core.show(LI, lead(9), CAMPAIGN, world.at)
    world.command(DialPreviewed(user_id=LI, call_id=lead(9).call_id))
    world.core.permitted(lead(9).call_id, "", world.at)
    world.run()
    world.hang_up(world.core.calls.by_id[lead(9).call_id].uid, 19)
    [part] = world.core.campaigns[CAMPAIGN].parts
    assert part.pacer.learned()["answers"]["dials"] == 1


def test_a_time_before_the_call_is_refused_and_one_that_has_passed_since_is_not() -> None:
    world = World()
    world.seat(LI)
    call = talk(world, LI)
    began = world.core.wall_s(world.at)
    world.pass_time(600)

    def answer(at: float) -> Reply:
        return world.command(Dispose(user_id=LI, call_id=call, code="sold", callback_at=at))

    assert answer(began - 3600).code == "bad_callback"
    local = datetime.fromtimestamp(began - 3600, UTC).astimezone(ZoneInfo("Asia/Shanghai"))
    yesterday = Dispose(
        user_id=LI, call_id=call, code="sold", callback_local=local.strftime("%Y-%m-%dT%H:%M")
    )
    assert world.command(yesterday).code == "bad_callback"
    assert answer(began + 300).ok  # the line was lost meanwhile
    world.hang_up(world.core.calls.by_id[call].uid)
    assert answer(began - 3600).code == "bad_callback"
    assert answer(began + 300).ok
