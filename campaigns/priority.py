"""Work that takes a core for long, on the call centre's own machine."""

from __future__ import annotations

import os

NICE = 10


def step_back() -> None:
    """Let this process come after the calls. The database's own processes can't be told so."""
    os.nice(NICE)
