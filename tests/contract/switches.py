"""The switches the contract is held against: the virtual one in its own process, and a real Asterisk 22 with SIPp."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dialer.switch.asterisk import log_in, take_snapshot
from dialer.switch.clock import SwitchClock
from dialer.switch.port import Channel
from dialer.switch.protocol import open_link


class SwitchUnderTest(Protocol):
    """Where the switch is, how it is dialed, and the one thing a test does to it."""

    name: str
    host: str
    port: int
    user: str
    secret: str
    softphone: str

    @property
    def recordings(self) -> Path | None:
        """Where its recordings appear; None when it has no sound."""
        ...

    def restart(self) -> None:
        """End it at once, with all its channels, and start it again at the same address. Blocks until it answers."""
        ...


@dataclass
class VirtualSwitchProcess:
    """`python -m simulator`, with the test numbers unless told otherwise."""

    options: tuple[str, ...] = ("--scenario", "tails")
    name: str = "virtual"
    host: str = "127.0.0.1"
    port: int = 0
    user: str = ""
    secret: str = ""
    softphone: str = ""
    recordings: Path | None = None
    _process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "simulator", *self.options, "--port", str(self.port)]
        self._process = subprocess.Popen(
            [*command, "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        said = json.loads(self._process.stdout.readline())
        from simulator.switch.server import SECRET

        self.port, self.user, self.secret = said["port"], said["user"], SECRET

    def restart(self) -> None:
        self.stop()
        self.start()

    def send(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """Kill it, with all its channels."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


async def channels(switch: SwitchUnderTest) -> Mapping[str, Channel]:
    """All live channels, asked for over a link of the test's own."""
    link = await open_link(switch.host, switch.port, lambda name, message, at: None)
    try:
        await log_in(link, switch.user, switch.secret)
        return (await take_snapshot(link, SwitchClock())).channels
    finally:
        link.close()


async def calls_over(switch: SwitchUnderTest, limit_s: float = 10.0) -> None:
    """Wait until no channel of a customer is left, be it of one who called in."""
    async with asyncio.timeout(limit_s):
        while any(uid.startswith("zdc-") or not uid.startswith("zd") for uid in await channels(switch)):
            await asyncio.sleep(0.05)
