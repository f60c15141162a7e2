"""A customer who does not want such calls is not called again for as long as the law says."""

from __future__ import annotations

import pytest

from campaigns.dispositions import DEFAULT_DISPOSITIONS
from campaigns.records import Dispositioned
from campaigns.rules.keys import DAY_S, Rules
from cti.messages import Dispose
from tests.core.world import World, config


@pytest.mark.parametrize(
    ("rules", "code", "days"),
    [
        (Rules(profile="fr"), "not_interested", 60),
        (Rules(profile="fr", refusal_lock_s=90 * DAY_S), "not_interested", 90),
        (Rules(profile="cn-insurance"), "not_interested", 184),
        (Rules(), "not_interested", None),
        (Rules(profile="fr"), "sold", None),
    ],
)
def test_a_refusal_is_recorded_with_the_time_that_it_bars_the_customer(
    rules: Rules, code: str, days: int | None
) -> None:
    world = World(config(rules=rules, dispositions=DEFAULT_DISPOSITIONS))
    world.seat(7)
    [call_id] = world.dial()
    [uid] = [uid for uid in world.channels if uid.endswith(call_id)]
    world.ring(uid)
    world.answer(uid)
    world.join_all()
    world.hang_up(uid)
    assert world.command(Dispose(user_id=7, call_id=call_id, code=code, and_ready=True)).ok
    [said] = [record for record in world.records if isinstance(record, Dispositioned)]
    assert (said.locked_until and (said.locked_until - said.at).days) == days
