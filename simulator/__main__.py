"""The virtual switch as its own process: `python -m simulator --port 5038 --scenario tails --log calls.jsonl`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from simulator.scenario import Population, Scenario, StatisticalScenario, TailsScenario
from simulator.switch.server import SECRET, USER, VirtualSwitch

SHARES = ("answers", "busy", "machines", "patience_s", "ring_s", "talk_s")


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m simulator", description=(__doc__ or "").splitlines()[0])
    found.add_argument("--host", default="127.0.0.1")
    found.add_argument(
        "--port", type=int, default=0, help="0 takes a free one; the line on stdout says which"
    )
    found.add_argument("--user", default=USER)
    found.add_argument("--secret", default=SECRET)
    found.add_argument("--scenario", choices=("tails", "statistical"), default="tails")
    found.add_argument("--seed", type=int, default=1)
    found.add_argument("--time-factor", type=float, default=1.0, help="statistical: all times times this")
    for name in SHARES:
        found.add_argument(
            f"--{name.removesuffix('_s').replace('_', '-')}",
            dest=name,
            type=float,
            help=f"statistical: {name}",
        )
    found.add_argument("--log", type=Path, help="the switch's own call log, JSON lines")
    found.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that holds stdin"
    )
    return found


def scenario(options: argparse.Namespace) -> Scenario:
    if options.scenario == "tails":
        return TailsScenario(seed=options.seed)
    given = {name: getattr(options, name) for name in SHARES if getattr(options, name) is not None}
    people = Population(**given).shorter(options.time_factor)
    return StatisticalScenario(people=people, seed=options.seed, sound_s=6.0 * options.time_factor)


async def serve(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    switch = VirtualSwitch(
        scenario(options),
        host=options.host,
        port=options.port,
        user=options.user,
        secret=options.secret,
        log_path=options.log,
    )
    async with switch:
        ready = {"host": switch.host, "port": switch.port, "user": switch.user, "pid": os.getpid()}
        print(json.dumps(ready), flush=True)
        if options.until_stdin_closes:
            _stop_at_end_of_stdin(loop, stop)
        await stop.wait()


def _stop_at_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    descriptor = sys.stdin.fileno()

    def readable() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            stop.set()

    loop.add_reader(descriptor, readable)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM, SIGINT or (if asked for) the end of stdin; 1 when the address can't be had."""
    options = parser().parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(options))
    except OSError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
