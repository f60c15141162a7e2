"""What reports there are: each a name, what it is split by, its measures. Page, CSV, workbook, API and CLI follow it.

A measure is computed from sums of whole numbers, one formula for a row and for the total of all rows: a share in the
total is that of the sums, never an average of shares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

COMPLIANCE = "compliance"  # the report that is no sum of a span: campaigns/reports/compliance.py
Sums = Mapping[str, int]
Figure = int | float | None  # None: there is nothing to divide by


class Unit(StrEnum):
    """What a figure is counted in, and so how it is shown."""

    COUNT = "count"
    SHARE = "share"  # 0 … 1
    LAW = "legal_share"  # the same, where a hundredth of a percent decides
    SECONDS = "seconds"  # of one call, one pause
    TOTAL = "total_seconds"  # of many together
    RATE = "per_hour"


# The sums that each roll-up gives, as SQL over its rows. What two of them both have is told apart by its name.
SUMS: dict[str, dict[str, str]] = {
    "rollup_call": {
        "attempts": "sum(attempts)",
        "connected": "sum(connected)",
        "abandoned": "sum(attempts) FILTER (WHERE outcome = 'abandoned')",
        "hung_up": "sum(attempts - machines) FILTER (WHERE outcome = 'hung_up')",
        "machines": "sum(attempts) FILTER (WHERE outcome = 'machine')",
        "busy": "sum(attempts) FILTER (WHERE outcome = 'busy')",
        "no_answer": "sum(attempts) FILTER (WHERE outcome = 'no_answer')",
        "open": "sum(attempts) FILTER (WHERE outcome = '')",
        "harbours": "sum(harbours)",
        "judged": "sum(attempts) FILTER (WHERE code <> '')",
        "ring_ms": "sum(ring_ms)",
        "wait_ms": "sum(wait_ms)",
        "talk_ms": "sum(talk_ms)",
    },
    "rollup_line": {
        "line_attempts": "sum(attempts)",
        "line_people": "sum(attempts - CASE WHEN outcome = 'hung_up' THEN machines ELSE 0 END)"
        " FILTER (WHERE outcome IN ('connected', 'abandoned', 'hung_up'))",
        "line_failed": "sum(attempts) FILTER (WHERE outcome IN ('congestion', 'failed', 'invalid', 'lost'))",
        "line_ring_ms": "sum(ring_ms)",
        "line_talk_ms": "sum(talk_ms)",
    },
    "rollup_agent": {
        "agent_calls": "sum(connected)",
        "agent_called_in": "sum(called_in)",
        "agent_judged": "sum(attempts) FILTER (WHERE code <> '')",
        "agent_talk_ms": "sum(talk_ms)",
        "agent_wait_ms": "sum(wait_ms)",
    },
    "rollup_seat": {
        "logged_in_ms": "sum(spent_ms)",
        "ready_ms": "sum(spent_ms) FILTER (WHERE state = 'ready')",
        "in_call_ms": "sum(spent_ms) FILTER (WHERE state IN ('preview', 'connecting', 'talking', 'asked'))",
        "wrap_ms": "sum(spent_ms) FILTER (WHERE state = 'wrap_up')",
        "paused_ms": "sum(spent_ms) FILTER (WHERE state = 'paused')",
        "no_phone_ms": "sum(spent_ms) FILTER (WHERE state IN ('phone', 'no_phone'))",
        "pauses": "sum(times) FILTER (WHERE state = 'paused')",
    },
    "rollup_callback": {
        "promised": "sum(promised)",
        "personal": "sum(personal)",
        "kept": "sum(kept)",
        "by_person": "sum(by_person)",
        "late_ms": "sum(late_ms)",
        "expired": "sum(expired)",
        "callbacks_open": "sum(open)",
    },
    "rollup_caller": {
        "callers": "sum(calls)",
        "callers_connected": "sum(connected)",
        "callers_wait_ms": "sum(wait_ms)",
        "callers_talk_ms": "sum(talk_ms)",
    },
    "rollup_refusal": {"refused": "sum(calls)"},
}
TABLE_OF = {name: table for table, sums in SUMS.items() for name in sums}
# The kinds of marks after which a roll-up is counted anew; refusals are written as they happen.
MARKS = dict.fromkeys(("rollup_call", "rollup_line", "rollup_agent", "rollup_caller"), ("calls",)) | {
    "rollup_seat": ("seats", "stays"),
    "rollup_callback": ("callbacks",),
    "rollup_refusal": (),
}


@dataclass(frozen=True, slots=True)
class Measure:
    """One column of figures. `needs` are the sums of its formula, which is `says` in the language of sums."""

    key: str
    unit: Unit
    needs: tuple[str, ...]
    formula: Callable[[Sums], Figure]
    says: str


def _sum(key: str, unit: Unit = Unit.COUNT, of: str = "") -> Measure:
    name = of or key
    return Measure(key, unit, (name,), lambda s: s[name], name)


def _time(key: str, of: str) -> Measure:
    return Measure(key, Unit.TOTAL, (of,), lambda s: s[of] / 1000, f"{of} / 1000")


def _ratio(
    key: str, unit: Unit, over: tuple[str, ...], under: tuple[str, ...], times: float = 1.0
) -> Measure:
    def formula(s: Sums) -> Figure:
        below = sum(s[name] for name in under)
        return times * sum(s[name] for name in over) / below if below else None

    says = f"({' + '.join(over)}) / ({' + '.join(under)})" + (f" × {times:g}" if times != 1.0 else "")
    return Measure(key, unit, (*over, *under), formula, says)


PEOPLE_ANSWERED = ("connected", "abandoned", "hung_up")
AT_WORK = ("ready_ms", "in_call_ms", "wrap_ms")
HOUR_MS = 3_600_000.0
MEASURES = {
    measure.key: measure
    for measure in (
        _sum("attempts"),
        Measure("people", Unit.COUNT, PEOPLE_ANSWERED, lambda s: sum(s[n] for n in PEOPLE_ANSWERED),
                " + ".join(PEOPLE_ANSWERED)),
        _ratio("answer_rate", Unit.SHARE, PEOPLE_ANSWERED, ("attempts",)),
        _sum("connected"),
        _ratio("connect_rate", Unit.SHARE, ("connected",), ("attempts",)),
        _sum("abandoned"),
        _ratio("abandon_rate", Unit.SHARE, ("abandoned",), PEOPLE_ANSWERED),
        _sum("hung_up"),
        _sum("machines"),
        _sum("busy"),
        _sum("no_answer"),
        _sum("open"),
        _sum("harbours"),
        _sum("judged"),
        _time("talk", "talk_ms"),
        _ratio("talk_mean", Unit.SECONDS, ("talk_ms",), ("connected",), 0.001),
        _ratio("wait_mean", Unit.SECONDS, ("wait_ms",), ("connected",), 0.001),
        _ratio("ring_mean", Unit.SECONDS, ("ring_ms",), ("attempts",), 0.001),
        _sum("line_attempts"),
        _sum("line_people"),
        _ratio("line_answer_rate", Unit.SHARE, ("line_people",), ("line_attempts",)),
        _sum("line_failed"),
        _ratio("line_fail_rate", Unit.SHARE, ("line_failed",), ("line_attempts",)),
        _ratio("line_ring_mean", Unit.SECONDS, ("line_ring_ms",), ("line_attempts",), 0.001),
        _time("line_talk", "line_talk_ms"),
        _sum("agent_calls"),
        _sum("agent_called_in"),
        _sum("agent_judged"),
        _time("agent_talk", "agent_talk_ms"),
        _ratio("agent_talk_mean", Unit.SECONDS, ("agent_talk_ms",), ("agent_calls",), 0.001),
        _time("logged_in", "logged_in_ms"),
        _time("ready", "ready_ms"),
        _time("in_call", "in_call_ms"),
        _time("wrap", "wrap_ms"),
        _ratio("wrap_mean", Unit.SECONDS, ("wrap_ms",), ("agent_calls",), 0.001),
        _ratio("occupancy", Unit.SHARE, ("in_call_ms", "wrap_ms"), AT_WORK),
        _ratio("calls_per_hour", Unit.RATE, ("agent_calls",), ("logged_in_ms",), HOUR_MS),
        _time("paused", "paused_ms"),
        _sum("pauses"),
        _ratio("pause_mean", Unit.SECONDS, ("paused_ms",), ("pauses",), 0.001),
        _time("no_phone", "no_phone_ms"),
        _ratio("adherence", Unit.SHARE, AT_WORK, ("logged_in_ms",)),
        _sum("callers"),
        _sum("callers_connected"),
        _ratio("callers_rate", Unit.SHARE, ("callers_connected",), ("callers",)),
        _ratio("callers_wait_mean", Unit.SECONDS, ("callers_wait_ms",), ("callers_connected",), 0.001),
        _time("callers_talk", "callers_talk_ms"),
        _sum("promised"),
        _sum("personal"),
        _sum("kept"),
        _ratio("kept_rate", Unit.SHARE, ("kept",), ("promised",)),
        _sum("by_person"),
        _ratio("late_mean", Unit.SECONDS, ("late_ms",), ("kept",), 0.001),
        _sum("expired"),
        _sum("callbacks_open"),
        _sum("refused"),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dimension:
    """What rows are split by: an expression over a roll-up `r`, and the joins that it needs, by roll-up."""

    key: str
    value: str  # SQL
    tables: tuple[str, ...]  # the roll-ups that have it
    join: str = ""
    named: str = ""  # the name for people, when the value is an id


CALLS = tuple(SUMS)
BY_USER = ("rollup_agent", "rollup_seat", "rollup_callback")
LOCAL = "(r.half_hour AT TIME ZONE :zone)"
CAMPAIGN = "LEFT JOIN campaign c ON c.id = r.campaign_id"
BRANCH = f"{CAMPAIGN} LEFT JOIN path b ON b.id = c.unit_id"
AGENT = "COALESCE(u.name || ' (' || u.login || ')', '')"  # names are not unique
USER = "LEFT JOIN app_user u ON u.id = r.user_id"
DIMENSIONS = {
    each.key: each
    for each in (
        Dimension("campaign", "COALESCE(c.name, '')", CALLS, CAMPAIGN),
        Dimension("branch", "COALESCE(b.path, '')", CALLS, BRANCH),
        Dimension("list", "COALESCE(i.name, '')", ("rollup_call", "rollup_agent"),
                  "LEFT JOIN list i ON i.id = r.list_id"),
        Dimension("agent", AGENT, BY_USER, USER),
        Dimension("team", "COALESCE(t.path, '')", BY_USER, f"{USER} LEFT JOIN path t ON t.id = u.unit_id"),
        Dimension("day", f"{LOCAL}::date::text", CALLS),
        Dimension("hour", f"to_char({LOCAL}, 'HH24')", CALLS),
        Dimension("half_hour", f"to_char({LOCAL}, 'HH24:MI')", CALLS),
        Dimension("month", f"to_char({LOCAL}, 'YYYY-MM')", CALLS),
        Dimension("outcome", "r.outcome", ("rollup_call", "rollup_line", "rollup_agent", "rollup_caller")),
        Dimension("disposition", "r.code", ("rollup_call", "rollup_agent")),
        Dimension("cause", "r.cause::text", ("rollup_call", "rollup_line")),
        Dimension("sip", "r.tech_cause::text", ("rollup_line",)),
        Dimension("carrier", "r.switch", ("rollup_line",)),
        Dimension("caller_id", "r.caller_id", ("rollup_line",)),
        Dimension("state", "r.state", ("rollup_seat",)),
        Dimension("reason", "r.reason", ("rollup_seat", "rollup_refusal")),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """A report: split by `by` unless the asker says otherwise. `only` is a condition on the roll-up's rows."""

    key: str
    by: tuple[str, ...]
    measures: tuple[str, ...]
    only: str = ""
    chart: str = ""  # the measure that its chart shows; that of the first column by default

    @property
    def tables(self) -> tuple[str, ...]:
        """The roll-ups that it is made of."""
        return tuple(dict.fromkeys(TABLE_OF[name] for key in self.measures for name in MEASURES[key].needs))

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What it may be split by: what all of its roll-ups have."""
        return tuple(key for key, each in DIMENSIONS.items() if set(self.tables) <= set(each.tables))


_CALLS = ("attempts", "people", "answer_rate", "connected", "abandoned", "abandon_rate", "machines", "busy",
          "no_answer", "talk", "talk_mean", "wait_mean")  # fmt: skip
_AGENTS = ("agent_calls", "agent_called_in", "calls_per_hour", "agent_talk", "agent_talk_mean", "wrap", "wrap_mean",
           "ready", "paused",
           "logged_in", "occupancy", "agent_judged")  # fmt: skip
_LINES = ("line_attempts", "line_people", "line_answer_rate", "line_failed", "line_fail_rate", "line_ring_mean",
          "line_talk")  # fmt: skip
REPORTS = {
    report.key: report
    for report in (
        Report("campaigns", ("campaign",), _CALLS),
        Report("lists", ("campaign", "list"), _CALLS),
        Report("branches", ("branch",), _CALLS),
        Report("days", ("day",), _CALLS),
        Report("hours", ("hour",), _CALLS),
        Report("agents", ("agent",), _AGENTS),
        Report("teams", ("team",), _AGENTS),
        Report("outcomes", ("outcome",), ("attempts", "ring_mean", "talk", "harbours")),
        Report("dispositions", ("disposition",), ("connected", "talk", "talk_mean"), only="r.connected > 0"),
        Report("causes", ("carrier", "cause", "sip"), _LINES),
        Report("caller_ids", ("caller_id",), _LINES, chart="line_answer_rate"),
        Report("callers", ("campaign",),
               ("callers", "callers_connected", "callers_rate", "callers_wait_mean", "callers_talk")),
        Report("callbacks", ("agent",),
               ("promised", "personal", "kept", "kept_rate", "by_person", "late_mean", "expired", "callbacks_open")),
        Report("pauses", ("agent", "reason"), ("pauses", "paused", "pause_mean"), only="r.state = 'paused'"),
        Report("adherence", ("agent",),
               ("logged_in", "ready", "in_call", "wrap", "paused", "no_phone", "occupancy", "adherence"),
               chart="adherence"),
        Report("refusals", ("campaign", "reason"), ("refused",)),
    )
}  # fmt: skip
