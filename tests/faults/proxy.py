"""What lies between the engine and a switch: a proxy for AMI that cuts, stalls, delays, loses, doubles and reorders.

It speaks for any switch. Only what the switch says is taken apart, into its messages; replies are the only ones that
are tampered with, since TCP delivers what it delivers in order, and a lost event is a lost link.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Self

END = b"\r\n\r\n"
CHUNK = 65_536
ON_THE_WAY = 1_000  # messages, before the switch is read no further


@dataclass(frozen=True, slots=True)
class Mischief:
    """What befalls replies: the share of each kind; the longest delay of everything, and how late at least is what the
    switch says, in seconds.
    """

    lost: float = 0.0
    doubled: float = 0.0
    behind: float = 0.0  # they come after the message that follows them
    delay_s: float = 0.0
    late_s: float = 0.0


@dataclass(slots=True)
class AmiProxy:
    """`async with AmiProxy(host, port, chance) as proxy`, then the engine's switch is at `proxy.port`."""

    to_host: str
    to_port: int
    chance: random.Random
    port: int = 0
    mischief: Mischief = Mischief()
    struck: int = 0  # replies that something befell
    _refuses: bool = False
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _links: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._open.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for link in list(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def cut(self) -> None:
        """End every link without a word."""
        for writer in list(self._writers):
            writer.transport.abort()

    def refuse(self, on: bool) -> None:
        """End every link, and each new one at once. False: new ones are taken again."""
        self._refuses = on
        if on:
            self.cut()

    def stall(self, on: bool) -> None:
        """Links stay and new ones are taken, but nothing passes, as when a cable is pulled. False: it does."""
        if on:
            self._open.clear()
        else:
            self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(self.to_host, self.to_port)
            self._writers.add(back)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass(_chunks(reader), back, said=False))
                    both.create_task(self._pass(self._replies(there), writer, said=True))
            finally:
                self._writers.discard(back)
                back.transport.abort()
        except (OSError, ExceptionGroup):
            pass  # the switch is not there, or one of the two is gone: so is the other
        finally:
            self._writers.discard(writer)
            self._links.discard(link)
            writer.transport.abort()

    async def _pass(self, pieces: AsyncIterator[bytes], to: asyncio.StreamWriter, said: bool) -> None:
        """In their order, each as late as its chance has it; one that waits makes none behind it later than that.

        `said`: by the switch.
        """
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(ON_THE_WAY)
        due = 0.0
        async with asyncio.TaskGroup() as both:
            both.create_task(self._deliver(late, to))
            async for piece in pieces:
                late_s = (self.mischief.late_s if said else 0.0) + self.chance.uniform(
                    0.0, self.mischief.delay_s
                )
                due = max(due, monotonic() + late_s)
                await late.put((due, piece))
            await late.join()
            raise ConnectionResetError

    async def _deliver(self, late: asyncio.Queue[tuple[float, bytes]], to: asyncio.StreamWriter) -> None:
        while True:
            due, piece = await late.get()
            await asyncio.sleep(max(0.0, due - monotonic()))
            await self._open.wait()
            cut = self.chance.randrange(len(piece) + 1) if self.mischief.delay_s else 0
            for part in (piece[:cut], piece[cut:]):  # TCP cuts where it likes
                to.write(part)
                await to.drain()
            late.task_done()

    async def _replies(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        """The switch's messages; a reply may be missing, come twice, or after what follows it."""
        held = b""
        async for piece in _messages(reader):
            does, chance = self.mischief, self.chance.random()
            if not piece.startswith(b"Response:") or chance >= does.lost + does.doubled + does.behind:
                yield piece + held
                held = b""
                continue
            self.struck += 1
            if chance < does.lost:
                continue
            if chance < does.lost + does.doubled:
                yield piece + piece
            else:
                held += piece
        yield held


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await reader.read(CHUNK):
        yield piece


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The greeting, a line; then message by message."""
    with suppress(asyncio.IncompleteReadError):
        yield await reader.readuntil(b"\r\n")
        while True:
            yield await reader.readuntil(END)
