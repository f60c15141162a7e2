"""The readers of reports, seen from the daemon: few processes, an order each at a time."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from cti.desk import Refusal
from cti.report_reader import Order, Reply

log = structlog.get_logger(__name__)

READERS = 2  # at a time
WAITING = 8  # orders, those at work among them; what comes on top is refused
LOOK_S = 0.2  # between two looks whether somebody still waits
LIMIT_S = 40.0  # of an order: some statements, and a file of fifty thousand rows
MOST_LINE = 1 << 16  # bytes of a reply's first line
BUSY = "it took too long, or the database of reports is away; try again, or ask for fewer days"


class Readers:
    """The readers of one database, started when they are needed, ended with :meth:`run`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._turns = asyncio.Semaphore(READERS)
        self._waiting = 0
        self._idle: list[Process] = []
        self._all: set[Process] = set()

    async def ask(self, order: Order, gone: Callable[[], Awaitable[bool]]) -> tuple[bytes, bool]:
        """What an order gives, unless who waits for it is `gone` before, and whether its days are counted.

        Raises :class:`Refusal`.
        """
        if self._waiting >= WAITING:
            raise Refusal(503, "busy")
        self._waiting += 1
        try:
            work = asyncio.ensure_future(self._carried_out(order))
            try:
                while not (await asyncio.wait({work}, timeout=LOOK_S))[0]:
                    if await gone():
                        raise Refusal(400, "malformed", "the reader has left")
                reply, body = work.result()
            finally:
                if not work.done():
                    work.cancel()
                    await asyncio.gather(work, return_exceptions=True)
        finally:
            self._waiting -= 1
        if reply.status != 200:
            log.info("a report was not made", report=order.question.report, reason=reply.detail)
            if reply.status == 503:
                raise Refusal(503, "busy", BUSY)
            raise Refusal(reply.status, "malformed" if reply.status == 400 else "counting", reply.detail)
        return body, reply.counted

    async def run(self) -> None:
        """Wait to be cancelled, and end them all; with its connection goes the statement that one waits for."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """End them all."""
        await asyncio.gather(*map(self._end, list(self._all)))

    async def _carried_out(self, order: Order) -> tuple[Reply, bytes]:
        async with self._turns:
            try:
                process = self._idle.pop() if self._idle else await self._start()
            except OSError as fault:  # the system has no room for one more process
                return Reply(503, f"no reader could be started: {fault!r}"), b""
            assert process.stdin is not None and process.stdout is not None
            try:
                async with asyncio.timeout(LIMIT_S):
                    process.stdin.write(msgspec.json.encode(order) + b"\n")
                    await process.stdin.drain()
                    reply = msgspec.json.decode(await process.stdout.readline(), type=Reply)
                    body = await process.stdout.readexactly(reply.length)
            except (
                TimeoutError,
                OSError,
                msgspec.DecodeError,
                asyncio.IncompleteReadError,
                ValueError,
            ) as fault:
                await self._end(process)
                return Reply(503, f"a reader gave no answer: {fault!r}"), b""
            except BaseException:  # nobody waits for it any more
                await self._end(process)
                raise
            self._idle.append(process)
            return reply, body

    async def _start(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "cti.report_reader", stdin=PIPE, stdout=PIPE, limit=MOST_LINE
        )
        self._all.add(process)
        assert process.stdin is not None
        process.stdin.write(self._url.encode() + b"\n")  # not as an argument, which others could read
        return process

    async def _end(self, process: Process) -> None:
        self._all.discard(process)
        if process.returncode is None:
            process.kill()
        await process.wait()
