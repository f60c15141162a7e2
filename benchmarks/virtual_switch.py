"""What the virtual switch carries on one core: `python -m benchmarks.virtual_switch [--scale S] [--json FILE]`.

The switch runs in its own process (`python -m simulator`), a plain driver in this one speaks raw AMI to it: it nails
up the seats' legs, originates calls at a fixed rate, bridges each answer with a free seat, and hears every event, as
no filter is set. A second link pings; a Pong carries the switch's own clock, so how late the switch's loop read the
Ping is known without the driver's own delays. The capacity is the measured rate over the measured share of a core.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import psutil

from benchmarks import report
from benchmarks.report import Result, percentile
from simulator.switch.server import SECRET, USER

SEATS: Final = 1_000
CALLS_PER_S: Final = 100.0
SEATS_PER_S: Final = 200.0
WARM_UP_S: Final = 18.0  # until as many calls end as begin
MEASURED_S: Final = 12.0
PING_EVERY_S: Final = 0.01
LIMIT_S: Final = 20.0
CPU_BUDGET: Final = 0.9  # of one core
STEADY: Final = (
    0.85  # of the rate: less means a switch that falls behind, or a run that was not in its steady state
)
EVENT_END: Final = b"\r\n\r\n"
# With the time factor: rings for 2 s in the mean, talks for 8 s. Half the seats are taken, and what begins ends within
# the warm-up, so that hanging up is measured as well.
PEOPLE: Final = ("--answers", "0.6", "--ring", "8", "--talk", "32", "--patience", "12")
TIME_FACTOR: Final = 0.25
RING_LIMIT_S: Final = 5.0
SHORTEST: Final = 0.25  # the times' share of those at scale 1, however small the scale


def shorter(scale: float) -> float:
    """What all times are multiplied with at this scale."""
    return min(1.0, max(SHORTEST, scale))


def action(name: str, number: int, *headers: str) -> bytes:
    return "\r\n".join((f"Action: {name}", f"ActionID: {number}", *headers, "", "")).encode()


def header(message: bytes, name: bytes) -> bytes:
    begin = message.index(b"\r\n" + name + b": ") + len(name) + 4
    end = message.find(b"\r\n", begin)
    return message[begin:] if end < 0 else message[begin:end]


@dataclass
class Driver(asyncio.Protocol):
    """Originates and bridges, and counts what it hears."""

    ring_limit_s: float
    ids: count[int] = field(default_factory=count)
    free: deque[bytes] = field(default_factory=deque)
    talks: dict[bytes, bytes] = field(default_factory=dict)  # customer's uid to the seat's
    events: int = 0
    replies: int = 0
    asked: int = 0
    refused: int = 0
    decided: int = 0  # OriginateResponses of customers
    bridged: int = 0
    ended: int = 0
    unserved: int = 0
    _rest: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.act("Login", f"Username: {USER}", f"Secret: {SECRET}")

    def act(self, name: str, *headers: str) -> None:
        self.asked += 1
        self._transport.write(action(name, next(self.ids), *headers))  # type: ignore[attr-defined]

    def call(self, channel: str, uid: str, context: str) -> None:
        where = (f"Context: {context}", "Exten: s", "Priority: 1")
        limits = ("Async: true", f"Timeout: {self.ring_limit_s * 1000:.0f}", "CallerID: 10086")
        self.act("Originate", f"Channel: {channel}", f"ChannelId: {uid}", *limits, *where)

    def data_received(self, data: bytes) -> None:
        *messages, self._rest = (self._rest + data).split(EVENT_END)
        for message in messages:
            if message.startswith(b"Event: "):
                self.events += 1
                if message.startswith(b"Event: OriginateResponse"):
                    self.response(message)
                elif message.startswith(b"Event: Hangup\r"):
                    self.hung_up(header(message, b"Uniqueid"))
            else:
                self.replies += 1
                self.refused += b"Response: Success" not in message

    def response(self, message: bytes) -> None:
        uid = header(message, b"Uniqueid")
        if uid.startswith(b"seat"):
            self.free.append(uid)
            return
        self.decided += 1
        if header(message, b"Response") != b"Success":
            return
        if self.free:
            seat = self.talks[uid] = self.free.popleft()
            self.bridged += 1
            self.act("Bridge", f"Channel1: {uid.decode()}", f"Channel2: {seat.decode()}")
        else:
            self.unserved += 1
            self.act("Hangup", f"Channel: {uid.decode()}")

    def hung_up(self, uid: bytes) -> None:
        self.ended += uid.startswith(b"call")
        seat = self.talks.pop(uid, None)
        if seat is not None:
            self.free.append(seat)


class Pinger(threading.Thread):
    """Pings on a blocking link of its own; `lags` are (when sent, seconds until the switch had read it)."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.lags: list[tuple[float, float]] = []
        self.stopped = threading.Event()
        self._link = socket.create_connection(("127.0.0.1", port), LIMIT_S)
        self._link.sendall(action("Login", 0, f"Username: {USER}", f"Secret: {SECRET}", "Events: off"))
        self._file = self._link.makefile("rb")

    def run(self) -> None:
        while not self.stopped.wait(PING_EVERY_S):
            sent = time.time()
            self._link.sendall(action("Ping", 1))
            while not (line := self._file.readline()).startswith(b"Timestamp: "):
                if not line:
                    return
            self.lags.append((sent, float(line[11:]) - sent))
        self._link.close()


