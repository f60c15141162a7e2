"""The schedules of reports that people made on the page: kept, changed, paused, let go, each with a line of audit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import IntegrityError

from campaigns.audit import write
from campaigns.reports.schedule import BadSchedule, Schedule

MOST = 50  # of one person

# An engine of a person's (campaigns/reach.py) sees their own and those of the people of their unit.
ALL = text("""
SELECT s.id, s.name, s.report, u.login, s.every, s.at, s.zone, s.split_by, s.campaigns, s.format, s.language,
    s.recipients, s.laid, s.paused, s.since
FROM report_schedule s JOIN app_user u ON u.id = s.user_id ORDER BY s.name, s.id
""")
ONE = text(f"{str(ALL).replace('ORDER BY s.name, s.id', 'WHERE s.id = :id')} FOR UPDATE OF s")
COUNT = text("SELECT count(*) FROM report_schedule WHERE user_id = :user")
MAKE = text("""
INSERT INTO report_schedule (user_id, name, report, split_by, campaigns, every, at, zone, format, language, recipients,
    laid, since)
VALUES (:user, :name, :report, :by, :campaigns, :every, :at, :zone, :format, :language, :to, :laid, :now) RETURNING id
""")
# Who changes to whom it goes sees to it that it shows them no more than they see themselves: it is theirs from now on.
CHANGE = text("""
UPDATE report_schedule SET user_id = :user, name = :name, report = :report, split_by = :by, campaigns = :campaigns,
    since = CASE WHEN (every, at, zone) = (:every, CAST(:at AS time), :zone) THEN since ELSE :now END,
    every = :every, at = :at, zone = :zone, format = :format, language = :language, recipients = :to, laid = :laid
WHERE id = :id
""")
PAUSE = text("UPDATE report_schedule SET paused = true WHERE id = :id")
GO_ON = text("UPDATE report_schedule SET paused = false, since = :now WHERE id = :id")
DELETE = text("DELETE FROM report_schedule WHERE id = :id")


class NoSuchSchedule(BadSchedule):
    """There is none of this id, as far as who asks reaches."""

    def __init__(self) -> None:
        super().__init__("gone", "there is no such schedule")


class Schedules:
    """Those of one database, as far as its engine reaches. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> Sequence[Schedule]:
        """All of them, by name."""
        with self._engine.connect() as connection:
            return [_schedule(row) for row in connection.execute(ALL)]

    def one(self, schedule_id: int) -> Schedule:
        """One of them. Raises :class:`NoSuchSchedule`."""
        with self._engine.begin() as connection:
            return _found(connection, schedule_id)

    def save(self, schedule: Schedule, user_id: int, now: datetime) -> int:
        """Keep it, in place of the one of its id; it is this user's then. Raises :class:`BadSchedule`."""
        values = _values(schedule) | {"user": user_id, "now": now}
        try:
            with self._engine.begin() as connection:
                if schedule.schedule_id:
                    before = _found(connection, schedule.schedule_id)
                    connection.execute(CHANGE, values | {"id": schedule.schedule_id})
                    _written(connection, "changed", schedule.schedule_id, _told(before), _told(schedule))
                    return schedule.schedule_id
                if connection.execute(COUNT, {"user": user_id}).scalar_one() >= MOST:
                    raise BadSchedule("many", f"nobody has more than {MOST} schedules")
                made = connection.execute(MAKE, values).scalar_one()
                _written(connection, "made", made, None, _told(schedule))
                return made
        except IntegrityError as fault:
            raise BadSchedule("taken", "this person has one of that name") from fault

    def pause(self, schedule_id: int) -> None:
        """Have it not go out until :meth:`go_on`. Raises :class:`NoSuchSchedule`."""
        with self._engine.begin() as connection:
            _found(connection, schedule_id)
            connection.execute(PAUSE, {"id": schedule_id})
            _written(connection, "paused", schedule_id)

    def go_on(self, schedule_id: int, now: datetime) -> None:
        """Have it go out again, with what is due from now on. Raises :class:`NoSuchSchedule`."""
        with self._engine.begin() as connection:
            _found(connection, schedule_id)
            connection.execute(GO_ON, {"id": schedule_id, "now": now})
            _written(connection, "resumed", schedule_id)

    def delete(self, schedule_id: int) -> None:
        """Let it go, and what is known of its runs. Raises :class:`NoSuchSchedule`."""
        with self._engine.begin() as connection:
            before = _found(connection, schedule_id)
            connection.execute(DELETE, {"id": schedule_id})
            _written(connection, "deleted", schedule_id, _told(before))


def _found(connection: Connection, schedule_id: int) -> Schedule:
    row = connection.execute(ONE, {"id": schedule_id}).one_or_none()
    if row is None:
        raise NoSuchSchedule
    return _schedule(row)


def _schedule(row: Row[Any]) -> Schedule:
    return Schedule(
        row.name, row.report, row.login, row.every, row.at, row.zone, tuple(row.split_by), tuple(row.campaigns),
        row.format, row.language, tuple(row.recipients), row.laid, "", row.id, row.paused, row.since,
    )  # fmt: skip


def _values(schedule: Schedule) -> dict[str, Any]:
    return {
        "name": schedule.name, "report": schedule.report, "by": list(schedule.by),
        "campaigns": list(schedule.campaigns), "every": schedule.every, "at": schedule.at, "zone": schedule.zone,
        "format": schedule.format, "language": schedule.language, "to": list(schedule.to), "laid": schedule.laid,
    }  # fmt: skip


def _told(schedule: Schedule) -> dict[str, Any]:
    return _values(schedule) | {"at": f"{schedule.at:%H:%M}", "login": schedule.login}


def _written(
    connection: Connection,
    what: str,
    schedule_id: int,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    write(connection, f"report schedule {what}", f"report schedule {schedule_id}", before=before, after=after)
