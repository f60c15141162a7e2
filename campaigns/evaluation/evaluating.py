"""What a campaign's calls were worth: conversions, revenue and cost by what they have in common, and what was gained.

A talk is a conversion when its disposition says so, or when its customer buys within the campaign's days after it and
before the next talk with them: each purchase belongs to one talk. A return, whose amount is negative, lowers the
revenue and is no purchase. What was *gained* is told by those held out alone, and by what was bought alone, since
nobody asks them anything: buyers among all customers whom a segment's take would have called, whether they were reached
or not, beside buyers among those held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from campaigns.best_time.store import local_hour
from campaigns.config import CampaignsError
from campaigns.evaluation.arms import ArmResult, compare
from campaigns.evaluation.calls import asked_of
from campaigns.evaluation.held_out import compared
from campaigns.evaluation.intervals import Interval, Sample, mean, share
from campaigns.evaluation.written import StepGain, gained_by_messages
from campaigns.reports.catalogue import AGENT
from campaigns.store import Applied, CampaignStore, NoSuchCampaign
from campaigns.trials.assigning import chances_now
from campaigns.trials.store import counted

LIMIT_MS = 25_000
LONGEST = timedelta(days=400)
HUNDRED = 100

# What calls are split by: the key of an attempt `a` of a lead `l`, and what it takes to know it.
SPLITS = {
    "campaign": ("''", ""),
    "list": ("i.name", "JOIN list i ON i.id = l.list_id"),
    "segment": (
        "COALESCE(t.segment, '')",
        """LEFT JOIN segment_member m ON m.campaign_id = a.campaign_id
            AND m.party = COALESCE('customer ' || l.customer_id, (
                SELECT e164 FROM number WHERE lead_id = l.id ORDER BY ordinal, id LIMIT 1))
        LEFT JOIN segment_take t ON t.id = m.take_id""",
    ),
    "arm": ("COALESCE(a.arm, '')", ""),
    "script": (
        "COALESCE(v.version::text, '')",
        "LEFT JOIN permit_basis b ON b.id = a.basis_id LEFT JOIN campaign_version v ON v.change = b.change",
    ),
    # The messages that had gone out before the call.
    "message": (
        """COALESCE((SELECT string_agg(w.step, ' + ' ORDER BY w.sent_at, w.id) FROM message w
            WHERE w.lead_id = l.id AND w.state = 'sent' AND w.sent_at < a.dialed_at), '')""",
        "",
    ),
    "caller_id": ("COALESCE(a.caller_id, '')", ""),
    "agent": (AGENT, "LEFT JOIN app_user u ON u.id = a.user_id"),
    # The called party's hour is worked out with our own zones. Who was erased has none.
    "hour": ("COALESCE(l.zones[1], '') || ' ' || date_bin('15 minutes', a.dialed_at, '2000-01-01Z')", ""),
}
# The next talk may be by another lead of the customer; OFFSET 0 as in campaigns/segments/compiling.py.
CALLS = """
SELECT {key} AS key, count(*) AS calls, count(a.connected_at) AS contacts, COALESCE(sum(a.talk_s), 0) AS talk_s,
    count(*) FILTER (WHERE a.connected_at IS NOT NULL AND (p.orders > 0 OR d.code = ANY(:codes))) AS conversions,
    COALESCE(sum(w.worth), 0) AS revenue, COALESCE(sum(w.worth * w.worth), 0) AS squares
FROM attempt a JOIN lead l ON l.id = a.lead_id {joined}
LEFT JOIN disposition d ON d.call_id = a.call_id AND d.leased_at = a.leased_at AND d.leased_at >= :leased
    AND d.leased_at < :until
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE amount >= 0) AS orders, sum(amount) AS amount FROM purchase p
    WHERE a.connected_at IS NOT NULL AND p.customer_id = l.customer_id AND p.unit_id = ANY(:units)
        AND p.at >= a.connected_at AND p.at < LEAST(a.connected_at + CAST(:days AS interval), COALESCE((
            SELECT min(n.connected_at) FROM (
                SELECT l.id UNION ALL SELECT k.id FROM lead k
                WHERE k.customer_id = l.customer_id AND k.campaign_id = l.campaign_id AND k.id <> l.id OFFSET 0
            ) o CROSS JOIN LATERAL (
                SELECT connected_at FROM attempt
                WHERE lead_id = o.id AND connected_at > a.connected_at AND leased_at >= :leased OFFSET 0
            ) n), 'infinity'))
) p ON true
CROSS JOIN LATERAL (SELECT COALESCE(p.amount, 0) + CASE WHEN a.connected_at IS NOT NULL AND p.orders = 0
    AND d.code = ANY(:codes) THEN CAST(:conversion AS numeric) ELSE 0 END AS worth) w
