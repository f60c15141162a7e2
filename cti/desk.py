"""What the desks of the HTTP API share: an asker's campaigns, bodies bounded in size and time, work off the loop.

What is short runs in a thread; what takes a core for long is a job in a process of its own, one at a time.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import msgspec
import structlog
from sqlalchemy import Engine
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from campaigns.audit import By, acting
from campaigns.config import CampaignsError
from campaigns.jobs import Answer, Job, Order
from campaigns.key_file import KeyFile
from campaigns.numbers import NotANumber, number_of
from campaigns.reach import reaching
from campaigns.reports.schedule import Schedule
from campaigns.store import CampaignStore
from campaigns.units import Unit, Units
from campaigns.users import User
from campaigns.vault import Vault
from campaigns.why import asked_about
from cti.front import source_of

log = structlog.get_logger(__name__)
T = TypeVar("T")

CLERKS = 2  # threads
WAITING = 8  # requests that may wait for a thread, and jobs for their turn
MOST_BODY = 65_536  # bytes of a request that is no list
SILENCE_S = 10.0  # between two parts of a body
SLOWEST = 10_000  # bytes a second of a body, after the first half minute: a line of 80 kbit/s
PATIENCE_S = 30.0
BLOCK = 1 << 20
JOB_LIMIT_S = 3600.0  # of a job: the largest list takes minutes


class Refusal(Exception):
    """A request that is answered with a status of 4xx or 5xx, a code for programs and a sentence for people."""

    def __init__(self, status: int, code: str, detail: str = "") -> None:
        super().__init__(detail or code)
        self.status, self.code, self.detail = status, code, detail

    def response(self) -> Response:
        headers = {"Retry-After": "10"} if self.status == 503 else {}
        return JSONResponse({"error": self.code, "detail": self.detail}, self.status, headers)


@dataclass(frozen=True, slots=True)
class Stored:
    """Where the desks' work is done: the database, the folder of imports, that of the archive, the keys.

    `web` is the same database by the pages' role, which sees no further than who asks reaches.

    Reports are asked of the database at the URL `reports`, empty: of the same one, and their days are those of `zone`.
    """

    engine: Engine
    imports: Path
    archive: Path
    vault: Vault
    web: Engine
    reports: str = ""
    zone: str = "Asia/Shanghai"
    recordings: Path | None = None  # None: `recordings` beside the folder of imports
    keep_recordings_days: int = 0  # 0: for ever
    recording_keys: KeyFile | None = None  # None: they are not sealed
    schedules: tuple[Schedule, ...] = ()  # of reports, in the configuration
    mail: bool = False  # whether reports can be mailed
    report_folder: str = ""  # where they can be laid; empty: nowhere


class Desk:
    """Base of the desks. Call :meth:`close` at the end."""

    def __init__(self, stored: Stored, name: str, clerks: int = CLERKS) -> None:
        self._stored = stored
        self._clerks = ThreadPoolExecutor(clerks, name)
        self._waiting = 0
        self._turn = asyncio.Semaphore(1)
        self._jobs = 0

    def close(self) -> None:
        """Let the threads end."""
        self._clerks.shutdown(wait=False, cancel_futures=True)

    def acting(self, request: Request, asker: User) -> Engine:
        """The database, on whose record the asker stands as the one who acts."""
        return acting(self._stored.engine, by(request, asker))

    def within(self, request: Request, asker: User) -> Engine:
        """The database as far as the asker reaches; what they change there is on record as theirs."""
        return reaching(acting(self._stored.web, by(request, asker)), asker.user_id)

    async def campaign_id(self, asker: User, name: str) -> int:
        """The id of a campaign that the asker may see. Raises :class:`Refusal`."""
        store = CampaignStore(reaching(self._stored.web, asker.user_id))
        found = await self.run(lambda: store.id_of(name)) if asker.sees(name) else None
        if found is None:
            raise Refusal(404, "not_found", f"there is no campaign {name!r}")
        return found

    def unit(self, asker: User, path: str | None) -> Unit:
        """The asker's unit, or the one of this path at or below it. Blocks. Raises :class:`Refusal`."""
        for each in Units(self._stored.engine).below(asker.unit_id):
            if path is None or each.path == path:
                return each
        raise Refusal(404, "not_found", f"there is no unit {path!r}")

    async def run(self, work: Callable[[], T]) -> T:
        """Have short work done in a thread. Raises :class:`Refusal`, also for what the work says can't be."""
        if self._waiting >= WAITING:
            raise Refusal(503, "busy")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._clerks, work)
        except (CampaignsError, ValueError) as fault:
            raise Refusal(400, "malformed", str(fault)) from fault
        finally:
            self._waiting -= 1

    async def job(self, by: By, job: Job, folder: Path) -> dict[str, Any]:
        """Have a job done for somebody, in this folder, when it is its turn. Raises :class:`Refusal`."""
        if self._jobs >= WAITING:
            raise Refusal(503, "busy")
        self._jobs += 1
        try:
            url = self._stored.engine.url.render_as_string(hide_password=False)
            async with self._turn:
                return await self._done(Order(url, job, by), folder)
        finally:
            self._jobs -= 1

    async def _done(self, order: Order, folder: Path) -> dict[str, Any]:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "campaigns.jobs", cwd=folder,  # -P: a list may be called json.py
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(JOB_LIMIT_S):
                said, fault = await child.communicate(msgspec.json.encode(order))
        except TimeoutError:
            log.error("a job took too long", job=type(order.job).__name__)
            raise Refusal(503, "too_slow", f"it took longer than {JOB_LIMIT_S:.0f} s") from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode != 0:
            log.error(
                "a job failed",
                job=type(order.job).__name__,
                code=child.returncode,
                said=fault[-2_000:].decode(),
            )
            raise Refusal(500, "failed", "the log says why")
        answer = msgspec.json.decode(said, type=Answer)
        if answer.refused:
            raise Refusal(422, "refused", answer.refused)
        return answer.done

    # --- what requests bring ----------------------------------------------------------------------------------

    async def fields(self, request: Request, kind: type[T], most: int = MOST_BODY) -> T:
        """A body of JSON as a struct. Raises :class:`Refusal`."""
        return decoded(await self.bytes(request, most), kind)

    async def bytes(self, request: Request, most: int) -> bytes:
        """A body. Raises :class:`Refusal`."""
        body = bytearray()
        async for chunk in _timely(request, most):
            body += chunk
        return bytes(body)

    async def to_file(self, request: Request, path: Path, most: int) -> None:
        """A body into a file. Raises :class:`Refusal`."""
        loop = asyncio.get_running_loop()
        block = bytearray()
        with path.open("wb") as out:
            async for chunk in _timely(request, most):
                block += chunk
                if len(block) >= BLOCK:
                    await loop.run_in_executor(self._clerks, out.write, bytes(block))
                    block.clear()
            await loop.run_in_executor(self._clerks, out.write, bytes(block))


