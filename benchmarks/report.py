"""The form all benchmarks share: one set of options, figures with budgets, a table, JSON, and an exit code."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Bound = Literal["at_most", "at_least"]


@dataclass(frozen=True, slots=True)
class Result:
    """One figure. With a `budget` it must keep to its `bound`; without one it only informs."""

    what: str
    value: float
    unit: str
    budget: float | None = None
    bound: Bound = "at_most"

    @property
    def ok(self) -> bool:
        if self.budget is None:
            return True
        return self.value <= self.budget if self.bound == "at_most" else self.value >= self.budget


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for. `scale` 1.0 is the load that the budgets are for."""

    scale: float
    json: Path | None


def options(description: str, scale_help: str = "1.0 is the load the budgets are for") -> Options:
    """Read the command line that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--scale", type=float, default=1.0, help=scale_help)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    given = parser.parse_args()
    if given.scale <= 0:
        parser.error(f"--scale must be above 0, is {given.scale}")
    return Options(given.scale, given.json)


def percentile(sorted_values: list[float], share: float) -> float:
    """Nearest-rank percentile: the smallest value that `share` of all values do not exceed; nan when there is none."""
    if not sorted_values:
        return float("nan")
    rank = ceil(share * len(sorted_values))
    return sorted_values[min(max(rank, 1), len(sorted_values)) - 1]


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder of the benchmark's own, gone with what is in it when it has ended."""
    with tempfile.TemporaryDirectory(prefix=f"zhudong-{name}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def machine() -> str:
    """The machine, in one line."""
    model = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # not Linux: the architecture must do
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def report(name: str, chosen: Options, results: list[Result]) -> int:
    """Print the table, write the JSON if asked to, and return the exit code: 1 when a budget is broken."""
    print(f"{name}: {machine()}, scale {chosen.scale:g}")
    width = max((len(result.what) for result in results), default=0)
    for result in results:
        line = f"  {result.what:<{width}}  {_figure(result.value):>12} {result.unit}"
        if result.budget is not None:
            sign = "≤" if result.bound == "at_most" else "≥"
            line += f"  (budget {sign} {_figure(result.budget)}: {'ok' if result.ok else 'BROKEN'})"
        print(line)
    if chosen.json:
        rows = [asdict(result) | {"ok": result.ok} for result in results]
        found = {"name": name, "scale": chosen.scale, "machine": machine(), "results": rows}
        chosen.json.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if all(result.ok for result in results) else 1


def run_async(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run on uvloop where it is installed, as the daemon does."""
    try:
        import uvloop
    except ImportError:
        factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main())


def _figure(value: float) -> str:
    if isinstance(value, int) or value.is_integer():
        return f"{int(value):,}"
    return f"{value:,.3f}" if abs(value) < 100 else f"{value:,.0f}"
