"""A report asked for: which, of what days, split by what, and of which campaigns; answered from the roll-ups alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, Engine, text

from campaigns.config import CampaignsError
from campaigns.reports.catalogue import (
    DIMENSIONS,
    MARKS,
    MEASURES,
    REPORTS,
    SUMS,
    Figure,
    Measure,
    Report,
    Unit,
)
from campaigns.reports.counting import HALF_HOUR
from campaigns.units import PATHS

LONGEST_D = 1_100  # three years and some days
MOST_ROWS = 50_000  # a sheet that somebody still reads has far fewer
LIVE = 2  # half hours that are due at any moment while people call
IN_ORDER = frozenset({"day", "hour", "half_hour", "month"})  # by itself; other rows by their first figure
# `rollup_seen` tells when the last turn of the count was; on a replica, when it was as far as that has come.
SEEN = text("SELECT seats_until FROM rollup_seen")
DUE = text("""
SELECT count(DISTINCT half_hour) FROM rollup_due
WHERE kind = ANY(:kinds) AND half_hour >= :since AND half_hour < :until
""")
SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


class BadQuestion(CampaignsError):
    """A report that can't be asked for so. The text says what is wrong."""


class NotCounted(CampaignsError):
    """A report whose days are not over, or not all counted. The text says how far they are."""


@dataclass(frozen=True, slots=True)
class Question:
    """`since` and `until` are days in `zone`, both in it. No `by`: as the report is; no `campaigns`: all."""

    report: str
    since: date
    until: date
    zone: str
    by: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()

    def span(self) -> tuple[datetime, datetime]:
        """From which instant, and up to which. Raises :class:`BadQuestion`."""
        zone = zone_of(self.zone)
        return (
            datetime.combine(self.since, time(), zone),
            datetime.combine(self.until + timedelta(days=1), time(), zone),
        )


@dataclass(frozen=True, slots=True)
class Column:
    """A column: a dimension, or figures in a unit."""

    key: str
    unit: Unit | None  # None: a dimension


@dataclass(frozen=True, slots=True)
class Table:
    """A report's answer. `due` half hours of its roll-ups are yet to be counted anew; `as_of`: until when it knows.

    No `totals`: its rows are no parts of a whole.
    """

    question: Question
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Any, ...]]
    totals: tuple[Any, ...]
    due: int
    as_of: datetime

    @property
    def counted(self) -> bool:
        """Whether its days are over and all of them is counted."""
        return _whole(self.question, self.due, self.as_of)

    def behind(self, now: datetime) -> bool:
        """Whether what is over by `now` is not all in it. Of days that go on, a little never is."""
        return not self.counted if self.question.span()[1] <= now else self.due > LIVE


def answer(
    engine: Engine, question: Question, seen: Collection[str] | None, only_counted: bool = False
) -> Table:
    """The answer for somebody who may be told of the campaigns `seen`; None: of all.

    Raises :class:`BadQuestion`, :class:`NotCounted` if it is wanted `only_counted`, and what the database raises.
    """
    report = checked(question)
    with engine.connect() as connection:
        connection.execute(SNAPSHOT)
        due, as_of = counted(connection, question, report.tables, only_counted)
        sums = _summed(connection, report, question, seen)
    return _table(question, report, sums, due, as_of)


