"""Pacing as a filter, spoken to as another dialer would; and the example of the how-to, run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from campaigns.config import CampaignConfig
from dialer.core.terms import pacing_config
from dialer.pace import Filter
from pacing.predictive import OVER

ROOT = Path(__file__).parents[2]
DIALER = Path(sys.executable).with_name("dialer")
CONFIG = pacing_config(CampaignConfig(name="x", switch="y", mode="predictive"))


def say(spoken: Filter, **line: Any) -> Any:
    answer = spoken.answer(json.dumps(line).encode())
    return None if answer is None else json.loads(answer)


def test_a_seat_that_is_idle_is_dialed_for_and_the_answer_says_why() -> None:
    spoken = Filter(CONFIG)
    assert say(spoken, t=0.0, seat=7, state="idle") is None
    answer = say(spoken, t=0.0, decide=True, free_lines=30)
    assert answer["dial"] == 1
    assert answer["why"]["idle_seats"] == 1
    assert say(spoken, t=0.0, call=991, event="dialed") is None
    assert say(spoken, t=1.0, decide=True, free_lines=30)["dial"] == 0


def test_a_call_goes_its_whole_way() -> None:
    spoken = Filter(CONFIG)
    say(spoken, t=0.0, seat=7, state="idle")
    for at, event in ((0.0, "dialed"), (1.0, "ringing"), (9.0, "answered")):
        assert say(spoken, t=at, call="a", event=event) is None
    assert say(spoken, t=9.0, seat=7, state="talk") is None
    assert say(spoken, t=9.0, call="a", event="connected", seat=7) is None
    assert say(spoken, t=60.0, call="a", event="ended", seat=7) is None
    assert say(spoken, t=60.0, seat=7, state="wrap") is None
    assert say(spoken, t=80.0, seat=7, state="idle") is None
    assert say(spoken, t=80.0, decide=True, free_lines=0) == {
        "dial": 0,
        "why": {**say(spoken, t=80.0, decide=True, free_lines=0)["why"], "bound": "lines"},
    }


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "truncated"),
        (b"[]", "object"),
        (b"\xff\xfe", "malformed"),
        (b'{"t": "now", "decide": true}', "float"),
        (b'{"t": 1e999, "decide": true}', "t"),
        (b'{"t": 1, "seat": 7, "state": "asleep"}', "asleep"),
        (b'{"t": 1, "call": 7, "event": "exploded"}', "exploded"),
        (b'{"t": 1}', "seat, a call or decide"),
        (b'{"t": 1, "seat": 7, "state": "idle", "colour": 1}', "colour"),
        (b'{"t": 1, "seat": "' + b"x" * 70_000 + b'", "state": "idle"}', "longer"),
        (b'{"t": -5, "decide": true}', "went back"),
    ],
)
def test_a_line_that_can_not_be_read_is_told_so_and_the_next_is_served(line: bytes, says: str) -> None:
    spoken = Filter(CONFIG)
    say(spoken, t=0.0, seat=7, state="idle")
    answer = spoken.answer(line)
    assert answer is not None
    assert says in json.loads(answer)["error"]
    assert say(spoken, t=2.0, decide=True, free_lines=9)["dial"] == 1


def test_the_command_answers_each_line_at_once() -> None:
    with subprocess.Popen(
        [str(DIALER), "pace", "--target", "0.02"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(
            b'{"t": 0, "seat": 1, "state": "idle"}\n{"t": 0, "decide": true, "free_lines": 5}\n'
        )
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["dial"] == 1  # while stdin is open
        process.stdin.write(b"nonsense\n")
        process.stdin.flush()
        assert "error" in json.loads(process.stdout.readline())
        process.stdin.close()
        assert process.wait(10) == 0


def test_the_fifty_lines_of_the_how_to_run_and_hold_the_target() -> None:
    page = (ROOT / "docs/howto/drive-pacing.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(code.strip().splitlines()) <= 50
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=50, check=True
    ).stdout
    found = re.fullmatch(r"(\d+) talks, (\d+) abandoned: [\d.]+%\n", said)
    assert found is not None, said
    talks, abandoned = int(found[1]), int(found[2])
    assert talks > 600
    # At any moment it may be over by what pacing/predictive.py says: one abandon, and OVER of the answers.
    assert abandoned <= (0.03 + OVER) * (talks + abandoned) + 1
