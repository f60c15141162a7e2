"""A seat is given to other campaigns while it works: it is offered theirs at once, and keeps the call that it has."""

from __future__ import annotations

from cti.messages import Assign, LogIn, Ready
from dialer.core.seat import SeatState
from dialer.snapshots import Snapshots
from tests.core.world import CAMPAIGN, SWITCH, World, config


def test_a_ready_seat_is_counted_on_by_its_new_campaign_alone() -> None:
    world = World()
    world.core.configure(2, config(name="autumn"), world.at)
    world.seat(1)
    snapshots = Snapshots(world.core)
    snapshots.take(world.at, {}, {})
    assert world.command(Assign(user_id=1, campaigns=("autumn",))).ok
    spring, autumn = world.core.campaigns[CAMPAIGN], world.core.campaigns["autumn"]
    assert (list(spring.idle), list(autumn.idle)) == ([], [1])
    assert (spring.part(SWITCH).paced_idle, autumn.part(SWITCH).paced_idle) == (set(), {1})
    floor = snapshots.take(world.at, {}, {})[1]
    assert floor is not None
    assert [(row.campaign, row.serves) for row in floor.seats] == [("autumn", ("autumn",))]
    assert world.command(Assign(user_id=1, campaigns=("autumn", CAMPAIGN))).ok
    assert (list(spring.idle), list(autumn.idle)) == ([1], [1])


def test_who_is_not_there_is_not_assigned() -> None:
    assert World().command(Assign(user_id=1, campaigns=(CAMPAIGN,))).code == "not_at_seat"


def test_who_stands_first_gets_the_customer_and_who_stands_second_only_then() -> None:
    world = World()
    for user, ranks in ((1, {CAMPAIGN: 3}), (2, {CAMPAIGN: 2}), (3, {}), (4, {"autumn": 9})):
        world.command(LogIn(user, f"u{user}", f"seat{user}", (CAMPAIGN,), ranks=ranks))
        world.answer(world.core.seats.by_user[user].leg)
        world.command(Ready(user_id=user))
        world.pass_time(1.0)
    taken = []
    for call_id in world.dial(4):
        idle = {user for user, seat in world.core.seats.by_user.items() if seat.state is SeatState.READY}
        world.answer(f"zdc-{call_id}")
        taken += [user for user in idle if world.core.seats.by_user[user].state is not SeatState.READY]
    assert taken == [3, 4, 2, 1]  # the longest idle of those who stand first
