"""Would this lead be called, and why not: the facts and the decision that leasing and dialing ask, told to people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Engine, text

from campaigns import callbacks
from campaigns.caller_ids.free import Free, free, rests
from campaigns.config import CampaignsError
from campaigns.dnc import DncStore, Entry
from campaigns.prepared import PLANNED
from campaigns.rules import calendar, facts
from campaigns.rules.decision import Facts, hours_spoken, next_permit, refusals
from campaigns.rules.facts import LeadRow
from campaigns.rules.known import on_record
from campaigns.rules.terms import Terms
from campaigns.values import Refusal, RefusalReason
from campaigns.versions import KnownTerms

# The index on (campaign_id, e164) serves, since all campaigns are named.
LEADS_OF_NUMBER = text("""
SELECT n.lead_id FROM number n WHERE n.e164 = :number AND n.campaign_id = ANY(ARRAY(
    SELECT id FROM campaign WHERE CAST(:campaigns AS text[]) IS NULL OR name = ANY(:campaigns)
)) ORDER BY n.lead_id
""")
CAMPAIGN = text("""
SELECT c.id, v.change, COALESCE((SELECT sum(accepted) FROM list WHERE campaign_id = c.id), 0)::bigint AS leads
FROM campaign c JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version WHERE c.name = :name
""")
NAMES = text("SELECT id, name FROM campaign WHERE id = ANY(:ids)")
ALL_OF = text("""
SELECT DISTINCT lead_id FROM (SELECT lead_id FROM number WHERE campaign_id = :campaign LIMIT :most) n
""")
# Whole pages of the table, picked at random: the time goes by the size of the sample, and not by that of the table.
SOME_OF = text("SELECT id FROM lead TABLESAMPLE SYSTEM (:percent) WHERE campaign_id = :campaign LIMIT :most")

EXACT = 10_000  # leads of a campaign that are all looked at
SAMPLE = 5_000  # of a larger one: a share is within 1.4 percentage points of the truth in 95 of 100 looks
CHUNK = 1_000
FIRST_YEAR, LAST_YEAR = 1970, 2100  # holidays are known of no other
ASKED_WHEN = 500  # leads that are asked when they may be called next


def asked_about(told: str) -> datetime:
    """An instant in ISO 8601 that can be asked about, as it stands there. Raises ValueError."""
    at = datetime.fromisoformat(told)
    if not FIRST_YEAR <= at.year < LAST_YEAR:
        raise ValueError(f"{told!r} is not between {FIRST_YEAR} and {LAST_YEAR}")
    return at


class NoSuchLead(CampaignsError):
    """There is no such lead, number or campaign, or none that the asker may see."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that holds a call back; `until` None: time alone does not end it."""

    reason: str
    detail: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class LeadWhy:
    """Whether a lead's number would be called at `at`, by which rules not, and when it next may be, else None."""

    campaign: str
    lead_id: int
    number: str
    at: datetime
    permitted: bool
    reasons: tuple[Reason, ...]
    next_at: datetime | None
    zones: tuple[str, ...]
    hours: str
    profile: str
    profile_version: int
    data: str
    in_hand_of: str | None  # the engine that has the lead at the moment


@dataclass(frozen=True, slots=True)
class Held:
    """How many leads a rule holds back, and how many of those no other rule does."""

    leads: int
    alone: int


