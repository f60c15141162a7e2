"""Leads called again because a person says so, whatever came of them: the rules are asked anew, as at every call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, text

from campaigns.audit import write
from campaigns.config import CampaignsError
from campaigns.ids import LAST_LEASED_AT
from campaigns.values import Outcome

CHUNK = 5_000  # leads of one transaction

CAMPAIGN = text("SELECT id FROM campaign WHERE name = :name")
LIST = text("SELECT id FROM list WHERE campaign_id = :campaign AND name = :name")
# A call's id begins with the time at which it was leased: so the attempt is found in one partition.
LAST_OUTCOME = f"""
(SELECT a.outcome FROM attempt a WHERE a.call_id = l.last_call AND a.leased_at = {LAST_LEASED_AT})
"""
SOME = text(f"""
SELECT l.id FROM lead l WHERE l.campaign_id = :campaign AND l.id > :after AND l.lease IS NULL
    AND (CAST(:numbers AS text[]) IS NULL OR l.id = ANY(ARRAY(
        SELECT lead_id FROM number WHERE campaign_id = :campaign AND e164 = ANY(CAST(:numbers AS text[])))))
    AND (CAST(:lists AS bigint[]) IS NULL OR l.list_id = ANY(CAST(:lists AS bigint[])))
    AND (CAST(:outcome AS text) IS NULL OR {LAST_OUTCOME} = :outcome)
ORDER BY l.id LIMIT :limit FOR UPDATE
""")
AGAIN = text("UPDATE lead SET open = true, next_at = :at, ready_at = NULL WHERE id = ANY(:leads)")
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
    """Have leads called again from `at` on; returns how many. Those in an engine's hands are left out.

    Attempts, caps, lists and lock-outs count on: a lead that the rules don't allow is put aside again. Raises
    :class:`NothingToRequeue`.
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
        "numbers": list(which.numbers) or None,
        "lists": None if lists is None else list(lists),
        "outcome": which.outcome or None,
        "limit": CHUNK,
        "at": at,
    }
    after = count = 0
    while True:
        with engine.begin() as connection:
            leads = connection.execute(SOME, values | {"after": after}).scalars().all()
            if leads:
                connection.execute(AGAIN, {"leads": list(leads), "at": at})
                connection.execute(NUMBERS_AGAIN, {"leads": list(leads)})
                count, after = count + len(leads), leads[-1]
            if len(leads) < CHUNK:
                told = {"numbers": len(which.numbers), "list": which.list_name, "outcome": which.outcome}
                detail = ", ".join(f"{name} {value}" for name, value in told.items() if value)
                write(connection, "requeue", which.campaign, f"{count} leads: {detail}", at=at, who=who)
                return count
