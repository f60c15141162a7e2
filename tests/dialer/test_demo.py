"""The demo does what it promises to a program that runs it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dialer.metrics import INVARIANTS

ROOT = Path(__file__).parents[2]
DIALER = Path(sys.executable).with_name("dialer")


def documented_keys() -> set[str]:
    page = (ROOT / "docs/reference/cli.md").read_text("utf-8").partition("## The summary of a demo\n")[2]
    page = page.partition("\n## ")[0]
    return {key for row in re.findall(r"(?m)^\| (`.*?`) \|", page) for key in re.findall(r"`(\w+)`", row)}


@pytest.mark.timeout(120)
@pytest.mark.slow
def test_a_demo_runs_for_as_long_as_it_is_told_and_everything_is_accounted_for(tmp_path: Path) -> None:
    """When its time is up calls may finish; Ctrl-C then ends them, and the books are square all the same."""
    out, said = tmp_path / "out.json", ""
    command = [DIALER, "demo", "--duration", "12", "--json", out, "--seats", "20", "--leads", "800"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            said += line
            if line.startswith("the calls in progress finish"):
                demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0, said
    summary = json.loads(out.read_text("utf-8"))
    assert summary.keys() == documented_keys()
    assert 11.5 <= summary["duration_s"] <= 14.0
    assert (
        summary["seats"] == 20 and summary["dials"] >= summary["answered_humans"] >= summary["connected"] > 0
    )
    assert summary["unaccounted"] == {"leads": 0, "calls": 0, "seats": 0, "journal": 0, "waits": 0}
    assert summary["invariant_breaches"] == dict.fromkeys((*INVARIANTS, "abandon_target"), 0)
    assert 0 < summary["occupancy"] <= 1 and 0 <= summary["abandon_rate"] <= 1
    for times in ("answer_to_pop_ms", "answer_to_connect_ms"):
        assert 0 < summary[times]["p50"] <= summary[times]["p99"]
    assert re.search(r"a seat's page: http://127\.0\.0\.1:\d+/", said)
    assert "Traceback" not in said
