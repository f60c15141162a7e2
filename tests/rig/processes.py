"""Processes that never outlive the test run, not even one that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# The kernel kills the child when the thread that started it is gone, so one thread starts them all and stays.
_starter = ThreadPoolExecutor(1, "rig")
LEASH = ("setpriv", "--pdeathsig", "KILL")


class Process:
    """One running program; what it says goes to a file."""

    def __init__(self, command: Sequence[str], folder: Path, said: Path) -> None:
        self.said = said
        self._process = _starter.submit(self._start, command, folder).result()

    def _start(self, command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
        with self.said.open("ab") as said:
            return subprocess.Popen(
                [*LEASH, *command],
                cwd=folder,
                env=os.environ | {"TERM": "dumb"},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        """`kill -9`, and wait for the end."""
        if not self.ended:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
