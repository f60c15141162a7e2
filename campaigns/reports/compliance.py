"""The abandon rate of each campaign over its legal window, as the law that it names counts it, with what it counts.

Now, or as it was at the end of each of some days: what is kept for who asks later.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, Engine, text

from campaigns.config import Abandon, CampaignConfig
from campaigns.reports.asking import (
    SNAPSHOT,
    BadQuestion,
    Column,
    Question,
    Table,
    allowed,
    counted,
    in_order,
    zone_of,
)
from campaigns.reports.catalogue import Unit
from campaigns.reports.counting import half_hour_of
from campaigns.store import CampaignStore

LONGEST_D = 366
DAY_S = 86_400.0
DAY = timedelta(days=1)
# `law_…`: what the law makes of the counts before it.
COLUMNS = (
    Column("campaign", None), Column("day", None), Column("law_profile", None), Column("law_since", None),
    Column("connected", Unit.COUNT), Column("hung_up", Unit.COUNT), Column("machines", Unit.COUNT),
    Column("abandoned", Unit.COUNT), Column("law_answered", Unit.RATE), Column("law_given_up", Unit.RATE),
    Column("law_rate", Unit.LAW), Column("law_target", Unit.LAW), Column("law_kept", None),
)  # fmt: skip


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
BY_HALF_HOUR = text(f"SELECT half_hour, {str(COUNTED).strip().removeprefix('SELECT')} GROUP BY 1 ORDER BY 1")


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


def by_day(
    engine: Engine, question: Question, seen: Collection[str] | None, only_counted: bool = False
) -> Table:
    """Each campaign's window as it was at the end of each of the days, where anybody had answered in it.

    Raises :class:`BadQuestion`, :class:`NotCounted` if it is wanted `only_counted`, and what the database raises.
    """
    in_order(question)
    if question.by:
        raise BadQuestion("by: this report is of each campaign and day")
    if (question.until - question.since).days >= LONGEST_D:
        raise BadQuestion(f"from and to: are at most {LONGEST_D} days of this report")
    zone, of = zone_of(question.zone), allowed(question, seen)
    days = [question.since + DAY * n for n in range((question.until - question.since).days + 1)]
    ends = [datetime.combine(day + DAY, time(), zone) for day in days]
    rows: list[tuple[Any, ...]] = []
    readable = CampaignStore(engine).readable()
    with engine.connect() as connection:
        connection.execute(SNAPSHOT)
        due, as_of = counted(connection, question, ("rollup_call",), only_counted)
        for each in readable:
            if of is None or each.config.name in of:
                found = _windows(connection, each.campaign_id, each.config, ends)
                rows += [_row(str(day), w, zone) for day, w in zip(days, found, strict=True) if w.answered]
    return Table(question, COLUMNS, rows, (), due, as_of)


def _windows(
    connection: Connection, campaign_id: int, config: CampaignConfig, ends: Sequence[datetime]
) -> list[Window]:
    """A campaign's windows that end at each of these instants: their counts are differences of running sums."""
    law = law_of(config.abandon)
    length = None if law.window_s is None else timedelta(seconds=law.window_s)
    values = {
        "campaign": campaign_id,
        "since": "-infinity" if length is None else half_hour_of(ends[0] - length),
        "until": ends[-1],
        "machine_codes": [d.code for d in config.dispositions if d.machine],
    }
    counts = connection.execute(BY_HALF_HOUR, values).all()
    at = [row.half_hour for row in counts]
    sums = list(
        accumulate(
            (tuple(row[1:]) for row in counts), lambda a, b: tuple(map(sum, zip(a, b, strict=True))),
            initial=(0, 0, 0, 0),
        )
    )  # fmt: skip
    found = []
    for until in ends:
        since = None if length is None else half_hour_of(until - length)
        before = sums[0 if since is None else bisect_left(at, since)]
        within = sums[bisect_left(at, until)]
        connected, hung_up, abandoned, machines = (b - a for a, b in zip(before, within, strict=True))
        found.append(
            Window(
                config.name, config.abandon.profile, since, until, law.hung_up_counts, law.deduct_machines,
                connected, hung_up, abandoned, machines, config.target,
            )
        )  # fmt: skip
    return found


def _row(day: str, window: Window, zone: Any) -> tuple[Any, ...]:
    since = "law_ever" if window.since is None else f"{window.since.astimezone(zone):%Y-%m-%d %H:%M}"
    return (
        window.campaign, day, f"law_{window.profile}", since, window.connected, window.hung_up, window.machines,
        window.abandoned, window.answered, window.given_up, window.rate, window.target,
        "law_yes" if window.kept else "law_no",
    )  # fmt: skip


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
