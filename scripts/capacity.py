"""What so many seats need, into docs/capacity.md: `make capacity`.

Unit costs are measured on this machine by `benchmarks.load` and `benchmarks.desktop` (their `--json` files); how many
calls and lines a seat takes is simulated, one day of the yardstick floor. The rest is arithmetic, which the page shows.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import Any, Final

from dialer.simulate import day
from simulator.floor import load

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "capacity.md"
SEATS: Final = (150, 2_000, 10_000, 100_000)
FLOOR: Final = "yardstick-100"
SET_UP_S: Final = (
    0.25 * 12 + 0.15 * 12 + 0.10 * 3 + 0.50 * 25
)  # mean time of a line before an answer, on that floor
FULL: Final = 0.7  # of a core or of a host: above it waiting grows faster than work
HOURS_A_DAY, DAYS_A_YEAR = 10, 300
ORIGINATE_S: Final = 0.005  # of Asterisk's CPU, real Asterisk 22: benchmarks.joining
BRIDGED_CORES: Final = 0.53 / 200  # for each call with voice both ways, the same
HOST_CORES: Final = 16
VOICE_MBIT: Final = 0.087  # G.711, 20 ms, with its Ethernet frames, each way and leg

TEXT = """# What so many seats need

`make capacity` makes this page of two measurements and a simulated day; below the table stands how. {machine}.

| seats | {heads} |
|---|{ruler}|
{rows}

## Where the figures come from

- **Calls placed** for each seat and hour: {dials:.0f}, {connects:.1f} of them connected, at {occupancy:.0%}
  occupancy: a day of `{floor}`, on which 25 % of calls reach a person (`dialer simulate {floor}`). A list that
  answers half as often needs twice the calls.
- **Lines**: {set_up:.1f} s for each call before an answer, and the talks; what they come to but for a
  thousandth of the time (Poisson).
- **Engine**: {engine_ms:.1f} ms of a core for each call placed, pages and metrics included: {share:.0f} % of a
  core at {calls:.0f} calls/s and {measured_seats:,.0f} seats (`python -m benchmarks.load --scale {scale:g}`). A
  process is full at {full:.0%} of a core: at {most:.0f} calls/s, {seats_each:,.0f} seats of this floor.
- **Pages** that are connected and idle: {page_us:.2f} ms of a core a second for each
  (`python -m benchmarks.desktop`), in the engine that they are at.
- **PostgreSQL**: {database_ms:.1f} ms of a core and {stored:,.0f} bytes for each call placed, in the same run;
  without replicas and reports. A year has {days} days of {hours} hours. Older months move to files
  ([history](howto/keep-history.md)).
- **Asterisk 22**: {originate_ms:.0f} ms of a core for each originate and {bridged:.4f} of a core for each call
  with voice (`python -m benchmarks.joining`); hosts of {host_cores} cores, {full:.0%} full. Recording, other
  codecs and WebRTC cost more: measure yours. On one host it is full before the engine is
  (`python -m benchmarks.ceiling`).
- **Voice**: {voice:.0f} kbit/s for each leg, each way; a talking customer has two legs.

## What is measured, and what is arithmetic

150 seats are less than what any of the benchmarks runs. 2,000 seats of this floor place {calls_2000:.0f} calls
a second. 10,000 and 100,000 seats were never run: the table says what the parts would take if each goes on
costing what it costs now. Three things have to be known before it is believed:

- a switch has one engine at a time ([decision 20](decisions/0020-switches-by-lease.md)). More seats than one engine's,
  {seats_each:,.0f} of this floor, are on several switches, and a campaign of that size has a part on each of
  them ([decision 26](decisions/0026-a-campaign-on-several-switches.md)). All share the database, do-not-call lists,
  caps, customers, and a campaign's parts its abandon budget;
- one database takes the writes of all: leases and results of {calls_100k:,.0f} calls a second are beyond what
  was measured here for one server ([what a lease costs](explanation/lists-and-history.md)). Regions with
  databases of their own are the way to 100,000;
- one engine more than the table says stands by ([several engines](howto/several-engines.md)), and each switch
  host wants a neighbour that can take its calls.
