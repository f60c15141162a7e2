"""How long a decision takes, and how fast the filter is: `python -m benchmarks.pacing [--scale S] [--json FILE]`.

Decisions are made in the middle of a simulated day, after each event, with every seat's and every call's age as it came
about and the tables learned from that day; beside each, the same pacer decides progressively on the same state. The
filter (`dialer pace`) is given a day's lines, a question after every fifth event, and must answer as it did when they
were recorded. Times are the processor's, so that a neighbour on the machine is not measured along, but for the process
at the end of its pipes, which goes by the clock on the wall.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from threading import Thread
from typing import Final

import msgspec

from benchmarks import report
from benchmarks.report import Result, percentile
from campaigns.config import CampaignConfig
from dialer.core.terms import pacing_config
from dialer.pace import Filter
from pacing.contract import CallEvent, CallStage, Decision, Event, InboundOffered, Mode, Room, SeatEvent
from pacing.pacer import CampaignPacer
from simulator.floor import FloorLaw, Scenario, load, simulate_floor

SCENARIO: Final = "yardstick-100"
SEED: Final = 7
# Seats, and the budget of the slowest hundredth of their decisions in ms.
TEAMS: Final[dict[int, float | None]] = {5: None, 50: None, 500: 1.0, 5_000: 5.0}
LEARNED_DIALS: Final = 50_000
SHORTEST_S, LONGEST_S = (
    600.0,
    4 * 3600.0,
)  # of learning: a talk or two of each seat; half a day of a small team
DECISIONS: Final = 3_000  # of each team
LEARNS_BY_S: Final = 1.0  # between decisions while learning
LINES: Final = 100_000
EVENTS_A_QUESTION: Final = 5
EVENTS_PER_S: Final = 20_000.0
ROUNDS: Final = 3
COMMAND: Final = ("-c", "from dialer.cli import main; main()", "pace")


class Enough(Exception):
    """What was wanted of this day is there."""


class Timed:
    """A law that learns for a while, and then times how it decides in both modes after each event."""

    def __init__(self, scenario: Scenario, dials: float, decisions: int) -> None:
        self._predictive = replace(scenario.campaigns[0].pacing(), mode=Mode.PREDICTIVE)
        self._progressive = replace(self._predictive, mode=Mode.PROGRESSIVE)
        self._pacer = CampaignPacer(self._predictive)
        self._dials, self._decisions = dials, decisions
        self._asked = 0.0
        self.in_air: list[int] = []
        self.ms: dict[Mode, list[float]] = {Mode.PREDICTIVE: [], Mode.PROGRESSIVE: []}

    def observe(self, campaign: str, event: Event) -> None:
        self._dials -= isinstance(event, CallEvent) and event.stage is CallStage.DIALED
        self._pacer.observe(event)

    def decide(self, now: float, rooms: Mapping[str, Room]) -> Mapping[str, Decision]:
        (name, room) = next(iter(rooms.items()))
        if (now < SHORTEST_S or self._dials > 0) and now < LONGEST_S:
            if now - self._asked < LEARNS_BY_S:
                return {}
            self._asked = now
            return {name: self._pacer.decide(now, room)}
        if len(self.ms[Mode.PREDICTIVE]) == self._decisions:
            raise Enough
        self._pacer.configure(self._progressive)
        self._time(Mode.PROGRESSIVE, now, room)
        self._pacer.configure(self._predictive)
        decision = self._time(Mode.PREDICTIVE, now, room)
        self.in_air.append(int(decision.why["in_air"]))
        return {name: decision}

    def _time(self, mode: Mode, now: float, room: Room) -> Decision:
        begin = time.thread_time_ns()
        decision = self._pacer.decide(now, room)
        self.ms[mode].append((time.thread_time_ns() - begin) / 1e6)
        return decision


class Recorder:
    """A law that is the filter itself, and keeps the lines it was given and what it answered."""

    def __init__(self, lines: int) -> None:
        self._filter = new_filter()
        self._wanted = lines
        self._since_asked = 0
        self.lines: list[bytes] = []
        self.answers: list[bytes | None] = []

    def observe(self, campaign: str, event: Event) -> None:
        if isinstance(event, InboundOffered) or (
            isinstance(event, CallEvent) and event.stage is CallStage.ANSWERED
        ):
            return  # the filter's "answered" is the person
        line: dict[str, object] = {"t": event.at}
        if isinstance(event, SeatEvent):
            line |= {"seat": event.seat, "state": event.state}
        else:
            stage = "answered" if event.stage is CallStage.HUMAN else event.stage
            line |= {"call": event.call, "event": stage}
            line |= {} if event.seat is None else {"seat": event.seat}
            line |= {} if event.cause is None else {"cause": event.cause}
        self._since_asked += 1
        self._give(line)

    def decide(self, now: float, rooms: Mapping[str, Room]) -> Mapping[str, Decision]:
        (name, room) = next(iter(rooms.items()))
        if self._since_asked < EVENTS_A_QUESTION:
            return {}
        if len(self.lines) >= self._wanted:
            raise Enough
        self._since_asked = 0
        answer = self._give({"t": now, "decide": True, "free_lines": room.free_lines})
        return {name: Decision(msgspec.json.decode(answer or b"{}")["dial"], "")}

    def _give(self, line: dict[str, object]) -> bytes | None:
        self.lines.append(msgspec.json.encode(line) + b"\n")
        self.answers.append(self._filter.answer(self.lines[-1]))
        return self.answers[-1]


def floor_of(seats: int) -> Scenario:
    """The yardstick with so many seats, and a day longer than is needed."""
    scenario = load(SCENARIO)
    (group,) = scenario.seats
    return msgspec.structs.replace(scenario, hours=24.0, seats=(msgspec.structs.replace(group, count=seats),))


def run(scenario: Scenario, law: FloorLaw) -> None:
    """A day, until the law has enough of it."""
    with suppress(Enough):
        simulate_floor(scenario, law, SEED)


# --- decisions ----------------------------------------------------------------------------------------------


def decisions(seats: int, budget_ms: float | None, scale: float) -> list[Result]:
    """Figures of a team of this size."""
    scenario = floor_of(seats)
    law = Timed(scenario, LEARNED_DIALS * scale, max(1, round(DECISIONS * scale)))
    run(scenario, law)
    ours, plain = (sorted(law.ms[mode]) for mode in (Mode.PREDICTIVE, Mode.PROGRESSIVE))
    in_air = sorted(law.in_air)[len(law.in_air) // 2]
    return [
        Result(f"{seats:,} seats: predictive, p50, {in_air:,} calls in the air", percentile(ours, 0.5), "ms"),
        Result(f"{seats:,} seats: predictive, p99", percentile(ours, 0.99), "ms", budget_ms),
        Result(f"{seats:,} seats: progressive, p50", percentile(plain, 0.5), "ms"),
        Result(f"{seats:,} seats: progressive, p99", percentile(plain, 0.99), "ms"),
    ]


# --- the filter ---------------------------------------------------------------------------------------------


def new_filter() -> Filter:
    """The filter as the command makes it when it is told nothing."""
    return Filter(pacing_config(CampaignConfig(name="filter", switch="none", mode="predictive")))


def in_process(lines: list[bytes], wanted: list[bytes | None]) -> float:
    """Processor seconds that the filter takes for the lines."""
    answer = new_filter().answer
    begin = time.process_time()
    answers = [answer(line) for line in lines]
    took = time.process_time() - begin
    check(answers, wanted)
    return took


class Process:
    """A filter in a process of its own, at the end of its pipes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._into, self._out = self._process.stdin, self._process.stdout

    def tell(self, lines: bytes) -> None:
        self._into.write(lines)
        self._into.flush()

    def hear(self) -> bytes:
        return self._out.readline().rstrip(b"\n")

    def close(self) -> None:
        self._into.close()
        self._out.close()
        self._process.wait()