@dataclass(frozen=True, slots=True)
class CampaignWhy:
    """Why a campaign's hopper is as full as it is. `looked_at` fewer than `leads`: counts are estimated from those."""

    campaign: str
    at: datetime
    leads: int
    looked_at: int
    done: int
    in_hand: int
    callable: int
    held: dict[str, Held]
    next_at: datetime | None  # the first instant at which one of those held back may be called
    profile: str
    profile_version: int
    data: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """One number of a lead, and all that an engine would ask about a call to it."""

    row: LeadRow
    about: Facts
    terms: Terms
    numbers: Free

    @property
    def untold(self) -> bool:
        """Whether the lead waits for its announcement, below the lanes (campaigns/messages/announcing.py)."""
        return self.row.lane < facts.CALLBACKS

    def refusals(self, at: datetime) -> list[Refusal]:
        """All that holds the call back: what the rules refuse, then that there is no number to show."""
        found = list(refusals(self.about, self.terms, at))
        if self.untold:
            found = [each for each in found if each.reason is not RefusalReason.RETRY_DELAY]
            found.append(Refusal("", RefusalReason.ANNOUNCEMENT, "its announcement was not sent yet"))
        until = self._rests_until(at)
        return found if until is None else [*found, rests("", until)]

    def next_permit(self, at: datetime) -> datetime | None:
        """The first instant from `at` on at which nothing does, all else being as it is; None: never."""
        if self.untold:
            return None
        when = next_permit(self.about, self.terms, at)
        while when is not None and (until := self._rests_until(when)) is not None:
            when = next_permit(self.about, self.terms, until)
        return when

    def _rests_until(self, at: datetime) -> datetime | None:
        return self.numbers.until(self.row.region, self.row.e164, self.row.customer_id, at)


@dataclass(slots=True)
class _Tally:
    done: int = 0
    in_hand: int = 0
    callable: int = 0
    held: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    asked: list[datetime | None] = field(default_factory=list)

    def take(self, asked: Sequence[_Asked], at: datetime) -> None:
        """Count a lead, all of whose numbers these are: what holds it back is what does so for its best number."""
        row = asked[0].row
        if not row.open:
            self.done += 1
            return
        if row.call_id:
            self.in_hand += 1
            return
        found = {refusal.reason.value for refusal in asked[0].refusals(at)}
        for other in asked[1:]:
            if found:
                found = min(found, {refusal.reason.value for refusal in other.refusals(at)}, key=len)
        self.callable += not found
        self.held.update(found)
        if len(found) == 1:
            self.alone.update(found)
        if found and len(self.asked) < ASKED_WHEN:
            whens = [each.next_permit(at) for each in asked]
            self.asked.append(min((when for when in whens if when is not None), default=None))


