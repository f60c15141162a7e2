"""Which arm a customer is of: chosen once, by a hash and the arms' chances of that moment, and kept.

The chance is kept with it: what came of arms whose chances changed meanwhile can only be compared with these
(campaigns/evaluation/arms.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import md5

from sqlalchemy import Connection, text

from campaigns.trials.keys import Trial, chances_of

# Of a lead `l`. Who has no customer id counts for each lead, as in segments.
PARTY = "COALESCE('customer ' || l.customer_id, 'lead ' || l.id)"
ARM_OF = f"(SELECT t.arm FROM trial_member t WHERE t.campaign_id = l.campaign_id AND t.party = {PARTY})"
CHANCES = text("SELECT arm, chance FROM trial_chance WHERE campaign_id = :campaign")
KNOWN = text("SELECT party, arm FROM trial_member WHERE campaign_id = :campaign AND party = ANY(:parties)")
CHOSEN = text("""
INSERT INTO trial_member (campaign_id, party, arm, chance, at)
SELECT :campaign, p, a, c, :now FROM unnest(CAST(:parties AS text[]), CAST(:arms AS text[]), CAST(:chances AS real[]))
    AS m (p, a, c) ORDER BY p COLLATE "C"
ON CONFLICT DO NOTHING
""")


def party_of(customer_id: str | None, lead_id: int) -> str:
    """The same as :data:`PARTY`."""
    return f"customer {customer_id}" if customer_id else f"lead {lead_id}"


def assign(
    connection: Connection, campaign_id: int, trial: Trial, parties: Iterable[str], now: datetime
) -> dict[str, str]:
    """The arms of customers, chosen for whom there is none yet; empty for one whose arm is tried no longer."""
    wanted = sorted(set(parties))
    asked = {"campaign": campaign_id, "parties": wanted}
    known = {row.party: row.arm for row in connection.execute(KNOWN, asked)}
    missing = [party for party in wanted if party not in known]
    if missing:
        chances = chances_now(connection, campaign_id, trial)
        chosen = [choose(campaign_id, party, chances) for party in missing]
        connection.execute(
            CHOSEN,
            {
                "campaign": campaign_id,
                "parties": missing,
                "arms": chosen,
                "chances": [chances[arm] for arm in chosen],
                "now": now,
            },
        )
        known = {row.party: row.arm for row in connection.execute(KNOWN, asked)}
    codes = {arm.code for arm in trial.arms}
    return {party: arm if arm in codes else "" for party, arm in known.items()}


def chances_now(connection: Connection, campaign_id: int, trial: Trial) -> dict[str, float]:
    """The chance of each arm for whoever is new: by the shares, or as was learned of just these arms."""
    chances = chances_of(trial)
    if trial.bandit:
        learned = {row.arm: row.chance for row in connection.execute(CHANCES, {"campaign": campaign_id})}
        if learned.keys() == chances.keys():
            return learned
    return chances


def choose(campaign_id: int, party: str, chances: Mapping[str, float]) -> str:
    """The arm of a customer at these chances."""
    drawn = int.from_bytes(md5(f"arm {campaign_id} {party}".encode()).digest()[:8]) / 2**64
    for arm, chance in chances.items():
        drawn -= chance
        if drawn < 0:
            return arm
    return list(chances)[-1]