"""


@dataclass(frozen=True, slots=True)
class Costs:
    """What one call, page and seat take. Seconds of a core; bytes."""

    dials: float  # for each seat and second
    connects: float  # the same
    talk_s: float
    engine_s: float  # for each call placed
    page: float  # of a core, for each page that is there
    database_s: float  # for each call placed
    stored: float  # for each call placed

    @property
    def most(self) -> float:
        """Calls a second that one engine places."""
        return FULL / self.engine_s


def figure(file: dict[str, Any], begins: str) -> float:
    """The figure whose name begins so. Raises ValueError when there is not just one."""
    [found] = [float(row["value"]) for row in file["results"] if row["what"].startswith(begins)]
    return found


def needs(seats: int, of: Costs) -> dict[str, str]:
    """A row of the table."""
    calls = seats * of.dials
    ringing, talking = calls * SET_UP_S, seats * of.connects * of.talk_s
    busy = ringing + talking
    engine = calls * of.engine_s + seats * of.page
    database = calls * of.database_s
    switch = calls * ORIGINATE_S + talking * BRIDGED_CORES
    grown = calls * 3600 * HOURS_A_DAY * of.stored / 1e9
    return {
        "calls placed, /s": f"{calls:,.1f}" if calls < 10 else f"{calls:,.0f}",
        "lines": f"{busy + 3.1 * sqrt(busy):,.0f}",
        "engines": f"{ceil(engine / FULL)}",
        "their cores": f"{engine:.2f}" if engine < 1 else f"{engine:.0f}",
        "PostgreSQL, cores": f"{database:.2f}" if database < 1 else f"{database:.0f}",
        "grows, GB a day · a year": f"{grown:,.1f} · {grown * DAYS_A_YEAR:,.0f}",
        "Asterisk hosts": f"{ceil(switch / (HOST_CORES * FULL))}",
        "voice, Mbit/s": f"{2 * talking * VOICE_MBIT:,.0f}",
    }


def page(loaded: dict[str, Any], desktop: dict[str, Any], floor: str = FLOOR) -> str:
    """The page's text."""
    had = day(load(floor), "predictive", 1)
    calls = figure(loaded, "calls placed")
    of = Costs(
        dials=had.total.dials / had.seat_hours / 3600,
        connects=had.connects_per_seat_hour / 3600,
        talk_s=had.talk_s / had.calls,
        engine_s=figure(loaded, "engine process") / 100 / calls,
        page=figure(desktop, "door, share") / 100 / figure(desktop, "pages on one door"),
        database_s=figure(loaded, "database, share") / 100 / calls,
        stored=figure(loaded, "database grows"),
    )
    rows = {seats: needs(seats, of) for seats in SEATS}
    heads = next(iter(rows.values())).keys()
    return TEXT.format(
        machine=loaded["machine"],
        heads=" | ".join(heads),
        ruler="|".join("---:" for _ in heads),
        rows="\n".join(f"| {seats:,} | {' | '.join(row.values())} |" for seats, row in rows.items()),
        dials=of.dials * 3600,
        connects=of.connects * 3600,
        occupancy=had.occupancy,
        floor=floor,
        set_up=SET_UP_S,
        engine_ms=of.engine_s * 1000,
        share=figure(loaded, "engine process"),
        calls=calls,
        measured_seats=figure(loaded, "seats"),
        scale=loaded["scale"],
        full=FULL,
        most=of.most,
        seats_each=of.most / of.dials,
        page_us=of.page * 1000,
        database_ms=of.database_s * 1000,
        stored=of.stored,
        days=DAYS_A_YEAR,
        hours=HOURS_A_DAY,
        originate_ms=ORIGINATE_S * 1000,
        bridged=BRIDGED_CORES,
        host_cores=HOST_CORES,
        voice=VOICE_MBIT * 1000,
        calls_2000=2_000 * of.dials,
        calls_100k=100_000 * of.dials,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("load", type=Path, help="what `benchmarks.load --json` wrote")
    parser.add_argument("desktop", type=Path, help="what `benchmarks.desktop --json` wrote")
    given = parser.parse_args()
    loaded, desktop = (json.loads(file.read_text(encoding="utf-8")) for file in (given.load, given.desktop))
    PAGE.write_text(page(loaded, desktop), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
