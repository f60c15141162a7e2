"""The runs of scheduled reports: one of the same days is one engine's at a time, is sent once, and is remembered.

A run is leased: an engine that dies leaves it to the next one. What was handed to the mail server in that moment is
then sent again under the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine, text

from campaigns.audit import write
from campaigns.reports.schedule import BadSchedule, Schedule, Span

COUNTING = "counting"  # the one of the page's words for why it was not sent that tells of no failure
LEASE = timedelta(minutes=5)  # well above what making and mailing a report may take
# After one that could not be sent, as long again as it has been tried already, from half a minute to half an hour: one
# that can't be made leaves the readers to the others.
AGAIN, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=30)
BETWEEN = timedelta(minutes=1)  # two that somebody wants at once
SHOWN = 5  # runs of a schedule on the page
MOST_DETAIL = 500  # characters
LOOKED_BACK = timedelta(days=70)  # the days of a month that is just due, and some

# Of the days that may be due: those that were sent, and those whose time is not yet.
SETTLED = text("""
SELECT COALESCE(schedule_id, 0) AS schedule_id, name, since, until FROM report_run
WHERE asked_by = '' AND until >= :since AND (sent_at IS NOT NULL OR next_at > :now)
""")
# Of the configuration's, that do not say since when they are kept, those of each day.
FIRST = text("""
SELECT name, min(until) AS until FROM report_run
WHERE schedule_id IS NULL AND asked_by = '' AND since = until AND until >= :since GROUP BY name
""")
# In the name of its user, who may be shut out; where the configuration names nobody, in that of who was here first.
CLAIM = text("""
WITH named AS (SELECT COALESCE((SELECT id FROM app_user WHERE login = :login), min(id)) AS id FROM app_user)
INSERT INTO report_run AS r (schedule_id, name, user_id, since, until, made_at, next_at, tries)
SELECT NULLIF(:schedule, 0), :name, id, :since, :until, :now, :lease, 1 FROM named WHERE id IS NOT NULL
ON CONFLICT (COALESCE(schedule_id, 0), name, since, until) WHERE asked_by = ''
DO UPDATE SET tries = r.tries + 1, next_at = :lease, user_id = EXCLUDED.user_id
WHERE r.sent_at IS NULL AND r.next_at <= :now RETURNING id, tries, asked_by, made_at, since, until
""")
ASKED = text("""
SELECT id, schedule_id FROM report_run WHERE asked_by <> '' AND sent_at IS NULL AND next_at <= :now ORDER BY id LIMIT 50
""")
CLAIM_ASKED = text("""
UPDATE report_run SET tries = tries + 1, next_at = :lease
WHERE id = :id AND sent_at IS NULL AND next_at <= :now RETURNING id, tries, asked_by, made_at, since, until
""")
SENT = text("""
UPDATE report_run SET sent_at = :now, fault = '', detail = :detail WHERE id = :id AND tries = :tries
""")
FAILED = text("""
UPDATE report_run SET fault = :fault, detail = :detail,
    next_at = CASE WHEN asked_by = '' THEN CAST(:again AS timestamptz) ELSE 'infinity' END
WHERE id = :id AND tries = :tries
""")
JUST_ASKED = text("""
SELECT EXISTS (SELECT FROM report_run WHERE COALESCE(schedule_id, 0) = :schedule AND name = '' AND asked_by <> ''
    AND made_at > :since)
""")
ASK = text("""
INSERT INTO report_run (schedule_id, name, user_id, since, until, asked_by, made_at, next_at)
SELECT id, '', user_id, :since, :until, :login, :now, :now FROM report_schedule WHERE id = :schedule
""")
LAST = text("""
SELECT k.schedule_id, k.name, r.since, r.until, r.asked_by, r.made_at, r.next_at, r.tries, r.sent_at, r.fault, r.detail
FROM unnest(CAST(:ids AS bigint[]), CAST(:names AS text[])) AS k (schedule_id, name) CROSS JOIN LATERAL (
    SELECT * FROM report_run WHERE COALESCE(schedule_id, 0) = k.schedule_id AND name = k.name
    ORDER BY id DESC LIMIT :most
) r
""")


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that is ours for a while: of these days, wanted by `asked_by` if it was not due, first at `made_at`."""

    run_id: int
    tries: int
    span: Span
    asked_by: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one. `fault` is empty or one of the page's words."""

    since: date
    until: date
    asked_by: str
    made_at: datetime
    tries: int
    sent_at: datetime | None
    fault: str
    detail: str

    @property
    def waits(self) -> bool:
        """Whether it is to come: nothing has failed, at most its days are not counted yet."""
        return self.sent_at is None and self.fault in ("", COUNTING)


