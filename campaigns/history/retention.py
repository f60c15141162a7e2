"""How long what is kept, and the daily run that keeps to it: months move to files, and go when their class says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import structlog
from sqlalchemy import text

from campaigns.audit import let_go, write
from campaigns.history import months
from campaigns.history.archive import Job
from campaigns.history.files import Manifest, listed, quoted
from campaigns.history.holds import Hold, in_force
from campaigns.history.kinds import ATTEMPT, KINDS, SEAT_LOG, Kind
from campaigns.history.months import Month
from campaigns.history.person import LONGEST_CAP, UNCAPPED, resume
from campaigns.ids import LAST_LEASED_AT
from campaigns.partitions import bounds, month_of
from campaigns.reports.filed import settle

log = structlog.get_logger(__name__)

CLASSES = {"30d": timedelta(days=30), "5y": timedelta(days=5 * 365 + 2), "10y": timedelta(days=10 * 365 + 3)}
SHORTEST_LIVE = 2  # months: what a call, its wrap-up or a journal that was cut off may still write to
AT_ONCE = 5_000  # ids of leads that are looked through, and go, in one transaction
OUTSIDE = timedelta(days=90)  # calls of agents to numbers of their own choice
EVALUATED = timedelta(days=400)  # how far back evaluations look: `worth.days` of a campaign is 366 at most

LEAD_IDS = text("SELECT COALESCE(min(id), 1) AS first, COALESCE(max(id), 0) AS last FROM lead")
# Leads that are done, whose calls are all in the archive or gone, and which nobody holds or works on.
LEADS = text(f"""
SELECT l.id FROM lead l JOIN list i ON i.id = l.list_id
WHERE l.id >= :first AND l.id < :end AND NOT l.open AND l.lease IS NULL AND i.imported_at < :before
    AND (l.last_call IS NULL OR {LAST_LEASED_AT} < :before)
    AND NOT EXISTS (SELECT FROM attempt a WHERE a.lead_id = l.id)
    AND NOT EXISTS (SELECT FROM legal_hold h WHERE h.lifted_at IS NULL AND (h.campaign_id = l.campaign_id
        OR h.customer_id = l.customer_id
        OR h.e164 IN (SELECT n.e164 FROM number n WHERE n.lead_id = l.id)))
FOR UPDATE OF l SKIP LOCKED
""")
# Who was called stays known as long as their calls are kept.
REMEMBER = text(f"""
INSERT INTO archived_number (e164, campaign_id, customer_id, attempts, last_at)
SELECT n.e164, n.campaign_id, l.customer_id, n.attempts, {LAST_LEASED_AT} FROM lead l JOIN number n ON n.lead_id = l.id
WHERE l.id = ANY(:leads) AND l.last_call IS NOT NULL AND n.e164 LIKE '+%'
ON CONFLICT (e164, campaign_id) DO UPDATE SET attempts = archived_number.attempts + excluded.attempts,
    customer_id = COALESCE(excluded.customer_id, archived_number.customer_id),
    last_at = GREATEST(archived_number.last_at, excluded.last_at)
