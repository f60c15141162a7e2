"""A number that an agent dials by hand, or that calls in: its lead, put on the campaign's books when it is on none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import psycopg2.errors
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from campaigns.config import CampaignsError
from campaigns.database import LOCK_NOT_AVAILABLE
from campaigns.lanes import of_list
from campaigns.lists.normalising import NumberReader
from campaigns.prepared import UNHURRIED, Prepared
from campaigns.rules import facts

BY_HAND, CALLED_IN = "by hand", "called in"  # the lists that such leads are on, and their sources

# The lists of those who are on the books only because they called in.
OF_CALLERS = f"ANY(ARRAY(SELECT id FROM list WHERE name = '{CALLED_IN}' AND source = '{CALLED_IN}'))"
# A lead `l` of theirs that no agent has finished with.
CALLER = f"""
l.list_id = {OF_CALLERS}
    AND NOT EXISTS (SELECT FROM attempt a JOIN disposition d ON d.call_id = a.call_id AND d.leased_at = a.leased_at
        WHERE a.lead_id = l.id AND d.final OFFSET 0)
"""
CALLERS = text(f"SELECT l.id FROM lead l WHERE l.id = ANY(:leads) AND {CALLER}")
OPENED = text("UPDATE lead SET open = true WHERE id = ANY(:leads)")

# One agent at a time puts a campaign's number on its books.
ALONE = text("SELECT pg_advisory_xact_lock(hashtext('by hand'), CAST(:campaign AS int))")
FOUND = text("SELECT lead_id FROM number WHERE campaign_id = :campaign AND e164 = :number")
LIST = text("""
SELECT id, lane FROM list WHERE campaign_id = :campaign AND name = :name AND source = :name AND undone_at IS NULL
""")
NEW_LIST = text(f"""
INSERT INTO list (campaign_id, name, source, imported_at, finished_at, lane)
SELECT :campaign, :name, :name, :now, :now, {of_list(":campaign", ":name")} RETURNING id, lane
""")
NEW_LEAD = text("""
INSERT INTO lead (campaign_id, list_id, name, attributes, zones, lane, open)
VALUES (:campaign, :list, '', '{}', :zones, :lane, :open) RETURNING id
""")
NEW_NUMBER = text("""
INSERT INTO number (lead_id, campaign_id, e164) VALUES (:lead, :campaign, :number)
ON CONFLICT (campaign_id, e164) DO NOTHING RETURNING lead_id
""")
GONE = text("DELETE FROM lead WHERE id = :lead")
# An import of millions is one transaction, and whoever adds a number of its waits for its end: minutes.
IMPATIENT, PATIENT = text("SET LOCAL lock_timeout = '200ms'"), text("SET LOCAL lock_timeout TO DEFAULT")
ZONES = text("""
INSERT INTO campaign_zone (campaign_id, zone) SELECT :campaign, unnest(CAST(:zones AS text[])) ON CONFLICT DO NOTHING
""")
COUNTED = text("UPDATE list SET accepted = accepted + 1 WHERE id = :list")

# The lead with all its numbers, locked; nothing when it is in a call, or about to be.
LOCKED = Prepared(
    "lead_by_hand",
    "bigint, bigint",
    f"""
SELECT {facts.columns("$2", "0")} FROM (SELECT * FROM lead WHERE id = $1 AND lease IS NULL FOR UPDATE) l {facts.NUMBERS}
""",
    UNHURRIED,
)


def lead_rows(connection: Connection, lead: int, change: int) -> list[facts.LeadRow]:
    """The lead's numbers, locked; none when it is in a call. One that only called in is as open as a new one."""
    rows = [facts.LeadRow._make(row) for row in LOCKED.run(connection, lead, change)]
    return with_callers(connection, rows)


def with_callers(connection: Connection, rows: list[facts.LeadRow]) -> list[facts.LeadRow]:
    """The same numbers; those of a lead that only called in are as open as a new one's."""
    closed = {row.lead_id for row in rows if not row.open}
    if not closed:
        return rows
    callers = set(connection.execute(CALLERS, {"leads": list(closed)}).scalars())
    return [row._replace(open=row.open or row.lead_id in callers) for row in rows]


class Importing(CampaignsError):
    """An import that is not finished has the number."""


def lead_of(connection: Connection, campaign_id: int, number: str, now: datetime) -> int | None:
    """The lead with this number (E.164), made if there is none; None when nobody knows in which zone it would be.

    Raises :class:`Importing`.
    """
    found = _found(connection, campaign_id, number)
    zones = () if found is not None else NumberReader().zones(number)
    return _made(connection, campaign_id, number, zones, BY_HAND, now) if zones else found


def caller(connection: Connection, campaign_id: int, number: str, now: datetime) -> int:
    """The lead of a customer who called in, made if there is none: one that is not called of itself.

    Those who withhold their number are one lead. Raises :class:`Importing`.
    """
    found = _found(connection, campaign_id, number)
    if found is not None:
        return found
    zones = NumberReader().zones(number) if number else ()
    return _made(connection, campaign_id, number, zones, CALLED_IN, now)


@contextmanager
def impatient(connection: Connection) -> Iterator[None]:
    """Add a number in here, and nobody waits for an import's end. Raises :class:`Importing`; then nothing was done."""
    try:
        with connection.begin_nested():
            connection.execute(IMPATIENT)
            yield
    except OperationalError as fault:
        if isinstance(fault.orig, psycopg2.errors.lookup(LOCK_NOT_AVAILABLE)):
            raise Importing("an import that is not finished has this number") from fault
        raise
    connection.execute(PATIENT)


def _found(connection: Connection, campaign_id: int, number: str) -> int | None:
    return connection.execute(FOUND, {"campaign": campaign_id, "number": number}).scalar_one_or_none()


def _made(
    connection: Connection, campaign_id: int, number: str, zones: Sequence[str], name: str, now: datetime
) -> int:
    asked = {"campaign": campaign_id, "number": number, "name": name, "now": now}
    connection.execute(ALONE, asked)
    lists = connection.execute(LIST, asked).first() or connection.execute(NEW_LIST, asked).one()
    made = {
        **asked, "list": lists.id, "lane": lists.lane, "zones": list(zones), "open": name == BY_HAND
    }  # fmt: skip
    with impatient(connection):
        lead = connection.execute(NEW_LEAD, made).scalar_one()
        new = connection.execute(NEW_NUMBER, {**asked, "lead": lead}).scalar_one_or_none()
        if new is not None:
            connection.execute(ZONES, made)
            connection.execute(COUNTED, made)
        else:  # an import came first
            connection.execute(GONE, {"lead": lead})
    return lead if new is not None else connection.execute(FOUND, asked).scalar_one()
