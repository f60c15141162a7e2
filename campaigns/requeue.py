"""Leads called again because a person says so, whatever came of them: the rules are asked anew, as at every call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Engine, text

from campaigns.audit import write
from campaigns.config import CampaignsError
from campaigns.ids import LAST_LEASED_AT
from campaigns.rules.held import ANYONE_AT
from campaigns.values import Outcome

SPAN = 20_000  # ids of leads that are looked through at a time, whosever they are
CHUNK = 5_000  # leads of one transaction

CAMPAIGN = text("SELECT id FROM campaign WHERE name = :name")
LIST = text("SELECT id FROM list WHERE campaign_id = :campaign AND name = :name")
# A call's id begins with the time at which it was leased: so the attempt is found in one partition.
LAST_OUTCOME = f"""
(SELECT a.outcome FROM attempt a WHERE a.call_id = l.last_call AND a.leased_at = {LAST_LEASED_AT})
"""
# What was closed when its list was taken back stays so, unless that list is named; and who waits for a callback is left
# to it, unless one of their numbers is named.
FITS = f"""
l.campaign_id = :campaign AND l.lease IS NULL
    AND CASE WHEN CAST(:lists AS bigint[]) IS NOT NULL THEN l.list_id = ANY(CAST(:lists AS bigint[]))
        ELSE l.list_id <> ALL(ARRAY(SELECT id FROM list WHERE campaign_id = :campaign AND undone_at IS NOT NULL)) END
    AND (CAST(:outcome AS text) IS NULL OR {LAST_OUTCOME} = :outcome)
    AND (CAST(:numbers AS text[]) <> '{{}}' OR NOT l.open
        OR NOT EXISTS (SELECT FROM callback k WHERE k.lead_id = l.id AND k.done_at IS NULL))
"""
OF_NUMBERS = text("""
SELECT DISTINCT lead_id FROM number WHERE campaign_id = :campaign AND e164 = ANY(:numbers) ORDER BY lead_id
""")
HIGHEST = text("SELECT last_value FROM lead_id_seq")
WITHIN = text(f"SELECT l.id FROM lead l WHERE l.id > :after AND l.id <= :upto AND {FITS} ORDER BY l.id")
HELD = text(f"SELECT l.id FROM lead l WHERE l.id = ANY(:leads) AND {FITS} ORDER BY l.id FOR UPDATE")
# Who was promised a callback before the lead was closed is called when it is due, unless one of their numbers is named.
AGAIN = text(f"""
UPDATE lead l SET open = true, ready_at = NULL, taken_back_at = NULL,
    next_at = CASE WHEN CAST(:numbers AS text[]) = '{{}}' THEN GREATEST(:at, {ANYONE_AT}) ELSE :at END
WHERE id = ANY(:leads)
""")
NUMBERS_AGAIN = text("UPDATE number SET done = false WHERE lead_id = ANY(:leads) AND done")


class NothingToRequeue(CampaignsError):
    """There is no such campaign, list or outcome, or nothing was said of which leads."""


@dataclass(frozen=True, slots=True)
class Which:
    """Which leads of a campaign: all that is given must hold. `outcome` is that of the lead's last call."""

    campaign: str
    numbers: tuple[str, ...] = ()  # E.164, with +
    list_name: str = ""
    outcome: str = ""


def requeue(engine: Engine, which: Which, who: str, at: datetime) -> int:
    """Have leads called again from `at` on; returns how many. Those in an engine's hands are left out and, where no
    numbers are named, those that wait for a callback; a closed one that was promised a callback waits for it again.

    Attempts, caps, lists and lock-outs count on: a lead that the rules don't allow is put aside again. Done some leads
    at a time beside the calls; what is done is on record, also when the rest is not. Raises :class:`NothingToRequeue`.
    """
    if not (which.numbers or which.list_name or which.outcome):
        raise NothingToRequeue("name numbers, a list or an outcome")
    if which.outcome and which.outcome not in set(Outcome):
        raise NothingToRequeue(f"{which.outcome!r} is no outcome; use {', '.join(Outcome)}")
    with engine.connect() as connection:
        campaign = connection.execute(CAMPAIGN, {"name": which.campaign}).scalar_one_or_none()
        if campaign is None:
            raise NothingToRequeue(f"there is no campaign {which.campaign!r}")
        named = {"campaign": campaign, "name": which.list_name}
        lists: Sequence[int] | None = None
        if which.list_name:
            lists = connection.execute(LIST, named).scalars().all()
            if not lists:
                raise NothingToRequeue(f"{which.campaign} has no list {which.list_name!r}")
    values = {
        "campaign": campaign,
        "numbers": list(which.numbers),
        "lists": None if lists is None else list(lists),
        "outcome": which.outcome or None,
    }
    told = {"numbers": len(which.numbers), "list": which.list_name, "outcome": which.outcome}
    detail = ", ".join(f"{name} {value}" for name, value in told.items() if value)
    found, count = _found(engine, values), 0
    chunk = list(islice(found, CHUNK))
    while True:
        with engine.begin() as connection:
            leads = list(connection.execute(HELD, values | {"leads": chunk}).scalars())
            connection.execute(AGAIN, values | {"leads": leads, "at": at})
            connection.execute(NUMBERS_AGAIN, {"leads": leads})
            write(connection, "requeue", which.campaign, f"{len(leads)} leads: {detail}", at=at, who=who)
        count += len(leads)
        if not (chunk := list(islice(found, CHUNK))):
            return count


def _found(engine: Engine, values: dict[str, Any]) -> Iterator[int]:
    """The leads that the numbers name, or that fit; no statement looks further than at one span of ids."""
    with engine.connect() as connection:
        if values["numbers"]:
            highest, leads = 0, connection.execute(OF_NUMBERS, values).scalars().all()
        else:
            highest, leads = connection.execute(HIGHEST).scalar_one(), ()
    yield from leads
    for after in range(0, highest, SPAN):
        with engine.connect() as connection:
            leads = (
                connection.execute(WITHIN, values | {"after": after, "upto": after + SPAN}).scalars().all()
            )
        yield from leads
