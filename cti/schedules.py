"""The page of scheduled reports: which go out when, to whom, and what came of it; made of the report on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, available_timezones

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from campaigns.reports.asking import BadQuestion, zone_of
from campaigns.reports.catalogue import COMPLIANCE, REPORTS
from campaigns.reports.runs import Run
from campaigns.reports.schedule import EVERY, FORMATS, MOST_TO, Schedule
from campaigns.reports.schedules import Schedules
from campaigns.rights import Right
from campaigns.users import User
from cti.desk import Refusal, Stored
from cti.front import Front, home_of
from cti.pauses import PauseReason
from cti.report_words import Words
from cti.scheduling import VERBS, SchedulingDesk, form_of

FIELDS = 16  # of the form
CARRIED = ("report", "by", "then_by", "campaign")  # from the report on the screen
GIVEN = ("schedule", "name", "every", "at", "zone", "format", "language", "to", "laid")


@dataclass(frozen=True, slots=True)
class Shown:
    """A schedule as the page has it: with its zone's clock, the next time, its last runs, the report it shows."""

    schedule: Schedule
    zone: ZoneInfo
    next_at: datetime
    runs: Sequence[Run]
    link: str


class ScheduleDesk(SchedulingDesk):
    """The page and its forms."""

    def __init__(self, front: Front, stored: Stored, pauses: Sequence[PauseReason]) -> None:
        super().__init__(stored, "schedules")
        self._front = front
        self._pauses = tuple(pauses)

    async def page(self, request: Request, user: User) -> Response:
        """GET /reports/schedules: the list; with a `report`, or the number of a schedule to `change`, the form."""
        asked = request.query_params
        if not user.may(Right.SCHEDULES):
            return await self._shown(request, user)
        if change := asked.get("change"):
            schedules = Schedules(self.within(request, user))
            schedule = await self.tried(lambda: schedules.one(_number(change)))
            number = {"schedule": str(schedule.schedule_id)}
            return await self._shown(request, user, number | form_of(schedule))
        if asked.get("report") not in (*REPORTS, COMPLIANCE):
            return await self._shown(request, user)
        texts = self._front.texts(request, user)
        by = [each for each in asked.getlist("by") if each][:2]
        form = {
            "report": asked["report"],
            "campaign": asked.get("campaign", ""),
            "name": texts(f"report.{asked['report']}"),
            "zone": asked.get("zone") or self._stored.zone,
            "at": "06:00",
            "language": texts.language,
        }
        form |= dict(zip(("by", "then_by"), by, strict=False))
        return await self._shown(request, user, form)

    async def save(self, request: Request, user: User) -> Response:
        """POST /reports/schedules: keep a new one, or change the one that `schedule` says."""
        form = await self._front.form(request, FIELDS)
        work, now = self.scheduling(request, user), datetime.now(UTC)
        number = _number(form["schedule"]) if form.get("schedule") else 0
        try:
            await self.tried(lambda: work.keep(form, user, now, number))
        except Refusal as refusal:
            if refusal.status == 404:
                raise
            return await self._shown(request, user, form, f"schedule.bad_{refusal.code}")
        return RedirectResponse("/reports/schedules", 303)

    async def do(self, request: Request, user: User) -> Response:
        """POST /reports/schedules/do: `pause` one, have it go on (`resume`), `send` it now, or `delete` it."""
        form = await self._front.form(request)
        number, now, verb = _number(form.get("schedule", "")), datetime.now(UTC), form.get("do", "")
        work = self.scheduling(request, user)
        if verb not in VERBS:
            raise Refusal(400, "malformed", f"do: is one of {', '.join(VERBS)}")
        try:
            await self.tried(lambda: work.do(verb, number, user.login, now))
        except Refusal as refusal:
            if refusal.status == 404:
                raise
            return await self._shown(request, user, problem=f"schedule.bad_{refusal.code}")
        return RedirectResponse("/reports/schedules", 303)

    # --- within -----------------------------------------------------------------------------------------------

    async def _shown(
        self, request: Request, user: User, form: dict[str, str] | None = None, problem: str = ""
    ) -> Response:
        within, now = self.within(request, user), datetime.now(UTC)

        def read() -> list[Shown]:
            return [
                Shown(each, zone_of(each.zone), each.next_at(now), runs, _link(each))
                for each, runs in self.found(within, user)
            ]

        texts = self._front.texts(request, user)
        return self._front.page(
            request,
            "schedules.html",
            400 if problem else 200,
            user=user,
            home=home_of(user),
            words=Words(texts, self._pauses),
            found=await self.run(read),
            form=None if form is None else dict.fromkeys((*CARRIED, *GIVEN), "") | form,
            problem=problem,
            may=user.may(Right.SCHEDULES),
            every=EVERY,
            formats=FORMATS,
            most=MOST_TO,
            zones=await self.run(_zones) if form is not None else (),
            mail=self._stored.mail,
            folder=self._stored.report_folder,
            carried=CARRIED,
        )


@cache
def _zones() -> Sequence[str]:
    """The time zones whose days reports can be of."""
    found = []
    for name in sorted(available_timezones()):
        with suppress(BadQuestion):
            zone_of(name)
            found.append(name)
    return found


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Refusal(404, "not_found", "there is no such schedule")
    return int(text)


def _link(schedule: Schedule) -> str:
    by, campaigns = (
        [("by", each) for each in schedule.by],
        [("campaign", each) for each in schedule.campaigns],
    )
    return f"/reports?{urlencode([('report', schedule.report), *by, *campaigns])}"
