"""Compares all laws of dialing in all scenarios, into docs/reference/laws.md: `make laws`.

Whole days on the same customers for every law: days 1 to `--days` of each scenario under ours and under foresight, and
days 1 to `--rivals` of them under the others. This takes hours of a machine, so each day is kept in `--kept` as it is
done and not simulated again, unless the code of pacing or the simulator changed; and `--no-more` makes the page of the
days there are.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from rich.progress import track

from benchmarks.report import machine
from dialer.simulate import day
from simulator.floor import Result, Scenario, load
from simulator.floor import names as scenarios
from simulator.floor.summary import Summary, summary
from simulator.policies.registry import BOUND, names

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "reference" / "laws.md"
KEPT: Final = ROOT / ".laws"
OURS: Final = "predictive"
LAST: Final = ("two-campaigns", "yardstick-100", "large-500")  # they take longest

HEAD: Final = """# All laws in all scenarios

`make laws` makes this page: whole days of each [scenario](scenarios.md) under every
[law](../howto/simulate.md#the-laws), on the same customers. {machine}.

**Abandoned** is of all people who answered, with the upper end of its 95 % confidence interval over the days. A law
*holds* the target (✓) when that end is not above it, in a scenario of several campaigns for each of them. **Calls** are
customers who had a seat, for each seat and hour. **Bound** is the occupancy as a share of what foresight reaches on the
same days. The best that holds the target stands in bold.

{verdict}
"""
Key = tuple[str, str, int, str]


def code(law: str) -> str:
    """What a day under this law depends on. The laws of others do not depend on how ours decides."""
    parts = ["simulator/floor", "simulator/scenarios", "pacing" if law == OURS else "simulator/policies"]
    files = sorted(file for part in parts for file in (ROOT / part).iterdir() if file.is_file())
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def kept(file: Path) -> Iterator[tuple[Key, Result]]:
    """Days that were done before, as far as the file is whole."""
    if file.exists():
        with file.open("rb") as found:
            while True:
                try:
                    yield pickle.load(found)  # written by this script
                except (EOFError, pickle.UnpicklingError):
                    return


def days(wanted: Sequence[Key], jobs: int | None, file: Path) -> dict[Key, Result]:
    """All days: those that are kept, and the others anew, in the order in which they are wanted."""
    codes = {key[3] for key in wanted}
    found = {key: result for key, result in kept(file) if key[3] in codes}
    missing = [key for key in wanted if key not in found]
    file.write_bytes(b"".join(pickle.dumps(each) for each in found.items()))
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as workers, file.open("ab") as keep:
        read = {name: load(name) for name in dict.fromkeys(key[0] for key in missing)}
        running = {workers.submit(day, read[key[0]], *key[1:3]): key for key in missing}
        for done in track(as_completed(running), "days", total=len(missing)):
            found[running[done]] = done.result()
            keep.write(pickle.dumps((running[done], done.result())))
            keep.flush()
    return found


def holds(one: Summary, scenario: Scenario) -> bool:
    """Whether each campaign's abandon rate is surely not above its target."""
    targets = {campaign.name: campaign.target for campaign in scenario.campaigns if campaign.dials}
    return all(one.campaigns[name].high <= target for name, target in targets.items())


def best(of: Sequence[Summary], scenario: Scenario) -> Summary | None:
    """The law with most calls of those that hold the target; foresight is none."""
    held = [one for one in of if one.policy != BOUND and holds(one, scenario)]
    return max(held, key=lambda one: one.connects_per_seat_hour.value, default=None)


def section(of: Sequence[Summary], scenario: Scenario) -> str:
    """A scenario's table, most calls first."""
    targets = ", ".join(f"{campaign.target:.0%}" for campaign in scenario.campaigns if campaign.dials)
    lines = [
        f"## {scenario.name}\n\n{scenario.story} Target {targets}.\n",
        "| law | days | abandoned % | up to | holds | occupancy % | idle s a call | calls | bound % |",
        "|---|---:|---:|---:|:---:|---:|---:|---:|---:|",
    ]
    first = best(of, scenario)
    for one in sorted(of, key=lambda one: -one.connects_per_seat_hour.value):
        name = f"**{one.policy}**" if one is first else one.policy
        cells = [
            f"{one.days}",
            f"{100 * one.abandon.value:.2f}",
            f"{100 * one.abandon.high:.2f}",
            "✓" if holds(one, scenario) else "",
            f"{100 * one.occupancy.value:.1f}",
            f"{one.idle_s_per_call.value:.1f}",
            f"{one.connects_per_seat_hour.value:.2f}",
            f"{100 * one.bound_share.value:.1f}",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        if len(one.campaigns) > 1:
            lines += [
                f"| · {part} | | {100 * rate.value:.2f} | {100 * rate.high:.2f} | | | | | |"
                for part, rate in one.campaigns.items()
            ]
    return "\n".join(lines) + "\n"


def page(found: dict[Key, Result], which: Sequence[str], laws: Sequence[str]) -> str:
    """The page's text, of the days that there are."""
    by_law: dict[tuple[str, str], dict[int, Result]] = {}
    for (name, law, seed, _), result in found.items():
        by_law.setdefault((name, law), {})[seed] = result
    sections, held, first, made = [], [], [], []
    for name in which:
        scenario = load(name)
        best_days = by_law.get((name, BOUND), {})
        of_law = {law: sorted(set(by_law.get((name, law), ())) & set(best_days)) for law in laws}
        if not all(of_law.values()):
            continue
        of = [
            summary(law, [by_law[name, law][seed] for seed in seeds], [best_days[seed] for seed in seeds])
            for law, seeds in of_law.items()
        ]
        [ours] = [one for one in of if one.policy == OURS]
        made.append(name)
        held += [name] if holds(ours, scenario) else []
        first += [name] if best(of, scenario) is ours else []
        sections.append(section(of, scenario))
    verdict = (
        f"`{OURS}` holds the target in {len(held)} of {len(made)} scenarios, and has the most calls of those that do "
        f"in {len(first)}."
    )
    for what, but in (("It does not hold it in", held), ("It is not the first in", first)):
        if missing := [f"`{name}`" for name in made if name not in but]:
            verdict += f" {what} {', '.join(missing)}."
    if unmade := [f"`{name}`" for name in which if name not in made]:
        verdict += f" Not simulated under all laws so far: {', '.join(unmade)}."
    return "\n".join([HEAD.format(machine=machine(), verdict=verdict), *sections])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", help="all that come with the package when not given")
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--rivals", type=int, default=20)
    parser.add_argument("--jobs", type=int, help="processes; one for each core when not given")
    parser.add_argument("--kept", type=Path, default=KEPT)
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--no-more", action="store_true")
    options = parser.parse_args()
    which = options.scenarios or sorted(scenarios(), key=lambda name: (name in LAST, name))
    laws = [OURS, *(law for law in names() if law not in (OURS, BOUND)), BOUND]
    codes = {law: code(law) for law in laws}
    if options.no_more:
        found = {key: result for key, result in kept(options.kept) if key[3] == codes.get(key[1])}
    else:
        seeds = range(1, options.days + 1)
        own = [(name, law, seed, codes[law]) for name in which for law in (OURS, BOUND) for seed in seeds]
        others = [law for law in laws if law not in (OURS, BOUND)]
        rest = [
            (name, law, seed, codes[law])
            for name in which
            for law in others
            for seed in seeds[: options.rivals]
        ]
        quick = [key for key in (*own, *rest) if key[0] not in LAST]
        slow = sorted((key for key in (*own, *rest) if key[0] in LAST), key=lambda key: key[2])
        found = days([*quick, *slow], options.jobs, options.kept)
    options.page.write_text(page(found, which, laws), encoding="utf-8")
    print(f"wrote {options.page}")


if __name__ == "__main__":
    main()
