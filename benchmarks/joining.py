"""How a customer is joined with a seat: `python -m benchmarks.joining [--scale S] [--json FILE]`.

On a real Asterisk 22 with SIPp as carrier and phones: AMI's `Bridge` with a seat's leg that waits in the dialplan, and
as the alternative `Redirect` of the customer into the conference (ConfBridge) in which the seat's leg sits. Measured
are the time from the first sign of an answer to the instant at which both are in one bridge, one call after the other
and at a steady rate; lost joins; what AMI says of a call, with the engine's filters and without; Asterisk's CPU time
and memory with all seats in calls in which both sides send voice, recorded or not. `Bridge` is sent on the first sign
of an answer, `Redirect` on OriginateResponse, and as the "hasty conference" on the first sign too. The driver shares
the machine with Asterisk and SIPp; what counts is the ratio within one run.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, TypeVar

import psutil

from benchmarks import report
from benchmarks.report import Result, percentile
from tests.rig.asterisk import AsteriskRig
from tests.rig.floor import BRIDGE, CONFERENCE, CONFERENCES, HASTY, TALKER, Way, connect, open_floor
from tests.rig.place import HOW, Installed, find

T = TypeVar("T")

SEATS: Final = 200
ONE_BY_ONE: Final = 150
CALLS_PER_S: Final = 40.0
LOAD_S: Final = 25.0
TALK_S: Final = 1.0  # under load; so about 55 calls live at a time
SETTLE_S: Final = 1.0
WINDOW_S: Final = 6.0
CHEAPER: Final = 1.0  # what decision 3 rests on: a conference is never the cheaper way


# --- what is measured -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """Asterisk with all seats up. CPU in cores, memory in MiB."""

    calls: int
    waiting_cpu: float
    cpu: float
    recorded_cpu: float
    packets_per_s: float
    waiting_mib: float
    mib: float


@dataclass(frozen=True, slots=True)
class Talk:
    """What AMI said of a call."""

    events: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from answer to one bridge, sorted, and calls that were answered and not joined."""

    s: list[float]
    lost: int


async def standing(rig: AsteriskRig, way: Way, seats: int) -> Standing:
    """All seats wait, then all talk, then all are recorded. The seats' phones are talkers too: voice both ways."""
    asterisk = psutil.Process(rig.pid)

    async def share() -> float:
        def spent() -> float:
            used = asterisk.cpu_times()
            return used.user + used.system

        await asyncio.sleep(SETTLE_S)
        began, before = monotonic(), spent()
        await asyncio.sleep(WINDOW_S)
        return (spent() - before) / (monotonic() - began)

    def mib() -> float:
        return asterisk.memory_info().rss / 2**20

    async with open_floor(rig, way) as floor:
        await floor.nail_up(seats, "PJSIP/139{}" + TALKER + "@carrier")
        waiting_cpu, waiting_mib = await share(), mib()
        async with asyncio.TaskGroup() as calling:
            tasks = []
            for _ in range(seats):
                tasks.append(calling.create_task(floor.call()))
                await asyncio.sleep(1 / CALLS_PER_S)
        calls = [task.result() for task in tasks if task.result().joined.result() is not None]
        began, before = monotonic(), await floor.packets()
        cpu = await share()
        packets_per_s = (await floor.packets() - before) / (monotonic() - began)
        joined_mib = mib()
        for call in calls:
            await floor.record(call)
        return Standing(len(calls), waiting_cpu, cpu, await share(), packets_per_s, waiting_mib, joined_mib)


async def one_by_one(rig: AsteriskRig, way: Way, calls: int) -> tuple[Times, Talk, Talk]:
    """Calls one after the other, and what two ears hear of them: one with the engine's filters, one without."""
    async with open_floor(rig, way) as floor:
        await floor.nail_up(1, "PJSIP/seat{}")
        ears = [await connect(rig, lambda name, message, at: None, filtered=on) for on in (True, False)]
        before = [(ear.events.total(), ear.heard_bytes) for ear in ears]
        times: list[float] = []
        for _ in range(calls):
            call = await floor.call()
            if (joined := call.joined.result()) is not None:
                times.append(joined)
            await floor.end(call)
        for ear in ears:
            await ear.ask("Ping")  # what was said before has come
        heard = [(ear.events.total(), ear.heard_bytes) for ear in ears]
        for ear in ears:
            ear.close()
        told = [
            Talk((e - e0) / calls, (b - b0) / calls) for (e, b), (e0, b0) in zip(heard, before, strict=True)
        ]
        return Times(sorted(times), floor.lost), told[0], told[1]


