"""Calls that are announced: customers are told in the campaign's order, and their leads wait for it, never for good.

A list that is loaded while its campaign has such a step puts its leads below lane 0, where the hopper does not look: so
what waits costs a lease nothing. From there a lead goes to its list's own lane when its announcement was sent, to be
called so long after it, or when there will be none. Only as many are told as the step lets be ahead of their calls: a
list is not told at once what happens to its end in weeks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row, text

from campaigns import lanes
from campaigns.caller_ids.free import free
from campaigns.config import ConfigError
from campaigns.hopper import PICK
from campaigns.judging import hold_back, judged
from campaigns.messages.keys import BEFORE, MessageStep
from campaigns.order import Mixer, mixed, tiers
from campaigns.prepared import PLANNED, array
from campaigns.rules import facts
from campaigns.versions import KnownTerms

log = structlog.get_logger(__name__)

GIVE_UP = timedelta(days=1)  # after it was due: then the call comes without
FORGOTTEN = timedelta(days=7)  # after that a call that was announced and did not come is none that is ahead
MOST = 500  # leads told of at one look
ROUNDS = 4  # of picking leads, while the rules refuse what is picked
CHUNK = 5_000  # leads let go at a time, of a campaign that announces no more
ALONE = 0x7A68_616E  # "zhan": the first half of the key that a look locks

CAMPAIGNS = text(f"""
SELECT c.id, c.name, v.change, ARRAY(SELECT zone FROM campaign_zone WHERE campaign_id = c.id) AS zones, ARRAY(
        SELECT ARRAY[lane::text, ({lanes.NAME})] FROM ({lanes.with_leads("c.id", "<")}) w
    ) AS lanes
FROM campaign c JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version
WHERE c.id IN (SELECT campaign_id FROM list WHERE announces) ORDER BY c.id
""")
LOCK = text("SELECT pg_try_advisory_xact_lock(:key, CAST(:campaign AS int))")
UNCALLED = f"m.campaign_id = :campaign AND m.event = '{BEFORE}' AND m.call_id IS NULL AND m.due_at > :since"
# Also where no engine has the channel. What an engine is at, it ends.
EXPIRED = text(f"""
UPDATE message SET state = 'not_sent', reason = 'given_up', next_at = :now WHERE id IN (
    SELECT m.id FROM message m WHERE {UNCALLED} AND m.due_at <= :given_up AND m.state IN ('waiting', 'sending')
        AND (m.state = 'waiting' OR m.next_at <= :now)
    FOR UPDATE SKIP LOCKED)
""")
# Whom a step holds out is called as late as those who are told: both are alike in all else.
SETTLED = text(f"""
UPDATE lead l SET lane = -l.lane, ready_at = NULL, next_at = w.at FROM (
    SELECT w.id, m.at FROM (
        SELECT m.lead_id, CASE WHEN m.state = 'sent' THEN m.sent_at + make_interval(secs => :before)
            WHEN m.reason = 'held_out' THEN m.next_at + make_interval(secs => :before) ELSE m.due_at END AS at
        FROM message m WHERE {UNCALLED} AND m.state IN ('sent', 'not_sent', 'failed')
    ) m JOIN lead w ON w.id = m.lead_id WHERE w.lane < 0 FOR UPDATE OF w SKIP LOCKED
) w WHERE l.id = w.id
""")
AHEAD = text(f"""
SELECT count(*) FROM message m JOIN lead l ON l.id = m.lead_id
WHERE {UNCALLED} AND m.state IN ('waiting', 'sending', 'sent') AND l.open AND l.last_call IS NULL
""")
# Those first that are called first.
LET_GO = text("""
UPDATE lead SET lane = -lane WHERE id IN (
    SELECT r.id FROM unnest(CAST(:lanes AS smallint[])) AS q (lane) CROSS JOIN LATERAL (
        SELECT l.id FROM lead l WHERE l.campaign_id = :campaign AND l.lane = q.lane AND l.open AND l.lease IS NULL
        ORDER BY l.rank, l.next_at, l.id LIMIT :limit FOR UPDATE SKIP LOCKED
    ) r)
