"""What may be done to scheduled reports: of the page, the API and the commands, as far as who asks reaches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import Engine
from starlette.requests import Request

from campaigns.reports.asking import zone_of
from campaigns.reports.runs import Run, Runs
from campaigns.reports.schedule import BadSchedule, Schedule, schedule_in, span_of
from campaigns.reports.schedules import NoSuchSchedule, Schedules
from campaigns.users import User
from cti.desk import Desk, Refusal
from cti.language import LANGUAGES

T = TypeVar("T")

VERBS: Final = ("pause", "resume", "send", "delete")
AS_IT_IS = frozenset(("taken", "many", "just"))  # nothing is wrong with what was said; it can't be now


class Scheduling:
    """On an engine that reaches as far as who asks. `mail`, `folder`: reports can be mailed, and laid.

    Every method blocks, and raises :class:`BadSchedule` for what can't be.
    """

    def __init__(self, engine: Engine, *, mail: bool, folder: bool) -> None:
        self._engine = engine
        self._mail, self._folder = mail, folder
        self.schedules = Schedules(engine)

    def keep(
        self, form: Mapping[str, str], user: User, now: datetime, schedule_id: int = 0, again: bool = False
    ) -> int:
        """Keep what a form says for this user, in place of the schedule of that id; its id.

        `again`: one that the user has already as it is said is that one, and no fault.
        """
        schedule = schedule_in(form, user.login, LANGUAGES)
        if not all(user.sees(each) for each in schedule.campaigns):
            raise BadSchedule("campaign", f"there is no campaign {schedule.campaigns[0]!r}")
        if (schedule.to and not self._mail) or (schedule.laid and not self._folder):
            raise BadSchedule(
                "nowhere", "there is no mail, or no folder: [mail] or [reports] folder says which"
            )
        if again:
            for each in self.schedules.all():
                if replace(each, schedule_id=0, paused=False, since=None) == schedule:
                    return each.schedule_id
        return self.schedules.save(replace(schedule, schedule_id=schedule_id), user.user_id, now)

    def do(self, verb: str, schedule_id: int, login: str, now: datetime) -> None:
        """One of :data:`VERBS`, as wanted by the person of this login."""
        if verb == "pause":
            self.schedules.pause(schedule_id)
        elif verb == "resume":
            self.schedules.go_on(schedule_id, now)
        elif verb == "delete":
            self.schedules.delete(schedule_id)
        else:
            schedule = self.schedules.one(schedule_id)
            span = span_of(schedule.every, schedule.at, zone_of(schedule.zone), now)
            Runs(self._engine).ask(schedule, login, span, now)


class SchedulingDesk(Desk):
    """What the page and the API share."""

    def scheduling(self, request: Request, asker: User) -> Scheduling:
        """As far as the asker reaches."""
        mail, folder = self._stored.mail, bool(self._stored.report_folder)
        return Scheduling(self.within(request, asker), mail=mail, folder=folder)

    def found(self, within: Engine, asker: User) -> list[tuple[Schedule, Sequence[Run]]]:
        """Those that the asker reaches, each with its last runs. Blocks."""
        # Those of the configuration are in somebody's name, too; they are told to who sees the whole company.
        schedules = [*Schedules(within).all(), *(self._stored.schedules if asker.sees_all else ())]
        runs = Runs(within).last(schedules)
        return [(each, runs[each.key]) for each in schedules]

    async def tried(self, work: Callable[[], T]) -> T:
        """Short work in a thread. Raises :class:`Refusal` with the code of what can't be."""

        def tried() -> T:
            try:
                return work()
            except NoSuchSchedule as fault:
                raise Refusal(404, "not_found", str(fault)) from fault
            except BadSchedule as fault:
                raise Refusal(409 if fault.code in AS_IT_IS else 400, fault.code, str(fault)) from fault

        return await self.run(tried)


def form_of(schedule: Schedule) -> dict[str, str]:
    """A schedule as a form has it."""
    by = (*schedule.by, "", "")
    return {
        "name": schedule.name, "report": schedule.report, "by": by[0], "then_by": by[1],
        "campaign": "".join(schedule.campaigns), "every": schedule.every, "at": f"{schedule.at:%H:%M}",
        "zone": schedule.zone, "format": schedule.format, "language": schedule.language,
        "to": "\n".join(schedule.to), "laid": "1" if schedule.laid else "",
    }  # fmt: skip