WHERE a.campaign_id = :campaign AND a.dialed_at >= :since AND a.dialed_at < :until AND a.leased_at >= :leased
    AND a.leased_at < :until AND a.called_in IS NULL
GROUP BY key
"""
# Half hours stay when the calls of their month go into files.
SEATS = text(f"""
SELECT {AGENT} AS name, sum(s.spent_ms) / 3600000.0 AS hours FROM rollup_seat s
LEFT JOIN app_user u ON u.id = s.user_id
WHERE s.campaign_id = :campaign AND s.half_hour >= :since AND s.half_hour < :until AND s.state <> 'offline'
    AND NOT EXISTS (SELECT FROM archived_month m WHERE m.kind = 'attempt' AND m.state <> 'restored'
        AND m.month = date_trunc('month', s.half_hour AT TIME ZONE 'UTC')::date)
GROUP BY 1
""")
HELD_OUT = text("""
SELECT t.segment, t.id AS take, m.held_out, count(*) AS customers, count(*) FILTER (WHERE b.orders > 0) AS buyers,
    COALESCE(sum(b.amount), 0) AS revenue, COALESCE(sum(b.amount * b.amount), 0) AS squares
FROM segment_take t JOIN segment_member m ON m.take_id = t.id
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE amount >= 0) AS orders, COALESCE(sum(amount), 0) AS amount FROM purchase p
    WHERE starts_with(m.party, 'customer ') AND p.customer_id = substr(m.party, 10) AND p.unit_id = ANY(:units)
        AND p.at >= t.taken_at AND p.at < t.taken_at + CAST(:days AS interval)
) b
WHERE t.campaign_id = :campaign AND t.taken_at >= :since AND t.taken_at < :until GROUP BY t.id, m.held_out
""")


class CanNotEvaluate(CampaignsError):
    """What was asked for makes no sense. The text says what."""


@dataclass(frozen=True, slots=True)
class Row:
    """Calls that have `key` in common. Money is in the company's own currency; `rate` is of the talks.

    `next_hundred` is what a hundred calls more bring in, if they are like these, less what they cost; None while that
    is not known.
    """

    key: str
    calls: int
    contacts: int
    conversions: int
    rate: Interval | None
    revenue: float
    seat_hours: float
    cost: float
    revenue_per_contact: float | None
    cost_per_contact: float | None
    revenue_per_seat_hour: float | None
    next_hundred: Interval | None


@dataclass(frozen=True, slots=True)
class Gain:
    """A segment's customers who were to be called beside those held out: shares of buyers, and revenue a customer.

    Of several takes each is compared with its own held out, and what was gained is their average by customers; one that
    held nobody out is left out where others did.

    `looked` is as `buyers_gained`, and good however often one looks before it is decided.
    """

    segment: str
    called: int
    called_buyers: int
    held_out: int
    held_out_buyers: int
    buyers_gained: Interval | None
    looked: Interval | None
    revenue_gained: Interval | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Of one campaign between two instants: all calls, the same split `by` something, what was gained, the arms of its
    trial, and what its messages gained."""

    campaign: str
    since: datetime
    until: datetime
    by: str
    whole: Row
    rows: tuple[Row, ...]
    gains: tuple[Gain, ...]
    arms: tuple[ArmResult, ...]
    messages: tuple[StepGain, ...] = ()


