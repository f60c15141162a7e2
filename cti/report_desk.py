"""The reports: a page with its table and chart, and `/api/reports` for programs, as JSON, CSV or a workbook.

What is asked goes to the database of reports, a replica where there is one, by connections of its own: few, read-only
and with a limit of time. A reader who leaves takes the question along.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from campaigns.reports.asking import Asking, BadQuestion, Question, Table, zone_of
from campaigns.reports.catalogue import MEASURES, REPORTS
from campaigns.reports.compliance import windows
from campaigns.reports.writing import as_csv, as_workbook
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored
from cti.front import Front, home_of
from cti.language import LANGUAGES, catalogue
from cti.pauses import PauseReason
from cti.report_words import Words

READERS = 2  # questions at a time; what comes on top waits, and then is refused
LOOK_S = 0.2  # between two looks whether the reader is still there
OPTIONS = frozenset(("from", "to", "zone", "by", "campaign", "format", "language"))
FORMATS = ("json", "csv", "xlsx")
KINDS = {
    "json": "application/json",
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
SHOWN = 1_000  # rows on the page; a file has them all
WEEK = timedelta(days=6)


class ReportsDesk(Desk):
    """The endpoints over reports."""

    def __init__(self, front: Front, stored: Stored, pauses: Sequence[PauseReason]) -> None:
        super().__init__(stored, "asking", READERS)
        self._front = front
        self._pauses = pauses
        self._engine = stored.reports or stored.engine

    async def describe(self, request: Request, asker: User) -> Response:
        """GET /api/reports: which there are, what each may be split by, and how its figures are made."""
        found = [
            {
                "report": report.key,
                "by": report.by,
                "dimensions": report.dimensions,
                "measures": [
                    {"measure": m.key, "unit": str(m.unit), "formula": m.says}
                    for m in (MEASURES[key] for key in report.measures)
                ],
            }
            for report in REPORTS.values()
        ]
        return _json(found)

    async def ask(self, request: Request, asker: User) -> Response:
        """GET /api/reports/NAME: a report of the days `from` … `to`, as JSON, CSV or a workbook."""
        asked = request.query_params
        if unknown := set(asked) - OPTIONS:
            raise Refusal(400, "malformed", f"{', '.join(sorted(unknown))}: there is no such option")
        if (form := asked.get("format", "json")) not in FORMATS:
            raise Refusal(400, "malformed", f"format: is one of {', '.join(FORMATS)}")
        language = asked.get("language", asker.language)
        if language not in (*LANGUAGES, ""):
            raise Refusal(400, "malformed", f"language: is one of {', '.join(LANGUAGES)}")
        texts = catalogue(language) if language else self._front.texts(request, asker)
        question = self._question(request, request.path_params["report"])
        table = await self._answered(request, asker, question)
        if form == "json":
            return _json(told(table))
        words = Words(texts, self._pauses)
        data = await self.run(lambda: as_file(table, form, words))
        name = f"{question.report}-{question.since}-{question.until}.{form}"
        return Response(
            data, media_type=KINDS[form], headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )

    async def abandonment(self, request: Request, asker: User) -> Response:
        """GET /api/abandonment: each campaign's abandon rate over its legal window, and how it is counted."""
        found = await self.run(lambda: windows(self._engine, datetime.now(UTC), asker.seen))
        rows = [
            {name: getattr(each, name) for name in (*each.__slots__, "given_up", "answered", "rate", "kept")}
            for each in found
        ]
        return _json(rows)

    async def page(self, request: Request, user: User) -> Response:
        """GET /reports: one report, chosen by the form above it; in the address, so that it can be kept."""
        texts = self._front.texts(request, user)
        words = Words(texts, self._pauses)
        name = request.query_params.get("report", "campaigns")
        table, problem, law = None, "", []
        try:
            if name == "compliance":
                law = await self.run(lambda: windows(self._engine, datetime.now(UTC), user.seen))
            else:
                question = self._question(request, name)
                table = await self._answered(request, user, question)
        except Refusal as refusal:
            if refusal.status not in (400, 503):
                raise
            problem = texts("report.busy") if refusal.status == 503 else refusal.detail
        today = datetime.now(zone_of(self._stored.zone)).date()
        report = REPORTS.get(name, REPORTS["campaigns"])
        chosen = table.question if table else None
        campaigns = await self.run(lambda: self._campaigns(user))
        return self._front.page(
            request,
            "reports.html",
            503 if problem and not table else 200,
            user=user,
            home=home_of(user),
            words=words,
            reports=[*REPORTS, "compliance"],
            name=name if name in REPORTS or name == "compliance" else "campaigns",
            dimensions=report.dimensions,
            by=(chosen.by if chosen else ()) or report.by,
            since=str(chosen.since if chosen else today - WEEK),
            until=str(chosen.until if chosen else today),
            zone=self._stored.zone,
            campaigns=campaigns,
            campaign=request.query_params.get("campaign", ""),
            table=table,
            rows=words.rows(table)[:SHOWN] if table else [],
            chart=report.chart or report.measures[0],
            law=law,
            problem=problem,
            links={form: self._link(request, name, form, texts.language) for form in ("csv", "xlsx")},
        )

    # --- within -----------------------------------------------------------------------------------------------

    def _campaigns(self, user: User) -> list[str]:
        found = self._store.names()
        return [name for name in found if user.sees(name)]

    def _link(self, request: Request, name: str, form: str, language: str) -> str:
        asked = {
            k: v for k, v in request.query_params.items() if k in OPTIONS - {"by", "format", "language"} and v
        }
        by = [value for value in request.query_params.getlist("by") if value]
        pairs = [*asked.items(), *(("by", value) for value in by), ("format", form), ("language", language)]
        return f"/api/reports/{name}?{urlencode(pairs)}"

    def _question(self, request: Request, name: str) -> Question:
        """What a request asks, the last seven days if it says nothing of days. Raises :class:`Refusal`."""
        asked = request.query_params
        zone = asked.get("zone") or self._stored.zone
        try:
            today = datetime.now(zone_of(zone)).date()
            since, until = _day(asked.get("from") or str(today - WEEK)), _day(asked.get("to") or str(today))
        except ValueError as fault:
            raise Refusal(400, "malformed", str(fault)) from fault
        except BadQuestion as fault:
            raise Refusal(400, "malformed", str(fault)) from fault
        by = tuple(value for value in asked.getlist("by") if value)
        campaigns = tuple(value for value in asked.getlist("campaign") if value)
        return Question(name, since, until, zone, by, campaigns)

    async def _answered(self, request: Request, asker: User, question: Question) -> Table:
        """The answer, unless the reader leaves before. Raises :class:`Refusal`."""
        if question.report not in REPORTS:
            raise Refusal(404, "not_found", f"there is no report {question.report!r}")
        asking = Asking()
        work = asyncio.ensure_future(self.run(lambda: asking.answer(self._engine, question, asker.seen)))
        try:
            while not (await asyncio.wait({work}, timeout=LOOK_S))[0]:
                if await request.is_disconnected():
                    raise Refusal(400, "malformed", "the reader has left")
            return work.result()
        except SQLAlchemyError as fault:
            raise Refusal(503, "busy", "the database of reports gave no answer in time") from fault
        finally:
            if not work.done():
                await asyncio.to_thread(asking.cancel)
                await asyncio.gather(work, return_exceptions=True)


def as_file(table: Table, form: str, words: Words) -> bytes:
    """A report as a CSV or a workbook."""
    if form == "csv":
        return as_csv(table, words.column, words.value, words.total)
    return as_workbook(table, words.column, words.value, words.total, words.title(table.question.report))


def told(table: Table) -> dict[str, Any]:
    """A report as values for JSON."""
    columns = [
        {"key": column.key, "unit": None if column.unit is None else str(column.unit)}
        for column in table.columns
    ]
    question = table.question
    return {
        "report": question.report,
        "from": str(question.since),
        "to": str(question.until),
        "zone": question.zone,
        "columns": columns,
        "rows": table.rows,
        "totals": table.totals,
        "due": table.due,
        "as_of": table.as_of,
    }


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as fault:
        raise BadQuestion(f"from and to: {text[:20]!r} is no day; it looks like 2026-11-24") from fault


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
