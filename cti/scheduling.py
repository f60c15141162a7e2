"""What may be done to scheduled reports: of the page, the API and the commands, as far as who asks reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import Engine

from campaigns.reports.asking import zone_of
from campaigns.reports.runs import Runs
from campaigns.reports.schedule import BadSchedule, Schedule, schedule_in, span_of
from campaigns.reports.schedules import Schedules
from campaigns.users import User
from cti.language import LANGUAGES

VERBS: Final = ("pause", "resume", "send", "delete")


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


def form_of(schedule: Schedule) -> dict[str, str]:
    """A schedule as a form has it."""
    by = (*schedule.by, "", "")
    return {
        "name": schedule.name, "report": schedule.report, "by": by[0], "then_by": by[1],
        "campaign": "".join(schedule.campaigns), "every": schedule.every, "at": f"{schedule.at:%H:%M}",
        "zone": schedule.zone, "format": schedule.format, "language": schedule.language,
        "to": "\n".join(schedule.to), "laid": "1" if schedule.laid else "",
    }  # fmt: skip
