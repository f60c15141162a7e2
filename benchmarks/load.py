"""An engine at the load it is meant for, for an hour: `python -m benchmarks.load [--scale S] [--json FILE]`.

2,000 seats and 150 calls a second on the virtual switch, set up and measured as `benchmarks.engine` does it, for an
hour; `--scale` shrinks seats, calls and time alike. What an hour can show and a minute can't: whether memory stays flat
(the straight line through the second half of a sample each second), and whether latencies at its end are those of its
beginning.
"""

from __future__ import annotations

import sys
from typing import Final

import numpy as np

from benchmarks import report
from benchmarks.engine import CONNECT_MS, POP_MS, Load, Shift, outside_latencies, pages_process, shift
from benchmarks.report import Options, Result, percentile
from dialer import open_files

SEATS: Final = 2_000
CALLS_PER_S: Final = 150
WARM_UP_S: Final = 60.0
MEASURED_S: Final = 3_600.0
GROWTH_MB: Final = 10.0  # in an hour: a leak of 20 bytes a call would be more
SLOWER: Final = (
    1.5  # the last quarter's 99th percentile over the first's: the noise of some thousand calls is less
)


def growth(memory: list[tuple[float, float]]) -> float:
    """MB an hour, by the straight line through the second half of (seconds, MB); nan for fewer than two samples."""
    half = np.array(memory[len(memory) // 2 :])
    if len(half) < 2:
        return float("nan")
    return float(np.polyfit(half[:, 0], half[:, 1], 1)[0] * 3_600)


def results(load: Load, had: Shift) -> list[Result]:
    """The hour in figures."""
    quarter = (had.ended - had.began) / 4
    whole = outside_latencies(had.log, had.pages, had.began, had.ended)
    first = outside_latencies(had.log, had.pages, had.began, had.began + quarter)
    last = outside_latencies(had.log, had.pages, had.ended - quarter, had.ended)
    daemon = had.daemon
    rows = [
        Result("seats", load.seats, ""),
        Result("minutes", load.measured_s / 60, "min"),
        Result("calls placed", daemon["calls_per_s"], "calls/s", 0.9 * load.calls_per_s, "at_least"),
        Result("customers connected", daemon["connected"], "calls"),
        Result("abandoned", daemon["abandoned"], "calls"),
    ]
    for name, what, budget in (
        ("answer_to_page", "answer to pop read by the page", POP_MS),
        ("answer_to_bridge", "answer to both in one bridge", CONNECT_MS),
    ):
        begins, ends = percentile(first[name], 0.99), percentile(last[name], 0.99)
        rows += [
            Result(f"{what}, p50", percentile(whole[name], 0.5), "ms"),
            Result(f"{what}, p99", percentile(whole[name], 0.99), "ms", budget),
            Result(f"{what}, p99 of the last quarter over the first", ends / begins, "", SLOWER),
        ]
    return [
        *rows,
        Result("engine process, share of a core", daemon["cpu"] * 100, "%"),
        Result("switch process, share of a core", had.switch_cpu["switch"] * 100, "%"),
        Result("database, share of a core", daemon["database_cpu"] * 100, "%"),
        Result(
            "database grows, for each call",
            daemon["database_bytes"] / (daemon["calls_per_s"] * load.measured_s),
            "B",
        ),
        Result("engine memory, most", daemon["memory_mb"], "MB"),
        Result("engine memory, growth in its second half", growth(daemon["memory"]), "MB/h", GROWTH_MB),
        Result("events that no state expected", sum(daemon["anomalies"].values()), ""),
        Result("invariant breaches", daemon["breaches"], "", 0),
    ]


def measure(chosen: Options) -> list[Result]:
    """An hour at scale 1, and as much less of everything at a smaller one."""
    scale = chosen.scale
    load = Load(
        seats=max(1, round(SEATS * scale)),
        calls_per_s=max(1, round(CALLS_PER_S * scale)),
        warm_up_s=WARM_UP_S * min(1.0, max(scale, 0.1)),
        measured_s=max(10.0, MEASURED_S * scale),
    )
    with report.scratch("load") as folder:
        return results(load, shift(load, folder, pages_process))


def main() -> int:
    chosen = report.options(
        "An engine at its load for an hour: latencies, memory and breaches as time goes on."
    )
    open_files.take_allowed()
    return report.report("load", chosen, measure(chosen))


if __name__ == "__main__":
    sys.exit(main())
