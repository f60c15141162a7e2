"""Plans: proposed from a campaign's calls, kept with the campaign they became, and compared with what then happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, Engine, text

from campaigns.evaluation.arms import ArmResult
from campaigns.evaluation.calls import asked_of
from campaigns.evaluation.evaluating import LONGEST as LONGEST_LOOK
from campaigns.evaluation.evaluating import Evaluation, evaluate
from campaigns.evaluation.intervals import Interval
from campaigns.plans.proposing import (
    LONGEST,
    CanNotPlan,
    Outlook,
    Seen,
    best_arm,
    best_hours,
    narrowed,
    open_hours,
    outlook,
    verdict,
)
from campaigns.segments.store import Segment, SegmentStore
from campaigns.store import Applied, CampaignStore, NoSuchCampaign
from campaigns.trials.assigning import PARTY

LIMIT_MS = 20_000
DAY = timedelta(days=1)

# Of each customer once, however often they were called.
SEEN = text(f"""
SELECT count(*) AS customers, count(*) FILTER (WHERE talked) AS talked, count(*) FILTER (WHERE converted) AS converted,
    COALESCE(sum(calls), 0)::bigint AS calls
FROM (
    SELECT {PARTY} AS party, count(*) AS calls, bool_or(a.connected_at IS NOT NULL) AS talked,
        bool_or(a.connected_at IS NOT NULL AND (COALESCE(d.code = ANY(:codes), false) OR EXISTS (
            SELECT FROM purchase p WHERE p.customer_id = l.customer_id AND p.unit_id = ANY(:units) AND p.amount >= 0
                AND p.at >= a.connected_at AND p.at < a.connected_at + CAST(:days AS interval)))) AS converted
    FROM attempt a JOIN lead l ON l.id = a.lead_id
    LEFT JOIN disposition d ON d.call_id = a.call_id AND d.leased_at = a.leased_at AND d.leased_at >= :leased
        AND d.leased_at < :until
    WHERE a.campaign_id = :campaign AND a.called_in IS NULL AND a.dialed_at >= :since AND a.dialed_at < :until
        AND a.leased_at >= :leased AND a.leased_at < :until
    GROUP BY 1
) c
""")
TAKEN = text("""
SELECT segment FROM segment_take WHERE campaign_id = :campaign ORDER BY taken_at DESC
""")
KEEP = text("""
INSERT INTO plan (campaign_id, based_on, segment, arm, hours, until, customers, seats, talked, conversions,
    conversions_low, conversions_high, revenue, seat_hours, known_from, made_by, made_at)
VALUES (:campaign, :based_on, :segment, :arm, :hours, :until, :customers, :seats, :talked, :conversions, :low, :high,
    :revenue, :seat_hours, :known_from, :who, :at)
