"""The hopper: hands out leads under a lease, asks the rules again at the moment of dialing, and takes leads back.

A lease is the durable intent to call. It is the id of the call to come, so a lead is in flight once; after a crash
the leases tell what was. Every method blocks; the engine calls them in executors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, text

from campaigns.config import CampaignConfig, parse
from campaigns.ids import as_uuid, leased_at, new_call_id
from campaigns.rules import Facts, is_open, may_call
from campaigns.values import InFlight, Lead, Permit, Refusal, RefusalReason

LEASE_S = (
    300.0  # outlives a database that is away for some minutes; a dead engine's leases are taken over at start
)

# Ready leads of a campaign in the order they became callable, in zones that are open now. The partial index
# lead_ready serves filter and order; SKIP LOCKED lets engines lease side by side.
LEASE = text("""
WITH picked AS (
    SELECT l.id FROM lead l
    WHERE l.campaign_id = :campaign AND l.open AND l.lease IS NULL AND l.next_at <= :now AND l.zones <@ :zones
    ORDER BY l.next_at, l.id
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
), given AS (
    SELECT p.id, i.lease FROM (SELECT id, row_number() OVER () AS place FROM picked) p
    JOIN unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS i (lease, place) USING (place)
), leased AS (
    UPDATE lead l SET lease = g.lease, lease_owner = :owner, lease_until = :until
    FROM given g WHERE l.id = g.id
    RETURNING l.id, l.lease, l.list_id, l.name, l.attributes, l.zones
)
SELECT leased.*, n.id AS number_id, n.e164, n.attempts FROM leased JOIN number n ON n.lead_id = leased.id
""")

RENEW = text(
    "UPDATE lead SET lease_until = :until WHERE lease = ANY(CAST(:ids AS uuid[])) AND lease_owner = :owner"
)

# A lead whose attempt is on record is not released: only its outcome takes the lease away. The leads are locked by a
# statement of its own, so that an attempt which was being recorded is seen by the next one's snapshot.
HOLD = text("SELECT id FROM lead WHERE lease = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")
RELEASE = text("""
UPDATE lead l SET lease = NULL, lease_owner = NULL, lease_until = NULL,
    next_at = GREATEST(l.next_at, COALESCE(CAST(:not_before AS timestamptz), l.next_at))
WHERE l.lease = ANY(CAST(:ids AS uuid[]))
    AND NOT EXISTS (SELECT FROM attempt a WHERE a.call_id = l.lease AND a.leased_at = ANY(:times))
""")

# Everything the rules want to know, fresh, with the leads locked until the attempts are on record.
FACTS = text("""
SELECT l.lease, l.id AS lead_id, l.campaign_id, l.zones, l.open, l.next_at, l.lease_owner = :owner AS ours,
    n.id AS number_id, n.attempts, x.until AS locked_until, d.e164 IS NOT NULL AS on_dnc, v.change, v.text
FROM lead l
JOIN number n ON n.lead_id = l.id
JOIN campaign c ON c.id = l.campaign_id
JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version
LEFT JOIN lock_out x ON x.e164 = n.e164
LEFT JOIN dnc d ON d.e164 = n.e164
WHERE l.lease = ANY(CAST(:ids AS uuid[]))
FOR UPDATE OF l, n
""")

DIALED = text("""
INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at)
SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:times AS timestamptz[]), CAST(:campaigns AS bigint[]),
    CAST(:leads AS bigint[]), CAST(:numbers AS bigint[]), CAST(:switches AS text[]),
    CAST(:owners AS text[]), CAST(:dialed AS timestamptz[]))
""")
COUNTED = text("UPDATE number SET attempts = attempts + 1 WHERE id = ANY(:numbers)")

# A refused lead goes back at once, not to come again before it may be called; or never, when it may not be.
REFUSED = text("""
UPDATE lead SET lease = NULL, lease_owner = NULL, lease_until = NULL, next_at = GREATEST(next_at, :until), open = :open
WHERE lease = :id
""")

IN_FLIGHT = text("""
SELECT l.lease, l.lease_owner, l.id, l.campaign_id, l.list_id, l.name, l.attributes, l.zones, n.id AS number_id,
    n.e164, n.attempts, a.call_id IS NOT NULL AS dialed, a.switch, a.connected_at, a.user_id
