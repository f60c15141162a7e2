"""What came of each arm, from calls and orders; and the chances of bandits, worked out anew as talks convert."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from campaigns.config import CampaignConfig
from campaigns.evaluation.arms import Counted
from campaigns.evaluation.calls import asked_of
from campaigns.store import CampaignStore
from campaigns.trials.assigning import PARTY
from campaigns.trials.learning import chances_of_best

TURN = timedelta(minutes=5)  # a bandit learns of some talks in that time, and a day has enough of them
LIMIT_MS = 20_000

# Customers who were talked to, once each: an arm's script can do nothing before it is heard.
COUNTED = text(f"""
SELECT arm, chance, count(*) AS customers, count(*) FILTER (WHERE converted) AS converts FROM (
    SELECT t.party, t.arm, t.chance, bool_or(d.code = ANY(:codes) OR EXISTS (
        SELECT FROM purchase p WHERE p.customer_id = l.customer_id AND p.unit_id = ANY(:units) AND p.amount >= 0
            AND p.at >= a.connected_at AND p.at < a.connected_at + CAST(:days AS interval))) AS converted
    FROM attempt a JOIN lead l ON l.id = a.lead_id
    JOIN trial_member t ON t.campaign_id = a.campaign_id AND t.party = {PARTY} AND t.arm = a.arm
    LEFT JOIN disposition d ON d.call_id = a.call_id AND d.leased_at = a.leased_at AND d.leased_at >= :leased
        AND d.leased_at < :until
    WHERE a.campaign_id = :campaign AND a.connected_at IS NOT NULL AND a.called_in IS NULL
        AND a.dialed_at >= :since AND a.dialed_at < :until AND a.leased_at >= :leased AND a.leased_at < :until
    GROUP BY t.party, t.arm, t.chance
) c GROUP BY arm, chance ORDER BY arm, chance
""")
BEGAN = text("SELECT min(at) FROM trial_member WHERE campaign_id = :campaign AND arm = ANY(:arms)")
FORGET = text("DELETE FROM trial_chance WHERE campaign_id = :campaign")
KEEP = text("INSERT INTO trial_chance (campaign_id, arm, chance) VALUES (:campaign, :arm, :chance)")


def counted(
    connection: Connection, campaign_id: int, config: CampaignConfig, since: datetime, until: datetime
) -> list[Counted]:
    """Of each arm, and each chance that it had, the customers who were talked to, and those who converted."""
    values = asked_of(connection, campaign_id, config, since, until)
    return [Counted(*row) for row in connection.execute(COUNTED, values)]


class Bandits:
    """Those of all campaigns. Every method blocks; one thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = CampaignStore(engine)
        self._looked: dict[int, datetime] = {}

    def look(self, now: datetime) -> Sequence[str]:
        """Work the chances of running campaigns' arms out anew, where it is time; the campaigns' names.

        Raises what the database raised for one of them, once the others are through.
        """
        learned: list[str] = []
        faults: list[SQLAlchemyError] = []
        for each in self._store.readable():
            if not each.config.trial.bandit or not each.config.running:
                continue
            if now - self._looked.get(each.campaign_id, now - TURN) >= TURN:
                self._looked[each.campaign_id] = now  # what takes too long is not begun anew at once
                try:
                    self._learn(each.campaign_id, each.config, now)
                except SQLAlchemyError as fault:
                    faults.append(fault)
                else:
                    learned.append(each.config.name)
        if faults:
            raise faults[0]
        return learned

    def _learn(self, campaign_id: int, config: CampaignConfig, now: datetime) -> None:
        codes = [arm.code for arm in config.trial.arms]
        with self._engine.begin() as connection:
            connection.execute(text(f"SET LOCAL statement_timeout = {LIMIT_MS}"))
            since = connection.execute(BEGAN, {"campaign": campaign_id, "arms": codes}).scalar_one()
            if since is None:
                return
            counts = dict.fromkeys(codes, (0, 0))
            for row in counted(connection, campaign_id, config, since, now):
                if row.arm in counts:
                    customers, converts = counts[row.arm]
                    counts[row.arm] = customers + row.customers, converts + row.converts
            connection.execute(FORGET, {"campaign": campaign_id})
            kept = chances_of_best(counts).items()
            connection.execute(
                KEEP, [{"campaign": campaign_id, "arm": arm, "chance": chance} for arm, chance in kept]
            )
