"""`/api/lists`: lists come in as files or as batches of rows, are looked up, corrected and taken back."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from time import time
from typing import Any

import msgspec
import structlog
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from campaigns.jobs import REJECTS, REPORT, ImportJob, UndoJob
from campaigns.lists import undoing
from campaigns.lists.loading import OnDuplicate
from campaigns.users import User
from cti.desk import Desk, Refusal, by, whole_in

log = structlog.get_logger(__name__)

MOST_FILE = 512 << 20  # bytes; ten million rows are 400 MB
MOST_ROWS = 16 << 20  # bytes of a batch of rows
MOST_NAME = 200
MOST_SHOWN = 1_000  # imports at a time
MOST_ID = (1 << 63) - 1
KEPT_S = 30 * 86_400.0  # reports and rejected rows hold customers' data, and are corrected within days
LEFT_S = 86_400.0  # more than any import takes: 15 hours for its body, and eight for the jobs up to its own
SWEEP_S = 3_600.0
FOLDER = "[0-9a-f]" * 16  # of an import while it goes on, as secrets.token_hex names it
BATCH = re.compile(r"[A-Za-z0-9._:-]{1,100}")
OPTIONS = frozenset(
    ("list", "campaign", "country", "area_code", "zone", "map", "source", "duplicates", "same", "within", "dry_run",
     "file", "batch")
)  # fmt: skip
CHOICES = {
    "duplicates": tuple(OnDuplicate),
    "same": ("number", "customer"),
    "within": ("campaign", "system"),
    "dry_run": ("0", "1"),
}


class UndoWanted(msgspec.Struct, forbid_unknown_fields=True):
    """Which list is to be taken back."""

    campaign: str
    list: str


class ListDesk(Desk):
    """The endpoints about lists."""

    async def take(self, request: Request, asker: User) -> Response:
        """POST /api/lists: the body is a file as `dialer import` takes it, or with JSON's type an array of objects.

        The options are those of the command, in the query. What comes under a `batch` goes in once, however often it
        is sent. The answer is the report; 422 with the report when nothing went in.
        """
        campaign_id, job = await self._asked(asker, request)
        folder = self._stored.imports / secrets.token_hex(8)
        folder.mkdir(parents=True, mode=0o700)
        try:
            await self.to_file(request, folder / job.file, MOST_ROWS if job.array else MOST_FILE)
            try:
                done = await self.job(by(request, asker), job, folder)
            except Refusal as refusal:
                if refusal.status != 422 or not (folder / REPORT).exists():
                    raise
                return Response((folder / REPORT).read_bytes(), 422, media_type="application/json")
            list_id = done["list_id"]
            if done.get("repeated"):
                told = await self._told(self.within(request, asker), list_id, campaign_id)
                return JSONResponse(told | {"repeated": True})
            if job.dry_run:
                return Response((folder / REPORT).read_bytes(), media_type="application/json")
            return await self.run(lambda: self._keep(folder, list_id))
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def show(self, request: Request, asker: User) -> Response:
        """GET /api/lists: the imports on record, of one `campaign` or of all that the asker may see.

        The last `limit` (1,000), those with ids below `before` where it is given.
        """
        asked = request.query_params
        name, limit = asked.get("campaign"), whole_in(asked, "limit", MOST_SHOWN, MOST_SHOWN)
        before = whole_in(asked, "before", MOST_ID, MOST_ID)
        of = None if name is None else await self.campaign_id(asker, name)
        engine = self.within(request, asker)
        rows = await self.run(lambda: undoing.imports(engine, of, before, limit))
        return JSONResponse([_row(row) for row in rows if asker.sees(row.campaign)])

    async def report(self, request: Request, asker: User) -> Response:
        """GET /api/lists/ID/report: what came of each row, for a month after the import."""
        return await self._kept(request, asker, REPORT, "application/json")

    async def rejects(self, request: Request, asker: User) -> Response:
        """GET /api/lists/ID/rejects: the rejected rows as a CSV, to be corrected and sent again."""
        return await self._kept(request, asker, REJECTS, "text/csv")

    async def undo(self, request: Request, asker: User) -> Response:
        """POST /api/lists/undo: take a list back."""
        wanted = await self.fields(request, UndoWanted)
        campaign_id = await self.campaign_id(asker, wanted.campaign)
        self._stored.imports.mkdir(parents=True, exist_ok=True)
        job = UndoJob(campaign_id, wanted.list)
        return JSONResponse(await self.job(by(request, asker), job, self._stored.imports))

    async def run_retention(self) -> None:
        """Let go what is too old, once an hour, until cancelled."""
        while True:
            try:
                await self.run(self._let_go)
            except Exception:  # the folder is away: the next hour will do
                log.warning("what is left of imports could not be looked through", exc_info=True)
            await asyncio.sleep(SWEEP_S)

    # --- within -----------------------------------------------------------------------------------------------

    def _let_go(self) -> None:
        """What was told of imports, and what those left that ended with us, as by a kill: it is customers' data."""
        now = time()
        for told in self._stored.imports.glob("*.*"):
            if told.stat().st_mtime < now - KEPT_S:
                told.unlink()
        for left in self._stored.imports.glob(FOLDER):
            with suppress(FileNotFoundError):  # it has just ended
                if left.stat().st_mtime < now - LEFT_S:
                    shutil.rmtree(left)

    async def _asked(self, asker: User, request: Request) -> tuple[int, ImportJob]:
        asked = request.query_params
        unknown = set(asked) - OPTIONS
        if unknown:
            raise Refusal(400, "malformed", f"{', '.join(sorted(unknown))}: there is no such option")
        for key, values in CHOICES.items():
            if key in asked and asked[key] not in values:
                raise Refusal(400, "malformed", f"{key}: is one of {', '.join(values)}")
        name, batch = asked.get("list", "").strip(), asked.get("batch", "")
        if not name or len(name) > MOST_NAME or not name.isprintable():
            raise Refusal(400, "malformed", f"list: is the list's name, of at most {MOST_NAME} characters")
        if batch and not BATCH.fullmatch(batch):
            raise Refusal(400, "malformed", "batch: is 1 to 100 letters, digits and ._:-")
        columns = {}
        for each in asked.getlist("map"):
            column, equals, field = each.rpartition("=")
            if not equals or not column:
                raise Refusal(400, "malformed", f"map: {each!r} must be COLUMN=FIELD")
            columns[column] = field
        campaign_id = await self.campaign_id(asker, asked.get("campaign", ""))
        if asked.get("within") == "system" and not asker.sees_all:
            raise Refusal(403, "not_allowed", "within: only who sees all campaigns may compare with all")
        array = (
            request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
        )
        return campaign_id, ImportJob(
            file="rows.jsonl" if array else _file_name(asked.get("file", "")),
            name=name,
            campaign_id=campaign_id,
            columns=columns,
            source=asked.get("source", ""),
            country=asked.get("country", "CN").upper(),
            area_code=asked.get("area_code", ""),
            zone=asked.get("zone", ""),
            duplicates=asked.get("duplicates", "skip"),
            same=asked.get("same", "number"),
            within=asked.get("within", "campaign"),
            dry_run=asked.get("dry_run") == "1",
            array=array,
            batch=batch,
        )

    def _keep(self, folder: Path, list_id: int) -> Response:
        """Keep what was told of an import, and answer with the report."""
        for name in (REPORT, REJECTS):
            if (folder / name).exists():
                (folder / name).replace(self._place(list_id, name))
        return FileResponse(self._place(list_id, REPORT), media_type="application/json")

    def _place(self, list_id: int, name: str) -> Path:
        return self._stored.imports / f"{list_id}.{name}"

    async def _told(self, engine: Engine, list_id: int, campaign_id: int | None = None) -> dict[str, Any]:
        rows = await self.run(lambda: undoing.imports(engine, campaign_id, list_id + 1, 1))
        return next((_row(row) for row in rows if row.id == list_id), {})

    async def _kept(self, request: Request, asker: User, name: str, kind: str) -> Response:
        list_id = request.path_params["list_id"]
        told = await self._told(self.within(request, asker), list_id)
        path = self._place(list_id, name)
        if not told or not asker.sees(told["campaign"]) or not path.exists():
            raise Refusal(404, "not_found", f"of import {list_id} there is no such file")
        return FileResponse(path, media_type=kind, filename=path.name)


def _file_name(given: str) -> str:
    """What people call the file, as the name of one."""
    name = given.replace("\\", "/").rpartition("/")[2].lstrip(".-")[-100:]
    return name if name.isprintable() and name not in ("", REPORT, REJECTS) else "list"


def _row(row: Any) -> dict[str, Any]:
    return {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in row._asdict().items()
    }
