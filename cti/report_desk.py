"""The reports: a page with its table and chart, and `/api/reports` for programs, as JSON, CSV or a workbook.

Who asks what is found out here; the answers are made by readers in processes of their own (:mod:`cti.readers`), from
the database of reports: a replica, where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from campaigns.reports.asking import BadQuestion, Question, checked, zone_of
from campaigns.reports.catalogue import COMPLIANCE, MEASURES, REPORTS
from campaigns.rights import Right
from campaigns.store import CampaignStore
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored
from cti.front import Front, home_of
from cti.language import LANGUAGES
from cti.pauses import PauseReason
from cti.readers import Readers
from cti.report_reader import NOW, Order
from cti.report_words import Words

OPTIONS = frozenset(("from", "to", "zone", "by", "campaign", "format", "language"))
KINDS = {
    "json": "application/json",
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
WEEK = timedelta(days=6)


class ReportsDesk(Desk):
    """The endpoints over reports."""

    def __init__(self, front: Front, stored: Stored, pauses: Sequence[PauseReason]) -> None:
        super().__init__(stored, "reports page", 1)
        self._front = front
        self._pauses = tuple(pauses)
        self._readers = Readers(stored.reports or stored.engine.url.render_as_string(hide_password=False))

    async def run_readers(self) -> None:
        """The readers' life: until cancelled."""
        await self._readers.run()

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
        return Response(msgspec.json.encode(found), media_type=KINDS["json"])

    async def ask(self, request: Request, asker: User) -> Response:
        """GET /api/reports/NAME: a report of the days `from` … `to`, as JSON, CSV or a workbook."""
        asked = request.query_params
        if unknown := set(asked) - OPTIONS:
            raise Refusal(400, "malformed", f"{', '.join(sorted(unknown))}: there is no such option")
        if (form := asked.get("format", "json")) not in KINDS:
            raise Refusal(400, "malformed", f"format: is one of {', '.join(KINDS)}")
        if asked.get("language", "en") not in LANGUAGES:
            raise Refusal(400, "malformed", f"language: is one of {', '.join(LANGUAGES)}")
        name = request.path_params["report"]
        if name not in REPORTS and name != COMPLIANCE:
            raise Refusal(404, "not_found", f"there is no report {name!r}")
        question = self._question(request, name)
        language = asked.get("language") or self._front.texts(request, asker).language
        body = await self._answered(request, asker, question, form, language)
        file = f'attachment; filename="{name}-{question.since}-{question.until}.{form}"'
        headers = {} if form == "json" else {"Content-Disposition": file}
        return Response(body, media_type=KINDS[form], headers=headers)

    async def abandonment(self, request: Request, asker: User) -> Response:
        """GET /api/abandonment: each campaign's abandon rate over its legal window, and how it is counted."""
        today = datetime.now(zone_of(self._stored.zone)).date()
        question = Question(COMPLIANCE, today, today, self._stored.zone)
        body = await self._answered(request, asker, question, NOW, "en")
        return Response(body, media_type=KINDS["json"])

    async def page(self, request: Request, user: User) -> Response:
        """GET /reports: one report, chosen by the form above it; in the address, so that it can be kept."""
        texts = self._front.texts(request, user)
        asked = request.query_params
        name = asked.get("report", "campaigns")
        name = name if name in REPORTS or name == COMPLIANCE else "campaigns"
        report = REPORTS.get(name, REPORTS["campaigns"])
        today = datetime.now(zone_of(self._stored.zone)).date()
        chosen, answer, problem, status = None, "", "", 200
        try:
            chosen = self._question(request, name)
            links = {form: _link(request, name, form, texts.language) for form in ("csv", "xlsx")}
            if user.may(Right.SCHEDULES):
                links["schedule"] = _to_schedule(request, name)
            body = await self._answered(request, user, chosen, "page", texts.language, links)
            answer = body.decode()
        except Refusal as refusal:
            status = refusal.status
            problem = texts("report.busy") if status == 503 else refusal.detail
        store = CampaignStore(self.within(request, user))
        campaigns = await self.run(lambda: [each for each in store.names() if user.sees(each)])
        return self._front.page(
            request,
            "reports.html",
            status,
            user=user,
            home=home_of(user),
            words=Words(texts, self._pauses),
            reports=[*REPORTS, COMPLIANCE],
            name=name,
            dimensions=report.dimensions,
            by=(chosen.by if chosen else ()) or report.by,
            since=chosen.since if chosen else today - WEEK,
            until=chosen.until if chosen else today,
            campaigns=campaigns,
            campaign=asked.get("campaign", ""),
            answer=answer,
            problem=problem,
        )

    # --- within -----------------------------------------------------------------------------------------------

    def _question(self, request: Request, name: str) -> Question:
        """What a request asks, the last seven days if it says nothing of days. Raises :class:`Refusal`."""
        asked = request.query_params
        zone = asked.get("zone") or self._stored.zone
        by = tuple(value for value in asked.getlist("by") if value)
        campaigns = tuple(value for value in asked.getlist("campaign") if value)
        try:
            today = datetime.now(zone_of(zone)).date()
            since, until = _day(asked.get("from") or str(today - WEEK)), _day(asked.get("to") or str(today))
            question = Question(name, since, until, zone, by, campaigns)
            if name != COMPLIANCE:
                checked(question)
        except BadQuestion as fault:
            raise Refusal(400, "malformed", str(fault)) from fault
        return question

    async def _answered(
        self,
        request: Request,
        asker: User,
        question: Question,
        form: str,
        language: str,
        links: dict[str, str] | None = None,
    ) -> bytes:
        seen = None if asker.seen is None else sorted(asker.seen)
        order = Order(asker.user_id, question, seen, form, language, self._pauses, links or {})
        body, _ = await self._readers.ask(order, request.is_disconnected)
        return body


def _link(request: Request, name: str, form: str, language: str) -> str:
    kept = [
        (k, v) for k, v in request.query_params.multi_items() if k in OPTIONS - {"format", "language"} and v
    ]
    return f"/api/reports/{name}?{urlencode([*kept, ('format', form), ('language', language)])}"


def _to_schedule(request: Request, name: str) -> str:
    kept = [(k, v) for k, v in request.query_params.multi_items() if k in ("by", "campaign", "zone") and v]
    return f"/reports/schedules?{urlencode([('report', name), *kept])}"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as fault:
        raise BadQuestion(f"from and to: {text[:20]!r} is no day; it looks like 2026-11-24") from fault
