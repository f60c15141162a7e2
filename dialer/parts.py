"""A process that is started again when it ends, as a service manager does, until it is asked to stop."""

from __future__ import annotations

import asyncio
import signal
import time
from asyncio.subprocess import PIPE
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

AGAIN_S = 1.0  # between two signals: those that come together are one


@dataclass(slots=True)
class Part:
    """One of an installation's processes, whose stdout and stderr go to `log`. Run :meth:`keep` as a task.

    It is started again `back_s` after its end, so that others notice that it is gone. `deaths` are its ends that nobody
    asked it for, in Unix seconds, of which `gone` hears; `told` hears of each turn, in words.
    """

    name: str
    command: Sequence[str]
    log: Path
    back_s: float
    told: Callable[[str], None]
    gone: Callable[[float], None]
    deaths: list[float] = field(default_factory=list)
    back_at: float | None = None  # monotonic, while it is gone
    process: asyncio.subprocess.Process | None = None
    _stopping: bool = False

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.returncode is None

    @property
    def pid(self) -> int | None:
        """The newest process."""
        return self.process.pid if self.process is not None else None

    @property
    def code(self) -> int | None:
        """What the newest process ended with."""
        return self.process.returncode if self.process is not None else None

    async def keep(self) -> None:
        """Start it, and again whenever it ended; returns when it has ended because it was asked to."""
        while not self._stopping:
            with self.log.open("ab") as log:
                # A session of its own: Ctrl-C in the terminal is for us. What watches its stdin ends with us.
                self.process = await asyncio.create_subprocess_exec(
                    *self.command, stdin=PIPE, stdout=log, stderr=log, start_new_session=True
                )
            self.back_at = None
            self.told(f"{self.name} starts: kill -9 {self.process.pid}")
            code = await self.process.wait()
            if self._stopping:
                return
            self.deaths.append(time.time())
            self.gone(self.deaths[-1])
            self.back_at = monotonic() + self.back_s
            how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with {code}"
            self.told(f"{self.name} {how}; it is started again in {self.back_s:g} s")
            await asyncio.sleep(self.back_s)

    async def stop(self, limit_s: float, at_once: bool = False) -> None:
        """Ask it to end, `at_once` a second time, and wait; what is not gone within the limit is killed."""
        self._stopping = True
        for wait_s in (AGAIN_S, limit_s) if at_once else (limit_s,):
            if self.process is None or not self.runs:
                return
            with suppress(TimeoutError, ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(wait_s):
                    await self.process.wait()
        if self.process is not None and self.runs:
            self.kill()
            await self.process.wait()

    def kill(self) -> None:
        """It is gone at once, for good."""
        self._stopping = True
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()
