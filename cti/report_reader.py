"""A reader of reports, in a process of its own: `python -m cti.report_reader`, started by :mod:`cti.readers`.

Thousands of rows are merged, put into words and made a page's table or a workbook here, so that the daemon's loop,
which has screen-pops to bring, only passes bytes on. The first line of standard input is the database's URL, each
further one an order as JSON; the answer to each is a line of JSON and as many bytes as it says.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import jinja2
import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from campaigns import database
from campaigns.priority import step_back
from campaigns.reach import REPORTS as ROLE
from campaigns.reach import held, reaching
from campaigns.reports.asking import BadQuestion, NotCounted, Question, Table, allowed, answer
from campaigns.reports.catalogue import COMPLIANCE, REPORTS
from campaigns.reports.compliance import Window, by_day, windows
from campaigns.reports.writing import as_csv, as_workbook
from cti.front import templates
from cti.language import catalogue
from cti.pauses import PauseReason
from cti.report_words import Words

SHOWN = 1_000  # rows on the page; a file has them all
NOW = "now"  # the form of the compliance report that programs ask for: each window as it is


class Order(msgspec.Struct, frozen=True):
    """A report for `user`, who may be told of the campaigns `seen` (None: of all), as `page`, JSON, CSV or workbook.

    `links` are those of the page to its files. `counted`: it is made only if its days are counted.
    """

    user: int
    question: Question
    seen: list[str] | None
    form: str
    language: str
    pauses: tuple[PauseReason, ...] = ()
    links: dict[str, str] = {}
    counted: bool = False


class Reply(msgspec.Struct, frozen=True):
    """What comes of an order: a status of HTTP, why it is none of success, and the length of what follows.

    `counted`: that is of days that are over, and all of them is counted.
    """

    status: int
    detail: str = ""
    length: int = 0
    counted: bool = False


def done(engine: Engine, order: Order) -> tuple[bytes, bool]:
    """An order carried out, and whether its days are counted.

    Raises :class:`BadQuestion`, :class:`NotCounted`, and what the database raises.
    """
    words, now = Words(catalogue(order.language), order.pauses), datetime.now(UTC)
    by_law = order.question.report == COMPLIANCE
    if by_law and order.form in ("page", NOW):
        law = windows(engine, now, allowed(order.question, order.seen))
        if order.form == "page":
            return _rendered("report_law.html", order, words, law=law), False
        return msgspec.json.encode([_told_law(each) for each in law]), False
    table = (by_day if by_law else answer)(engine, order.question, order.seen, order.counted)
    if order.form == "page":
        report = REPORTS[order.question.report]
        rows, chart = words.rows(table, SHOWN), report.chart or report.measures[0]
        values = {"table": table, "rows": rows, "chart": chart, "behind": table.behind(now)}
        return _rendered("report_table.html", order, words, **values), table.counted
    return as_file(table, order.form, words, now), table.counted


def as_file(table: Table, form: str, words: Words, now: datetime) -> bytes:
    """A report as JSON, a CSV or a workbook, made at `now`."""
    if form == "json":
        return msgspec.json.encode(_told(table))
    note = words.behind if table.behind(now) else ""
    if form == "csv":
        return as_csv(table, words.column, words.value, words.total, note)
    title = words.title(table.question.report)
    return as_workbook(table, words.column, words.value, words.total, title, note)


def _rendered(template: str, order: Order, words: Words, **values: Any) -> bytes:
    page: jinja2.Template = templates.get_template(template)
    texts = catalogue(order.language)
    return page.render(t=texts, words=words, question=order.question, links=order.links, **values).encode()


def _told(table: Table) -> dict[str, Any]:
    question = table.question
    return {
        "report": question.report,
        "from": str(question.since),
        "to": str(question.until),
        "zone": question.zone,
        "columns": [{"key": c.key, "unit": None if c.unit is None else str(c.unit)} for c in table.columns],
        "rows": table.rows,
        "totals": table.totals,
        "due": table.due,
        "as_of": table.as_of,
    }


def _told_law(each: Window) -> dict[str, Any]:
    return {name: getattr(each, name) for name in (*each.__slots__, "given_up", "answered", "rate", "kept")}


def main() -> None:
    """Carry out orders until there are no more."""
    step_back()
    url = sys.stdin.buffer.readline().decode().strip()
    engine = held(database.connect_reading(url, 1), ROLE)
    for line in sys.stdin.buffer:
        body = b""
        try:
            order = msgspec.json.decode(line, type=Order)
            body, counted = done(reaching(engine, order.user), order)
            reply = Reply(200, length=len(body), counted=counted)
        except BadQuestion as fault:
            reply = Reply(400, str(fault))
        except NotCounted as fault:
            reply = Reply(409, str(fault))
        except SQLAlchemyError as fault:
            reply = Reply(503, database.reason(fault))
        out = sys.stdout.buffer
        out.write(msgspec.json.encode(reply) + b"\n" + body)
        out.flush()


if __name__ == "__main__":
    main()
