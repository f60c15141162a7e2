"""Questions over live and archived history as one: calls of a person or a campaign, seats, and what came of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from campaigns.history import months
from campaigns.history.files import FileGone, Files, instant, listed, quoted
from campaigns.history.kinds import ATTEMPT, DISPOSITION, SEAT_LOG, Kind
from campaigns.history.months import Month
from campaigns.ids import LAST_LEASED_AT
from campaigns.partitions import bounds

T = TypeVar("T")

LONGEST_BUFFER = timedelta(days=1)  # between the lease, whose time finds the partition, and the dial

# A month that is archived counts as its file, although its partition may be there for a moment more. The lock keeps
# every partition in place from before the snapshot is taken.
LOCK = text("LOCK TABLE attempt, disposition, seat_log IN ACCESS SHARE MODE")
SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
LIVE = """
SELECT a.call_id, a.campaign_id, a.lead_id, COALESCE(a.e164, n.e164), COALESCE(a.customer_id, l.customer_id),
    a.dialed_at, a.answered_at, a.connected_at, a.ended_at, a.outcome, a.ring_s, a.wait_s, a.talk_s, a.user_id, a.amd,
    a.notes, a.answers, a.basis_id, a.consent_id, a.caller_id, a.called_in
FROM attempt a LEFT JOIN number n ON n.id = a.number_id LEFT JOIN lead l ON l.id = a.lead_id
WHERE a.leased_at >= :from AND a.leased_at < :until AND a.dialed_at >= :since AND a.dialed_at < :until
    AND date_trunc('month', a.leased_at AT TIME ZONE 'UTC')::date <> ALL(CAST(:filed AS date[]))
"""
LISTS = text("SELECT id, list_id FROM lead WHERE id = ANY(:leads)")
VERDICTS = text("""
SELECT call_id, code, notes FROM disposition
WHERE leased_at >= :from AND leased_at < :until AND call_id = ANY(CAST(:calls AS uuid[]))
""")
FILED = """
SELECT call_id, campaign_id, lead_id, e164, customer_id, epoch_us(dialed_at), epoch_us(answered_at),
    epoch_us(connected_at), epoch_us(ended_at), outcome, ring_s::VARCHAR::DOUBLE, wait_s::VARCHAR::DOUBLE,
    talk_s::VARCHAR::DOUBLE, user_id, amd, notes, answers, basis_id, consent_id, caller_id, called_in
"""
LIVE_SEATS = text("""
SELECT id, at, user_id, session_id, state, reason, call_id, campaign_id FROM seat_log
WHERE at >= :from AND at < :until
    AND date_trunc('month', at AT TIME ZONE 'UTC')::date <> ALL(CAST(:filed AS date[]))
