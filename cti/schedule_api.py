"""`/api/schedules`: the reports that go out by themselves, for programs; the same as on the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from campaigns.reports.runs import Run, Runs
from campaigns.reports.schedule import BadSchedule, Schedule
from campaigns.reports.schedules import NoSuchSchedule, Schedules
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored
from cti.scheduling import VERBS, Scheduling

T = TypeVar("T")

CLERKS = 1
MOST_ID = 2**63 - 1  # of a bigint
AS_IT_IS = frozenset(("taken", "many", "just"))  # nothing is wrong with what was said; it can't be now


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


class Came(msgspec.Struct, frozen=True):
    """What came of one run: it was sent, there was a `fault`, or it is to come."""

    since: date
    until: date
    asked_by: str
    made_at: datetime
    tries: int
    sent_at: datetime | None
    fault: str
    detail: str


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
    runs: list[Came]


class ScheduleApi(Desk):
    """The endpoints."""

    def __init__(self, stored: Stored) -> None:
        super().__init__(stored, "schedules api", CLERKS)

    async def show(self, request: Request, asker: User) -> Response:
        """GET /api/schedules: those that the asker reaches, each with its last runs."""
        within, now = self.within(request, asker), datetime.now(UTC)

        def read() -> list[Kept]:
            found = [*Schedules(within).all(), *(self._stored.schedules if asker.sees_all else ())]
            runs = Runs(within).last(found)
            return [kept(each, runs[each.key], now) for each in found]

        return _told(await self._tried(read))

    async def make(self, request: Request, asker: User) -> Response:
        """POST /api/schedules: a new one; said again as it is, it is the one that there is."""
        form, now = self._form(await self.fields(request, Wanted)), datetime.now(UTC)
        work = self._scheduling(request, asker)
        return _told({"id": await self._tried(lambda: work.keep(form, asker, now, again=True))})

    async def change(self, request: Request, asker: User) -> Response:
        """PUT /api/schedules/ID: what it is from now on; the asker's."""
        number = _number(request)
        form, now = self._form(await self.fields(request, Wanted)), datetime.now(UTC)
        work = self._scheduling(request, asker)
        return _told({"id": await self._tried(lambda: work.keep(form, asker, now, number))})

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
        work = self._scheduling(request, asker)
        await self._tried(lambda: work.do(verb, number, asker.login, now))
        return _told({"id": number})

    def _scheduling(self, request: Request, asker: User) -> Scheduling:
        mail, folder = self._stored.mail, bool(self._stored.report_folder)
        return Scheduling(self.within(request, asker), mail=mail, folder=folder)

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

    async def _tried(self, work: Callable[[], T]) -> T:
        """Short work in a thread. Raises :class:`Refusal` with the code of what can't be."""

        def tried() -> T:
            try:
                return work()
            except NoSuchSchedule as fault:
                raise Refusal(404, "not_found", str(fault)) from fault
            except BadSchedule as fault:
                raise Refusal(409 if fault.code in AS_IT_IS else 400, fault.code, str(fault)) from fault

        return await self.run(tried)


def kept(schedule: Schedule, runs: Sequence[Run], now: datetime) -> Kept:
    """A schedule as it is told to programs."""
    return Kept(
        schedule.schedule_id, schedule.name, schedule.report, schedule.login, schedule.every,
        f"{schedule.at:%H:%M}", schedule.zone, schedule.by, schedule.campaigns, schedule.format,
        schedule.language, schedule.to, schedule.laid, schedule.paused, schedule.next_at(now),
        [
            Came(run.since, run.until, run.asked_by, run.made_at, run.tries, run.sent_at, run.fault, run.detail)
            for run in runs
        ],
    )  # fmt: skip


def _number(request: Request) -> int:
    if (number := request.path_params["schedule"]) > MOST_ID:
        raise Refusal(404, "not_found", "there is no such schedule")
    return number


def _told(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