""")
FORGET = (
    text("DELETE FROM callback WHERE lead_id = ANY(:leads)"),
    text("DELETE FROM message WHERE lead_id = ANY(:leads)"),
    text("DELETE FROM list_change WHERE lead_id = ANY(:leads)"),
    text("DELETE FROM number WHERE lead_id = ANY(:leads)"),
    text("DELETE FROM lead WHERE id = ANY(:leads)"),
)
# A `party` of a row `c` that is on no list any more, and in no call that the archive remembers.
UNKNOWN = """NOT EXISTS (SELECT FROM number n WHERE n.e164 = c.party)
            AND NOT EXISTS (SELECT FROM lead l WHERE 'customer ' || l.customer_id = c.party)
            AND NOT EXISTS (SELECT FROM archived_number k WHERE k.e164 = c.party)
            AND NOT EXISTS (SELECT FROM archived_number k WHERE 'customer ' || k.customer_id = c.party)"""
UNHELD = """NOT EXISTS (SELECT FROM legal_hold h WHERE h.lifted_at IS NULL AND (h.campaign_id = c.campaign_id
                OR h.e164 = c.party OR 'customer ' || h.customer_id = c.party))"""
OLD = {
    "lock-outs": text("DELETE FROM lock_out WHERE until < :now"),
    "refusals' lock-outs": text("DELETE FROM refusal_lock WHERE until < :now"),
    "known numbers": text("""
        DELETE FROM archived_number k WHERE last_at < :calls AND NOT EXISTS (
            SELECT FROM legal_hold h WHERE h.lifted_at IS NULL
                AND (h.campaign_id = k.campaign_id OR h.e164 = k.e164 OR h.customer_id = k.customer_id))
    """),
    # Calls are counted for the caps of a party that somebody may still call, or called within the longest of them.
    "counted parties": text(f"""
        DELETE FROM called c WHERE {UNCAPPED} AND {UNKNOWN}
    """),
    "calls outside": text("""
        DELETE FROM outside_call c WHERE at < :outside AND NOT EXISTS (
            SELECT FROM legal_hold h WHERE h.lifted_at IS NULL
                AND (h.campaign_id = c.campaign_id OR h.e164 = c.number))
    """),
    # That somebody bought, was held out or was told a script says nothing any more when nobody knows them and no
    # evaluation looks so far back.
    "purchases": text("""
        DELETE FROM purchase p WHERE at < :beside
            AND NOT EXISTS (SELECT FROM lead l WHERE l.customer_id = p.customer_id)
            AND NOT EXISTS (SELECT FROM archived_number k WHERE k.customer_id = p.customer_id)
            AND NOT EXISTS (SELECT FROM legal_hold h WHERE h.lifted_at IS NULL AND h.customer_id = p.customer_id)
    """),
    "taken by segments": text(f"""
        DELETE FROM segment_member c USING segment_take t
        WHERE t.id = c.take_id AND t.taken_at < :beside AND {UNKNOWN} AND {UNHELD}
    """),
    "scripts tried": text(f"""
        DELETE FROM trial_member c WHERE at < :beside AND {UNKNOWN} AND {UNHELD}
            AND NOT EXISTS (SELECT FROM lead l WHERE 'lead ' || l.id = c.party)
    """),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """`live_months` whole months stay in the live tables; the classes tell when what goes for good."""

    live_months: int = 3
    calls: str = "5y"  # attempts and dispositions
    seats: str = "5y"  # the seat log
    leads: str = "5y"  # customers on lists, counted from the list's import or the last call
    audit: str = "10y"

    def kept(self, key: str) -> timedelta:
        return CLASSES[getattr(self, key)]


@dataclass(slots=True)
class Done:
    """What a run did."""

    archived: list[Manifest] = field(default_factory=list)
    expired: list[Manifest] = field(default_factory=list)
    held: list[Manifest] = field(default_factory=list)  # over their time, with rows that a hold keeps
    leads: int = 0
    audit: int = 0
    counted: int = 0  # half hours of archived months, for reports
    unerased: int = 0  # erasures that could not be brought to their end


def run(job: Job, policy: Policy, who: str, at: datetime) -> Done:
    """Do all that is due. May be killed and run again at any time."""
    done = Done(unerased=resume(job, at))
    today = at.date()
    kept_live = {m.month for m in job.months() if m.live_until is not None and m.live_until > today}
    for kind in KINDS.values():
        for month in sorted(job.tables(kind)):
            if month not in kept_live and _leaves(month, policy, kind, today):
                manifest = job.archive(kind, month, at)
                done.archived.append(manifest)
                with job.work.begin():
                    rows = f"{manifest.rows} rows"
                    write(job.work, "archived", f"{kind.table} {month:%Y-%m}", rows, at=at, who=who)
    done.counted = settle(job, at)
    for kind in reversed(KINDS.values()):  # what is held is found by a month's attempts: they go last
        for month in job.months():
            over = bounds(month.month)[1] + policy.kept(kind.keep) <= at
            if month.kind == kind.table and month.state == "archived" and over:
                _expire(job, kind, month, who, at, done)
    done.leads = _forget_leads(job, at - policy.kept("leads"))
    values = {
        "calls": at - policy.kept("calls"),
        "outside": at - OUTSIDE,
        "beside": at - max(policy.kept("leads"), EVALUATED),
        "caps": at - LONGEST_CAP,
        "now": at,
    }
    for statement in OLD.values():
        with job.work.begin():
            job.work.execute(statement, values)
    with job.work.begin():
        done.audit = let_go(job.work, at - policy.kept("audit"))
    return done


def _leaves(month: date, policy: Policy, kind: Kind, today: date) -> bool:
    """Whether a live month is old enough to move, or over its time before that."""
    if month > month_of(today, -SHORTEST_LIVE):
        return False
    over = bounds(month)[1].date() + policy.kept(kind.keep) <= today
    return over or month < month_of(today, -policy.live_months)


def _expire(job: Job, kind: Kind, month: Month, who: str, at: datetime, done: Done) -> None:
    """Let a month go, but for the rows that a hold covers."""
    manifest, file = month.manifest, quoted(job.files.path(month.manifest))
    with job.work.begin():
        holds = in_force(job.work)
    held = _held(job, kind, month, holds)
    keep = f"SELECT * FROM {file} WHERE {held}"
    [rows] = job.duck.execute(f"SELECT count(*) FROM ({keep})").fetchone() or (0,)
    if rows == manifest.rows and rows:
        done.held.append(manifest)
        return
    if rows:
        manifest = job.files.write(job.duck, manifest.layout, month.month, manifest.generation + 1, keep, at)
    with job.work.begin():
        months.set_state(job.work, manifest, "archived" if rows else "expired", at)
        subject = f"{kind.table} {month.month:%Y-%m}"
        write(job.work, "expired", subject, f"{rows} rows are held", at=at, who=who)
    (done.held if rows else done.expired).append(manifest)
    job.sweep()
    log.info("a month's time is over", kind=kind.table, month=f"{month.month:%Y-%m}", held=rows)


def _held(job: Job, kind: Kind, month: Month, holds: Sequence[Hold]) -> str:
    """A condition of DuckDB's for the rows of a month's file that a hold covers."""
    campaigns = listed(h.campaign_id for h in holds if h.campaign_id is not None)
    if kind.table == SEAT_LOG.table:
        return f"COALESCE(campaign_id IN ({campaigns}), false)"
    covered = (
        f"COALESCE(campaign_id IN ({campaigns}), false)"
        f" OR COALESCE(e164 IN ({listed(h.e164 for h in holds if h.e164)}), false)"
        f" OR COALESCE(customer_id IN ({listed(h.customer_id for h in holds if h.customer_id)}), false)"
    )
    if kind is ATTEMPT:
        return covered
    attempts = [m for m in job.manifests() if m.kind == ATTEMPT.table and m.month == month.month]
    if not attempts:
        return "false"
    return f"call_id IN (SELECT call_id FROM {quoted(job.files.path(attempts[0]))} WHERE {covered})"


def _forget_leads(job: Job, before: datetime) -> int:
    with job.work.begin():
        ids = job.work.execute(LEAD_IDS).one()
    count = 0
    for first in range(ids.first, ids.last + 1, AT_ONCE):
        with job.work.begin():
            values = {"before": before, "first": first, "end": first + AT_ONCE}
            leads = list(job.work.execute(LEADS, values).scalars())
            for statement in (REMEMBER, *FORGET) if leads else ():
                job.work.execute(statement, {"leads": leads})
        count += len(leads)
    return count