""")
# Leads below lane 0 that were called after all, or told of long ago, by whichever step.
TOLD = text(f"""
SELECT l.id, l.last_call IS NOT NULL OR m.due_at <= :since AS done FROM lead l
LEFT JOIN message m ON m.lead_id = l.id AND m.event = '{BEFORE}'
WHERE l.id = ANY(:leads) AND (l.last_call IS NOT NULL OR m.id IS NOT NULL)
""")
NOT_WAITING = text("UPDATE lead SET lane = -lane WHERE id = ANY(:leads)")
WAITING = text("UPDATE lead SET next_at = :until, ready_at = NULL WHERE id = ANY(:leads)")
DUE = text(f"""
INSERT INTO message (campaign_id, step, channel, lead_id, number_id, event, due_at, next_at)
SELECT :campaign, :step, :channel, lead, number, '{BEFORE}', :now, :now
FROM unnest(CAST(:leads AS bigint[]), CAST(:numbers AS bigint[])) AS t (lead, number)
ON CONFLICT (campaign_id, step, lead_id) DO NOTHING
""")


class Announcer:
    """The announced calls of one database. One look at a campaign at a time, over all engines. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known = KnownTerms()
        self._mixers: dict[int, Mixer] = {}

    def look(self, now: datetime) -> int:
        """Let leads go whose wait is over, and have customers told who may be; returns how many."""
        with self._engine.connect() as connection:
            campaigns = connection.execute(CAMPAIGNS).all()
        return sum(self._campaign(each, now) for each in campaigns)

    # --- within -----------------------------------------------------------------------------------------------

    def _campaign(self, campaign: Row[Any], now: datetime) -> int:
        with self._engine.begin() as connection:
            if not connection.execute(LOCK, {"key": ALONE, "campaign": campaign.id}).scalar_one():
                return 0  # another engine is at it
            try:
                terms = self._known.of(connection, [campaign.change])[campaign.change]
            except ConfigError as fault:
                log.warning("nothing is announced", campaign=campaign.name, reason=str(fault))
                return 0
            announced = self._known.announced(campaign.change)
            values = {
                "campaign": campaign.id,
                "now": now,
                "since": now - FORGOTTEN,
                "given_up": now - GIVE_UP,
                "before": announced.step.before_call_s if announced else 0.0,
            }
            connection.execute(EXPIRED, values)
            connection.execute(SETTLED, values)
            names = {int(lane): name for lane, name in campaign.lanes}
            if announced is None:
                connection.execute(LET_GO, values | {"lanes": list(names), "limit": CHUNK})
                return 0
            step = announced.step
            zones = announced.terms.open_among(terms.open_among(campaign.zones, now), now)
            room = min(step.ahead - connection.execute(AHEAD, values).scalar_one(), MOST)
            if room <= 0 or not zones or not terms.running:
                return 0
            told = 0
            connection.exec_driver_sql(PLANNED)
            mixer = self._mixers.setdefault(campaign.id, Mixer())
            for weights in tiers(self._known.order(campaign.change), names):
                full = dict(weights)
                for _ in range(ROUNDS + len(weights)):
                    if told >= room or not full:
                        break
                    quotas = mixer.shares(full, room - told)
                    more, found = self._tell(connection, campaign, step, quotas, zones, now)
                    told += more
                    full = {lane: weight for lane, weight in full.items() if found[lane] >= quotas[lane]}
            return told

    def _tell(
        self,
        connection: Connection,
        campaign: Row[Any],
        step: MessageStep,
        quotas: Mapping[int, int],
        zones: Sequence[str],
        now: datetime,
    ) -> tuple[int, Counter[int]]:
        """Have so many leads of each lane told of; how many will be, and how many were looked at by lane."""
        limit = sum(quotas.values())
        picked = PICK.run(
            connection,
            campaign.id,
            now,
            list(zones),
            array(quotas),
            array(quotas.values()),
            limit,
            campaign.change,
        )
        rows = mixed([facts.LeadRow._make(row) for row in picked], quotas)
        lane_of = {row.lead_id: row.lane for row in rows}
        leads, found = list(lane_of), Counter(lane_of.values())
        known = connection.execute(TOLD, {"leads": leads, "since": now - FORGOTTEN}).all()
        done = {row.id for row in known if row.done}
        waiting = {row.id for row in known} - done
        rows = [row for row in rows if row.lead_id not in done | waiting]
        numbers = free(connection, self._known.pools(campaign.change))
        permitted, refused = judged(connection, self._known, rows, rows, limit, campaign.change, numbers, now)
        hold_back(connection, [each for each in refused if each[0] not in permitted], now)
        values = {
            "campaign": campaign.id,
            "step": step.code,
            "channel": step.channel,
            "now": now,
            "leads": list(permitted),
            "numbers": [row.number_id for row in permitted.values()],
        }
        connection.execute(DUE, values)
        connection.execute(NOT_WAITING, {"leads": list(done)})
        connection.execute(WAITING, {"leads": [*waiting, *permitted], "until": now + FORGOTTEN})
        return len(permitted), found
