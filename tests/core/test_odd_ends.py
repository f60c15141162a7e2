"""Odd ends: what a customer asks for after the call, what a switch will not do, a campaign that has no switch."""

from __future__ import annotations

from campaigns.records import OptedOut
from tests.core.world import World


def opted_out(world: World) -> list[tuple[str, str]]:
    return [(r.call_id, r.number) for r in world.records if isinstance(r, OptedOut)]


def test_an_opt_out_that_is_told_after_the_end_of_its_call_is_on_record() -> None:
    world = World()
    [call_id] = world.dial()
    uid = f"zdc-{call_id}"
    world.answer(uid)
    world.pass_time(2.5)  # no seat: abandoned
    world.hang_up(uid)
    assert call_id in world.outcomes()
    world.core.harbour_done(uid, True, True, world.at)
    world.run()
    assert opted_out(world) == [(call_id, "")]  # whose number it is, the attempt knows


def test_an_opt_out_of_a_call_from_before_a_restart_is_on_record() -> None:
    world, call_id = World(), "019ab3" + "4" * 26
    world.core.harbour_done(f"zdc-{call_id}", False, True, world.at)
    world.run()
    assert opted_out(world) == [(call_id, "")]


def test_a_dialogue_of_no_call_of_ours_is_a_count() -> None:
    world = World()
    for uid in ("", "1795470658.15", "zdc-", "zdc-1'; DROP", "zds-" + "1" * 32):
        world.core.harbour_done(uid, True, True, world.at)
    world.run()
    assert world.records == [] and world.core.anomalies["harbour_of_unknown_call"] == 5