def evaluate(engine: Engine, campaign: str, since: datetime, until: datetime, by: str) -> Evaluation:
    """Look at a campaign's calls that are in the live tables.

    Raises :class:`CanNotEvaluate` and :class:`campaigns.store.NoSuchCampaign`.
    """
    if by not in SPLITS:
        raise CanNotEvaluate(f"{by!r} is nothing to split by; use {', '.join(SPLITS)}")
    if not since < until <= since + LONGEST:
        raise CanNotEvaluate(f"the time must be longer than nothing and at most {LONGEST.days} days")
    found = CampaignStore(engine).find(campaign)
    if not isinstance(found, Applied):
        raise NoSuchCampaign(f"there is no campaign {campaign!r}")
    worth = found.config.worth
    with engine.connect() as connection:
        connection.execute(text(f"SET LOCAL statement_timeout = {LIMIT_MS}"))
        values = asked_of(connection, found.campaign_id, found.config, since, until)
        values["conversion"] = worth.conversion
        seats = {row.name: float(row.hours) for row in connection.execute(SEATS, values)}
        [whole] = _calls(connection, "campaign", values) or [_Sums("")]
        parts = _calls(connection, by, values) if by != "campaign" else []
        gains = _gains(connection, values)
        arms = _arms(connection, found, since, until)
        written = gained_by_messages(connection, values)
    hours, talk_s = sum(seats.values()), whole.talk_s

    def row(sums: _Sums) -> Row:
        # A seat's time is its agent's own; of everything else it is the part that the talks had of all.
        own = seats.get(sums.key, 0.0) if by == "agent" else hours * (sums.talk_s / talk_s if talk_s else 0.0)
        return sums.row(own, worth.seat_hour, worth.call)

    return Evaluation(
        campaign=campaign,
        since=since,
        until=until,
        by=by,
        whole=whole.row(hours, worth.seat_hour, worth.call),
        rows=tuple(row(each) for each in sorted(parts, key=_order(by))),
        gains=gains,
        arms=arms,
        messages=written,
    )


# --- within -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Sums:
    key: str
    calls: int = 0
    contacts: int = 0
    conversions: int = 0
    talk_s: float = 0.0
    revenue: float = 0.0
    squares: float = 0.0

    def add(self, row: Any) -> None:
        for name in ("calls", "contacts", "conversions"):
            setattr(self, name, getattr(self, name) + getattr(row, name))
        for name in ("talk_s", "revenue", "squares"):
            setattr(self, name, getattr(self, name) + float(getattr(row, name)))

    def row(self, seat_hours: float, seat_hour: float, call: float) -> Row:
        cost = seat_hours * seat_hour + self.calls * call
        brought = mean(Sample(self.calls, self.revenue, self.squares), HUNDRED)
        costs = HUNDRED * cost / self.calls if self.calls else 0.0
        return Row(
            self.key, self.calls, self.contacts, self.conversions, share(self.conversions, self.contacts),
            self.revenue, seat_hours, cost,
            self.revenue / self.contacts if self.contacts else None,
            cost / self.contacts if self.contacts else None,
            self.revenue / seat_hours if seat_hours else None,
            None if brought is None else Interval(*(each - costs for each in brought)),
        )  # fmt: skip


def _calls(connection: Connection, by: str, values: dict[str, Any]) -> list[_Sums]:
    key, joined = SPLITS[by]
    found: dict[str, _Sums] = {}
    for row in connection.execute(text(CALLS.format(key=key, joined=joined)), values):
        name = row.key
        if by == "hour":
            zone, _, quarter = name.partition(" ")
            name = f"{local_hour(zone, datetime.fromisoformat(quarter))[1]:02d}"
        found.setdefault(name, _Sums(name)).add(row)
    return list(found.values())


def _order(by: str) -> Any:
    """Hours in their order, all else by the number of calls."""
    return (lambda each: each.key) if by == "hour" else (lambda each: (-each.calls, each.key))


def _gains(connection: Connection, values: dict[str, Any]) -> tuple[Gain, ...]:
    takes: dict[str, dict[int, dict[bool, Any]]] = {}
    for row in connection.execute(HELD_OUT, values):
        takes.setdefault(row.segment, {}).setdefault(row.take, {})[row.held_out] = row
    gains = []
    for segment, each in sorted(takes.items()):
        found = compared(each.values())
        called, held_out = found.reached, found.held_out
        gains.append(
            Gain(
                segment, called.customers, called.buyers, held_out.customers, held_out.buyers,
                found.buyers, found.looked, found.revenue,
            )
        )  # fmt: skip
    return tuple(gains)


def _arms(
    connection: Connection, campaign: Applied, since: datetime, until: datetime
) -> tuple[ArmResult, ...]:
    trial = campaign.config.trial
    if not trial.arms:
        return ()
    codes = [arm.code for arm in trial.arms]
    counts = counted(connection, campaign.campaign_id, campaign.config, since, until)
    chances = chances_now(connection, campaign.campaign_id, trial)
    return compare(codes, chances, [each for each in counts if each.arm in codes])