class Explainer:
    """Answers of one database. Every method blocks, and none changes anything."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known = KnownTerms()

    def lead(self, lead_id: int, at: datetime, campaigns: Collection[str] | None = None) -> list[LeadWhy]:
        """What holds for each number of a lead; `campaigns` are those the asker may see, None: all.

        Raises :class:`NoSuchLead`.
        """
        with self._engine.connect() as connection:
            found = [
                w
                for w in self._leads(connection, [lead_id], at)
                if campaigns is None or w.campaign in campaigns
            ]
        if not found:
            raise NoSuchLead(f"there is no lead {lead_id}")
        return found

    def number(self, number: str, at: datetime, campaigns: Collection[str] | None = None) -> list[LeadWhy]:
        """What holds for a number (E.164) in each of the campaigns that has it.

        Raises :class:`NoSuchLead`.
        """
        with self._engine.connect() as connection:
            values = {"number": number, "campaigns": None if campaigns is None else list(campaigns)}
            leads = connection.execute(LEADS_OF_NUMBER, values).scalars().all()
            found = [why for why in self._leads(connection, leads, at) if why.number == number]
        if not found:
            raise NoSuchLead(
                f"{number} is on no list of {'any campaign' if campaigns is None else 'these campaigns'}"
            )
        return found

    def entries(self, number: str) -> Sequence[Entry]:
        """The do-not-call entries of a number, whether it is on a list of customers or not."""
        return DncStore(self._engine).check(number)

    def campaign(self, name: str, at: datetime) -> CampaignWhy:
        """How many leads of a campaign each rule holds back.

        Up to :data:`EXACT` leads are all looked at; of more a sample, whose counts are scaled to the whole. Raises
        :class:`NoSuchLead`.
        """
        with self._engine.connect() as connection:
            row = connection.execute(CAMPAIGN, {"name": name}).one_or_none()
            if row is None:
                raise NoSuchLead(f"there is no campaign {name!r}")
            terms = self._known.of(connection, [row.change])[row.change]
            leads = connection.execute(ALL_OF, {"campaign": row.id, "most": EXACT + 1}).scalars().all()
            total = len(leads)
            if total > EXACT:
                total = max(row.leads, total)
                values = {
                    "campaign": row.id,
                    "percent": min(100.0, 100.0 * SAMPLE / total),
                    "most": 2 * SAMPLE,
                }
                leads = connection.execute(SOME_OF, values).scalars().all()
            tally = _Tally()
            connection.exec_driver_sql(PLANNED)
            numbers = {row.change: free(connection, self._known.pools(row.change))}
            for start in range(0, len(leads), CHUNK):
                of_lead: dict[int, list[_Asked]] = {}
                for each in self._asked(connection, leads[start : start + CHUNK], numbers):
                    of_lead.setdefault(each.row.lead_id, []).append(each)
                for asked in of_lead.values():
                    tally.take(asked, at)
        scale = total / len(leads) if leads else 1.0
        whens = [when for when in tally.asked if when is not None]
        return CampaignWhy(
            campaign=name,
            at=at,
            leads=total,
            looked_at=len(leads),
            done=round(tally.done * scale),
            in_hand=round(tally.in_hand * scale),
            callable=round(tally.callable * scale),
            held={
                reason: Held(round(count * scale), round(tally.alone[reason] * scale))
                for reason, count in tally.held.most_common()
            },
            next_at=at if tally.callable else min(whens, default=None),
            profile=terms.profile,
            profile_version=terms.version,
            data=calendar.versions_spoken(),
        )

    # --- within -----------------------------------------------------------------------------------------------

    def _asked(self, connection: Connection, leads: Sequence[int], numbers: dict[int, Free]) -> list[_Asked]:
        """Each number of these leads, those of a lead in the order in which they are called.

        `numbers` are the caller-IDs of campaigns' versions; those that are not among them are looked for and put there.
        """
        rows = facts.of_leads(connection, leads)
        known = self._known.of(connection, [row.change for row in rows])
        attempts, record = facts.attempts_of(connection, rows, known), on_record(connection, rows)
        in_call = record.in_call(rows)
        for change in {row.change for row in rows} - numbers.keys():
            numbers[change] = free(connection, self._known.pools(change))
        return [
            _Asked(
                row,
                facts.facts_of(
                    row, record.of(row), attempts[row.lead_id], "", in_call=row.lead_id in in_call
                ),
                known[row.change],
                numbers[row.change],
            )
            for row in sorted(rows, key=lambda r: (r.lead_id, r.turn))
        ]

    def _leads(self, connection: Connection, leads: Sequence[int], at: datetime) -> list[LeadWhy]:
        connection.exec_driver_sql(PLANNED)
        asked = self._asked(connection, leads, {})
        waiting = callbacks.waiting(connection, leads)
        ids = [each.row.campaign_id for each in asked]
        names = {row.id: row.name for row in connection.execute(NAMES, {"ids": ids})}
        found = []
        for each in sorted(asked, key=lambda a: (a.row.campaign_id, a.row.lead_id, a.row.number_id)):
            row, terms = each.row, each.terms
            reasons = tuple(
                Reason(
                    r.reason.value,
                    str(waiting[row.lead_id])
                    if r.reason is RefusalReason.CALLBACK and row.lead_id in waiting
                    else r.detail,
                    r.until,
                )
                for r in each.refusals(at)
            )
            zoned = not any(reason.reason == RefusalReason.NO_ZONE for reason in reasons)
            found.append(
                LeadWhy(
                    campaign=names[row.campaign_id],
                    lead_id=row.lead_id,
                    number=row.e164,
                    at=at,
                    permitted=not reasons,
                    reasons=reasons,
                    next_at=each.next_permit(at),
                    zones=each.about.zones,
                    hours=hours_spoken(each.about, terms, at) if zoned else "",
                    profile=terms.profile,
                    profile_version=terms.version,
                    data=calendar.versions_spoken(),
                    in_hand_of=row.lease_owner,
                )
            )
        return found
