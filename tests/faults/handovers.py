"""Faults of the engine that has the switch, where another one stands by, and goes on without it."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from dialer.switch.port import CALL_PREFIX, LEG_PREFIX
from simulator.switch.log import CallRecord
from tests.contract.house import House
from tests.faults.installation import AFTER, Installation, Second

FROZEN_S = 0.5, 12.0  # a lease is three seconds
SURE_S = 1.0  # so old a talk is known to all as one
LEASE = text("SELECT engine, token, since FROM switch_lease")
LEASED = text("SELECT call_id, leased_at FROM attempt WHERE owner = :engine")


@dataclass(frozen=True, slots=True)
class Back:
    """After how long calls were made again, from the fault's beginning; how many talks another engine went on with."""

    after_s: float
    kept: int


async def owner_killed(on: Installation, chance: random.Random) -> Back:
    """It stays dead until the other one calls."""
    both, (owner, standby) = await _both(on)
    begun = time.time()
    await owner.kill()
    await both.engines.has(standby)
    after_s = await _again(on, begun)
    await owner.spawn()
    await both.engines.stands_by(owner)
    return Back(after_s, _kept(on, begun))


async def owner_and_database_killed(on: Installation, chance: random.Random) -> Back:
    """The database goes while the other one waits for the lease, or as soon as it has it; it stays away for a while."""
    both, (owner, standby) = await _both(on)
    before, begun = _lease(on), time.time()
    await owner.kill()
    if chance.random() < 0.5:
        while (await asyncio.to_thread(_lease, on)).token == before.token:
            await asyncio.sleep(0.01)
    else:
        await asyncio.sleep(chance.uniform(0.0, 4.0))
    await asyncio.to_thread(on.server.kill)
    await asyncio.sleep(chance.uniform(0.0, 4.0))
    await asyncio.to_thread(on.server.start)
    await both.engines.has(standby)
    after_s = await _again(on, begun)
    await owner.spawn()
    await both.engines.stands_by(owner)
    return Back(after_s, _kept(on, begun))


async def owner_frozen(on: Installation, chance: random.Random) -> Back:
    """For less than a lease, or for so long that it wakes up as one that has nothing any more."""
    both, (owner, standby) = await _both(on)
    before, begun = _lease(on), time.time()
    owner.send(signal.SIGSTOP)
    async with asyncio.TaskGroup() as meanwhile:
        again = meanwhile.create_task(_again(on, begun))
        await asyncio.sleep(chance.uniform(*FROZEN_S))
        owner.send(signal.SIGCONT)
        lease = _lease(on)
        if lease.token == before.token:
            await both.engines.has(owner)
        else:
            await both.engines.has(standby)
            await both.engines.stands_by(owner)
            late = _dialed(on, owner.engine, lease.since)
            assert not late, f"{owner.engine} has dialed as one that had the switch no more: {late}"
    return Back(again.result(), _kept(on, begun))


async def link_to_owner_cut(on: Installation, chance: random.Random) -> Back:
    """Refused, or without a word; the other one has a way of its own, and calls."""
    both, (owner, standby) = await _both(on)
    proxy = on.proxy if owner is on.house else both.proxy
    begun = time.time()
    (proxy.refuse if chance.random() < 0.5 else proxy.stall)(True)
    await both.engines.has(standby)
    after_s = await _again(on, begun)
    await asyncio.sleep(chance.uniform(0.0, 5.0))
    proxy.cut()  # what was sent meanwhile never arrives
    proxy.stall(False)
    proxy.refuse(False)
    await both.engines.stands_by(owner)
    return Back(after_s, _kept(on, begun))


async def _both(on: Installation) -> tuple[Second, tuple[House, House]]:
    """The one that has the switch first."""
    assert on.second is not None
    return on.second, await on.second.engines.roles()


async def _again(on: Installation, begun: float) -> float:
    """Wait until calls are made; after how long."""
    await on.work(AFTER)
    return time.time() - begun


def _kept(on: Installation, begun: float) -> int:
    """Who talked when it began has gone on for as long as they liked; how many of them by another engine."""
    talks = [call for call in on.log.calls() if call.uid.startswith(CALL_PREFIX) and _talked(call, begun)]
    cut = [call.uid for call in talks if call.ended_by == "engine"]
    assert not cut, f"talks were cut: {cut}"
    taken = _lease(on).since.timestamp()
    return sum(begun < taken < (call.ended or time.time()) for call in talks)


def _talked(call: CallRecord, at: float) -> bool:
    """Whether they had a seat then, and for so long that everybody knew."""
    return any(
        stay.entered < at - SURE_S
        and (stay.left is None or stay.left > at)
        and any(peer.startswith(LEG_PREFIX) for peer in stay.peers)
        for stay in call.bridged_with
    )


def _lease(on: Installation) -> Any:
    with on.house.db.connect() as connection:
        return connection.execute(LEASE).one()


def _dialed(on: Installation, engine: str, since: datetime) -> list[str]:
    """What this one has had authorized since then, and of what the switch has heard since."""
    with on.house.db.connect() as connection:
        leased = {row.call_id.hex: row.leased_at for row in connection.execute(LEASED, {"engine": engine})}
    heard = {call.uid.removeprefix(CALL_PREFIX) for call in on.seen(since.timestamp()) if call.is_customer}
    return [call_id for call_id, at in leased.items() if at >= since or call_id in heard]
