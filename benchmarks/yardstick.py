"""The yardstick under every law there is: `python -m benchmarks.yardstick [--scale S] [--json FILE]`.

A steady day of 5, of 20 and of 100 seats, with people who are the same for all laws under one seed: ours, those of
other dialers (simulator/policies), and foresight as the bound. Each figure is the mean over the days; the abandon rate
comes with the upper end of its 95 % confidence interval over the days, and ours must not be above the target there.
The occupancy that was asked for stands beside as the goal; it is no budget. Days run on all cores, at scale 1 for a
quarter of an hour on two of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec
from rich.console import Console

from benchmarks import report
from benchmarks.report import Result
from dialer.simulate import Plan, days, plan
from simulator.floor import Result as Day
from simulator.floor.result import mean_interval
from simulator.policies.registry import BOUND, names

GOALS: Final = {"yardstick-5": 80.0, "yardstick-20": 90.0, "yardstick-100": 97.0}  # occupancy in %
OURS: Final = "predictive"
TARGET: Final = 3.0  # % of answered people abandoned
SEEDS: Final = 20
FEWEST: Final = 5  # days from which their interval is narrow enough to hold anybody to
SHORTEST_H: Final = 0.5


def planned(scale: float) -> Plan:
    """Which days; with less than one whole day it is a shorter one."""
    wanted = SEEDS * scale
    others = [name for name in names() if name not in (OURS, BOUND)]
    what = plan(tuple(GOALS), (OURS, *others, BOUND), max(1, round(wanted)), None)
    if wanted >= 1.0:
        return what
    shorter = tuple(
        msgspec.structs.replace(each, hours=max(SHORTEST_H, each.hours * wanted)) for each in what.scenarios
    )
    return replace(what, scenarios=shorter)


def figures(scenario: str, law: str, found: Sequence[Day]) -> list[Result]:
    """What a law comes to on these days."""
    name = f"{scenario}, {law}"
    abandoned, _, high = mean_interval([100 * day.abandon_rate for day in found])
    results = [
        Result(f"{name}: occupancy", 100 * mean_interval([day.occupancy for day in found])[0], "%"),
        Result(f"{name}: abandoned", abandoned, "%"),
        Result(
            f"{name}: connects per seat-hour",
            mean_interval([day.connects_per_seat_hour for day in found])[0],
            "",
        ),
    ]
    if len(found) > 1:
        budget = TARGET if law == OURS and len(found) >= FEWEST else None
        results.insert(2, Result(f"{name}: abandoned, upper 95 % bound", high, "%", budget))
    return results


def measure(scale: float) -> list[Result]:
    what = planned(scale)
    found = days(what, Console(stderr=True))
    results = []
    for scenario in what.scenarios:
        results.append(Result(f"{scenario.name}: goal for the occupancy", GOALS[scenario.name], "%"))
        for law in what.policies:
            of_law = [found[scenario.name, law, seed] for seed in range(1, what.seeds + 1)]
            results += figures(scenario.name, law, of_law)
    return results


if __name__ == "__main__":
    chosen = report.options(__doc__ or "", "1.0 is 20 days of each; the budget holds from 0.25 on")
    sys.exit(report.report("yardstick", chosen, measure(chosen.scale)))
