"""The best time to call in the database: finished calls taken in, ready leads put in order, and what that gained.

The journal counts finished calls in the transaction that records them; they are taken in some seconds later. The order
is a small front of leads with a rank before all others, chosen anew from the head of the queue as it is called: no call
waits for it, a lead that is not in it is called as before once the front is empty, and nobody is called any later than
the rules allow or kept from being called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import numpy as np
from sqlalchemy import Connection, Engine, text

from campaigns.best_time.learning import Arm, Cell, Chances, Segment, Uplift, by_segment, pick, uplift
from campaigns.config import CampaignConfig
from campaigns.lanes import with_leads
from campaigns.rules import calendar
from campaigns.rules.terms import terms_of
from campaigns.store import Applied, CampaignStore, NoSuchCampaign

BEST_TIME_LOCK = 0x7A646274  # an advisory lock: "zdbt"
FRONT, WINDOW = 500, 5_000  # leads of a list that come first, out of so many at the head of its queue
FRONT_RANK = -1

LOCK = text("SELECT pg_advisory_xact_lock(:key)")
TAKE_IN = text("DELETE FROM best_time_fresh RETURNING *")
CELLS = text("SELECT * FROM best_time_cell WHERE campaign_id = :campaign")
KEEP = text("""
INSERT INTO best_time_cell (campaign_id, kind, weekday, region, list_name, hour, calls, answers, at)
VALUES (:campaign, :kind, :weekday, :region, :list_name, :hour, :calls, :answers, :now)
ON CONFLICT (campaign_id, kind, weekday, region, list_name, hour)
DO UPDATE SET calls = excluded.calls, answers = excluded.answers, at = excluded.at
""")
COUNT = text("""
INSERT INTO best_time_arm AS k (campaign_id, at_random, calls, answers) VALUES (:campaign, :random, :calls, :answers)
ON CONFLICT (campaign_id, at_random) DO UPDATE SET calls = k.calls + excluded.calls,
    answers = k.answers + excluded.answers
""")
ARMS = text("SELECT at_random, calls, answers FROM best_time_arm WHERE campaign_id = :campaign")
ALL_ARMS = text("""
SELECT c.name, o.calls, o.answers, r.calls AS random_calls, r.answers AS random_answers FROM campaign c
JOIN best_time_arm o ON o.campaign_id = c.id AND NOT o.at_random
JOIN best_time_arm r ON r.campaign_id = c.id AND r.at_random ORDER BY c.name
""")

LANES = text(with_leads(":campaign"))
ZONES = text("SELECT zone FROM campaign_zone WHERE campaign_id = :campaign")
LEFT = text("""
SELECT count(*) FROM lead WHERE campaign_id = :campaign AND lane = :lane AND rank = :front AND open AND lease IS NULL
    AND next_at <= :now AND zones <@ CAST(:open_now AS text[])
""")
BACK = text("""
UPDATE lead SET rank = 0 WHERE id IN (
    SELECT id FROM lead WHERE campaign_id = :campaign AND lane = :lane AND rank = :front AND open AND lease IS NULL
    FOR UPDATE SKIP LOCKED)
""")
# As they are called: the number with the fewest attempts first.
HEAD = text("""
SELECT l.id, l.zones[1] AS zone, COALESCE(NULLIF(l.region, ''), l.zones[1]) AS region, n.kind, i.name AS list_name,
    mod(('x' || substr(md5(l.id::text), 1, 8))::bit(32)::bigint, 100) AS bucket
FROM (
    SELECT * FROM lead WHERE campaign_id = :campaign AND lane = :lane AND rank = 0 AND open AND lease IS NULL
        AND next_at <= :now AND zones <@ CAST(:open_now AS text[]) ORDER BY rank, next_at, id LIMIT :window
) l JOIN list i ON i.id = l.list_id CROSS JOIN LATERAL (
    SELECT kind FROM number WHERE lead_id = l.id ORDER BY attempts, ordinal, id LIMIT 1
) n
""")
FORWARD = text("""
UPDATE lead SET rank = :front WHERE id IN (
    SELECT id FROM lead WHERE id = ANY(:leads) AND lease IS NULL AND open AND rank = 0 FOR UPDATE SKIP LOCKED)
