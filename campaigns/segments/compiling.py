"""A segment's conditions as SQL over a lead `l`: what a person wrote goes in as parameters only, never as SQL."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from campaigns.segments.language import (
    MOST_DAYS,
    Answer,
    Attribute,
    Both,
    Condition,
    Count,
    Empty,
    Not,
    OneOf,
    Result,
    SegmentError,
    Value,
)

DAY = timedelta(days=1)  # a call's partition is that of its lease, which is not much earlier
# All leads of the customer of `l`, in the campaigns that are looked at; and their attempts. OFFSET 0 keeps the planner
# to a few look-ups for each lead: it does not know how few leads a customer has, and would read whole tables for each.
THEIRS = """(
    SELECT l.id, l.list_id, l.campaign_id
    UNION ALL SELECT s.id, s.list_id, s.campaign_id FROM lead s
    WHERE s.customer_id = l.customer_id AND s.id <> l.id AND s.campaign_id = ANY(:pool) OFFSET 0
) o"""
ATTEMPTS = f"{THEIRS} CROSS JOIN LATERAL (SELECT * FROM attempt a WHERE a.lead_id = o.id{{since}} OFFSET 0) a"
NUMERIC = r"^-?[0-9]{1,30}(\.[0-9]{1,30})?$"
ISO_DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
OF_LISTS = f"SELECT FROM {THEIRS} JOIN list i ON i.id = o.list_id JOIN campaign c ON c.id = o.campaign_id"
OWN_COLUMNS = {"region": "l.region", "list": "i.name", "campaign": "c.name"}
ORDERS = "FROM purchase p WHERE p.customer_id = l.customer_id AND p.unit_id = ANY(:units){since}"
COUNTS = {
    "calls": f"SELECT count(*) FILTER (WHERE a.called_in IS NULL) FROM {ATTEMPTS}",
    "connects": f"SELECT count(a.connected_at) FROM {ATTEMPTS}",
    "orders": f"SELECT count(*) {ORDERS} AND p.amount >= 0",  # a return is none
    "revenue": f"SELECT COALESCE(sum(p.amount), 0) {ORDERS}",
}
GIVEN = """
EXISTS (SELECT FROM disposition d WHERE d.call_id = a.call_id AND d.leased_at = a.leased_at AND d.code = {code})
"""


class TooFarBack(SegmentError):
    """Calls are asked for that are not in the database any more. The text says which are."""


def farthest(calls_since: datetime | None, now: datetime) -> int:
    """How many days one can look back at calls, when those since an instant are in the database; None: all are."""
    return MOST_DAYS if calls_since is None else min(MOST_DAYS, (now - calls_since).days)


def must_reach(days: int, calls_since: datetime | None, now: datetime) -> None:
    """All calls of the last `days` must be in the database. Raises :class:`TooFarBack`."""
    most = farthest(calls_since, now)
    if calls_since is not None and days > most:
        raise TooFarBack(
            f"{days:,} days back is too far: the database has calls since {calls_since:%Y-%m-%d}, {most:,} days ago; "
            "older ones are in files (`live_months` of [history])"
        )


class Compiler:
    """Makes SQL of conditions at `now`; `values` are its parameters, beside `pool` (campaigns) and `units`.

    Their names begin with `prefix`, so that two may stand in one statement. Calls are in the database since
    `calls_since`; None: all of them are.
    """

    def __init__(self, now: datetime, calls_since: datetime | None, prefix: str = "v") -> None:
        self._now = now
        self._calls_since = calls_since
        self._prefix = prefix
        self.values: dict[str, Any] = {}

    def sql(self, condition: Condition | None) -> str:
        """A boolean that is never NULL. Raises :class:`TooFarBack`."""
        match condition:
            case None:
                return "true"
            case Both(word, parts):
                return "(" + f" {word} ".join(self.sql(part) for part in parts) + ")"
            case Not(inner):
                return f"(NOT {self.sql(inner)})"
            case Attribute(name, sign, value, True):
                return self._own(name, sign, (value,))
            case OneOf(name, values, True):
                return self._own(name, "=", values)
            case Attribute(name, sign, value):
                return f"COALESCE({self._compared(name, sign, value)}, false)"
            case OneOf(name, values):
                tests = " OR ".join(self._compared(name, "=", value) for value in values)
                return f"COALESCE({tests}, false)"
            case Empty(name):
                return f"(COALESCE(l.attributes->>{self._put(name)}, '') = '')"
            case Count(what, sign, number, days):
                since = self._since("p.at" if what in ("orders", "revenue") else "a.dialed_at", days)
                return f"(({COUNTS[what].format(since=since)}) {_sign(sign)} {self._put(number)})"
            case Result(code, days):
                return self._happened(GIVEN.format(code=self._put(code)), days)
            case Answer(question, value, days):
                said = f"a.answers IS NOT NULL AND (a.answers::jsonb)->>{self._put(question)} = {self._put(value)}"
                return self._happened(said, days)

    # --- within -----------------------------------------------------------------------------------------------

    def _put(self, value: Value) -> str:
        name = f"{self._prefix}{len(self.values)}"
        self.values[name] = value
        kind = "text" if isinstance(value, str) else "date" if isinstance(value, date) else "numeric"
        return f"CAST(:{name} AS {kind})"

    def _compared(self, name: str, sign: str, value: Value) -> str:
        there = f"l.attributes->>{self._put(name)}"
        if isinstance(value, Decimal):
            number = f"CASE WHEN {there} ~ '{NUMERIC}' THEN ({there})::numeric END"
            return f"({number} {_sign(sign)} {self._put(value)})"
        if isinstance(value, date):  # dates are kept as ISO 8601 says, so their texts are in their order
            day = f"(CASE WHEN {there} ~ '{ISO_DATE}' THEN left({there}, 10) END)"
            return f'({day} COLLATE "C" {_sign(sign)} {self._put(value.isoformat())} COLLATE "C")'
        return f"({_text_test(there, sign, self._put(value))})"

    def _own(self, name: str, sign: str, values: tuple[Value, ...]) -> str:
        """`!=` is said of all of a customer's lists, so it is the denial of `=`."""
        if sign == "!=":
            return f"(NOT {self._own(name, '=', values)})"
        column = OWN_COLUMNS[name]
        tests = " OR ".join(f"({_text_test(column, sign, self._put(str(value)))})" for value in values)
        return f"({tests})" if name == "region" else f"EXISTS ({OF_LISTS} WHERE {tests})"

    def _happened(self, test: str, days: int | None) -> str:
        attempts = ATTEMPTS.format(since=self._since("a.dialed_at", days))
        return f"EXISTS (SELECT FROM {attempts} WHERE {test})"

    def _since(self, column: str, days: int | None) -> str:
        if days is None:
            return ""
        name = f"{self._prefix}{len(self.values)}"
        self.values[name] = since = self._now - timedelta(days=days)
        if column != "a.dialed_at":
            return f" AND {column} >= :{name}"
        must_reach(days, self._calls_since, self._now)
        self.values[f"{name}m"] = since - DAY
        return f" AND {column} >= :{name} AND a.leased_at >= :{name}m"


def _sign(sign: str) -> str:
    return "<>" if sign == "!=" else sign


def _text_test(column: str, sign: str, value: str) -> str:
    if sign == "contains":
        return f"strpos({column}, {value}) > 0"
    if sign == "begins":
        return f"starts_with({column}, {value})"
    if sign in ("=", "!="):
        return f"{column} {_sign(sign)} {value}"
    return f'{column} COLLATE "C" {sign} {value} COLLATE "C"'
