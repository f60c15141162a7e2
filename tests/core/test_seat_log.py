"""The seat log tells what each seat did for which campaign, also when only the campaign changes."""

from __future__ import annotations

from campaigns.records import SeatChanged
from cti.messages import Dispose, LogIn, Ready
from tests.core.world import CAMPAIGN, World, config, replace_config


def log(world: World) -> list[tuple[str, int]]:
    return [(r.state, r.campaign_id) for r in world.records if isinstance(r, SeatChanged)]


def test_a_seats_whole_round_is_on_record_for_its_campaign() -> None:
    world = World()
    world.seat(7)
    [call_id] = world.dial()
    [uid] = [uid for uid in world.channels if uid.endswith(call_id)]
    world.ring(uid)
    world.answer(uid)
    world.join_all()
    world.hang_up(uid)
    world.command(Dispose(user_id=7, call_id=call_id, code="sold", and_ready=True))
    states = ["phone", "paused", "ready", "connecting", "talking", "wrap_up", "ready"]
    assert log(world) == [(state, 1) for state in states]


def test_an_idle_seat_that_another_campaign_counts_on_from_now_on_is_on_record() -> None:
    world = World()
    world.core.configure(2, replace_config(config(), name="summer", running=False), world.at)
    world.command(LogIn(user_id=7, name="u7", phone="seat7", campaigns=(CAMPAIGN, "summer"), mode="ring"))
    world.command(Ready(user_id=7))
    world.core.configure(2, replace_config(config(), name="summer", priority=5), world.at)
    world.run()
    assert log(world) == [("paused", 1), ("ready", 1), ("ready", 2)]
