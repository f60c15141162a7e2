"""How fast the floor runs: `python -m benchmarks.simulator [--scale S] [--json FILE]`.

The alternative is the same model in SimPy, written as its manual teaches (a process for each call), with the same
people from the same random streams, progressive like ours; that both come to the same figures is part of the run. An
event is one of our agenda's: a phone rings, stops ringing, a talk ends, a wrap-up ends, a wait is over. Time is that
of the processor, the best of a few rounds, drawing of random numbers included in both.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, Final

import msgspec
import simpy

from benchmarks import report
from benchmarks.report import Result
from pacing.contract import Decision, Event, Mode, Pacer, PacingConfig, Room
from pacing.pacer import CampaignPacer
from simulator.floor import OneEach, Scenario, compiled, load, simulate, simulate_floor, simulate_plainly
from simulator.floor.fates import List
from simulator.floor.scenario import BUCKET_S, by_minute

SCENARIO: Final = "yardstick-100"
SEED: Final = 7
ROUNDS: Final = 3
TIMES_SIMPY: Final = 20.0
EVENTS_PER_S: Final = 60_000.0
SHORTEST_H: Final = 0.5


class SimpySeat:
    """A seat's state, and the time it spent in each, by five minutes."""

    def __init__(self, env: simpy.Environment, buckets: int) -> None:
        self.env = env
        self.state, self.since = "idle", 0.0
        self.spent = {state: [0.0] * buckets for state in ("idle", "talk", "wrap")}

    def enter(self, state: str) -> None:
        spent, now = self.spent[self.state], self.env.now
        while self.since < now:
            bucket = int(self.since / BUCKET_S)
            until = min((bucket + 1) * BUCKET_S, now)
            spent[bucket] += until - self.since
            self.since = until
        self.state = state


class SimpyFloor:
    """The yardstick in SimPy: one list, one group of seats, progressive."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        campaign = scenario.campaigns[0]
        self.env = simpy.Environment()
        self.campaign = campaign
        self.leads = self._draw(List(campaign, seed, 0))
        self.person, self.machine, self.failed = (
            by_minute(course, 1)[0] for course in (campaign.person, campaign.machine, campaign.failed)
        )
        self.line_count = scenario.line_count
        self.lines = simpy.Resource(self.env, self.line_count)
        self.idle = simpy.Store(self.env)  # first in, first out: the longest idle seat is taken
        buckets = ceil(scenario.end_s / BUCKET_S)
        self.seats = [SimpySeat(self.env, buckets) for _ in range(scenario.seat_count)]
        self.idle.items.extend(self.seats)
        self.tallies = {name: [0] * buckets for name in ("dials", "connected", "abandoned")}
        self.in_air = 0

    def run(self, until_s: float) -> None:
        self.dial()
        self.env.run(until=until_s)
        for seat in self.seats:
            seat.enter(seat.state)

    def total(self, name: str) -> int:
        return sum(self.tallies[name])

    def occupancy(self) -> float:
        spent = {
            state: sum(sum(seat.spent[state]) for seat in self.seats) for state in ("idle", "talk", "wrap")
        }
        return 1 - spent["idle"] / sum(spent.values())

    @staticmethod
    def _draw(people: List) -> Iterator[tuple[float, ...]]:
        while True:
            yield from zip(*(column.tolist() for column in people.next()), strict=True)

    def tally(self, name: str, at: float) -> None:
        self.tallies[name][int(at / BUCKET_S)] += 1

    def dial(self) -> None:
        """One call for each idle seat, less those in the air."""
        free_lines = self.line_count - self.lines.count
        for _ in range(min(len(self.idle.items) - self.in_air, free_lines)):
            self.in_air += 1
            self.tally("dials", self.env.now)
            self.env.process(self.call(next(self.leads)))

    def call(self, lead: tuple[float, ...]) -> Generator[simpy.Event, Any, None]:
        env, campaign = self.env, self.campaign
        fate, _, setup_s, ring_s, machine_ring_s, talk_s, wrap_s, *_ = lead
        limit_s = campaign.ring_limit_s
        with self.lines.request() as line:
            yield line
            if 1 - self.machine > fate >= 1 - self.machine - self.failed:
                yield env.timeout(campaign.failed_after_s)
                self.in_air -= 1
                self.dial()
                return
            yield env.timeout(setup_s)
            is_person = fate < self.person and ring_s <= limit_s
            is_machine = fate >= 1 - self.machine and machine_ring_s <= limit_s
            yield env.timeout(ring_s if is_person else machine_ring_s if is_machine else limit_s)
            if not is_person:
                self.in_air -= 1
                self.dial()
                return
            answered = env.now
            get = self.idle.get()
            got = yield get | env.timeout(campaign.connect_limit_s)
            self.in_air -= 1
            if get not in got:
                get.cancel()
                self.tally("abandoned", answered)
                self.dial()
                return
            seat = got[get]
            self.tally("connected", answered)
            seat.enter("talk")
            self.dial()
            yield env.timeout(talk_s)
        seat.enter("wrap")
        yield env.timeout(wrap_s)
        seat.enter("idle")
        yield self.idle.put(seat)
        self.dial()


class Replayed:
    """A floor law that says again what another one said, so that only the floor's own time is left."""

    def __init__(self, said: Sequence[Mapping[str, Decision]]) -> None:
        self._said = iter(said)

    def observe(self, campaign: str, event: Event) -> None:
        """Nothing to learn."""

    def decide(self, now: float, rooms: Mapping[str, Room]) -> Mapping[str, Decision]:
        return next(self._said)


