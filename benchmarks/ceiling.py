"""The engine on a real Asterisk 22 at its ceiling: `python -m benchmarks.ceiling [--scale S] [--json FILE]`.

The whole daemon with its PostgreSQL and 200 pages, Asterisk, and SIPp as carrier and as the seats' phones, all on this
machine. Each step is a shift of its own with a higher limit on calls a second; the ceiling is the most that was placed
before a step falls behind its limit. Of the customers 15 % answer and leave after half a second, so that seats are
never short; 10 % let it ring, 75 % are busy after a second. What counts is who has no more to give there: the
processor's time of each for a call, and how much of a core the engine takes at the ceiling, of which it is one thread.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.engine import Load, Shift, Switch, pages_process, shift
from benchmarks.report import Result, percentile
from dialer import open_files
from tests.rig.asterisk import AsteriskRig
from tests.rig.configuration import SEATS
from tests.rig.place import HOW, Installed, find

RATES: Final = (40, 80, 120, 160, 200, 240)  # calls/s; beyond, the seats would be the limit
BEHIND: Final = 0.9  # of the limit: a step that places less has found the ceiling
WARM_UP_S: Final = 20.0  # more than the 15 s for which a call may ring
MEASURED_S: Final = 20.0
FULL: Final = 70.0  # % of a core at which one thread is held to be full
ENDINGS: Final = ("06",) * 3 + ("03",) * 2 + ("12",) * 15  # of the rig's customers, see tests/rig/sipp.py
STRIDE: Final = 7  # coprime to their number: each kind comes evenly


@contextmanager
def real_switch(installed: Installed, _log: Path) -> Iterator[Switch]:
    """An Asterisk of its own with its far ends."""
    with AsteriskRig(installed) as rig:
        at = {"host": rig.host, "port": rig.port, "user": rig.user, "secret": rig.secret}
        at |= {"trunk": rig.trunk, "phone": rig.phone}
        mixed = tuple(ENDINGS[n * STRIDE % len(ENDINGS)] for n in range(len(ENDINGS)))
        yield Switch(at, {"Asterisk": rig.pid} | rig.far_end_pids, mixed)


def step(installed: Installed, load: Load) -> Shift:
    """One shift at the limit of this load."""
    with report.scratch("ceiling") as folder:
        return shift(load, folder, pages_process, on=partial(real_switch, installed))


def told(calls_per_s: int, had: Shift) -> list[Result]:
    """What one step came to. Per call, as a share of a core over calls a second is ms of it for each."""
    found, placed = had.daemon, had.daemon["calls_per_s"]
    at = f"at {calls_per_s} calls/s"
    shares = {"engine": found["cpu"], "PostgreSQL": found["database_cpu"]} | had.switch_cpu
    return [
        Result(f"{at}: placed", placed, "calls/s"),
        *(Result(f"{at}: {name}", share * 100, "% of a core") for name, share in shares.items()),
        *(
            Result(f"{at}: {name}, for each call", share / placed * 1000, "ms")
            for name, share in shares.items()
        ),
        *(
            Result(f"{at}: {what}, p{share * 100:.0f}", percentile(sorted(found[name]), share), "ms")
            for name, what in (
                ("pop", "answer read to pop sent"),
                ("connect", "answer read to connect sent"),
                ("lag", "event loop lag"),
            )
            for share in (0.5, 0.99)
        ),
        Result(f"{at}: connected since the start", found["connected"], "calls"),
        Result(f"{at}: abandoned since the start", found["abandoned"], "calls"),
        Result(f"{at}: invariant breaches", found["breaches"], "", 0),
    ]


def measure(installed: Installed, scale: float) -> list[Result]:
    """Steps until one falls behind."""
    results: list[Result] = []
    ceiling: Shift | None = None
    part = min(1.0, scale)
    for calls_per_s in (max(1, round(rate * part)) for rate in RATES):
        had = step(installed, Load(SEATS, calls_per_s, WARM_UP_S, max(5.0, MEASURED_S * part)))
        results += told(calls_per_s, had)
        if ceiling is None or had.daemon["calls_per_s"] > ceiling.daemon["calls_per_s"]:
            ceiling = had
        if had.daemon["calls_per_s"] < BEHIND * calls_per_s:
            break
    assert ceiling is not None
    theirs, ours = sum(ceiling.switch_cpu.values()), ceiling.daemon["cpu"]
    return [
        *results,
        Result("the ceiling", ceiling.daemon["calls_per_s"], "calls/s"),
        Result("engine there", ours * 100, "% of a core", FULL),
        Result("Asterisk and SIPp over the engine there, processor's time", theirs / ours, "×"),
    ]


def main() -> int:
    chosen = report.options(
        (__doc__ or "").splitlines()[0], f"1.0 is {SEATS} seats and up to {RATES[-1]} calls/s"
    )
    open_files.take_allowed()
    installed = find()
    if installed is None:
        print(f"nothing was measured: there is no Asterisk 22 with SIPp on this machine; get it by {HOW}")
        return report.report("ceiling", chosen, [])
    return report.report("ceiling", chosen, measure(installed, chosen.scale))


if __name__ == "__main__":
    sys.exit(main())