""")
FILED_SEATS = 'SELECT id, epoch_us("at"), user_id, session_id, state, reason, call_id, campaign_id'
OUTCOMES = text("""
SELECT month, campaign, outcome, code, sum(attempts)::bigint AS attempts, sum(connected)::bigint AS connected FROM (
    SELECT month, campaign_id, outcome, code, attempts, connected FROM archived_outcome
    WHERE month >= :since AND month < :until
    UNION ALL
    SELECT date_trunc('month', a.leased_at AT TIME ZONE 'UTC')::date, a.campaign_id, COALESCE(a.outcome, ''),
        COALESCE(d.code, ''), count(*), count(a.connected_at)
    FROM attempt a LEFT JOIN disposition d ON d.call_id = a.call_id AND d.leased_at = a.leased_at
        AND d.leased_at >= :begin AND d.leased_at < :end
    WHERE a.leased_at >= :begin AND a.leased_at < :end AND a.called_in IS NULL
        AND date_trunc('month', a.leased_at AT TIME ZONE 'UTC')::date <> ALL(CAST(:filed AS date[]))
    GROUP BY 1, 2, 3, 4
) x LEFT JOIN LATERAL (SELECT name AS campaign FROM campaign c WHERE c.id = x.campaign_id) n ON true
WHERE :campaign IS NULL OR campaign_id = :campaign
GROUP BY month, campaign, outcome, code ORDER BY month, campaign, outcome, code
""")
# Leads are known by themselves, and when their time is over by what the archive keeps of them.
KNOWN = text(f"""
SELECT e164, campaign_id, max(customer_id), sum(attempts)::bigint, max(last_at) FROM (
    SELECT n.e164, n.campaign_id, l.customer_id, n.attempts,
        {LAST_LEASED_AT} AS last_at
    FROM number n JOIN lead l ON l.id = n.lead_id
    WHERE n.campaign_id = ANY(ARRAY(SELECT id FROM campaign)) AND n.e164 = ANY(:e164s)
    UNION ALL
    SELECT e164, campaign_id, customer_id, attempts, last_at FROM archived_number WHERE e164 = ANY(:e164s)
) x GROUP BY e164, campaign_id ORDER BY e164, campaign_id
""")
TRIES = (
    3  # a file may be replaced while it is asked; a new look at the months finds the one that took its place
)


@dataclass(frozen=True, slots=True)
class Person:
    """A person as history knows them: by leads, numbers and the ids of the systems that lists come from."""

    lead_ids: tuple[int, ...] = ()
    e164s: tuple[str, ...] = ()
    customer_ids: tuple[str, ...] = ()

    def filed(self) -> str:
        """A condition of DuckDB's for the attempts of this person, by whatever they are known by."""
        return (
            f"(lead_id IN ({listed(self.lead_ids)}) OR e164 IN ({listed(self.e164s)})"
            f" OR customer_id IN ({listed(self.customer_ids)}))"
        )


@dataclass(frozen=True, slots=True)
class PastCall:
    """One attempt, with the agent's disposition if there was one."""

    call_id: str
    campaign_id: int
    lead_id: int
    e164: str | None
    customer_id: str | None
    dialed_at: datetime
    answered_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    ring_s: float | None
    wait_s: float | None
    talk_s: float | None
    user_id: int | None
    amd: str | None
    notes: str | None
    answers: str | None  # to the script, a JSON object
    basis_id: int | None  # what allowed it, see campaigns/rules/basis.py
    consent_id: int | None
    caller_id: str | None
    called_in: str | None  # the channel that the customer called in on; None: they were called
    archived: bool
    code: str | None = None
    code_notes: str | None = None


@dataclass(frozen=True, slots=True)
class SeatLine:
    """A seat came into a state; it is in it until the user's next line."""

    id: int
    at: datetime
    user_id: int
    session_id: str
    state: str
    reason: str
    call_id: str
    campaign_id: int | None


@dataclass(frozen=True, slots=True)
class MonthOutcome:
    """How many attempts of a month ended so; counts stay when the attempts themselves are gone."""

    month: date
    campaign: str | None
    outcome: str  # empty: not over yet
    code: str  # the agent's disposition; empty: none
    attempts: int
    connected: int


@dataclass(frozen=True, slots=True)
class Known:
    """A number that is, or was, on a campaign's list: attempts on it, and the last one's time if there was one."""

    e164: str
    campaign_id: int
    customer_id: str | None
    attempts: int
    last_at: datetime | None


