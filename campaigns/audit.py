"""The audit log: who did what, when, from where, to what, and what it was before and after. It is only added to.

A line is written in the transaction of the change it tells of. When that commits, the database chains it to the line
before (campaigns/migrations/versions/0018_audit.py): each link is the hash of the last link and of the line. Whoever
changes, takes out or puts in a line afterwards, as an owner of the database could, breaks the chain, and :func:`verify`
finds it. Only the end can be cut off unseen: who needs to know keeps the last hash elsewhere.

Who acts is known by the engine that a store works with (:func:`acting`). No line names a customer: see :func:`masked`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, text

WRITE_THROUGH = """
INSERT INTO audit (at, actor, source, action, subject, detail, before, after) VALUES (%(at)s, %(who)s, %(source)s,
    %(action)s, %(subject)s, %(detail)s, CAST(%(before)s AS jsonb), CAST(%(after)s AS jsonb))
"""
WRITE = text(re.sub(r"%\((\w+)\)s", r":\1", WRITE_THROUGH))
COLUMNS = """
a.id, a.at, a.actor, a.source, a.action, a.subject, a.detail, a.before::text AS before, a.after::text AS after
"""
# Two ways to be unchained: a line without a link, and a link without a line.
CHAIN = text(f"""
SELECT l.n, l.audit_id, l.previous, l.hash, {COLUMNS} FROM audit_link l FULL JOIN audit a ON a.id = l.audit_id
ORDER BY l.n NULLS LAST
""")
LIST = text(f"""
SELECT {COLUMNS} FROM audit a
WHERE (CAST(:since AS timestamptz) IS NULL OR a.at >= :since) AND (CAST(:until AS timestamptz) IS NULL OR a.at < :until)
    AND (:who = '' OR a.actor = :who) AND (:action = '' OR a.action = :action)
    AND (CAST(:people AS text[]) IS NULL OR a.actor = ANY(CAST(:people AS text[])))
ORDER BY a.id DESC LIMIT :limit
""")
OVER = text("""
SELECT l.n, encode(l.hash, 'hex') AS hash FROM audit_link l WHERE l.n < COALESCE(
    (SELECT min(k.n) FROM audit_link k JOIN audit a ON a.id = k.audit_id WHERE a.at >= :before),
    (SELECT max(n) + 1 FROM audit_link))
ORDER BY l.n DESC LIMIT 1
""")
GONE = text("DELETE FROM audit a USING audit_link l WHERE l.audit_id = a.id AND l.n <= :last")
UNLINKED = text("DELETE FROM audit_link WHERE n <= :last")

LET_GO = "audit lines let go"
BEGINNING = b"\x00"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
CHUNK = 10_000


class By(msgspec.Struct, frozen=True):
    """Who acts, and from where: an address, or what they used."""

    who: str
    source: str = ""


ITSELF = By("zhudong")  # what the program does of itself


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log. `before` and `after` are JSON, or None."""

    id: int
    at: datetime
    who: str
    source: str
    action: str
    subject: str
    detail: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found: how many lines, the hash of the last, and the first fault or an empty text."""

    lines: int
    last: str
    fault: str


def acting(engine: Engine, by: By) -> Engine:
    """The same database with the same pool; what is done through it is put on record as done by them."""
    return engine.execution_options(by=by)


def write(
    connection: Connection,
    action: str,
    subject: str,
    detail: str = "",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    at: datetime | None = None,
    who: str = "",
) -> None:
    """Put on record what is done in this transaction, by whoever acts through its engine unless `who` says who."""
    by = connection.get_execution_options().get("by", ITSELF)
    connection.execute(WRITE, _values(by, who, action, subject, detail, before, after, at))


def write_through(
    cursor: Any, engine: Engine, action: str, subject: str, after: Mapping[str, object]
) -> None:
    """The same in a transaction of the driver's own cursor, opened through this engine."""
    by = engine.get_execution_options().get("by", ITSELF)
    cursor.execute(WRITE_THROUGH, _values(by, "", action, subject, "", None, after, None))