""")


@dataclass(frozen=True, slots=True)
class HourChance:
    """One hour of a segment's day: the estimated chance of an answer, and the calls it was seen in, faded."""

    hour: int
    chance: float
    calls: float


@dataclass(frozen=True, slots=True)
class SegmentHours:
    """A segment by hour. `weekday` 0 is Monday; days and hours are the called party's."""

    list_name: str
    region: str
    kind: str
    weekday: int
    calls: float
    hours: tuple[HourChance, ...]


@dataclass(frozen=True, slots=True)
class BestTimes:
    """What is known of a campaign, the segments with most calls first, and what its order gained."""

    campaign: str
    order: bool
    random_share: float
    segments: tuple[SegmentHours, ...]
    ordered: Arm
    random: Arm
    uplift: Uplift | None


@dataclass(frozen=True, slots=True)
class Gain:
    """What a campaign's order gained so far; `uplift` None while one of the arms has no answer."""

    campaign: str
    ordered: Arm
    random: Arm
    uplift: Uplift | None


class BestTimeStore:
    """The best times of all campaigns. Every method blocks; one thread."""

    def __init__(self, engine: Engine, seed: int | None = None) -> None:
        self._engine = engine
        self._store = CampaignStore(engine)
        self._chance = np.random.default_rng(seed)
        self._hours: dict[int, int] = {}  # by campaign: the hour for which its front was chosen

    def look(self, now: datetime) -> None:
        """Take in what finished, and have leads whose time is now come first where campaigns want it."""
        campaigns = {each.campaign_id: each.config for each in self._store.readable()}
        with self._engine.begin() as connection:
            connection.execute(LOCK, {"key": BEST_TIME_LOCK})
            self._take_in(connection, campaigns, now)
        for campaign_id, config in campaigns.items():
            if config.best_time.order and config.running:
                with self._engine.begin() as connection:
                    connection.execute(LOCK, {"key": BEST_TIME_LOCK})
                    self._order(connection, campaign_id, config, now)

    def gains(self) -> list[Gain]:
        """What it gained, of all campaigns that called by it."""
        with self._engine.connect() as connection:
            rows = connection.execute(ALL_ARMS).all()
        arms = [(r.name, Arm(r.calls, r.answers), Arm(r.random_calls, r.random_answers)) for r in rows]
        return [Gain(name, ordered, random, uplift(ordered, random)) for name, ordered, random in arms]

    def report(self, campaign: str, now: datetime) -> BestTimes:
        """What is known of a campaign. Raises :class:`campaigns.store.NoSuchCampaign`."""
        found = self._store.find(campaign)
        if not isinstance(found, Applied):
            raise NoSuchCampaign(f"there is no campaign {campaign!r}")
        with self._engine.connect() as connection:
            cells = self._cells(connection, found.campaign_id, now)
            arms = {
                row.at_random: Arm(row.calls, row.answers)
                for row in connection.execute(ARMS, {"campaign": found.campaign_id})
            }
        chances, nothing = Chances(cells), Arm(0, 0)
        segments = [
            SegmentHours(
                segment.list_name, segment.region, segment.kind, segment.weekday,
                sum(each.calls for each in hours.values()),
                tuple(
                    HourChance(hour, chances.mean(segment, hour), hours[hour].calls if hour in hours else 0.0)
                    for hour in chances.hours
                ),
            )
            for segment, hours in by_segment(cells).items()
        ]  # fmt: skip
        ordered, random = arms.get(False, nothing), arms.get(True, nothing)
        return BestTimes(
            campaign=campaign,
            order=found.config.best_time.order,
            random_share=found.config.best_time.random_share,
            segments=tuple(sorted(segments, key=lambda each: -each.calls)),
            ordered=ordered,
            random=random,
            uplift=uplift(ordered, random),
        )

    def reports(self, campaign: str | None, now: datetime) -> list[BestTimes]:
        """The same of one campaign, or of all that can be read."""
        if campaign is not None:
            return [self.report(campaign, now)]
        names = [each.config.name for each in self._store.newer_than(0) if isinstance(each, Applied)]
        return [self.report(name, now) for name in names]

    # --- within -----------------------------------------------------------------------------------------------

    def _take_in(
        self, connection: Connection, campaigns: Mapping[int, CampaignConfig], now: datetime
    ) -> None:
        fresh: dict[int, dict[tuple[Segment, int], list[int]]] = {}
        arms: dict[tuple[int, bool], list[int]] = {}
        for row in connection.execute(TAKE_IN):
            weekday, hour = local_hour(row.zone, row.quarter)
            key = Segment(row.kind, weekday, row.region, row.list_name), hour
            counts = [fresh.setdefault(row.campaign_id, {}).setdefault(key, [0, 0])]
            config = campaigns.get(row.campaign_id)
            if config is not None and config.best_time.order:
                counts.append(arms.setdefault((row.campaign_id, _at_random(row.bucket, config)), [0, 0]))
            for each in counts:
                each[0] += row.calls
                each[1] += row.answers
        for campaign_id, found in fresh.items():
            cells = {(each.segment, each.hour): each for each in self._cells(connection, campaign_id, now)}
            kept = []
            for (segment, hour), (calls, answers) in found.items():
                before = cells.get((segment, hour), Cell(segment, hour, 0.0, 0.0))
                told = {"calls": before.calls + calls, "answers": before.answers + answers}
                kept.append({"campaign": campaign_id, "hour": hour, "now": now, **segment._asdict(), **told})
            connection.execute(KEEP, kept)
        for (campaign_id, random), (calls, answers) in arms.items():
            connection.execute(
                COUNT, {"campaign": campaign_id, "random": random, "calls": calls, "answers": answers}
            )

    def _order(self, connection: Connection, campaign_id: int, config: CampaignConfig, now: datetime) -> None:
        """Choose the front of each list anew when half of it is called, and when the hour changes.

        Of leads that may be called at this hour: the others would be left standing there.
        """
        zones = connection.execute(ZONES, {"campaign": campaign_id}).scalars()
        open_now = terms_of(config.rules).open_among(zones, now)
        if not open_now:
            return
        hour = int(now.timestamp()) // 3600
        same_hour = self._hours.get(campaign_id) == hour
        chances: Chances | None = None
        for lane in connection.execute(LANES, {"campaign": campaign_id}).scalars().all():
            values = {
                "campaign": campaign_id,
                "lane": lane,
                "front": FRONT_RANK,
                "now": now,
                "open_now": open_now,
            }
            if same_hour and connection.execute(LEFT, values).scalar_one() >= FRONT // 2:
                continue
            connection.execute(BACK, values)
            rows = connection.execute(HEAD, {**values, "window": WINDOW}).all()
            if chances is None:
                chances = Chances(self._cells(connection, campaign_id, now))
            leads = []
            for row in rows:
                weekday, local = local_hour(row.zone, now)
                segment = Segment(row.kind, weekday, row.region, row.list_name)
                leads.append((row.id, segment, local, _at_random(row.bucket, config)))
            front = pick(leads, chances, FRONT, self._chance)
            connection.execute(FORWARD, {"leads": front, "front": FRONT_RANK})
        self._hours[campaign_id] = hour

    @staticmethod
    def _cells(connection: Connection, campaign_id: int, now: datetime) -> Sequence[Cell]:
        rows = connection.execute(CELLS, {"campaign": campaign_id})
        return [
            Cell(Segment(r.kind, r.weekday, r.region, r.list_name), r.hour, r.calls, r.answers, r.at).faded(
                now
            )
            for r in rows
        ]


def local_hour(zone: str, at: datetime) -> tuple[int, int]:
    """The weekday (0: Monday) and the hour of an instant in a zone; in UTC where nobody knows the zone."""
    local = at.astimezone(calendar.zone(zone)) if _known(zone) else at
    return local.weekday(), local.hour


@cache
def _known(zone: str) -> bool:
    return calendar.known_zone(zone)


def _at_random(bucket: int, config: CampaignConfig) -> bool:
    """Whether a lead is one of those that are called at random: fixed by its id."""
    return bucket < round(100 * config.best_time.random_share)
