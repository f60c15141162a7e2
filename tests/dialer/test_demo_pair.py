"""Two engines and two switches on one host: what is killed by the command that is shown loses nothing."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dialer.pair import free_ports

ROOT = Path(__file__).parents[2]
DIALER = Path(sys.executable).with_name("dialer")


def documented_keys() -> set[str]:
    page = (ROOT / "docs/reference/cli.md").read_text("utf-8").partition("## The account of a pair")[2]
    return {key for row in re.findall(r"(?m)^\| (`.*?`) \|", page) for key in re.findall(r"`(\w+)`", row)}


def test_two_pairs_take_different_ports_though_neither_listens_yet() -> None:
    one, another = free_ports(), free_ports()
    assert {next(one) for _ in range(6)}.isdisjoint({next(another) for _ in range(6)})


@pytest.mark.timeout(600)  # nothing of it takes long, but the machine may do other things
@pytest.mark.slow
def test_an_engine_and_a_switch_are_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    """The engine at work; then, while it is gone, a switch. When all is well again the day ends, at once."""
    out, said, owner = tmp_path / "out.json", "", ""
    kills: dict[str, list[str]] = {}
    command = [DIALER, "demo-pair", "--json", out, "--seats", "4", "--leads", "200"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            said += line
            if shown := re.search(r"((?:engine|switch) \w+) starts: (kill -9 \d+)$", line):
                kills[shown[1]] = shown[2].split()
            elif has := re.search(r"(engine \w+) has north and south$", line):
                if owner and "switch north was killed" not in said:  # they have an engine again
                    subprocess.run(kills["switch north"], check=True)
                owner = has[1]
            elif re.search(r" [1-9]\d* connected ", line) and "was killed" not in said:
                subprocess.run(kills[owner], check=True)
            elif "have their seats again" in line:
                demo.send_signal(signal.SIGINT)
            elif "no new calls" in line:
                demo.send_signal(signal.SIGINT)  # those in progress end
        assert demo.wait(60) == 0, said
    account = json.loads(out.read_text("utf-8"))
    assert account.keys() == documented_keys()
    assert account["killed"] == {"engine one": 1, "engine two": 0, "switch north": 1, "switch south": 0}
    assert not any(account["unaccounted"].values()) and account["invariant_breaches"] == 0
    assert account["calls"] >= account["calls_on_switches"] > 0 and account["outcomes"]["connected"] >= 1
    assert "Traceback" not in said
