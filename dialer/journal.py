"""The journal's writer: records leave the event loop at once and reach the database in groups, exactly once, in order.

Theory of operation. One thread takes what has gathered and commits it as one transaction. Every record has a serial
number of this writer; the database keeps the last one it has applied, in the same transaction, so that a repeat is
recognised. While the database is away, records go to a spool file, synced to disk, and are replayed from it before
anything newer. A record that the database refuses by itself is set aside with its reason and holds up nobody. A
database that takes a batch and says nothing more is away, too: a second thread waits for its word, and the batch is
repeated when that has come.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

import msgspec
import structlog

from campaigns.records import AnyRecord

log = structlog.get_logger(__name__)

Batch = Sequence[tuple[int, AnyRecord]]

MAX_BATCH = 2_000
RETRY_S = 1.0  # how often a database that is away is tried again
APPLY_LIMIT_S = 5.0  # a full batch takes a second at most; half of what the end of the journal has
AWAY_LIMIT_S = 1.0  # one that is away is tried with one record; what comes meanwhile is in memory alone
CATCH_UP_S, LOOK_S = 30.0, 0.01
SPOOL, REJECTED = "journal.spool", "journal.rejected"  # of each writer, in a folder of its own
GATHER_S = 0.02  # a commit costs milliseconds; what comes within this time shares one


class Unavailable(Exception):
    """The database can't be reached now; nothing is wrong with the records."""