FROM lead l
JOIN number n ON n.lead_id = l.id
LEFT JOIN attempt a ON a.call_id = l.lease AND a.leased_at >= :oldest
WHERE l.lease IS NOT NULL AND (l.lease_owner = :owner OR l.lease_until < :now)
""")
TAKE_OVER = text("""
UPDATE lead SET lease_owner = :owner, lease_until = :until
WHERE lease IS NOT NULL AND (lease_owner = :owner OR lease_until < :now)
""")

OPEN_LEADS = text("SELECT count(*) FROM lead WHERE campaign_id = :campaign AND open")
ZONES = text("SELECT zone FROM campaign_zone WHERE campaign_id = :campaign")
CONFIG = text("""
SELECT v.change, v.text FROM campaign c JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version
WHERE c.id = :campaign
""")

OLDEST_CALL = timedelta(days=2)  # no call in flight is older: it bounds the partitions that are looked at


class Hopper:
    """The leads of all campaigns, for one engine named `owner`. Safe to use from several threads."""

    def __init__(self, engine: Engine, owner: str) -> None:
        self._engine = engine
        self._owner = owner
        self._configs: dict[int, CampaignConfig] = {}  # by number of change

    def lease(self, campaign_id: int, limit: int, now: datetime) -> list[Lead]:
        """Up to `limit` leads that may be called at `now`, leased for five minutes."""
        ids = [new_call_id(now) for _ in range(limit)]
        with self._engine.begin() as connection:
            row = connection.execute(CONFIG, {"campaign": campaign_id}).one()
            rules = self._config(row.change, row.text).rules
            zones = [r.zone for r in connection.execute(ZONES, {"campaign": campaign_id})]
            open_now = [zone for zone in zones if is_open(rules, zone, now)]
            if not open_now or not limit:
                return []
            rows = connection.execute(
                LEASE,
                {
                    "campaign": campaign_id,
                    "now": now,
                    "zones": open_now,
                    "limit": limit,
                    "ids": ids,
                    "owner": self._owner,
                    "until": now + timedelta(seconds=LEASE_S),
                },
            ).all()
        return [
            Lead(
                call_id=r.lease.hex,
                campaign_id=campaign_id,
                lead_id=r.id,
                number_id=r.number_id,
                number=r.e164,
                name=r.name,
                zones=tuple(r.zones),
                attempts=r.attempts,
                attributes=r.attributes,
                list_id=r.list_id,
            )
            for r in rows
        ]

    def renew(self, call_ids: Sequence[str], now: datetime) -> int:
        """Keep these leases; returns how many are still ours."""
        until = now + timedelta(seconds=LEASE_S)
        with self._engine.begin() as connection:
            values = {"ids": list(call_ids), "owner": self._owner, "until": until}
            return connection.execute(RENEW, values).rowcount

    def release(self, call_ids: Sequence[str], not_before: datetime | None = None) -> None:
        """Give leases back that were never dialed."""
        times = [leased_at(call_id) for call_id in call_ids]
        with self._engine.begin() as connection:
            connection.execute(HOLD, {"ids": list(call_ids)})
            connection.execute(RELEASE, {"ids": list(call_ids), "times": times, "not_before": not_before})

    def authorize(self, calls: Sequence[tuple[str, str]], now: datetime) -> Mapping[str, Permit | Refusal]:
        """Ask the rules about (call id, switch) pairs, at the moment of dialing.

        In one transaction the facts are read afresh, the permitted attempts recorded as dialed, and the refused
        leads given back. When this returns, what it says is durable.
        """
        switches = dict(calls)
        answers: dict[str, Permit | Refusal] = {
            call_id: Refusal(call_id, RefusalReason.LEASE_LOST, "the lease is gone") for call_id in switches
        }
        with self._engine.begin() as connection:
            rows = connection.execute(FACTS, {"ids": list(switches), "owner": self._owner}).all()
            permitted = []
            for row in rows:
                config = self._config(row.change, row.text)
                facts = Facts(
                    call_id=row.lease.hex,
                    zones=tuple(row.zones),
                    attempts=row.attempts,
                    next_at=row.next_at,
                    locked_until=row.locked_until,
                    on_dnc=row.on_dnc,
                    leased=row.ours,
                    open=row.open,
                )
                answer = answers[facts.call_id] = may_call(facts, config, now)
                if isinstance(answer, Permit):
                    permitted.append(row)
                else:
                    self._give_back(connection, answer, row.open, now)
            if permitted:
                self._record(connection, permitted, switches, now)
        return answers

    def in_flight(self, now: datetime) -> list[InFlight]:
        """What this engine, or one whose leases ran out, had in flight."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                IN_FLIGHT, {"owner": self._owner, "now": now, "oldest": now - OLDEST_CALL}
            ).all()
        return [
            InFlight(
                call_id=r.lease.hex,
                campaign_id=r.campaign_id,
                lead=Lead(
                    call_id=r.lease.hex,
                    campaign_id=r.campaign_id,
                    lead_id=r.id,
                    number_id=r.number_id,
                    number=r.e164,
                    name=r.name,
                    zones=tuple(r.zones),
                    attempts=r.attempts - 1 if r.dialed else r.attempts,
                    attributes=r.attributes,
                    list_id=r.list_id,
                ),
                owner=r.lease_owner,
                dialed=r.dialed,
                switch=r.switch or "",
                seat_user_id=r.user_id if r.connected_at is not None else None,
            )
            for r in rows
        ]

    def take_over(self, now: datetime) -> int:
        """Make the leases of :meth:`in_flight` ours."""
        values = {"owner": self._owner, "now": now, "until": now + timedelta(seconds=LEASE_S)}
        with self._engine.begin() as connection:
            return connection.execute(TAKE_OVER, values).rowcount

    def left(self, campaign_id: int) -> int:
        """Leads that the campaign has not finished with."""
        with self._engine.connect() as connection:
            return connection.execute(OPEN_LEADS, {"campaign": campaign_id}).scalar_one()

    # --- within -----------------------------------------------------------------------------------------------

    def _config(self, change: int, source: str) -> CampaignConfig:
        if change not in self._configs:
            if len(self._configs) > 1_000:
                self._configs.clear()
            self._configs[change] = parse(source, "applied version")
        return self._configs[change]

    def _give_back(self, connection: Connection, refusal: Refusal, still_open: bool, now: datetime) -> None:
        if refusal.reason is RefusalReason.LEASE_LOST:
            return
        never = refusal.reason in (RefusalReason.DNC, RefusalReason.ATTEMPTS, RefusalReason.NO_ZONE)
        connection.execute(
            REFUSED,
            {
                "id": as_uuid(refusal.call_id),
                "until": refusal.until or now,
                "open": still_open and not never,
            },
        )

    def _record(
        self, connection: Connection, rows: Sequence, switches: Mapping[str, str], now: datetime
    ) -> None:  # type: ignore[type-arg]
        ids = [r.lease.hex for r in rows]
        connection.execute(
            DIALED,
            {
                "ids": ids,
                "times": [leased_at(call_id) for call_id in ids],
                "campaigns": [r.campaign_id for r in rows],
                "leads": [r.lead_id for r in rows],
                "numbers": [r.number_id for r in rows],
                "switches": [switches[call_id] for call_id in ids],
                "owners": [self._owner] * len(ids),
                "dialed": [now] * len(ids),
            },
        )
        connection.execute(COUNTED, {"numbers": [r.number_id for r in rows]})