def _values(
    by: By,
    who: str,
    action: str,
    subject: str,
    detail: str,
    before: Mapping[str, object] | None,
    after: Mapping[str, object] | None,
    at: datetime | None,
) -> dict[str, object]:
    return {
        "at": at or datetime.now(UTC),
        "who": who or by.who,
        "source": by.source,
        "action": action,
        "subject": subject,
        "detail": detail,
        "before": _json(before),
        "after": _json(after),
    }


def masked(number: str) -> str:
    """A number as the log may name it: who knows it sees that it is it, and from here nobody learns it."""
    return number if len(number) < 9 else f"{number[:-8]}****{number[-4:]}"


def lines(
    engine: Engine,
    since: datetime | None = None,
    until: datetime | None = None,
    who: str = "",
    action: str = "",
    people: Sequence[str] | None = None,
    limit: int = 100,
) -> Sequence[Line]:
    """The newest lines first; with `people`, those of these logins."""
    values = {"since": since, "until": until, "who": who, "action": action, "people": people, "limit": limit}
    with engine.connect() as connection:
        return [Line(*row) for row in connection.execute(LIST, values)]


def verify(engine: Engine) -> Verdict:
    """Work the whole chain out anew."""
    with engine.connect().execution_options(stream_results=True, yield_per=CHUNK) as connection:
        return _followed(connection.execute(CHAIN))


def let_go(connection: Connection, before: datetime) -> int:
    """Let go what is older, from the beginning of the chain on; a line tells where it begins from now on."""
    last = connection.execute(OVER, {"before": before}).one_or_none()
    if last is None:
        return 0
    gone = connection.execute(GONE, {"last": last.n}).rowcount
    connection.execute(UNLINKED, {"last": last.n})
    write(connection, LET_GO, f"before {before:%Y-%m-%d}", after={"lines": gone, "last": last.hash})
    return gone


def _followed(rows: Iterator[Any]) -> Verdict:
    count, place, last = 0, None, BEGINNING
    began = b""  # what the first link says was before it, if that is not the beginning
    told: set[bytes] = set()
    for row in rows:
        if row.n is None:
            return Verdict(count, last.hex(), f"line {row.id} ({row.at:%F %T}) is in no link of the chain")
        if row.id is None:
            return Verdict(count, last.hex(), f"line {row.audit_id}, link {row.n}, is gone")
        previous, kept = bytes(row.previous), bytes(row.hash)
        if place is None:
            began = b"" if previous == BEGINNING else previous
            last = previous
        elif row.n != place + 1 or previous != last:
            return Verdict(count, last.hex(), f"before line {row.id}, link {row.n}, something is missing")
        if kept != _hash(last, row):
            return Verdict(count, last.hex(), f"line {row.id} ({row.at:%F %T}) is not as it was written")
        if row.action == LET_GO and row.after is not None:
            told.add(bytes.fromhex(msgspec.json.decode(row.after).get("last", "")))
        count, place, last = count + 1, row.n, kept
    if began and began not in told:
        return Verdict(count, last.hex(), "the beginning is missing, and no line tells that it was let go")
    return Verdict(count, last.hex(), "")


def _hash(previous: bytes, row: Any) -> bytes:
    at = str((row.at - EPOCH) // MICROSECOND)
    fields = (
        str(row.id),
        at,
        row.actor,
        row.source,
        row.action,
        row.subject,
        row.detail,
        row.before,
        row.after,
    )
    told = "".join("-" if f is None else f"{len(f.encode())}:{f}" for f in fields)
    return hashlib.sha256(previous + told.encode()).digest()


def _json(values: Mapping[str, object] | None) -> str | None:
    return None if values is None else msgspec.json.encode(values, enc_hook=str).decode()
