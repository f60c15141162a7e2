"""The demo does what it promises to a program that runs it, and says why when it can't."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from dialer.cli import main
from dialer.metrics import INVARIANTS

ROOT = Path(__file__).parents[2]
DIALER = Path(sys.executable).with_name("dialer")


def documented_keys() -> set[str]:
    page = (ROOT / "docs/reference/cli.md").read_text("utf-8").partition("## The summary of a demo\n")[2]
    page = page.partition("\n## ")[0]
    return {key for row in re.findall(r"(?m)^\| (`.*?`) \|", page) for key in re.findall(r"`(\w+)`", row)}


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the database's own user may go, too; pytest shuts others out of its folders."""
    found = Path(tempfile.mkdtemp(prefix="zhudong-test-"))
    yield found
    shutil.rmtree(found, ignore_errors=True)


def words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended meanwhile
        return []


@pytest.mark.timeout(120)
@pytest.mark.slow
def test_a_demo_runs_for_as_long_as_it_is_told_and_everything_is_accounted_for(
    tmp_path: Path, temporary: Path
) -> None:
    """When its time is up calls may finish; Ctrl-C then ends them, and the books are square all the same."""
    out, said = tmp_path / "out.json", ""
    command = [DIALER, "demo", "--duration", "12", "--json", out, "--seats", "20", "--leads", "800"]
    there = os.environ | {"TMPDIR": str(temporary)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=there
    ) as demo:
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
    assert list(temporary.glob("zhudong-demo-*")) == []
    assert not [p for p in psutil.process_iter() if any(str(temporary) in word for word in words_of(p))]


@pytest.mark.timeout(300)  # it takes seconds, but the machine may do other things
def test_a_demo_that_can_not_start_says_why_and_keeps_its_log(temporary: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [DIALER, "demo", "--web-port", str(port), "--leads", "10"]
        there = os.environ | {"TMPDIR": str(temporary)}
        ended = subprocess.run(command, capture_output=True, text=True, env=there, check=False)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    [folder] = temporary.glob("zhudong-demo-*")
    assert line.startswith(f"dialer: the web address 127.0.0.1:{port} can't be used")
    assert line.endswith(f"; the logs are in {folder}") and (folder / "dialer.log").stat().st_size


@pytest.mark.parametrize("command", ["demo", "demo-pair"])
def test_a_demo_does_not_begin_in_the_folder_of_another(command: str, tmp_path: Path) -> None:
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / "PG_VERSION").write_text("18\n")
    result = CliRunner().invoke(main, [command, "--data", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 1
    assert result.stderr == f"dialer: {tmp_path} has a database already; give --data a new folder\n"


@pytest.mark.parametrize("kind", ["demo", "demo-pair"])
def test_a_demo_whose_database_does_not_start_says_so(kind: str, temporary: Path) -> None:
    (temporary / "postgresql").mkdir()
    (temporary / "postgresql" / "something").touch()  # no database, and no place for one
    command = [DIALER, kind, "--data", temporary]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "did not start" in line and line.endswith(f"; the logs are in {temporary}")
