"""When Python's collector of garbage may hold the daemon up.

It ends what is unreachable in cycles; whatever else is not used any more goes at once, without it. A full collection
goes through all that lives, under the lock by which one thread at a time runs Python, so that calls and agents wait:
0.2 s with 1,000 seats, every half minute, for nothing that it found (the load of `benchmarks.engine`). A younger one
goes through what came since the last of its kind, 40 ms after ten of the youngest with 2,000 seats, for nothing either.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Final

LOOK_S: Final = 60.0
IDLE_AFTER_S: Final = 3_600.0  # between full collections while there is no call
AT_LAST_S: Final = 24 * 3_600.0  # and whatever there is
SHORT: Final = 1  # youngest collections before one of the middle, which is the shorter for it; ten by default
NEVER: Final = 2**31 - 1  # younger collections before a full one: the most that the interpreter takes


def set_aside() -> None:
    """What is loaded by now stays, and is not looked at; from now on full collections come by :func:`collect` alone."""
    gc.freeze()
    young, _, _ = gc.get_threshold()
    gc.set_threshold(young, SHORT, NEVER)


async def collect(idle: Callable[[], bool], look_s: float = LOOK_S) -> None:
    """Full collections where they hold nobody up: an hour after the last one when `idle`, after a day in any case."""
    clock = asyncio.get_running_loop().time
    last = clock()
    while True:
        await asyncio.sleep(look_s)
        spent = clock() - last
        if spent >= AT_LAST_S or (spent >= IDLE_AFTER_S and idle()):
            gc.collect()
            last = clock()
