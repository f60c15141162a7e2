"""`/api/schedules`: the reports that go out by themselves, for programs; the same as on the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from campaigns.reports.runs import Run
from campaigns.reports.schedule import Schedule
from campaigns.users import User
from cti.desk import Refusal, Stored
from cti.scheduling import VERBS, SchedulingDesk

CLERKS = 1
MOST_ID = 2**63 - 1  # of a bigint


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """A schedule to be. `at` is a time of day in `zone`, such as 06:00; no `zone`: the reports' own."""

    name: str
    report: str
    every: str
    at: str
    by: tuple[str, ...] = ()
    campaign: str = ""
    zone: str = ""
    format: str = "xlsx"
    language: str = "zh"
    to: tuple[str, ...] = ()
    laid: bool = False


class Kept(msgspec.Struct, frozen=True):
    """A schedule. `id` 0: it is one of the configuration. `login`: in whose name it goes out."""

    id: int
    name: str
    report: str
    login: str
    every: str
    at: str
    zone: str
    by: tuple[str, ...]
    campaigns: tuple[str, ...]
    format: str
    language: str
    to: tuple[str, ...]
    laid: bool
    paused: bool
    next_at: datetime
    runs: Sequence[Run]


class ScheduleApi(SchedulingDesk):
    """The endpoints."""

    def __init__(self, stored: Stored) -> None:
        super().__init__(stored, "schedules api", CLERKS)

    async def show(self, request: Request, asker: User) -> Response:
        """GET /api/schedules: those that the asker reaches, each with its last runs."""
        within, now = self.within(request, asker), datetime.now(UTC)

        def read() -> list[Kept]:
            return [kept(each, runs, now) for each, runs in self.found(within, asker)]

        return _told(await self.tried(read))

    async def make(self, request: Request, asker: User) -> Response:
        """POST /api/schedules: a new one; said again as it is, it is the one that there is."""
        form, now = self._form(await self.fields(request, Wanted)), datetime.now(UTC)
        work = self.scheduling(request, asker)
        return _told({"id": await self.tried(lambda: work.keep(form, asker, now, again=True))})

    async def change(self, request: Request, asker: User) -> Response:
        """PUT /api/schedules/ID: what it is from now on; the asker's."""
        number = _number(request)
        form, now = self._form(await self.fields(request, Wanted)), datetime.now(UTC)
        work = self.scheduling(request, asker)
        return _told({"id": await self.tried(lambda: work.keep(form, asker, now, number))})

    async def delete(self, request: Request, asker: User) -> Response:
        """DELETE /api/schedules/ID."""
        return await self._verb(request, asker, "delete")

    async def do(self, request: Request, asker: User) -> Response:
        """POST /api/schedules/ID/DO: `pause` it, have it go on (`resume`), or `send` it now."""
        verb = request.path_params["do"]
        if verb not in VERBS or verb == "delete":
            raise Refusal(404, "not_found", f"one of {', '.join(each for each in VERBS if each != 'delete')}")
        return await self._verb(request, asker, verb)

    # --- within -----------------------------------------------------------------------------------------------

    async def _verb(self, request: Request, asker: User, verb: str) -> Response:
        number, now = _number(request), datetime.now(UTC)
        work = self.scheduling(request, asker)
        await self.tried(lambda: work.do(verb, number, asker.login, now))
        return _told({"id": number})

    def _form(self, wanted: Wanted) -> dict[str, str]:
        if len(wanted.by) > 2:
            raise Refusal(400, "malformed", "by: names two at most")
        by = (*wanted.by, "", "")
        return {
            "name": wanted.name, "report": wanted.report, "by": by[0], "then_by": by[1],
            "campaign": wanted.campaign, "every": wanted.every, "at": wanted.at,
            "zone": wanted.zone or self._stored.zone, "format": wanted.format, "language": wanted.language,
            "to": "\n".join(wanted.to), "laid": "1" if wanted.laid else "",
        }  # fmt: skip


def kept(schedule: Schedule, runs: Sequence[Run], now: datetime) -> Kept:
    """A schedule as it is told to programs."""
    return Kept(
        schedule.schedule_id, schedule.name, schedule.report, schedule.login, schedule.every,
        f"{schedule.at:%H:%M}", schedule.zone, schedule.by, schedule.campaigns, schedule.format,
        schedule.language, schedule.to, schedule.laid, schedule.paused, schedule.next_at(now), runs,
    )  # fmt: skip


def _number(request: Request) -> int:
    if (number := request.path_params["schedule"]) > MOST_ID:
        raise Refusal(404, "not_found", "there is no such schedule")
    return number


def _told(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