def in_its_own(lines: list[bytes], wanted: list[bytes | None], waits: bool) -> float:
    """Seconds that `dialer pace` takes on the wall's clock; `waits` for each answer before the next lines."""
    questions = [place + 1 for place, answer in enumerate(wanted) if answer is not None]
    first, *parts = (b"".join(lines[a:b]) for a, b in pairwise([0, *questions]))
    filter_process = Process()
    try:
        filter_process.tell(first)
        answers = [filter_process.hear()]  # it has started
        begin = time.perf_counter()
        if waits:
            for part in parts:
                filter_process.tell(part)
                answers.append(filter_process.hear())
        else:
            teller = Thread(target=filter_process.tell, args=(b"".join(parts),))
            teller.start()
            answers += [filter_process.hear() for _ in parts]
            teller.join()
        took = time.perf_counter() - begin
    finally:
        filter_process.close()
    check(answers, [answer for answer in wanted if answer is not None])
    return took


def check(answers: Sequence[bytes | None], wanted: Sequence[bytes | None]) -> None:
    if answers != wanted:
        raise SystemExit("the filter did not answer as it did when the lines were recorded")


def filtering(scale: float) -> list[Result]:
    """Figures of the filter."""
    recorder = Recorder(max(100, round(LINES * scale)))
    run(load(SCENARIO), recorder)
    lines, wanted = recorder.lines, recorder.answers
    events = wanted.count(None)
    alone = [line for line, answer in zip(lines, wanted, strict=True) if answer is None]
    took = min(in_process(lines, wanted) for _ in range(ROUNDS))
    took_alone = min(in_process(alone, [None] * events) for _ in range(ROUNDS))
    took_piped, took_asked = (
        min(in_its_own(lines, wanted, waits) for _ in range(ROUNDS)) for waits in (False, True)
    )
    asked = f"a question after every {EVENTS_A_QUESTION}"
    return [
        Result(f"filter: events, {asked}", events / took, "events/s", EVENTS_PER_S, "at_least"),
        Result("filter: the same, questions counted as well", len(lines) / took, "lines/s"),
        Result("filter: events, no questions", events / took_alone, "events/s"),
        Result(f"dialer pace, lines as they come, {asked}", events / took_piped, "events/s"),
        Result(f"dialer pace, waiting for each answer, {asked}", events / took_asked, "events/s"),
    ]


def measure(scale: float) -> list[Result]:
    found = [each for seats, budget in TEAMS.items() for each in decisions(seats, budget, scale)]
    return found + filtering(scale)


if __name__ == "__main__":
    chosen = report.options(__doc__ or "", "1.0 is 3,000 decisions of each team and 100,000 lines")
    sys.exit(report.report("pacing", chosen, measure(chosen.scale)))
