"""The virtual switch as its own process: `python -m simulator --port 5038 --scenario tails --log calls.jsonl`.

The first line on stdout is JSON and tells where it listens; it ends with exit code 0 on SIGTERM, SIGINT or the end of
stdin.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from simulator.scenario import Population, Scenario, StatisticalScenario, TailsScenario
from simulator.switch.server import SECRET, USER, VirtualSwitch

SOUND_S: Final = 6.0
PEOPLE: Final[Mapping[str, tuple[str, str]]] = {
    "--answers": ("answers", "share of calls that are answered"),
    "--busy": ("busy", "share of calls that are busy (486)"),
    "--congestion": ("congestion", "share of calls that meet a full line (503)"),
    "--invalid": ("invalid", "share of numbers that do not exist (404)"),
    "--unavailable": ("unavailable", "share of phones that are off (480)"),
    "--rejects": ("rejects", "share of calls that are rejected (603)"),
    "--machines": ("machines", "share of answers that are machines"),
    "--hangs-up-early": ("hangs_up_early", "share of people who hang up soon after they were connected"),
    "--opts-out": ("opts_out", "share of those who hear the message and press the key"),
    "--phone-lost": ("phone_lost", "share of seats' phones that hang up by themselves"),
    "--ring": ("ring_s", "mean time to the answer, seconds"),
    "--talk": ("talk_s", "mean talk time, seconds"),
    "--patience": ("patience_s", "mean wait for a seat before the customer hangs up, seconds"),
}


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="dialer virtual-switch",
        description="The virtual switch: AMI as Asterisk 22 speaks it, no telephones.",
    )
    found.add_argument("--host", default="127.0.0.1")
    found.add_argument(
        "--port", type=int, default=0, help="0 takes a free one; the line on stdout says which"
    )
    found.add_argument("--user", default=USER, help=f"AMI user ({USER})")
    found.add_argument("--secret", default=SECRET, help=f"AMI secret ({SECRET})")
    found.add_argument("--log", type=Path, help="the switch's own call log, JSON lines, appended to")
    found.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that holds stdin"
    )
    found.add_argument(
        "--seed", type=int, default=1, help="the same seed, number and attempt meet the same fate"
    )
    found.add_argument(
        "--scenario",
        choices=("tails", "statistical"),
        default="tails",
        help="tails: a number's last two digits say what happens; statistical: a population",
    )
    people = found.add_argument_group("the population of the statistical scenario")
    people.add_argument("--time-factor", type=float, default=1.0, help="all its times, times this")
    usual = Population()
    for option, (name, text) in PEOPLE.items():
        people.add_argument(
            option, dest=name, type=float, metavar="X", help=f"{text} ({getattr(usual, name):g})"
        )
    return found


def scenario(options: argparse.Namespace) -> Scenario:
    """Raises ValueError when the population makes no sense."""
    if options.scenario == "tails":
        return TailsScenario(seed=options.seed)
    names = [name for name, _ in PEOPLE.values()]
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    people = Population(**given).shorter(options.time_factor)
    return StatisticalScenario(people=people, seed=options.seed, sound_s=SOUND_S * options.time_factor)


async def serve(options: argparse.Namespace, chosen: Scenario) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    switch = VirtualSwitch(
        chosen,
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
    """Run until told to stop; 1 when the address or the log can't be had."""
    command_line = parser()
    options = command_line.parse_args(arguments)
    try:
        chosen = scenario(options)
    except ValueError as error:
        command_line.error(str(error))
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(options, chosen))
    except OSError as error:
        what = f"write {error.filename}" if error.filename else f"listen on {options.host}:{options.port}"
        print(f"cannot {what}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
