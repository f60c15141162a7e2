"""What customers bought comes in: rows of a company's own systems, each once, however often they are sent."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, Engine, text

from campaigns.audit import write
from campaigns.config import CampaignsError, Field, known_zone
from campaigns.lists.encodings import encoding_of
from campaigns.lists.fields import NotOfType, value_of, without_thousands
from campaigns.lists.mapping import plain

CHUNK = 5_000
MOST_REJECTS = 100  # that are told one by one
LONGEST = 200  # characters of an id or a reference
MOST_AMOUNT = Decimal(10) ** 12
MOST_CELL = 10_000
DELIMITERS = ",\t;|"
DAY = Field(name="at", type="date")
LAST = time(23, 59, 59)  # of a day that has no time: it is after that day's call
# As spreadsheets write it: 2026/1/5 9:30.
TIME = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?[T ](\d{1,2}):")
NAMES = {
    "customer": {"customerid", "customer", "客户编号", "客户号", "客户id", "用户编号", "编号"},
    "at": {
        "at",
        "date",
        "orderdate",
        "time",
        "日期",
        "时间",
        "下单时间",
        "下单日期",
        "成交时间",
        "成交日期",
        "订单日期",
    },
    "amount": {"amount", "revenue", "total", "金额", "成交金额", "订单金额", "收入"},
    "reference": {"reference", "order", "orderid", "orderno", "订单号", "订单编号", "流水号"},
}
PUT = text("""
INSERT INTO purchase (unit_id, customer_id, at, amount, reference)
SELECT :unit, * FROM unnest(CAST(:customers AS text[]), CAST(:ats AS timestamptz[]), CAST(:amounts AS numeric[]),
    CAST(:references AS text[]))
ON CONFLICT (unit_id, reference) DO NOTHING
""")


class NoResults(CampaignsError):
    """A file that holds no results. The text says why."""


class Purchase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row: whose, when (ISO 8601; a day without a time is its end), for how much; `reference` is the order's own id.

    Without a reference it is known again by the customer, the time, the amount and which of several alike it is.
    """

    customer: str
    at: str
    amount: float | str
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row, counted from 1 for the first of data, and why it is none."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class BroughtIn:
    """Rows by what came of them: they add up. The first of the rejects are told."""

    accepted: int
    known: int
    rejected: int
    rejects: tuple[Reject, ...]


def bring_in(engine: Engine, unit_id: int, rows: Iterable[Purchase], zone: str, about: str) -> BroughtIn:
    """Put purchases on record for a unit, all or none. `zone` is that of times which name none.

    Raises :class:`NoResults`, also when `rows` does.
    """
    if not known_zone(zone):
        raise NoResults(f"{zone!r} is no time zone of the IANA database")
    place = ZoneInfo(zone)
    rejects: list[Reject] = []
    alike: Counter[tuple[str, datetime, Decimal]] = Counter()
    accepted = known = rejected = 0
    chunk: list[tuple[str, datetime, Decimal, str]] = []
    with engine.begin() as connection:

        def settle() -> None:
            nonlocal accepted, known
            put = _put(connection, unit_id, chunk)
            accepted, known = accepted + put, known + len(chunk) - put
            chunk.clear()

        for number, row in enumerate(rows, 1):
            try:
                made = _read(row, place)
            except ValueError as fault:
                rejected += 1
                if len(rejects) < MOST_REJECTS:
                    rejects.append(Reject(number, str(fault)))
                continue
            if not made[3]:
                alike[made[:3]] += 1
                made = (*made[:3], f"{made[0]} {made[1].isoformat()} {made[2]} {alike[made[:3]]}")
            chunk.append(made)
            if len(chunk) == CHUNK:
                settle()
        if chunk:
            settle()
        counts = {"accepted": accepted, "known": known, "rejected": rejected}
        write(connection, "results brought in", about, after=counts)
    return BroughtIn(accepted, known, rejected, tuple(rejects))


def from_csv(path: Path) -> Iterator[Purchase]:
    """The rows of a file with a header in English or Chinese. Raises :class:`NoResults`."""
    encoding = encoding_of(path, lambda head: _columns_in(head.splitlines()[:1]) is not None)
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        first = file.readline(MOST_CELL)
        found = _columns_in([first])
        if found is None:
            names = (
                "customer_id, date, amount and, where there is one, order_id (客户编号、日期、金额、订单号)"
            )
            raise NoResults(f"the first row of {path.name} must name the columns {names}")
        delimiter, columns = found
        lines = iter(lambda: file.readline(MOST_CELL), "")
        try:
            for cells in csv.reader(lines, delimiter=delimiter):
                if any(cell.strip() for cell in cells):
                    values = {name: cells[at] if at < len(cells) else "" for name, at in columns.items()}
                    yield Purchase(**values)
        except csv.Error as fault:
            raise NoResults(f"{path.name} is no CSV: {fault}") from fault


def _columns_in(lines: Sequence[str]) -> tuple[str, Mapping[str, int]] | None:
    for delimiter in DELIMITERS:
        for cells in csv.reader(io.StringIO("".join(lines)), delimiter=delimiter):
            named = [plain(cell) for cell in cells]
            found = {
                what: next((at for at, name in enumerate(named) if name in names), None)
                for what, names in NAMES.items()
            }
            if all(found[what] is not None for what in ("customer", "at", "amount")):
                return delimiter, {what: at for what, at in found.items() if at is not None}
            break
    return None


def _read(row: Purchase, zone: ZoneInfo) -> tuple[str, datetime, Decimal, str]:
    """Raises ValueError with the reason."""
    customer, reference = row.customer.strip(), row.reference.strip()
    for what, value in (("customer", customer), ("reference", reference)):
        if len(value) > LONGEST or not value.isprintable():
            raise ValueError(f"the {what} is too long, or has characters that nobody sees")
    if not customer:
        raise ValueError("there is no customer")
    try:
        amount = Decimal(without_thousands(str(row.amount).strip().lstrip("¥￥").strip()))
    except InvalidOperation:
        written = str(row.amount)[:40]
        raise ValueError(f"the amount {written!r} is no number, such as 1234.50 or 1,234.50") from None
    if not amount.is_finite() or abs(amount) >= MOST_AMOUNT:
        raise ValueError("the amount is too large")
    return customer, _instant(row.at.strip(), zone), amount.quantize(Decimal("0.01")), reference


def _instant(written: str, zone: ZoneInfo) -> datetime:
    try:
        day: date | None = date.fromisoformat(value_of(DAY, written))
    except NotOfType:
        day = None
    try:
        if day is not None:
            at = datetime.combine(day, LAST)
        else:
            iso = written.replace("/", "-")
            if found := TIME.match(written):
                iso = "{}-{:0>2}-{:0>2}T{:0>2}:".format(*found.groups()) + written[found.end() :]
            at = datetime.fromisoformat(iso)
        at = at if at.tzinfo is not None else at.replace(tzinfo=zone)
        if not 1970 <= at.year <= 2100:
            raise ValueError
    except ValueError:
        raise ValueError(f"{written[:40]!r} is no date, such as 2026-01-31") from None
    return at


def _put(connection: Connection, unit_id: int, rows: Sequence[tuple[Any, ...]]) -> int:
    customers, ats, amounts, references = zip(*rows, strict=True)
    values = {
        "unit": unit_id,
        "customers": list(customers),
        "ats": list(ats),
        "amounts": list(amounts),
        "references": list(references),
    }
    return connection.execute(PUT, values).rowcount
