"""Campaigns on the same seats: whoever may dial counts on them, and together they dial no more than there are."""

from __future__ import annotations

import pytest

from campaigns.config import Inbound
from cti.messages import LogIn, Ready
from dialer.core.seat import SeatState
from dialer.switch.port import CALL_PREFIX
from tests.core.world import CALLED, CAMPAIGN, World, config, lead, replace_config

FIRST, SECOND = "summer", CAMPAIGN  # by priority


def world(seats: int, **second: object) -> World:
    """Two progressive campaigns, and seats that serve both and are ready."""
    made = World()
    made.core.configure(1, replace_config(config(), **second), made.at)
    made.core.configure(2, replace_config(config(), name=FIRST, priority=5), made.at)
    for user_id in range(1, seats + 1):
        made.command(
            LogIn(user_id=user_id, name="u", phone=f"seat{user_id}", campaigns=(SECOND, FIRST), mode="nailed")
        )
        made.answer(made.core.seats.by_user[user_id].leg)
        made.command(Ready(user_id=user_id))
    return made


def wanted(made: World) -> dict[str, int]:
    """What each wants to dial now, in their order; it is dialed before the next is asked."""
    found = {}
    for name in made.core.floor.order((FIRST, SECOND)):
        found[name] = made.core.decide(name, made.at).dial
        made.leads += found[name]
        leads = [lead(made.leads - i) for i in range(found[name])]
        if leads:
            made.core.reserve(leads, name, made.at)
    made.run()
    return found


def test_a_seat_is_dialed_for_once_by_the_more_important_campaign() -> None:
    assert wanted(world(seats=3)) == {FIRST: 3, SECOND: 0}


def test_what_the_more_important_one_may_not_take_is_the_other_ones() -> None:
    made = world(seats=3)
    made.core.configure(2, replace_config(config(), name=FIRST, priority=5, max_lines=1), made.at)
    assert wanted(made) == {FIRST: 1, SECOND: 2}


def test_a_ratio_is_of_the_seats_that_nobody_else_dialed_for() -> None:
    made = world(seats=4, mode="ratio", ratio=2.0, target=1.0)
    made.core.configure(2, replace_config(config(), name=FIRST, priority=5, max_lines=2), made.at)
    assert wanted(made) == {FIRST: 2, SECOND: 4}


@pytest.mark.parametrize("change", [{"running": False}, {"switch": "elsewhere"}])
def test_seats_of_a_campaign_that_may_not_dial_are_the_others(change: dict[str, object]) -> None:
    made = world(seats=2)
    made.core.configure(2, replace_config(config(), name=FIRST, priority=5, **change), made.at)
    seat = made.core.seats.by_user[1]
    assert (seat.paced, seat.works_for) == ((SECOND,), SECOND)
    assert made.core.decide(SECOND, made.at).dial == 2


def test_a_campaign_that_was_stopped_still_counts_on_seats_for_its_calls_in_the_air() -> None:
    made = world(seats=2)
    made.core.configure(2, replace_config(config(), name=FIRST, priority=5, max_lines=1), made.at)
    assert wanted(made) == {FIRST: 1, SECOND: 1}
    made.core.configure(2, replace_config(config(), name=FIRST, priority=5, running=False), made.at)
    assert made.core.seats.by_user[1].paced == (SECOND, FIRST)
    assert made.core.decide(SECOND, made.at).dial == 0


def test_seats_with_customers_to_preview_are_kept_for_them() -> None:
    made = world(seats=2)
    made.core.configure(2, replace_config(config(), name=FIRST, priority=5, mode="preview"), made.at)
    assert made.core.seats.by_user[1].paced == (FIRST,)
    assert made.core.decide(SECOND, made.at).dial == 0


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("mode", ["progressive", "predictive"])
def test_who_calls_a_hotline_has_seats_that_another_campaign_does_not_dial_for(
    mode: str, running: bool
) -> None:
    """The hotline has no leads, and need not run."""
    made = world(seats=3, mode=mode)
    inbound = Inbound((CALLED,), wait_limit_s=60.0)
    made.core.configure(
        2, replace_config(config(), name=FIRST, priority=-5, inbound=inbound, running=running), made.at
    )
    made.core.campaigns[FIRST].dry = True
    made.core.repace(made.at)
    seat = made.core.seats.by_user[1]
    assert (seat.paced, seat.works_for) == ((SECOND, FIRST), SECOND)
    assert made.core.decide(SECOND, made.at).dial == 3
    made.call_in()
    made.call_in()  # who they are is being looked up
    assert made.core.decide(SECOND, made.at).dial == 1
    made.look_up()
    made.join_all()
    assert made.core.decide(SECOND, made.at).dial == 1


def test_a_customers_time_is_booked_to_the_campaign_that_called() -> None:
    made = world(seats=1)
    made.core.configure(2, replace_config(config(), name=FIRST, priority=5, max_lines=0), made.at)
    wanted(made)
    seat = made.core.seats.by_user[1]
    assert (seat.state, seat.works_for) == (SeatState.READY, FIRST)
    for call_id in made.asked:
        made.core.permitted(call_id, "", made.at)
    made.run()
    made.answer(next(uid for uid in made.channels if uid.startswith(CALL_PREFIX)))
    made.join_all()
    assert (seat.state, seat.works_for) == (SeatState.TALKING, SECOND)
