"""`dialer simulate`: scenarios under laws, day by day on all cores, as a table, as JSON, and as a picture."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from math import isnan
from multiprocessing import get_context
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from simulator.floor import Result, Scenario, load
from simulator.floor.picture import draw
from simulator.floor.summary import Estimate, Summary, summary
from simulator.policies.registry import BOUND, policy

HEADS = ("abandoned %", "occupancy\n%", "idle s\na call", "calls a\nseat-hour", "bound\n%")
WIDTH = 100  # columns of a table that goes into a file
USUAL = ("predictive", "progressive", "ratio:1.5", "vicidial-average", "issabel", BOUND)

Days = dict[tuple[str, str, int], Result]  # by scenario, law and seed


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be simulated: every scenario under every law, on the days of seeds 1 to `seeds`."""

    scenarios: tuple[Scenario, ...]
    policies: tuple[str, ...]
    seeds: int
    jobs: int


def plan(scenarios: Sequence[str | Scenario], policies: Iterable[str], seeds: int, jobs: int | None) -> Plan:
    """Read the scenarios that are only named, and look the laws up. Raises ScenarioError and UnknownPolicy."""
    names = tuple(dict.fromkeys(policies)) or USUAL
    for name in names:
        policy(name)
    found = tuple(load(each) if isinstance(each, str) else each for each in scenarios)
    return Plan(found, names, seeds, jobs or os.cpu_count() or 1)


def day(scenario: Scenario, policy_name: str, seed: int) -> Result:
    """One day in a worker process."""
    return policy(policy_name).day(scenario, seed)


def days(what: Plan, console: Console) -> Days:
    """Simulate all days, with a bar on `console`; the clairvoyant's come along, as everything is compared with them."""
    laws = tuple(dict.fromkeys([*what.policies, BOUND]))
    wanted = [
        (scenario, law, seed)
        for scenario in what.scenarios
        for law in laws
        for seed in range(1, what.seeds + 1)
    ]
    found: Days = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=console, transient=True) as progress,
        ProcessPoolExecutor(min(what.jobs, len(wanted)), mp_context=get_context("spawn")) as workers,
    ):
        bar = progress.add_task("days", total=len(wanted))
        running = {workers.submit(day, *each): each for each in wanted}
        try:
            for done in as_completed(running):
                scenario, law, seed = running[done]
                found[scenario.name, law, seed] = done.result()
                progress.advance(bar)
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def simulate(what: Plan, console: Console) -> list[Summary]:
    """Simulate all days, and sum them up for each scenario and law."""
    found, seeds = days(what, console), range(1, what.seeds + 1)
    return [
        summary(
            law,
            [found[scenario.name, law, seed] for seed in seeds],
            [found[scenario.name, BOUND, seed] for seed in seeds],
        )
        for scenario in what.scenarios
        for law in what.policies
    ]


def write_picture(summaries: Sequence[Summary], what: Plan, file: Path) -> None:
    """Write the picture of all summaries."""
    targets = {each.name: min(c.target for c in each.campaigns) for each in what.scenarios}
    file.write_text(draw(summaries, targets), encoding="utf-8")


def tables(summaries: Sequence[Summary], what: Plan) -> Group:
    """A table for each scenario, with its story."""
    found: list[Table | Text] = []
    for scenario in what.scenarios:
        table = Table(
            title=scenario.name,
            caption=scenario.story,
            title_justify="left",
            caption_justify="left",
            box=SIMPLE_HEAD,
        )
        table.add_column("policy", overflow="fold", min_width=16)
        for title in HEADS:
            table.add_column(title, justify="right", no_wrap=True)
        for one in summaries:
            if one.scenario == scenario.name:
                _add(table, one, scenario)
        found += [table, Text()]
    return Group(*found)


def _add(table: Table, one: Summary, scenario: Scenario) -> None:
    targets = {campaign.name: campaign.target for campaign in scenario.campaigns}
    table.add_row(
        one.policy,
        _abandon(one.abandon, min(targets.values())),
        _figure(one.occupancy, 100),
        _figure(one.idle_s_per_call),
        _figure(one.connects_per_seat_hour),
        _figure(one.bound_share, 100),
    )
    if len(targets) > 1:
        for name, estimate in one.campaigns.items():
            table.add_row(Text(f"  {name}", style="bright_black"), _abandon(estimate, targets[name]))


def _abandon(estimate: Estimate, target: float) -> Text:
    """Green when surely under the target, red when surely above."""
    style = "green" if estimate.high <= target else "red" if estimate.low > target else ""
    span = f"{estimate.value * 100:.2f} {estimate.low * 100:.2f}–{estimate.high * 100:.2f}"
    return Text(span, style=style)


def _figure(estimate: Estimate, times: float = 1.0) -> str:
    if isnan(estimate.value):
        return "–"
    half = "" if isnan(estimate.low) else f" ±{(estimate.high - estimate.low) / 2 * times:.1f}"
    return f"{estimate.value * times:.1f}{half}"
