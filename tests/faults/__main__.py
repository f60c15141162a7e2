"""All faults, many times over, into docs/reliability.md: `make faults RUNS=100`.

A round is one installation at work to which each fault is done once, in an order and at moments of the round's seed; at
its end it is closed down and compared once more. The page is written after each round of those that were run.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.report import machine
from tests.faults.installation import FAKETIME, installed
from tests.faults.kinds import CLOCK, KINDS
from tests.faults.running import Run, closed, run

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- written by `make faults` -->", "<!-- as far as here -->"
CLOSED: Final = "the day's end"
WHAT: Final = {kind: what for kind, (what, _) in KINDS.items()} | {
    CLOSED: "after a round the daemon is asked to stop, and all is compared once more"
}


async def round_of(kinds: list[str], seed: int) -> list[Run]:
    """Each fault once. What fails gets a new installation, and its folder stays to be looked at."""
    order = random.Random(seed).sample(kinds, len(kinds))
    if CLOCK in order:
        order.remove(CLOCK)
        if FAKETIME.exists():
            return await _on_one([CLOCK], seed, True) + await _in_turn(order, seed)
        print(f"{CLOCK}: not done, {FAKETIME} is not there (apt-get install libfaketime)", flush=True)
    return await _in_turn(order, seed)


async def _in_turn(order: list[str], seed: int) -> list[Run]:
    done: list[Run] = []
    while order:
        done += await _on_one(order, seed, False)
    return done


async def _on_one(order: list[str], seed: int, settable_clock: bool) -> list[Run]:
    """Take from the faults, and do them to one installation, until none is left or there is a violation."""
    folder = Path(tempfile.mkdtemp(prefix=f"zhudong-faults-{seed}-"))
    done: list[Run] = []
    failed = False
    try:
        async with installed(folder, seed, settable_clock) as on:
            while order and not failed:
                done.append(await run(on, order.pop(), seed))
                failed = _told(done[-1], folder)
            if not failed:
                done.append(Run(CLOSED, seed, violations=await closed(on)))
                failed = _told(done[-1], folder)
    except Exception:  # the installation itself: the machine, or what the fault before left of it
        done.append(Run(CLOSED, seed, violations=[traceback.format_exc()]))
        failed = _told(done[-1], folder)
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
    return done


def _told(done: Run, folder: Path) -> bool:
    print(f"seed {done.seed}  {done.kind}: {done.calls} calls, {done.verdicts} verdicts, "
          f"back after {done.back_s:.1f} s, {len(done.violations)} violations", flush=True)  # fmt: skip
    for violation in done.violations:
        print(f"  {violation}", flush=True)
    if done.violations:
        print(
            f'  all of it is in {folder}; again: make faults RUNS=1 SEED={done.seed} FAULTS="{done.kind}"',
            flush=True,
        )
    return bool(done.violations)


def table(runs: list[Run], commit: str, now: datetime) -> str:
    """The figures of all runs."""
    by_kind: defaultdict[str, list[Run]] = defaultdict(list)
    for each in runs:
        by_kind[each.kind].append(each)
    calls, verdicts = sum(r.calls for r in runs), sum(r.verdicts for r in runs)
    faults = sum(1 for r in runs if r.kind != CLOSED)
    violations = sum(len(r.violations) for r in runs)
    seeds = sorted({r.seed for r in runs})
    lines = [
        f"{faults:,} faults, {calls:,} calls and {verdicts:,} verdicts accounted for, {violations} violations. "
        f"Seeds {seeds[0]} to {seeds[-1]}, commit {commit}, {now:%Y-%m-%d}. {machine()}.",
        "",
        "| fault | what is done | runs | calls | leads | talks | verdicts | unheard | waited | back | violations |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for kind, what in WHAT.items():
        if found := by_kind[kind]:
            whole = [r for r in found if not r.violations and r.kind != CLOSED]
            back = f"{median(r.back_s for r in whole):.1f} s" if whole else ""
            counts = [
                len(found),
                sum(r.calls for r in found),
                sum(r.leads for r in found),
                sum(r.outcomes["connected"] for r in found),
                sum(r.verdicts for r in found),
                sum(r.unheard for r in found),
            ]
            cells = " | ".join(f"{count:,}" for count in counts)
            waits = f"{sum(r.waited_s for r in found):,.0f} · {sum(r.told_s for r in found):,.0f} s"
            lines.append(
                f"| {kind} | {what} | {cells} | {waits} | {back} | {sum(len(r.violations) for r in found)} |"
            )
    return "\n".join(lines)


def write(runs: list[Run]) -> None:
    """Put the table where it was."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    made = table(runs, commit, datetime.now(UTC))
    PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", "utf-8")


async def all_rounds(kinds: list[str], seeds: range, at_once: int, page: bool) -> list[Run]:
    """The rounds of these seeds, so many at once; the page is written as they end."""
    gate, runs = asyncio.Semaphore(at_once), list[Run]()

    async def one(seed: int) -> list[Run]:
        async with gate:
            return await round_of(kinds, seed)

    for ended in asyncio.as_completed([one(seed) for seed in seeds]):
        runs += await ended
        if page:
            write(runs)
    return runs


def main() -> int:
    """1 when there was a violation."""
    options = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    options.add_argument("--runs", type=int, default=100, help="rounds: each fault is done so often (100)")
    options.add_argument("--seed", type=int, default=1, help="of the first round (1)")
    options.add_argument(
        "--faults", default="", help="only these, divided by semicolons; the page stays as it is"
    )
    options.add_argument("--at-once", type=int, default=1, help="rounds at the same time (1)")
    asked = options.parse_args()
    kinds = [kind.strip() for kind in asked.faults.split(";") if kind.strip()] or list(KINDS)
    if unknown := set(kinds) - KINDS.keys():
        options.error(f"no such fault: {', '.join(sorted(unknown))}; there are {'; '.join(KINDS)}")
    logging.disable(logging.WARNING)
    seeds = range(asked.seed, asked.seed + asked.runs)
    runs = asyncio.run(all_rounds(kinds, seeds, asked.at_once, not asked.faults))
    return int(any(each.violations for each in runs))


if __name__ == "__main__":
    sys.exit(main())