def decoded(body: bytes, kind: type[T]) -> T:
    """JSON as a struct. Raises :class:`Refusal`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise Refusal(400, "malformed", str(fault)) from fault


def by(request: Request, asker: User) -> By:
    """The asker, as the one who acts."""
    return By(asker.login, source_of(request))


async def _timely(request: Request, most: int):  # type: ignore[no-untyped-def]
    """The parts of a body, while it is neither too large nor too slow. Raises :class:`Refusal`."""
    size, began = 0, monotonic()
    parts = request.stream()
    while True:
        try:
            async with asyncio.timeout(SILENCE_S):
                chunk = await anext(parts, None)
        except TimeoutError:
            raise Refusal(408, "too_slow") from None
        except ClientDisconnect:
            raise Refusal(400, "malformed", "the connection ended before the body") from None
        if chunk is None:
            return
        size += len(chunk)
        if size > most:
            raise Refusal(413, "too_large", f"at most {most:,} bytes are taken")
        if monotonic() - began > PATIENCE_S + size / SLOWEST:
            raise Refusal(408, "too_slow")
        yield chunk


def number_in(text: str, country: str) -> str:
    """A number in E.164. Raises :class:`Refusal`."""
    try:
        return number_of(text, country)
    except NotANumber as fault:
        raise Refusal(400, "malformed", str(fault)) from fault


def whole_in(asked: Mapping[str, str], name: str, left_out: int, most: int) -> int:
    """A number of a query, from 1 to `most`; `left_out` where it has none. Raises :class:`Refusal`."""
    given = asked.get(name, str(left_out))
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:20]) <= most:
        raise Refusal(400, "malformed", f"{name}: is a number from 1 to {most}")
    return int(given)


def instant_in(text: str | None) -> datetime | None:
    """An instant in ISO 8601, UTC without an offset. Raises :class:`Refusal`."""
    if text is None:
        return None
    try:
        at = asked_about(text)
    except ValueError as fault:
        raise Refusal(400, "malformed", str(fault)) from fault
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