class History:
    """The history of one database and its archive. Every method blocks."""

    def __init__(self, engine: Engine, files: Files) -> None:
        self._engine = engine
        self._files = files

    def calls(
        self,
        since: datetime,
        until: datetime,
        person: Person | None = None,
        campaign_id: int | None = None,
        every_row: bool = False,
    ) -> list[PastCall]:
        """The attempts dialed between two instants, oldest first: of a person, of a campaign, or of both.

        A person with numbers is looked up in the files by these, in whose order the files are; with `every_row` also by
        lead and customer, which reads them all.
        Raises :class:`campaigns.history.files.FileGone` when a file is missing that should be there.
        """
        wanted = _Wanted(since, until, person, campaign_id, every_row)
        return _tried(lambda: self._calls(wanted))

    def seats(self, since: datetime, until: datetime) -> list[SeatLine]:
        """The seat log between two instants, in order. Raises :class:`campaigns.history.files.FileGone`."""
        return _tried(lambda: self._seats(since, until))

    def outcomes(self, since: date, until: date, campaign_id: int | None = None) -> list[MonthOutcome]:
        """What came of the attempts of the months from `since` on and before `until`, both first days of months."""
        with self._engine.connect() as connection:
            filed = self._snapshot(connection)
            values = {
                "since": since,
                "until": until,
                "begin": bounds(since)[0],
                "end": bounds(until)[0],
                "filed": sorted(month for kind, month in filed if kind == ATTEMPT.table),
                "campaign": campaign_id,
            }
            return [MonthOutcome(*row) for row in connection.execute(OUTCOMES, values)]

    def known(self, e164s: Sequence[str]) -> list[Known]:
        """Those of these numbers that history knows, by campaign: on a list, or called while a call is kept."""
        with self._engine.connect() as connection:
            return [Known(*row) for row in connection.execute(KNOWN, {"e164s": list(e164s)})]

    def lists_of(self, leads: Sequence[int]) -> dict[int, int]:
        """Which list each of these leads is on, as far as they are still there."""
        with self._engine.connect() as connection:
            return {row.id: row.list_id for row in connection.execute(LISTS, {"leads": list(leads)})}

    # --- within ---------------------------------------------------------------------------------------------------

    def _snapshot(self, connection: Connection) -> dict[tuple[str, date], Month]:
        """Begin to read, and tell which months are in files."""
        connection.execute(SNAPSHOT)
        connection.execute(LOCK)
        return {(m.kind, m.month): m for m in months.all_months(connection) if m.state != "restored"}

    def _seats(self, since: datetime, until: datetime) -> list[SeatLine]:
        with self._engine.connect() as connection:
            filed = [
                month for (kind, _), month in self._snapshot(connection).items() if kind == SEAT_LOG.table
            ]
            values = {"from": since, "until": until, "filed": sorted(each.month for each in filed)}
            lines = [SeatLine(*row) for row in connection.execute(LIVE_SEATS, values)]
            near = [
                self._files.path(each.manifest)
                for each in filed
                if each.state == "archived"
                and bounds(each.month)[0] < until
                and bounds(each.month)[1] > since
            ]
            if near:
                where = f"\"at\" >= '{since}'::TIMESTAMPTZ AND \"at\" < '{until}'::TIMESTAMPTZ"
                with self._files.opened() as duck:
                    rows = duck.execute(
                        f"{FILED_SEATS} FROM {_files(SEAT_LOG, near)} WHERE {where}"
                    ).fetchall()
                for id_, at, *told in rows:
                    came = instant(at)
                    assert came is not None, "the time is a partition's key"
                    lines.append(SeatLine(id_, came, *told))
        return sorted(lines, key=lambda line: (line.at, line.id))

    def _calls(self, wanted: _Wanted) -> list[PastCall]:
        with self._engine.connect() as connection:
            filed = self._snapshot(connection)
            calls = self._filed(wanted, [m for m in filed.values() if m.state == "archived"])
            calls += self._live(connection, wanted, filed)
            verdicts = self._live_verdicts(connection, wanted, [c.call_id for c in calls if c.code is None])
        calls = [_judged(c, verdicts[c.call_id]) if c.call_id in verdicts else c for c in calls]
        return sorted(calls, key=lambda c: (c.dialed_at, c.call_id))

    def _live(
        self, connection: Connection, wanted: _Wanted, filed: dict[tuple[str, date], Month]
    ) -> list[PastCall]:
        sql, values = LIVE, wanted.values()
        values["filed"] = sorted(month for kind, month in filed if kind == ATTEMPT.table)
        if wanted.campaign_id is not None:
            sql += " AND a.campaign_id = :campaign"
        if wanted.person is not None:
            sql += " AND (a.lead_id = ANY(:leads) OR a.e164 = ANY(:e164s) OR a.customer_id = ANY(:customers))"
        return [
            PastCall(row[0].hex, *row[1:], archived=False) for row in connection.execute(text(sql), values)
        ]

    def _live_verdicts(
        self, connection: Connection, wanted: _Wanted, calls: list[str]
    ) -> dict[str, tuple[str, str]]:
        rows = connection.execute(VERDICTS, {**wanted.values(), "calls": calls}) if calls else ()
        return {row.call_id.hex: (row.code, row.notes) for row in rows}

    def _filed(self, wanted: _Wanted, archived: Sequence[Month]) -> list[PastCall]:
        near = [m for m in archived if wanted.touches(m.month)]
        attempts = [self._files.path(m.manifest) for m in near if m.kind == ATTEMPT.table]
        if not attempts:
            return []
        verdicts = [self._files.path(m.manifest) for m in near if m.kind == DISPOSITION.table]
        where = f"FROM {_files(ATTEMPT, attempts)} WHERE {wanted.filed()}"
        judged: dict[UUID, tuple[str, str]] = {}
        with self._files.opened() as duck:
            rows = duck.execute(f"{FILED} {where}").fetchall()
            if verdicts and rows:
                judging = f"FROM {_files(DISPOSITION, verdicts)} WHERE call_id IN (SELECT call_id {where})"
                found = duck.execute(f"SELECT call_id, code, notes {judging}").fetchall()
                judged = {call: (code, notes) for call, code, notes in found}
        calls = []
        for row in rows:
            code, notes = judged.get(row[0], (None, None))
            times = map(instant, row[5:9])
            calls.append(
                PastCall(row[0].hex, *row[1:5], *times, *row[9:], archived=True, code=code, code_notes=notes)
            )
        return calls