def counted(
    connection: Connection, question: Question, tables: Collection[str], only: bool
) -> tuple[int, datetime]:
    """How many half hours of its days these roll-ups have yet to count anew, and until when they know what there is.

    Raises :class:`NotCounted` if it is wanted `only` when its days are over and all of them is counted.
    """
    since, until = question.span()
    kinds = [kind for table in tables for kind in MARKS[table]]
    due = connection.execute(DUE, {"kinds": kinds, "since": since, "until": until}).scalar_one()
    as_of = connection.execute(SEEN).scalar_one()
    if only and not _whole(question, due, as_of):
        raise NotCounted(f"{due} half hours are due, all is known until {as_of:%F %R}Z")
    return due, as_of


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name. Raises :class:`BadQuestion`, also for one whose days no half hour begins."""
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise BadQuestion(f"zone: there is no time zone {name!r}") from fault
    offset = datetime(2026, 1, 1, tzinfo=zone).utcoffset()
    if offset is None or offset % HALF_HOUR:
        raise BadQuestion(f"zone: figures are kept by the half hour, and {name} is {offset} from UTC")
    return zone


def checked(question: Question) -> Report:
    """The report of a question that makes sense. Raises :class:`BadQuestion`."""
    report = REPORTS.get(question.report)
    if report is None:
        raise BadQuestion(f"report: {question.report!r} is none of {', '.join(REPORTS)}")
    in_order(question)
    for key in question.by:
        if key not in report.dimensions:
            raise BadQuestion(f"by: {key!r} is none of {', '.join(report.dimensions)}")
    if len(set(question.by)) < len(question.by):
        raise BadQuestion("by: names something twice")
    zone_of(question.zone)
    return report


def in_order(question: Question) -> None:
    """Raises :class:`BadQuestion` where its days are none, or too many."""
    if not question.since <= question.until or (question.until - question.since).days >= LONGEST_D:
        raise BadQuestion(f"from and to: are two days in this order, at most {LONGEST_D} of them")


def allowed(question: Question, seen: Collection[str] | None) -> set[str] | None:
    """The campaigns that an answer is of, for somebody who may be told of those `seen`; None: all."""
    wanted = set(question.campaigns)
    if seen is None:
        return wanted or None
    return wanted & set(seen) if wanted else set(seen)


# --- within -------------------------------------------------------------------------------------------------------


def _whole(question: Question, due: int, as_of: datetime) -> bool:
    return not due and as_of >= question.span()[1]


def _summed(
    connection: Connection, report: Report, question: Question, seen: Collection[str] | None
) -> dict[tuple[str, ...], dict[str, int]]:
    """The sums of each row, from as many roll-ups as the report is made of."""
    by = question.by or report.by
    names = [name for key in report.measures for name in MEASURES[key].needs]
    of = allowed(question, seen)
    since, until = question.span()
    values = {
        "since": since,
        "until": until,
        "zone": question.zone,
        "campaigns": None if of is None else sorted(of),
        "most": MOST_ROWS + 1,
    }
    found: dict[tuple[str, ...], dict[str, int]] = {}
    for table in report.tables:
        sums = {name: SUMS[table][name] for name in dict.fromkeys(names) if name in SUMS[table]}
        for row in connection.execute(text(_statement(table, by, sums, report.only)), values):
            into = found.setdefault(tuple(row[: len(by)]), dict.fromkeys(names, 0))
            into.update(zip(sums, map(int, row[len(by) :]), strict=True))
        if len(found) > MOST_ROWS:
            raise BadQuestion(
                f"by: makes more than {MOST_ROWS:,} rows; split it by less, or ask for fewer days"
            )
    return found


def _statement(table: str, by: Sequence[str], sums: Mapping[str, str], only: str) -> str:
    joins = dict.fromkeys(
        f"LEFT JOIN {join.strip()}"
        for key in by
        for join in DIMENSIONS[key].join.split("LEFT JOIN")
        if join.strip()
    )
    columns = [f"{DIMENSIONS[key].value} AS d{n}" for n, key in enumerate(by)]
    columns += [f"COALESCE({sql}, 0) AS {name}" for name, sql in sums.items()]
    recursive = PATHS if any(join.startswith("LEFT JOIN path") for join in joins) else ""
    return f"""
{recursive}
SELECT {", ".join(columns)} FROM {table} r {" ".join(joins)}
WHERE r.half_hour >= :since AND r.half_hour < :until
    AND (CAST(:campaigns AS text[]) IS NULL OR r.campaign_id = ANY(ARRAY(
        SELECT id FROM campaign WHERE name = ANY(CAST(:campaigns AS text[])))))
    {f"AND {only}" if only else ""}
GROUP BY {", ".join(str(n + 1) for n in range(len(by)))} LIMIT :most
"""


def _table(
    question: Question,
    report: Report,
    sums: Mapping[tuple[str, ...], Mapping[str, int]],
    due: int,
    as_of: datetime,
) -> Table:
    by, measures = question.by or report.by, [MEASURES[key] for key in report.measures]
    rows: list[tuple[Any, ...]] = [(*key, *_figures(measures, of)) for key, of in sums.items()]
    if by[0] in IN_ORDER:
        rows.sort(key=lambda row: row[: len(by)])
    else:
        rows.sort(key=lambda row: (-(row[len(by)] or 0), row[: len(by)]))
    names = {name for measure in measures for name in measure.needs}
    total = {name: sum(of[name] for of in sums.values()) for name in names}
    columns = [Column(key, None) for key in by] + [Column(m.key, m.unit) for m in measures]
    return Table(question, tuple(columns), rows, (*[None] * len(by), *_figures(measures, total)), due, as_of)


def _figures(measures: Sequence[Measure], sums: Mapping[str, int]) -> list[Figure]:
    return [measure.formula(sums) for measure in measures]
