"""A switch that one engine does not reach and another one does: who asks, who offers, and when it is let go."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Engine

from campaigns.ownership import OUT_OF_REACH_S, Ownership
from dialer.handover import Handover
from dialer.switch.asterisk import LoginRefused
from dialer.tenure import Tenure


class Far:
    """A switch as one engine has it: reached or not, by whatever keeps it from that."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.failed = float("-inf")
        self.hurried = self.tried = 0

    @property
    def connected(self) -> bool:
        return self.fault is None

    def hurry(self) -> None:
        self.hurried += 1

    async def try_out(self) -> None:
        self.tried += 1
        if self.fault is not None:
            raise self.fault


class Here:
    """An engine at its leases."""

    def __init__(self, db: Engine, name: str, fault: Exception | None = None) -> None:
        self.now = 1_000.0
        self.switch = Far(fault)
        self.tenure = Tenure(Ownership(db, name, f"folder of {name}", ("main",)), name)
        self.handover = Handover(self.tenure, {"main": self.switch}, lambda: self.now)

    async def turn(self) -> None:
        await self.tenure.turn(self.handover.unreached())
        self.handover.look()


@pytest.fixture
async def engines(db: Engine) -> AsyncIterator[tuple[Here, Here]]:
    owner, other = Here(db, "a", OSError("unreachable")), Here(db, "b")
    await owner.turn()
    await owner.turn()
    await other.turn()
    yield owner, other
    owner.tenure.close()
    other.tenure.close()


async def test_who_has_it_lets_it_go_once_its_own_try_has_failed(engines: tuple[Here, Here]) -> None:
    owner, other = engines
    owner.now += OUT_OF_REACH_S
    await owner.turn()
    await other.turn()
    await other.handover.offer()
    owner.switch.failed = owner.now - 0.1  # a try that began before the offer was seen says nothing
    await owner.turn()
    assert owner.switch.hurried == 1 and not owner.handover.due.is_set()
    await owner.turn()
    assert owner.switch.hurried == 1 and not owner.handover.due.is_set()
    owner.switch.failed = owner.now
    await owner.turn()
    assert owner.handover.due.is_set() and owner.handover.heirs == {"main": "b"}


async def test_a_switch_that_comes_back_for_all_stays_where_it_is(engines: tuple[Here, Here]) -> None:
    owner, other = engines
    owner.now += 60.0
    await owner.turn()
    await other.turn()
    await other.handover.offer()
    await owner.turn()
    owner.switch.fault = None
    for _ in range(2):
        await owner.turn()
    await other.turn()
    assert not owner.handover.due.is_set() and other.tenure.asked == ()


async def test_what_nobody_else_reaches_stays_for_ever(engines: tuple[Here, Here]) -> None:
    owner, other = engines
    other.switch.fault = TimeoutError()
    for _ in range(5):
        owner.now += 600.0
        owner.switch.failed = owner.now
        await owner.turn()
        await other.turn()
        assert other.tenure.asked == ("main",)
        await other.handover.offer()
    assert other.switch.tried == 5 and not owner.tenure.offers and not owner.handover.due.is_set()


async def test_a_switch_that_refuses_the_log_in_is_not_asked_every_other_second(
    engines: tuple[Here, Here],
) -> None:
    owner, other = engines
    other.switch.fault = LoginRefused("wrong secret")
    owner.now += OUT_OF_REACH_S
    await owner.turn()
    for _ in range(3):
        await other.turn()
        await other.handover.offer()
    assert other.switch.tried == 1
    other.now += 60.0
    await other.handover.offer()
    assert other.switch.tried == 2
