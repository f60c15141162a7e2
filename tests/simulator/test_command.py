"""`python -m simulator`: says where it listens, runs until it is told to stop, and leaves its call log behind."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from simulator.__main__ import main, parser, scenario
from simulator.scenario import StatisticalScenario
from simulator.switch.log import read_log
from simulator.switch.server import SECRET, USER
from tests.simulator.replay import Client
from tests.simulator.stories import answered, call

LIMIT_S = 20.0


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The command as a process, and what it said first."""
    command = [sys.executable, "-m", "simulator", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


async def connected(ready: dict[str, Any]) -> Client:
    client = Client()
    await client.connect(ready["host"], ready["port"])
    client.act(Action="Login", ActionID="login", Username=USER, Secret=SECRET)
    assert (await client.reply("login"))["Response"] == "Success"
    return client


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_and_the_log_tells_of_every_call(
    number: signal.Signals, tmp_path: Path
) -> None:
    log = tmp_path / "calls.jsonl"
    with running("--log", str(log)) as (process, ready):
        assert (ready["pid"], ready["user"]) == (process.pid, USER)
        client = await connected(ready)
        call(client, "call-1", "610002")
        await client.event("Hangup", "call-1", LIMIT_S)
        call(client, "call-2", "610008", "zhudong-test")
        await answered(client, "call-2")
        process.send_signal(number)
        assert process.wait(LIMIT_S) == 0
        await client.close()
    busy, stopped = read_log(log)
    assert (busy.uid, busy.cause, busy.ended_by) == ("call-1", 17, "far_end")
    assert (stopped.uid, stopped.ended_by) == ("call-2", "stopped")
    assert stopped.answered is not None


def test_it_ends_with_the_process_that_holds_its_stdin() -> None:
    with running("--until-stdin-closes") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(LIMIT_S) == 0


async def test_it_is_back_at_the_same_address_after_a_restart() -> None:
    with running() as (_, ready):
        client = await connected(ready)
        client.act(Action="ZhudongFault", ActionID="fault", Fault="restart", Value="0.1")
        assert (await client.reply("fault", LIMIT_S))["Response"] == "Success"
        async with asyncio.timeout(LIMIT_S):
            await client.closed.wait()
            while True:
                try:
                    again = await connected(ready)
                    break
                except ConnectionError:
                    await asyncio.sleep(0.01)
        await again.close()


def test_the_population_is_given_on_the_command_line() -> None:
    chosen = scenario(
        parser().parse_args(
            [
                "--scenario",
                "statistical",
                "--seed",
                "7",
                "--answers",
                "0.5",
                "--ring",
                "8",
                "--time-factor",
                "0.5",
            ]
        )
    )
    assert isinstance(chosen, StatisticalScenario)
    assert (chosen.seed, chosen.people.answers, chosen.people.ring_s) == (7, 0.5, 4.0)


def test_a_population_that_cannot_be_is_a_fault_of_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--scenario", "statistical", "--answers", "2"])
    assert ended.value.code == 2
    assert "answers is a share from 0 to 1, not 2" in capsys.readouterr().err


def test_an_address_or_a_log_that_cannot_be_had_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--log", str(tmp_path / "nowhere" / "calls.jsonl")]) == 1
    assert "nowhere/calls.jsonl" in capsys.readouterr().err
    with running() as (_, ready):
        assert main(["--port", str(ready["port"])]) == 1
    assert f"cannot listen on 127.0.0.1:{ready['port']}" in capsys.readouterr().err
