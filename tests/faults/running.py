"""One run of a fault: calls are made, it happens and is over, calls are made again; then all ends and is compared."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from campaigns.accounts import Accounts
from tests.faults.installation import AFTER, Installation
from tests.faults.kinds import CLOCK, KINDS

BEFORE = 3  # customers with a seat
WITHIN_S = 1.5  # of those before, the fault begins


@dataclass(slots=True)
class Run:
    """What came of one run. `violations` are what does not add up, or why it did not come to its end."""

    kind: str
    seed: int
    calls: int = 0  # on the switch
    leads: int = 0  # of those that were called
    outcomes: Counter[str] = field(default_factory=Counter)
    verdicts: int = 0  # that agents were told are saved
    unheard: int = 0  # calls whose end nobody could hear, and of which the books do not know all
    waited_s: float = 0.0  # people, until they had a seat or left; by the switch, and by the books
    told_s: float = 0.0
    back_s: float = (
        0.0  # to the next customers with a seat, from the fault's end, or the beginning of one that lasts
    )
    kept: int = 0  # talks that another engine went on with
    violations: list[str] = field(default_factory=list)


async def run(on: Installation, kind: str, seed: int) -> Run:
    """Do this fault to the installation, at the moments of this seed."""
    done, chance = Run(kind, seed), random.Random(f"{seed} {kind}")
    before = len(on.promised)
    since = 0.0 if kind == CLOCK else time.time()
    try:
        await asyncio.to_thread(on.dial, True)
        await on.work(BEFORE)
        await asyncio.sleep(chance.uniform(0.0, WITHIN_S))  # the moment itself is what is tried
        begun = time.time()
        back = await KINDS[kind][1](on, chance)
        over = time.time()
        await on.work(AFTER)
        on.faults.append((begun, time.time()))
        done.back_s = time.time() - over
        if back is not None:
            done.back_s, done.kept = back.after_s, back.kept
        await on.settle()
        found = await asyncio.to_thread(partial(on.square, since, at_work=True))
        done.violations += found.differences
        done.unheard, done.waited_s, done.told_s = len(found.unheard), found.waited_s, found.told_s
        done.violations += await breaches(on)
    except Exception:  # whatever kept it from its end is what was found
        done.violations.append(traceback.format_exc())
        return done
    attempts = Accounts(on.house.db, datetime.fromtimestamp(since, UTC)).attempts().values()
    done.calls = sum(call.is_customer for call in on.seen(since))
    done.leads = len({attempt.lead_id for attempt in attempts})
    done.outcomes = Counter(str(attempt.outcome) for attempt in attempts)
    done.verdicts = len(on.promised) - before
    return done


async def closed(on: Installation) -> list[str]:
    """End the day: the engine is asked to stop, the one that stands by first. What does not add up then."""
    houses = on.houses if on.second is None else reversed(await on.second.engines.roles())
    for house in houses:
        await house.terminate()
        if (code := await house.ended(60.0)) != 0:
            return [f"the daemon {house.engine} ended with {code}"]
    return on.square(0.0, at_work=False).differences


async def breaches(on: Installation) -> list[str]:
    """The engines' own broken promises."""
    return [
        f"{house.engine}, {name}: {value:g}"
        for house in on.houses
        for name, value in (await house.metrics()).items()
        if name.startswith("zhudong_invariant_breaches_total") and value
    ]
