"""The abandon rate of each campaign over its legal window, as the law that it names counts it, with what it counts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, text

from campaigns.config import Abandon, CampaignConfig
from campaigns.reports.counting import half_hour_of
from campaigns.store import CampaignStore

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Law:
    """How a profile counts: over which time, and what is an answer."""

    window_s: float | None  # None: the campaign's whole life
    deduct_machines: bool = False
    hung_up_counts: bool = True


# As pacing counts them while it dials (pacing/ledger.py, where the paragraphs are named); a test holds them together.
LAWS = {
    "us": Law(30 * DAY_S),
    "uk": Law(DAY_S, deduct_machines=True),
    "cn": Law(DAY_S),
    "life": Law(None),
}
COUNTED = text("""
SELECT COALESCE(sum(connected), 0)::bigint AS connected,
    COALESCE(sum(attempts - machines) FILTER (WHERE outcome = 'hung_up'), 0)::bigint AS hung_up,
    COALESCE(sum(attempts) FILTER (WHERE outcome = 'abandoned'), 0)::bigint AS abandoned,
    COALESCE(sum(connected) FILTER (WHERE code = ANY(:machine_codes)), 0)::bigint AS machines
FROM rollup_call WHERE campaign_id = :campaign AND half_hour >= :since AND half_hour < :until
""")


@dataclass(frozen=True, slots=True)
class Window:
    """A campaign's window: what was counted, and what that comes to. `machines` are of those connected."""

    campaign: str
    profile: str
    since: datetime | None  # None: since it began
    until: datetime
    hung_up_counts: bool
    deduct_machines: bool
    connected: int
    hung_up: int
    abandoned: int
    machines: int
    target: float

    @property
    def _people(self) -> float:
        """The share of those connected that were people, as far as the law asks."""
        deducted = self.deduct_machines and self.connected
        return 1.0 - self.machines / self.connected if deducted else 1.0

    @property
    def given_up(self) -> float:
        """Abandoned calls, as the law counts them."""
        return self.abandoned * self._people

    @property
    def answered(self) -> float:
        """People who answered, as the law counts them."""
        return self.connected * self._people + (self.hung_up if self.hung_up_counts else 0) + self.given_up

    @property
    def rate(self) -> float | None:
        """Abandoned of answered; None before the first answer."""
        return self.given_up / self.answered if self.answered else None

    @property
    def kept(self) -> bool:
        """Whether the rate is at or under the target."""
        return (self.rate or 0.0) <= self.target


def law_of(abandon: Abandon) -> Law:
    """What a campaign's file says, over what its profile says."""
    law = LAWS[abandon.profile]
    days = abandon.window_days
    return Law(
        law.window_s if days is None else days * DAY_S,
        law.deduct_machines if abandon.deduct_machines is None else abandon.deduct_machines,
        law.hung_up_counts if abandon.hung_up_counts is None else abandon.hung_up_counts,
    )


def windows(engine: Engine, until: datetime, seen: Collection[str] | None) -> list[Window]:
    """The window of each campaign that ends with the half hour before `until`, of those `seen`; None: of all."""
    return [
        _window(engine, each.campaign_id, each.config, half_hour_of(until))
        for each in CampaignStore(engine).readable()
        if seen is None or each.config.name in seen
    ]


def _window(engine: Engine, campaign_id: int, config: CampaignConfig, until: datetime) -> Window:
    law = law_of(config.abandon)
    since = None if law.window_s is None else half_hour_of(until - timedelta(seconds=law.window_s))
    values = {
        "campaign": campaign_id,
        "since": since or "-infinity",
        "until": until,
        "machine_codes": [d.code for d in config.dispositions if d.machine],
    }
    with engine.connect() as connection:
        row = connection.execute(COUNTED, values).one()
    return Window(
        config.name, config.abandon.profile, since, until, law.hung_up_counts, law.deduct_machines, row.connected,
        row.hung_up, row.abandoned, row.machines, config.target,
    )  # fmt: skip