class Runs:
    """Those of one database, as far as its engine reaches. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def settled(self, now: datetime) -> Collection[tuple[int, str, Span]]:
        """Which need not be claimed: by the key of their schedule, and their days."""
        with self._engine.connect() as connection:
            rows = connection.execute(SETTLED, {"since": (now - LOOKED_BACK).date(), "now": now})
            return {(row.schedule_id, row.name, Span(row.since, row.until)) for row in rows}

    def first(self, now: datetime) -> Mapping[tuple[int, str], date]:
        """The first day that is on record of each of the configuration's, by its key, of those looked back to."""
        with self._engine.connect() as connection:
            rows = connection.execute(FIRST, {"since": (now - LOOKED_BACK).date()})
            return {(0, row.name): row.until for row in rows}

    def claim(self, schedule: Schedule, span: Span, now: datetime) -> Claim | None:
        """Have the run of these days for a while; None: it was sent, or is another's."""
        schedule_id, name = schedule.key
        values = {
            "schedule": schedule_id,
            "name": name,
            "login": schedule.login,
            "since": span.since,
            "until": span.until,
        }
        return self._claimed(CLAIM, values | {"now": now, "lease": now + LEASE})

    def asked(self, now: datetime) -> Sequence[tuple[int, int]]:
        """The runs that somebody wants now, each with its schedule."""
        with self._engine.connect() as connection:
            return [(row.id, row.schedule_id) for row in connection.execute(ASKED, {"now": now})]

    def claim_asked(self, run_id: int, now: datetime) -> Claim | None:
        """Have such a run for a while; None: it is another's."""
        return self._claimed(CLAIM_ASKED, {"id": run_id, "now": now, "lease": now + LEASE})

    def sent(self, claim: Claim, now: datetime, detail: str = "") -> None:
        """It went out; `detail` says what of it did not."""
        values = {"id": claim.run_id, "tries": claim.tries, "now": now, "detail": detail[:MOST_DETAIL]}
        with self._engine.begin() as connection:
            connection.execute(SENT, values)

    def failed(self, claim: Claim, now: datetime, fault: str, detail: str) -> None:
        """It did not. One that was due is tried again; of one that was asked for, who asked sees it."""
        values = {"id": claim.run_id, "tries": claim.tries, "fault": fault, "detail": detail[:MOST_DETAIL]}
        with self._engine.begin() as connection:
            connection.execute(FAILED, values | {"again": now + _pause(claim, now)})

    def ask(self, schedule: Schedule, login: str, span: Span, now: datetime) -> None:
        """Have it sent now, by whichever engine is there. Raises :class:`BadSchedule`."""
        values = {"schedule": schedule.schedule_id, "login": login, "since": span.since, "until": span.until}
        with self._engine.begin() as connection:
            just = {"schedule": schedule.schedule_id, "since": now - BETWEEN}
            if connection.execute(JUST_ASKED, just).scalar_one():
                raise BadSchedule("just", "it was asked for a moment ago")
            connection.execute(ASK, values | {"now": now})
            write(connection, "report asked for", f"report schedule {schedule.schedule_id}")

    def last(self, schedules: Sequence[Schedule]) -> Mapping[tuple[int, str], Sequence[Run]]:
        """The last runs of each of these, by its key, the newest first."""
        keys = [each.key for each in schedules]
        found: dict[tuple[int, str], list[Run]] = {key: [] for key in keys}
        values = {"ids": [key[0] for key in keys], "names": [key[1] for key in keys], "most": SHOWN}
        with self._engine.connect() as connection:
            for row in connection.execute(LAST, values):
                found[row.schedule_id, row.name].append(
                    Run(
                        row.since,
                        row.until,
                        row.asked_by,
                        row.made_at,
                        row.tries,
                        row.sent_at,
                        row.fault,
                        row.detail,
                    )
                )
        return found

    def _claimed(self, statement, values) -> Claim | None:  # type: ignore[no-untyped-def]
        with self._engine.begin() as connection:
            row = connection.execute(statement, values).one_or_none()
        if row is None:
            return None
        return Claim(row.id, row.tries, Span(row.since, row.until), row.asked_by, row.made_at)


def _pause(claim: Claim, now: datetime) -> timedelta:
    return min(LONGEST_PAUSE, max(AGAIN, now - claim.made_at))