class Recorded(OneEach):
    """Pacers whose decisions are kept."""

    def __init__(self, pacers: Mapping[str, Pacer]) -> None:
        super().__init__(pacers)
        self.said: list[Mapping[str, Decision]] = []

    def decide(self, now: float, rooms: Mapping[str, Room]) -> Mapping[str, Decision]:
        self.said.append(super().decide(now, rooms))
        return self.said[-1]


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one run."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def progressive(config: PacingConfig) -> Pacer:
    """Our own pacer, one line a seat."""
    return CampaignPacer(replace(config, mode=Mode.PROGRESSIVE))


def measure(scale: float) -> list[Result]:
    scenario = load(SCENARIO)
    hours = max(SHORTEST_H, round(scenario.hours * scale * 12) / 12)
    scenario = msgspec.structs.replace(scenario, hours=hours, warm_up_min=0.0)
    ours = simulate_plainly(scenario, 1.0, SEED)  # compiles, too
    theirs = SimpyFloor(scenario, SEED)
    theirs.run(scenario.end_s)
    for name in ("dials", "connected", "abandoned"):
        if theirs.total(name) != getattr(ours, name):
            raise SystemExit(
                f"not the same model: {name} is {theirs.total(name)} in SimPy, {getattr(ours, name)} here"
            )
    recorded = Recorded({campaign.name: progressive(campaign.pacing()) for campaign in scenario.campaigns})
    if simulate_floor(scenario, recorded, SEED).total != ours.total:
        raise SystemExit("the plain law and our pacer's progressive mode differ")
    runs: dict[str, Callable[[], object]] = {
        "simpy": lambda: SimpyFloor(scenario, SEED).run(scenario.end_s),
        "plain": lambda: simulate_plainly(scenario, 1.0, SEED, fast=False),
        "law": lambda: simulate_floor(scenario, Replayed(recorded.said), SEED),
        "pacer": lambda: simulate(scenario, progressive, SEED),
        "compiled": lambda: simulate_plainly(scenario, 1.0, SEED),
    }
    best = {name: ours.events / min(seconds(run) for _ in range(ROUNDS)) for name, run in runs.items()}
    fast = "compiled by numba" if compiled.available() else "numba is not installed, so not compiled"
    return [
        Result(f"the same model in SimPy {simpy.__version__}", best["simpy"], "events/s"),
        Result(f"ours under a plain law, {fast}", best["compiled"], "events/s"),
        Result("times SimPy", best["compiled"] / best["simpy"], "x", TIMES_SIMPY, "at_least"),
        Result("ours under a plain law, not compiled", best["plain"], "events/s"),
        Result(
            "ours under a law in Python, without the law's own time",
            best["law"],
            "events/s",
            EVENTS_PER_S,
            "at_least",
        ),
        Result("ours under our pacer, progressive, its time included", best["pacer"], "events/s"),
        Result("events in the run", ours.events, "events"),
        Result(
            "occupancy in SimPy against ours, difference", abs(theirs.occupancy() - ours.occupancy), "", 1e-9
        ),
    ]


if __name__ == "__main__":
    chosen = report.options(__doc__ or "", "1.0 is the yardstick's whole day")
    sys.exit(report.report("simulator", chosen, measure(chosen.scale)))