class Spool:
    """Records on disk, a JSON line each: `[serial, record]`. A line that a crash cut was never promised: dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._decode = msgspec.json.Decoder(tuple[int, AnyRecord]).decode
        self.count = self.last = 0  # how many records, and the last serial of those that were there before
        if path.exists():
            for serial, _ in self._lines():
                self.count, self.last = self.count + 1, serial

    def append(self, batch: Batch) -> None:
        """Write and sync, all of it or nothing."""
        data = b"".join(msgspec.json.encode(item) + b"\n" for item in batch)
        before = self.path.stat().st_size if self.path.exists() else 0
        try:
            with self.path.open("ab") as file:
                if before and not self._ends_whole():
                    file.write(b"\n")  # a cut line must not swallow the next record
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            self._cut(before)
            raise
        self.count += len(batch)

    def read(self, first: int = MAX_BATCH) -> Iterator[Batch]:
        """Everything in it, oldest first. An outage of hours may be more than fits in memory: a batch at a time.

        The first batch is of so many records.
        """
        lines = self._lines()
        while batch := list(islice(lines, first)):
            yield batch
            first = MAX_BATCH

    def clear(self) -> None:
        """Everything in it has been applied."""
        self.path.unlink(missing_ok=True)
        self.count = 0

    def _cut(self, size: int) -> None:
        """What a full disk took of a batch is not left behind: the batch may go to the database after all."""
        with contextlib.suppress(OSError):
            if size:
                os.truncate(self.path, size)
            else:
                self.path.unlink(missing_ok=True)

    def _lines(self):  # type: ignore[no-untyped-def]
        last = 0
        with self.path.open("rb") as file:
            for line in file:
                try:
                    item = self._decode(line)
                except msgspec.MsgspecError:
                    log.warning(
                        "a spooled line was cut and is dropped", file=str(self.path), length=len(line)
                    )
                    continue
                if item[0] > last:  # a batch that a full disk cut was written again from its beginning
                    last = item[0]
                    yield item

    def _ends_whole(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


class _Applying:
    """Batches on their way into the database, one at a time, in a thread that may hang there: nobody waits for it."""

    def __init__(self, apply: Callable[[Batch], None]) -> None:
        self._apply = apply
        self._batches: SimpleQueue[tuple[Future[None], Batch] | None] = SimpleQueue()
        self._last: Future[None] = Future()
        self._last.set_result(None)
        threading.Thread(target=self._run, name="journal's commits", daemon=True).start()

    def __call__(self, batch: Batch, limit_s: float) -> None:
        """As `apply` does; raises Unavailable also when it takes longer than this, and until it has come to its end."""
        if not self._last.done():
            raise Unavailable("the database has not said yet what came of the batch before")
        self._last = Future()
        self._batches.put((self._last, batch))
        try:
            fault = self._last.exception(limit_s)
        except TimeoutError:
            raise Unavailable(f"the database has said nothing for {limit_s:g} s") from None
        if fault is not None:
            raise fault

    def close(self) -> None:
        """Let the thread end."""
        self._batches.put(None)

    def _run(self) -> None:
        while (taken := self._batches.get()) is not None:
            said, batch = taken
            try:
                self._apply(batch)
            except Exception as fault:  # noqa: BLE001 - whatever it is: it is for who waits, and nobody may any more
                said.set_exception(fault)
            else:
                said.set_result(None)


class Journal:
    """One writer. `apply` commits a batch, or raises :class:`Unavailable`, or anything else for a faulty record."""

    def __init__(self, apply: Callable[[Batch], None], folder: Path, last_applied: int) -> None:
        self._apply = _Applying(apply)
        folder.mkdir(parents=True, exist_ok=True)
        self._spool = Spool(folder / SPOOL)
        self._aside = folder / REJECTED
        self._last_aside = 0
        self._serial = max(last_applied, self._spool.last)
        self._durable = self._serial
        self._queue: deque[tuple[int, AnyRecord]] = deque()
        self._wake = threading.Event()
        if self._spool.count:
            self._wake.set()  # what a life before left is replayed at once
        self._closing = False
        self._halted = threading.Event()  # never set: a wait that nothing cuts short, nor a clock that is set
        self._retry_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.available = True
        self.applied = 0
        self.rejected = 0
        self.commits = 0
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Records not yet in the database."""
        return len(self._queue) + self._spool.count

    def put(self, record: AnyRecord) -> int:
        """Take a record; returns its serial number. Never waits."""
        self._serial += 1
        self._queue.append((self._serial, record))
        self._wake.set()
        return self._serial

    async def durable(self, serial: int) -> None:
        """Wait until the record with this number survives a crash."""
        if serial > self._durable:
            future: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append((serial, future))
            if serial <= self._durable and not future.done():
                future.set_result(None)
            await future

    async def on_record(self, limit_s: float) -> bool:
        """Wait until what was taken so far is in the database; False when it was not by then, or is in the spool."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self.durable(self._serial)
                return not self._spool.count
        return False

    async def caught_up(self, limit_s: float = CATCH_UP_S) -> bool:
        """Wait until what a life before left in the spool is in the database; False when it was not by then."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while self._spool.count:
                    await asyncio.sleep(LOOK_S)
        return not self._spool.count

    async def close(self, limit_s: float = 10.0) -> None:
        """Write what is left, to the database or the spool, and stop; what neither takes by then is lost."""
        self._closing = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join, limit_s)
        self._apply.close()
        if self._queue:
            log.error(
                "the journal was written neither to the database nor to the spool: what it has left is lost",
                records=len(self._queue),
            )

    # --- in the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                self._wake.wait(RETRY_S if self._spool.count else None)
                self._wake.clear()
                last = self._closing
                self._turn(last)
                if last and not self._queue:
                    return
            except Exception:  # without this thread all that follows would be in memory alone, unnoticed
                log.exception("the journal's writer failed; it goes on with what it has")
                self._wake.set()
                self._halted.wait(RETRY_S)

    def _turn(self, last: bool) -> None:
        """Write what has gathered; what comes meanwhile is for the next turn, unless this is the `last`."""
        if not last:
            self._halted.wait(GATHER_S)
        if self._spool.count and time.monotonic() >= self._retry_at and not self._replay():
            self._retry_at = time.monotonic() + RETRY_S
        while self._queue:
            batch = [self._queue[i] for i in range(min(len(self._queue), MAX_BATCH))]
            if not self._store(batch):
                self._wake.set()
                self._halted.wait(RETRY_S)  # neither database nor disk: keep them and try again
                break
            for _ in batch:
                self._queue.popleft()
            self._promise(batch[-1][0])
            if len(batch) < MAX_BATCH and not last:
                break

    def _store(self, batch: Batch) -> bool:
        """Bring a batch to safety: the database, or the spool while it is away or older records wait there."""
        if self._spool.count == 0 and self._commit(batch):
            return True
        try:
            self._spool.append(batch)
        except OSError as fault:
            log.error(
                "the journal can be written neither to the database nor to the spool", reason=str(fault)
            )
            return False
        return True

    def _commit(self, batch: Batch) -> bool:
        """Apply a batch; a record that is refused by itself is set aside. False: not now, the database is away."""
        try:
            self._apply(batch, APPLY_LIMIT_S if self.available else AWAY_LIMIT_S)
        except Unavailable as fault:
            if self.available:
                log.warning("the database is away, the journal goes to the spool", reason=str(fault))
            self.available = False
            return False
        except Exception as fault:  # noqa: BLE001 - whatever it is: found by halving, logged and set aside
            self._answered()
            if len(batch) > 1:
                half = len(batch) // 2
                return self._commit(batch[:half]) and self._commit(batch[half:])
            return self._set_aside(batch[0], fault)
        self._answered()
        self.applied += len(batch)
        self.commits += 1
        return True

    def _answered(self) -> None:
        if not self.available:
            log.info("the database is back")
        self.available = True

    def _set_aside(self, item: tuple[int, AnyRecord], fault: Exception) -> bool:
        """Keep a refused record with its reason, once. False when the disk does not take it now."""
        serial, record = item
        if serial <= self._last_aside:  # the spool is tried from its beginning each time
            return True
        line = msgspec.json.encode({"serial": serial, "record": record, "reason": str(fault)}) + b"\n"
        try:
            with self._aside.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as full:
            log.error("a refused record can't be set aside yet", serial=serial, reason=str(full))
            return False
        self._last_aside = serial
        self.rejected += 1
        log.error("a record was refused by the database and is set aside", serial=serial, reason=str(fault))
        return True

    def _replay(self) -> bool:
        """Bring the spool into the database. False: not now."""
        try:
            records = self._spool.count
            if not all(map(self._commit, self._spool.read(MAX_BATCH if self.available else 1))):
                return False
            self._spool.clear()
        except OSError as fault:
            log.error("the spool can't be read or removed", file=str(self._spool.path), reason=str(fault))
            return False
        log.info("the spool was replayed", records=records)
        return True

    def _promise(self, serial: int) -> None:
        self._durable = serial
        if self._waiting and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._release)

    def _release(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._durable:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