""")
PLANS = text("""
SELECT p.*, c.name AS campaign, b.name AS base FROM plan p JOIN campaign c ON c.id = p.campaign_id
LEFT JOIN campaign b ON b.id = p.based_on ORDER BY p.made_at DESC LIMIT :most
""")
MOST = 10  # plans that are compared at a time


@dataclass(frozen=True, slots=True)
class Proposal:
    """The next plan as the calls of a time propose it; `why_segment` and `sure` say how well that is founded.

    `why_segment` is `gained` (calls surely gained buyers there), `worth` (its next calls bring in most), `taken` (the
    one that was taken last) or `first` (the first one there is).
    """

    campaign: str
    segment: str
    why_segment: str
    fits: int | None
    hours: tuple[int, ...]
    arm: str
    sure: bool
    until: date
    outlook: Outlook


@dataclass(frozen=True, slots=True)
class Made:
    """A plan that became a campaign, what was expected of it, and what happened so far."""

    campaign: str
    base: str
    segment: str
    arm: str
    hours: tuple[int, ...]
    until: date
    customers: int
    seats: int
    talked: float
    conversions: Interval
    revenue: float
    seat_hours: float
    made_by: str
    made_at: datetime
    happened: Seen
    verdict: str


class PlanStore:
    """The plans of one database. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def propose(
        self,
        campaign: str,
        segments: Sequence[Segment],
        since: datetime,
        until: datetime,
        by: date,
        customers: int | None = None,
        segment: str | None = None,
        hours: Sequence[int] | None = None,
        arm: str | None = None,
    ) -> Proposal:
        """The next plan from a campaign's calls between two instants, done `by` a day; what is given is as wished.

        Raises :class:`CanNotPlan` and what :func:`campaigns.evaluation.evaluating.evaluate` raises.
        """
        if not until.date() < by <= (until + LONGEST).date():
            raise CanNotPlan(f"the plan must end after today, and within {LONGEST.days} days")
        found = CampaignStore(self._engine).find(campaign)
        if not isinstance(found, Applied):
            raise NoSuchCampaign(f"there is no campaign {campaign!r}")
        by_hour = evaluate(self._engine, campaign, since, until, "hour")
        by_segment = evaluate(self._engine, campaign, since, until, "segment")
        with self._engine.connect() as connection:
            seen = _seen(connection, found, since, until, by_hour.whole.seat_hours, by_hour.whole.revenue)
            taken = list(connection.execute(TAKEN, {"campaign": found.campaign_id}).scalars())
        chosen, why = _segment(segments, by_segment, taken) if segment is None else (segment, "wished")
        one = next((each for each in segments if each.name == chosen), None)
        if one is None:
            raise CanNotPlan(
                f"there is no segment {chosen!r}" if chosen else "there is no segment to choose from"
            )
        fits = SegmentStore(self._engine).count(one.text, one.unit_id, until).customers
        best, sure = best_arm(by_hour.arms)
        code = best if arm is None else arm
        result = _result(by_hour.arms, code)
        wanted = tuple(hours) if hours is not None else best_hours(by_hour.rows)
        windows = narrowed(found.config, wanted)
        length = open_hours(windows, until.date() + DAY, by)
        count = customers or fits or 0
        if count < 1:
            raise CanNotPlan(f"the segment {chosen!r} has no customers")
        return Proposal(
            campaign, chosen, why, fits, wanted, code, sure and code == best, by,
            outlook(seen, result, count, length),
        )  # fmt: skip

    def keep(self, campaign: Applied, plan: Proposal, who: str, at: datetime) -> None:
        """Put a plan on record with the campaign that it became."""
        told = plan.outlook
        with self._engine.begin() as connection:
            based_on = connection.execute(
                text("SELECT id FROM campaign WHERE name = :name"), {"name": plan.campaign}
            ).scalar_one()
            connection.execute(
                KEEP,
                {
                    "campaign": campaign.campaign_id, "based_on": based_on, "segment": plan.segment, "arm": plan.arm,
                    "hours": list(plan.hours), "until": plan.until, "customers": told.customers, "seats": told.seats,
                    "talked": told.talked, "conversions": told.conversions.estimate, "low": told.conversions.low,
                    "high": told.conversions.high, "revenue": told.revenue, "seat_hours": told.seat_hours,
                    "known_from": told.known_from, "who": who, "at": at,
                },
            )  # fmt: skip

    def made(self, now: datetime) -> list[Made]:
        """The newest plans, each beside what happened since, as far as an evaluation looks; the newest first."""
        known = {each.campaign_id: each for each in CampaignStore(self._engine).readable()}
        with self._engine.connect() as connection:
            rows = [row for row in connection.execute(PLANS, {"most": MOST}) if row.campaign_id in known]
        found = []
        for row in rows:
            end = datetime.combine(row.until, datetime.max.time(), UTC)
            bought_by = end + timedelta(days=known[row.campaign_id].config.worth.days)
            until = max(min(now, bought_by, row.made_at + LONGEST_LOOK), row.made_at + DAY)
            whole = evaluate(self._engine, row.campaign, row.made_at, until, "campaign").whole
            with self._engine.connect() as connection:
                seen = _seen(
                    connection, known[row.campaign_id], row.made_at, until, whole.seat_hours, whole.revenue
                )
            found.append(
                Made(
                    row.campaign, row.base or "", row.segment, row.arm, tuple(row.hours), row.until, row.customers,
                    row.seats, row.talked, Interval(row.conversions, row.conversions_low, row.conversions_high),
                    row.revenue, row.seat_hours, row.made_by, row.made_at, seen,
                    verdict(row.conversions / row.customers, row.known_from, seen),
                )
            )  # fmt: skip
        return found


# --- within -------------------------------------------------------------------------------------------------------


def _seen(
    connection: Connection,
    campaign: Applied,
    since: datetime,
    until: datetime,
    seat_hours: float,
    revenue: float,
) -> Seen:
    connection.execute(text(f"SET LOCAL statement_timeout = {LIMIT_MS}"))
    values = asked_of(connection, campaign.campaign_id, campaign.config, since, until)
    row = connection.execute(SEEN, values).one()
    return Seen(row.customers, row.talked, row.converted, row.calls, seat_hours, revenue)


def _segment(segments: Sequence[Segment], found: Evaluation, taken: Sequence[str]) -> tuple[str, str]:
    """The segment to go on with, and why: what is proven to gain comes before what brings in most."""
    names = {each.name for each in segments}
    gained = [g for g in found.gains if g.segment in names and g.looked is not None and g.looked.low > 0]
    if gained:
        return max(gained, key=lambda each: each.looked.estimate if each.looked else 0.0).segment, "gained"
    worth = [
        row
        for row in found.rows
        if row.key in names and row.next_hundred is not None and row.next_hundred.low > 0
    ]
    if worth:
        best = max(worth, key=lambda row: row.next_hundred.estimate if row.next_hundred else 0.0)
        return best.key, "worth"
    again = next((name for name in taken if name in names), None)
    if again is not None:
        return again, "taken"
    return (segments[0].name, "first") if segments else ("", "")


def _result(arms: Sequence[ArmResult], code: str) -> ArmResult | None:
    if not code:
        return None
    found = next((each for each in arms if each.arm == code), None)
    if found is None:
        raise CanNotPlan(f"{code!r} is no arm of this campaign's trial")
    return found if found.customers else None
