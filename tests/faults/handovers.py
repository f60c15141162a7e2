"""Faults of the engine that has the switch, where another one stands by, and goes on without it."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from datetime import datetime
from typing import Any

from sqlalchemy import text

from dialer.switch.port import CALL_PREFIX
from tests.faults.installation import AFTER, Installation, Second

FROZEN_S = 0.5, 12.0  # a lease is three seconds
LEASE = text("SELECT engine, token, since FROM switch_lease")
LEASED = text("SELECT call_id, leased_at FROM attempt WHERE owner = :engine")


async def owner_killed(on: Installation, chance: random.Random) -> float:
    """It stays dead until the other one calls."""
    both = _both(on)
    owner, standby = await both.engines.roles()
    begun = time.time()
    await owner.kill()
    await both.engines.has(standby)
    await on.work(AFTER)
    back_s = time.time() - begun
    await owner.spawn()
    await both.engines.stands_by(owner)
    return back_s


async def owner_frozen(on: Installation, chance: random.Random) -> None:
    """For less than a lease, or for so long that it wakes up as one that has nothing any more."""
    both = _both(on)
    owner, standby = await both.engines.roles()
    before = _lease(on)
    owner.send(signal.SIGSTOP)
    await asyncio.sleep(chance.uniform(*FROZEN_S))
    owner.send(signal.SIGCONT)
    has = owner
    if (lease := _lease(on)).token != before.token:
        assert lease.engine == standby.engine
        has = standby
    await both.engines.has(has)
    await both.engines.stands_by(standby if has is owner else owner)
    if has is standby:
        assert not (late := _dialed(on, owner.engine, lease.since)), f"{owner.engine} dialed on: {late}"


async def link_to_owner_cut(on: Installation, chance: random.Random) -> float:
    """Refused, or without a word; the other one has a way of its own, and calls."""
    both = _both(on)
    owner, standby = await both.engines.roles()
    proxy = on.proxy if owner is on.house else both.proxy
    begun = time.time()
    if chance.random() < 0.5:
        proxy.refuse(True)
    else:
        proxy.stall(True)
    await both.engines.has(standby)
    await on.work(AFTER)
    back_s = time.time() - begun
    await asyncio.sleep(chance.uniform(0.0, 5.0))
    proxy.cut()  # what was sent meanwhile never arrives
    proxy.stall(False)
    proxy.refuse(False)
    await both.engines.stands_by(owner)
    return back_s


def _both(on: Installation) -> Second:
    assert on.second is not None
    return on.second


def _lease(on: Installation) -> Any:
    with on.house.db.connect() as connection:
        return connection.execute(LEASE).one()


def _dialed(on: Installation, engine: str, since: datetime) -> list[str]:
    """What this one has had authorized, or the switch heard of it, since then."""
    with on.house.db.connect() as connection:
        leased = {row.call_id.hex: row.leased_at for row in connection.execute(LEASED, {"engine": engine})}
    made = {call.uid[len(CALL_PREFIX) :] for call in on.seen(since.timestamp()) if call.is_customer}
    return [call_id for call_id, at in leased.items() if at >= since or call_id in made]
