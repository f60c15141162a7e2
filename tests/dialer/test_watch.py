"""A folder that others drop lists into, watched by the real command; and the bar that a person sees meanwhile."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dialer.test_cli import CAMPAIGN, DIALER, Installation

pytestmark = pytest.mark.timeout(180)  # whole commands, each with its start
DEADLINE_S = 40.0  # the command's start takes some of it
LEADS = "SELECT count(*) FROM lead"


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


class Watched:
    """A watched folder, and the command that watches it."""

    def __init__(self, here: Installation) -> None:
        self.here = here
        self.folder = here.folder / "drops"
        self.folder.mkdir()
        self.child: subprocess.Popen[str] | None = None

    def begin(self, *more: str) -> None:
        command = [DIALER, "import", self.folder, "--watch", "--config", self.here.config, *more]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self, how: signal.Signals = signal.SIGINT) -> str:
        child, self.child = self.child, None
        assert child is not None
        child.send_signal(how)
        return child.communicate(timeout=DEADLINE_S)[0]

    def inside(self, folder: str, end: str) -> list[Path]:
        return sorted((self.folder / folder).glob(f"*{end}"))


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    here = Installation(tmp_path)
    assert here.do("apply", here.file("spring.toml", CAMPAIGN)).exit_code == 0
    found = Watched(here)
    yield found
    if found.child is not None:
        found.child.kill()
        found.child.communicate()


def test_what_is_dropped_is_imported_or_refused_and_moved_with_its_report(watched: Watched) -> None:
    (watched.folder / "there.csv").write_text("phone\n13800138000\n12\n")
    (watched.folder / "~$open.xlsx").write_bytes(b"x")
    watched.begin()
    until(lambda: watched.inside("imported", "there.csv"))
    (watched.folder / "broken.csv").write_text("name\nLi\n")
    half = watched.folder / "copied.csv"
    with half.open("w") as file:
        for number in range(13900139000, 13900139040):
            file.write("phone\n" if number == 13900139000 else f"{number}\n")
            file.flush()
            time.sleep(0.1)  # a slow copy, longer than the watcher's patience
    until(lambda: watched.inside("imported", "copied.csv") and watched.inside("refused", "broken.csv"))
    said = watched.end()
    assert watched.here.rows("SELECT name, accepted FROM list ORDER BY id") == [("there", 1), ("copied", 39)]
    [report] = watched.inside("imported", "there.csv.json")
    assert json.loads(report.read_text())["rejects"][0]["row"] == 3
    assert len(watched.inside("imported", "there.csv.rejected.csv")) == 1
    [report] = watched.inside("refused", "broken.csv.json")
    assert "no column" in json.loads(report.read_text())["refused"]
    assert {path.name for path in watched.folder.iterdir()} == {"imported", "refused", "~$open.xlsx"}
    assert "there.csv: 2 rows: 1 accepted" in said and "Traceback" not in said


def test_a_watcher_that_was_killed_goes_on_and_imports_nothing_twice(watched: Watched) -> None:
    first = watched.folder / "first.csv"
    first.write_text("phone\n13800138000\n")
    watched.begin("--duplicates", "replace")
    until(lambda: watched.inside("imported", "first.csv"))
    watched.end(signal.SIGKILL)
    [moved] = watched.inside("imported", "first.csv")
    moved.rename(first)  # as if it had been killed between the import and this
    watched.begin("--duplicates", "replace")
    until(lambda: watched.inside("imported", "first.csv"))
    assert "in already" in watched.end()
    assert watched.here.rows("SELECT count(*) FROM list") == [(1,)] and watched.here.rows(LEADS) == [(1,)]


def test_a_bar_on_a_terminal_shows_rate_and_time_left(tmp_path: Path) -> None:
    here = Installation(tmp_path)
    assert here.do("apply", here.file("spring.toml", CAMPAIGN)).exit_code == 0
    file = here.file("long.csv", "phone\n" + "".join(f"138{n:08d}\n" for n in range(40_000)))
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [DIALER, "import", file, "--config", here.config],
        stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(theirs)
    shown = bytearray()
    try:
        while block := os.read(ours, 65_536):
            shown += block
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
    assert child.wait(DEADLINE_S) == 0
    text = shown.decode("utf-8", "replace")
    assert "rows, " in text and " a second" in text and "%" in text and "0:00:" in text
    assert re.search(r"[1-3]0,000 rows", text) and re.search(r"\b[1-9][0-9]%", text)
