"""Campaigns as applied: their versions, who applied them and when, and the figures that outlive an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, text

from campaigns.config import CampaignConfig, ConfigError, parse

CURRENT = text("""
SELECT c.id, c.name, v.version, v.change, v.text FROM campaign c
JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version
WHERE v.change > :change ORDER BY v.change
""")
ADD = text("""
INSERT INTO campaign (name, version) VALUES (:name, 1)
ON CONFLICT (name) DO UPDATE SET version = campaign.version + 1 RETURNING id, version
""")
SAME = text("""
SELECT c.id, v.version, v.change FROM campaign c
JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version
WHERE c.name = :name AND v.text = :text
""")
VERSION = text("""
INSERT INTO campaign_version (campaign_id, version, text, applied_by, applied_at)
VALUES (:campaign, :version, :text, :who, :at) RETURNING change
""")
ABANDONED = text("""
SELECT count(*) FILTER (WHERE outcome = 'abandoned') AS abandoned,
    count(*) FILTER (WHERE outcome IN ('connected', 'abandoned')
        OR (outcome = 'hung_up' AND amd IS DISTINCT FROM 'MACHINE')) AS humans
FROM attempt WHERE campaign_id = :campaign AND dialed_at >= :since AND leased_at >= :since
""")


@dataclass(frozen=True, slots=True)
class Applied:
    """A campaign's newest version. `change` counts over all campaigns, for asking what is newer."""

    campaign_id: int
    version: int
    change: int
    config: CampaignConfig


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A campaign's newest version that this program can't read, as when a newer one applied it."""

    name: str
    change: int
    reason: str  # names campaign and version


class CampaignStore:
    """The campaigns of one database. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def apply(self, source: str, where: str, who: str, at: datetime) -> Applied:
        """Make a text the campaign's newest version. The same text again changes nothing.

        Raises :class:`campaigns.config.ConfigError`; then nothing has changed.
        """
        config = parse(source, where)
        with self._engine.begin() as connection:
            same = connection.execute(SAME, {"name": config.name, "text": source}).one_or_none()
            if same is not None:
                return Applied(same.id, same.version, same.change, config)
            row = connection.execute(ADD, {"name": config.name}).one()
            values = {"campaign": row.id, "version": row.version, "text": source, "who": who, "at": at}
            change = connection.execute(VERSION, values).scalar_one()
        return Applied(row.id, row.version, change, config)

    def newer_than(self, change: int) -> Sequence[Applied | Unreadable]:
        """The campaigns whose newest version is newer than `change`, in the order of change; 0 gives all."""
        with self._engine.connect() as connection:
            rows = connection.execute(CURRENT, {"change": change}).all()
        found: list[Applied | Unreadable] = []
        for row in rows:
            try:
                config = parse(row.text, f"campaign {row.name}, version {row.version}")
            except ConfigError as fault:
                found.append(Unreadable(row.name, row.change, str(fault)))
            else:
                found.append(Applied(row.id, row.version, row.change, config))
        return found

    def find(self, name: str) -> Applied | Unreadable | None:
        """A campaign's newest version; None when there is no such campaign."""
        for each in self.newer_than(0):
            if name == (each.config.name if isinstance(each, Applied) else each.name):
                return each
        return None

    def abandoned(self, campaign_id: int, window_days: int, now: datetime) -> tuple[int, int]:
        """Answered humans and abandoned calls over the last `window_days`."""
        values = {"campaign": campaign_id, "since": now - timedelta(days=window_days)}
        with self._engine.connect() as connection:
            row = connection.execute(ABANDONED, values).one()
        return row.humans, row.abandoned
