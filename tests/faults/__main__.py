"""All faults, many times over, into docs/reliability.md: `make faults RUNS=100`.

A round is one installation at work to which each fault is done once, in an order and at moments of the round's seed; at
its end it is closed down and compared once more. The page is written after each round, of those that were run; with
`--add` (`make faults ADD=1`) also of those that were run before, so that several nights, or nights of some of the
faults, make one page.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.report import machine
from tests.faults.kinds import KINDS
from tests.faults.rounds import CLOSED, one_round
from tests.faults.running import Run

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "reliability.md"
KEPT: Final = ROOT / "build" / "faults.jsonl"  # the runs that the page is of
BEGIN, END = "<!-- written by `make faults` -->", "<!-- as far as here -->"
WHAT: Final = {kind: what for kind, (what, _) in KINDS.items()} | {
    CLOSED: "after a round the daemon is asked to stop, and all is compared once more"
}


def table(runs: list[Run], now: datetime) -> str:
    """The figures of all runs."""
    by_kind: defaultdict[str, list[Run]] = defaultdict(list)
    for each in runs:
        by_kind[each.kind].append(each)
    calls, verdicts = sum(r.calls for r in runs), sum(r.verdicts for r in runs)
    faults = sum(1 for r in runs if r.kind != CLOSED)
    violations, kept = sum(len(r.violations) for r in runs), sum(r.kept for r in runs)
    went_on = f" {kept:,} talks went on as another engine took over." if kept else ""
    seeds = sorted({r.seed for r in runs})
    lines = [
        f"{faults:,} faults, {calls:,} calls and {verdicts:,} verdicts accounted for, {violations} violations."
        f"{went_on} Seeds {seeds[0]} to {seeds[-1]}, {now:%Y-%m-%d}. {machine()}.",
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
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    made = table(runs, datetime.now(UTC))
    PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", "utf-8")


def kept() -> list[Run]:
    """What was run before, and added."""
    rows = map(json.loads, KEPT.read_text("utf-8").splitlines()) if KEPT.exists() else ()
    return [Run(**(row | {"outcomes": Counter(row["outcomes"])})) for row in rows]


def all_rounds(kinds: list[str], seeds: range, at_once: int, page: bool) -> list[Run]:
    """The rounds of these seeds, so many at once; the page is written as they end."""
    runs: list[Run] = []
    file = KEPT if page else None
    with ProcessPoolExecutor(at_once, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        for ended in as_completed([processes.submit(one_round, kinds, seed, file) for seed in seeds]):
            runs += ended.result()
            if page:
                write(kept())
    if page:
        write(kept())
    return runs


def main() -> int:
    """1 when there was a violation."""
    options = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    options.add_argument("--runs", type=int, default=100, help="rounds: each fault is done so often (100)")
    options.add_argument("--seed", type=int, default=1, help="of the first round (1)")
    options.add_argument(
        "--faults",
        default="",
        help="only these, divided by semicolons; the page stays as it is without --add",
    )
    options.add_argument("--add", action="store_true", help="to the page, rather than a new one")
    options.add_argument("--at-once", type=int, default=1, help="rounds at the same time (1)")
    asked = options.parse_args()
    kinds = [kind.strip() for kind in asked.faults.split(";") if kind.strip()] or list(KINDS)
    if unknown := set(kinds) - KINDS.keys():
        options.error(f"no such fault: {', '.join(sorted(unknown))}; there are {'; '.join(KINDS)}")
    seeds = range(asked.seed, asked.seed + asked.runs)
    page = asked.add or not asked.faults
    KEPT.parent.mkdir(exist_ok=True)
    if page and not asked.add:
        KEPT.unlink(missing_ok=True)
    runs = all_rounds(kinds, seeds, asked.at_once, page)
    return int(any(each.violations for each in runs))


if __name__ == "__main__":
    sys.exit(main())
