"""A switch's end of FastAGI as a test scripts it, and the service it speaks to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from dialer.fastagi import FastAgi

LIMIT_S = 20.0
UID = "zdc-" + "1" * 32
KEY_9 = "200 result=57"  # the key's code in ASCII
HEARD_OUT = "200 result=0 endpos=16000"
NO_KEY = "200 result=0"
GONE = "200 result=-1 endpos=4000"
MESSAGE, KEY = "200 result=1 (zhudong/safe-harbour)", "200 result=1 (9)"


class Line:
    """One channel in AGI(). It says what it is told to say, and keeps what the service asked."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked: list[str] = []
        self._reader, self._writer = reader, writer

    def say(self, data: str | bytes) -> None:
        self._writer.write(data.encode() if isinstance(data, str) else data)

    def greet(self, script: str = "safe-harbour", uid: str = UID) -> None:
        self.say(
            "agi_network: yes\n"
            f"agi_network_script: {script}\nagi_request: agi://127.0.0.1:4573/{script}\n"
            f"agi_channel: PJSIP/carrier-00000001\nagi_uniqueid: {uid}\nagi_calleridname: 王小明\n\n"
        )

    async def asks(self) -> str:
        """The service's next command; empty when it has closed."""
        async with asyncio.timeout(LIMIT_S):
            try:
                line = (await self._reader.readline()).decode().rstrip("\n")
            except ConnectionError:
                line = ""
        if line:
            self.asked.append(line)
        return line

    async def answers(self, *replies: str) -> None:
        """Answer the next commands, one reply each."""
        for reply in replies:
            assert await self.asks(), f"closed before {reply!r}"
            self.say(f"{reply}\n")

    async def closed(self) -> None:
        """Wait until the service has closed the connection."""
        while await self.asks():
            pass

    def hang_up(self) -> None:
        self._writer.close()

    def cut(self) -> None:
        self._writer.transport.abort()


class Service:
    """The service, and what it told the engine: (uid, message heard, opted out)."""

    def __init__(self, max_dialogues: int) -> None:
        self.told: list[tuple[str, bool, bool]] = []
        self.agi = FastAgi(
            "127.0.0.1",
            0,
            lambda uid, played, opted_out: self.told.append((uid, played, opted_out)),
            max_dialogues,
        )
        self._lines: list[Line] = []

    async def line(self) -> Line:
        """A channel enters AGI()."""
        line = Line(*await asyncio.open_connection("127.0.0.1", self.agi.port))
        self._lines.append(line)
        return line

    async def ended(self, **results: int) -> None:
        """Wait until dialogues ended so, and no others."""
        await until(lambda: dict(self.agi.results) == results, lambda: f"{dict(self.agi.results)}")

    def hang_up_all(self) -> None:
        for line in self._lines:
            line.hang_up()


async def until(so: Callable[[], object], what: Callable[[], str] = str) -> None:
    try:
        async with asyncio.timeout(LIMIT_S):
            while not so():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(what()) from None


@asynccontextmanager
async def serving(max_dialogues: int = 8) -> AsyncIterator[Service]:
    service = Service(max_dialogues)
    await service.agi.start()
    try:
        yield service
    finally:
        await service.agi.stop()
        service.hang_up_all()
