"""How long campaigns are without an engine: `python -m benchmarks.takeover [--scale S] [--json FILE]`.

Two engines, as processes, on one database and the virtual switch; an agent is in a call. The one that has the switch is
killed (`kill -9`), in other rounds stopped in good order (SIGTERM). Measured is the time until the other one has the
switch, is connected to it and knows its calls, as its metrics say, which are read twenty times a second; then until
the agent's page, which is opened there at once, shows the same customer in the call.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import Final

from benchmarks import report
from benchmarks.report import Result
from campaigns.ownership import LEASE_S
from tests.cluster.pair import on_one_host
from tests.contract.switches import VirtualSwitchProcess

ROUNDS: Final = 5  # of each kind
MOVED_S: Final = 5.0  # design: campaigns move within so long when an engine dies


async def measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds by what they were taken of."""
    switch = VirtualSwitchProcess()
    switch.start()
    pair = on_one_host(switch, folder)
    found: dict[str, list[float]] = {"killed": [], "stopped": [], "page": []}
    try:
        pair.a.campaign(["08"])
        owner, other = await pair.launch()
        lina = await owner.working("lina", "seat001")
        call = (await lina.connected(60.0))["call_id"]
        for turn in range(2 * rounds):
            began = monotonic()
            if turn % 2:
                await owner.terminate()
            else:
                await owner.kill()
            await pair.has(other)
            there = monotonic()
            found["stopped" if turn % 2 else "killed"].append(there - began)
            await lina.goes_on_at(other.door, call)
            found["page"].append(monotonic() - there)
            await owner.ended(60.0)
            await owner.spawn()
            await pair.stands_by(owner)
            await asyncio.sleep(LEASE_S)  # one that stands by is patient with a database that it has just met
            owner, other = other, owner
    finally:
        await pair.close()
        switch.stop()
    return found


def main() -> int:
    """Print the figures; 1 when a budget is broken."""
    chosen = report.options(__doc__ or "", "of the rounds, which are five of each kind")
    with tempfile.TemporaryDirectory() as folder:
        rounds = max(1, round(ROUNDS * chosen.scale))
        found = report.run_async(lambda: measure(Path(folder), rounds))
    results = [
        Result(
            f"killed: until another has its switch and calls, longest of {rounds}",
            max(found["killed"]),
            "s",
            MOVED_S,
        ),
        Result(f"stopped in good order: the same, longest of {rounds}", max(found["stopped"]), "s", MOVED_S),
        Result("then until an agent's page there shows its call, longest", max(found["page"]), "s"),
    ]
    return report.report("takeover", chosen, results)


if __name__ == "__main__":
    sys.exit(main())