async def drive(port: int, pid: int, scale: float) -> list[Result]:
    loop = asyncio.get_running_loop()
    seats, rate = max(10, round(SEATS * scale)), CALLS_PER_S * scale
    factor = shorter(scale)
    warm_up_s, measured_s = WARM_UP_S * factor, MEASURED_S * factor
    _, driver = await loop.create_connection(lambda: Driver(RING_LIMIT_S * factor), "127.0.0.1", port)

    async def place(number: int, per_s: float, channel: str, uid: str, context: str) -> None:
        """Place calls at fixed instants, however late the loop is."""
        begin = loop.time()
        for index in range(number):
            await asyncio.sleep(max(0.0, begin + index / per_s - loop.time()))
            driver.call(channel.format(index), uid.format(index), context)

    await place(seats, SEATS_PER_S * max(1.0, scale), "PJSIP/seat{:05}", "seat-{:08}", "zhudong-seat")
    async with asyncio.timeout(LIMIT_S):
        while len(driver.free) < seats:
            await asyncio.sleep(0.01)
    pinger = Pinger(port)
    pinger.start()
    switch, own = psutil.Process(pid), psutil.Process()
    calls = round(rate * (warm_up_s + measured_s))
    load = loop.create_task(
        place(calls, rate, "PJSIP/138{:08}@carrier", "call-{:08}", "zhudong-customer"), name="load"
    )

    def spent(process: psutil.Process) -> float:
        used = process.cpu_times()
        return used.user + used.system

    def figures() -> tuple[float, ...]:
        heard = (driver.events, driver.decided, driver.bridged, driver.ended)
        return (time.time(), spent(switch), spent(own), *heard)

    await asyncio.sleep(warm_up_s)
    before = figures()
    await load
    took, cpu, driver_cpu, events, decided, bridged, ended = (
        late - early for late, early in zip(figures(), before, strict=True)
    )
    pinger.stopped.set()
    async with asyncio.timeout(LIMIT_S):
        while driver.replies < driver.asked:
            await asyncio.sleep(0.01)
    await asyncio.to_thread(pinger.join)
    late_ms = sorted(1000 * lag for sent, lag in pinger.lags if sent >= before[0])
    share = cpu / took
    print(f"  {seats:,} seats, {rate:g} calls/s for {took:.1f} s after {warm_up_s:g} s of warming up")
    return [
        Result("switch's CPU", round(share, 3), "cores", CPU_BUDGET),
        Result("capacity on one core, by CPU share", round(rate / share), "calls/s"),
        Result(f"ratio, capacity to {rate:g} calls/s", round(1 / share, 2), "x", 1 / CPU_BUDGET, "at_least"),
        Result("events", round(events / took), "events/s"),
        Result("calls decided", round(decided / took, 1), "calls/s", STEADY * rate, "at_least"),
        Result("calls ended", round(ended / took, 1), "calls/s", STEADY * rate, "at_least"),
        Result("bridges", round(bridged / took, 1), "bridges/s"),
        Result("switch's memory", round(switch.memory_info().rss / 2**20), "MiB"),
        Result("lag of the switch's loop: p50", round(percentile(late_ms, 0.5), 3), "ms"),
        Result("lag of the switch's loop: p99", round(percentile(late_ms, 0.99), 3), "ms"),
        Result("lag of the switch's loop: max", round(late_ms[-1], 3), "ms"),
        Result("actions refused", driver.refused, "actions"),
        Result("answers without a free seat", driver.unserved, "calls"),
        Result("driver's CPU", round(driver_cpu / took, 3), "cores"),
    ]


def main() -> int:
    chosen = report.options((__doc__ or "").splitlines()[0], "1.0 is 1,000 seats and 100 calls/s for 30 s")
    times = ("--time-factor", str(TIME_FACTOR * shorter(chosen.scale)))
    command = [sys.executable, "-m", "simulator", "--scenario", "statistical", *PEOPLE, *times]
    command.append("--until-stdin-closes")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        ready = json.loads(process.stdout.readline())
        results = report.run_async(lambda: drive(ready["port"], ready["pid"], chosen.scale))
        process.stdin.close()
        process.wait(LIMIT_S)
    return report.report("virtual_switch", chosen, results)


if __name__ == "__main__":
    sys.exit(main())
