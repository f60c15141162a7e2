"""A running SMSC by node-smpp, as its operator sees it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.smpp.provision import HERE, HOW, SMSC

DEADLINE_S = 30.0


@dataclass(slots=True)
class Smsc:
    """What it tells comes by `told`; `do` has it do something: `throttle`, `refuse`, `deliver`, `drop`."""

    process: asyncio.subprocess.Process
    port: int = 0

    async def told(self, what: str) -> dict[str, Any]:
        """The next thing it tells that has this in it; others are passed over."""
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            while line := await self.process.stdout.readline():
                if what in (found := json.loads(line)):
                    return found
        raise AssertionError("the SMSC ended")

    async def do(self, **order: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        await self.process.stdin.drain()


@asynccontextmanager
async def smsc(*options: str | Path) -> AsyncIterator[Smsc]:
    """Run it; `--key` and `--cert` with files: by TLS."""
    at = SMSC.find()
    if at is None:
        reason = f"no SMSC to test with; get it with: {HOW}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    process = await asyncio.create_subprocess_exec(
        "node", str(HERE / "server.mjs"), str(at), *map(str, options),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    made = Smsc(process)
    try:
        made.port = (await made.told("port"))["port"]
        yield made
    finally:
        process.kill()
        await process.wait()
