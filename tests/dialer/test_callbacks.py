"""Callbacks are looked for in the hopper: those due reach their person, and what comes soon is told once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import pytest

from campaigns.callbacks import Coming
from campaigns.values import Lead
from cti.messages import CallbackSoon, ScreenPop
from dialer.callbacks import CallbackWatch
from dialer.core.callbacks import Callbacks
from dialer.leads import Hopper
from tests.campaigns.world import NOON
from tests.core.world import CAMPAIGN, World, config, lead
from tests.dialer.hopper_tables import Tables

LI, WU = 1, 2


class Promised(Tables):
    """A hopper with one callback that is due of a person, and one that comes soon."""

    def __init__(self) -> None:
        super().__init__(0)
        self.due: list[Lead] = [msgspec.structs.replace(lead(9), user_id=LI)]
        self.persons: list[Sequence[int]] = []

    def lease_callbacks(self, campaign_id: int, users: Sequence[int], now: datetime) -> list[Lead]:
        self.persons.append(users)
        given, self.due = self.due, []
        return given

    def coming_callbacks(
        self, campaign_id: int, users: Sequence[int], now: datetime, until: datetime
    ) -> list[Coming]:
        assert (until - now).total_seconds() == 300.0
        return [Coming(5, WU, NOON, "李娜", "+8613800138000")] if WU in users else []


async def test_what_is_due_reaches_its_person_and_what_comes_soon_is_told_once() -> None:
    world, source = World(), Promised()
    hopper = Hopper(source)
    watch = CallbackWatch(world.core, hopper, world.run)
    try:
        await watch.look()
        assert source.persons == []  # nobody is there
        for user in (LI, WU):
            world.seat(user)
        for _ in range(3):
            await watch.look()
    finally:
        hopper.close()
    assert source.persons == [[LI, WU], [WU], [WU]]
    assert [(pop.user_id, pop.preview) for pop in world.told if isinstance(pop, ScreenPop)] == [(LI, True)]
    assert [soon.user_id for soon in world.told if isinstance(soon, CallbackSoon)] == [WU]


async def test_for_a_campaign_that_may_not_dial_no_seat_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of campaigns that are over, beside hundreds of seats."""
    world, source = World(config(running=False)), Promised()
    world.seat(LI)
    asked: list[str] = []
    persons = Callbacks.persons

    def noted(callbacks: Callbacks, campaign: str) -> Sequence[int]:
        asked.append(campaign)
        return persons(callbacks, campaign)

    monkeypatch.setattr(Callbacks, "persons", noted)
    hopper = Hopper(source)
    watch = CallbackWatch(world.core, hopper, world.run)
    try:
        await watch.look()
        assert asked == [] and source.persons == []
        world.core.configure(1, config(), world.at)
        await watch.look()
        assert asked == [CAMPAIGN] and source.persons == [[LI]]
    finally:
        hopper.close()