async def under_load(rig: AsteriskRig, way: Way, seats: int, calls: int, per_s: float) -> Times:
    """Calls at fixed instants, however late the loop is; each talks a while and leaves its seat to another."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    async with open_floor(rig, way) as floor:
        await floor.nail_up(seats, "PJSIP/seat{}")

        async def live() -> None:
            call = await floor.call()
            if (joined := call.joined.result()) is not None:
                times.append(joined)
                await asyncio.sleep(TALK_S)
            await floor.end(call)

        began = loop.time()
        async with asyncio.TaskGroup() as calling:
            for number in range(calls):
                await asyncio.sleep(max(0.0, began + number / per_s - loop.time()))
                calling.create_task(live())
        return Times(sorted(times), floor.lost)


# --- what is told -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured:
    """One way, all of it."""

    standing: Standing
    alone: Times
    filtered: Talk
    unfiltered: Talk
    loaded: Times


def on_a_rig(installed: Installed, work: Callable[[AsteriskRig], Coroutine[Any, Any, T]]) -> T:
    """Each measurement has an Asterisk of its own, just started."""
    with AsteriskRig(installed, CONFERENCES) as rig:
        return report.run_async(lambda: work(rig))


def measure(installed: Installed, way: Way, scale: float) -> Measured:
    seats = max(2, round(SEATS * scale))
    alone, filtered, unfiltered = on_a_rig(
        installed, lambda rig: one_by_one(rig, way, max(5, round(ONE_BY_ONE * scale)))
    )
    return Measured(
        on_a_rig(installed, lambda rig: standing(rig, way, seats)),
        alone,
        filtered,
        unfiltered,
        load(installed, way, scale),
    )


def load(installed: Installed, way: Way, scale: float) -> Times:
    seats, per_s = max(2, round(SEATS * scale)), CALLS_PER_S * scale
    return on_a_rig(installed, lambda rig: under_load(rig, way, seats, round(per_s * LOAD_S), per_s))


def compare(bridge: Measured, conference: Measured, hasty: Times) -> list[Result]:
    """Each figure of both ways, and how many times more the conference needs."""
    seats = f"{bridge.standing.calls} calls"
    pairs = [
        ("one call at a time: answer to one bridge, p50", "ms", lambda m: 1000 * percentile(m.alone.s, 0.5)),
        ("one call at a time: answer to one bridge, p99", "ms", lambda m: 1000 * percentile(m.alone.s, 0.99)),
        ("steady load: answer to one bridge, p50", "ms", lambda m: 1000 * percentile(m.loaded.s, 0.5)),
        ("steady load: answer to one bridge, p99", "ms", lambda m: 1000 * percentile(m.loaded.s, 0.99)),
        ("seats wait: Asterisk's CPU", "cores", lambda m: m.standing.waiting_cpu),
        (f"{seats} with voice: Asterisk's CPU", "cores", lambda m: m.standing.cpu),
        (f"{seats} recorded: Asterisk's CPU", "cores", lambda m: m.standing.recorded_cpu),
        (f"{seats} with voice: packets in and out", "packets/s", lambda m: m.standing.packets_per_s),
        ("seats wait: Asterisk's memory", "MiB", lambda m: m.standing.waiting_mib),
        (f"{seats} with voice: Asterisk's memory", "MiB", lambda m: m.standing.mib),
        ("a call, filtered: events", "events", lambda m: m.filtered.events),
        ("a call, filtered: bytes", "bytes", lambda m: m.filtered.bytes),
        ("a call, no filter: events", "events", lambda m: m.unfiltered.events),
        ("a call, no filter: bytes", "bytes", lambda m: m.unfiltered.bytes),
    ]
    results: list[Result] = []
    for what, unit, figure in pairs:
        ours, theirs = figure(bridge), figure(conference)
        cheaper = CHEAPER if "with voice: Asterisk's CPU" in what else None
        results += [
            Result(f"{what}, Bridge", round(ours, 3), unit),
            Result(f"{what}, conference", round(theirs, 3), unit),
            Result(f"{what}, ratio", round(theirs / ours, 2), "×", cheaper, "at_least"),
        ]
    for name, times, budget in (
        ("Bridge", bridge.loaded, 0),
        ("conference", conference.loaded, None),
        ("hasty conference", hasty, None),
    ):
        results += [
            Result(f"steady load: answered calls, {name}", len(times.s) + times.lost, "calls"),
            Result(f"steady load: joins lost, {name}", times.lost, "calls", budget),
        ]
    for share in (0.5, 0.99):
        late = round(1000 * percentile(hasty.s, share), 3)
        results.append(
            Result(f"steady load: answer to one bridge, p{100 * share:.0f}, hasty conference", late, "ms")
        )
    return results


def main() -> int:
    chosen = report.options(
        (__doc__ or "").splitlines()[0], f"1.0 is {SEATS} seats and {CALLS_PER_S:g} calls/s"
    )
    installed = find()
    if installed is None:
        print(f"nothing was measured: there is no Asterisk 22 with SIPp on this machine; get it by {HOW}")
        return report.report("joining", chosen, [])
    bridge, conference = (measure(installed, way, chosen.scale) for way in (BRIDGE, CONFERENCE))
    return report.report("joining", chosen, compare(bridge, conference, load(installed, HASTY, chosen.scale)))


if __name__ == "__main__":
    sys.exit(main())