@dataclass(frozen=True, slots=True)
class _Wanted:
    since: datetime
    until: datetime
    person: Person | None
    campaign_id: int | None
    every_row: bool

    def values(self) -> dict[str, Any]:
        person = self.person or Person()
        return {
            "since": self.since,
            "until": self.until,
            "from": self.since - LONGEST_BUFFER,
            "campaign": self.campaign_id,
            "leads": list(person.lead_ids),
            "e164s": list(person.e164s),
            "customers": list(person.customer_ids),
        }

    def touches(self, month: date) -> bool:
        start, end = bounds(month)
        return start < self.until and end > self.since - LONGEST_BUFFER

    def filed(self) -> str:
        """A condition of DuckDB's for the attempts that are asked for."""
        parts = [f"dialed_at >= '{self.since}'::TIMESTAMPTZ AND dialed_at < '{self.until}'::TIMESTAMPTZ"]
        if self.campaign_id is not None:
            parts.append(f"campaign_id = {self.campaign_id:d}")
        if self.person is not None and self.person.e164s and not self.every_row:
            parts.append(f"e164 IN ({listed(self.person.e164s)})")
        elif self.person is not None:
            parts.append(self.person.filed())
        return " AND ".join(parts)


def _tried(look: Callable[[], T]) -> T:
    for left in reversed(range(TRIES)):
        try:
            return look()
        except FileGone:
            if not left:
                raise
    raise AssertionError("TRIES is above 0")


def _files(kind: Kind, paths: Sequence[Path]) -> str:
    """Files as one table of DuckDB's with all the columns of today; one that has fewer has NULL for them."""
    today = ", ".join(f'NULL::{column.filed} AS "{name}"' for name, column in kind.columns.items())
    files = f"read_parquet([{', '.join(map(quoted, paths))}], union_by_name = true)"
    return f"(SELECT {today} WHERE false UNION ALL BY NAME SELECT * FROM {files})"


def _judged(call: PastCall, verdict: tuple[str, str]) -> PastCall:
    return replace(call, code=verdict[0], code_notes=verdict[1])
