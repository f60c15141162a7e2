"""The hopper: hands out leads under a lease, asks the rules again at the moment of dialing, and takes leads back.

A lease is the durable intent to call. It is the id of the call to come, so a lead is in flight once; after a crash
the leases tell what was. Every method blocks; the engine calls them in executors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, Engine, text

from campaigns import callbacks
from campaigns.caller_ids.choosing import Pools, pools_of
from campaigns.caller_ids.free import Free, free, rests
from campaigns.caller_ids.rotation import Party, Rotation
from campaigns.config import parse
from campaigns.ids import leased_at, new_call_ids
from campaigns.order import Mixer, Order, tiers
from campaigns.prepared import PLANNED, UNHURRIED, Prepared, array
from campaigns.rules import facts
from campaigns.rules.alike import Alike
from campaigns.rules.basis import Basis, bases_on_record, basis_of
from campaigns.rules.decision import DAYS_30, Facts, consent_of, may_call
from campaigns.rules.held import ANYONE_AT, HOLD_BACK
from campaigns.rules.known import on_record, parties
from campaigns.rules.terms import Terms, terms_of
from campaigns.values import Ask, InFlight, Lead, Permit, Refusal, RefusalReason

LEASE_S = (
    300.0  # outlives a database that is away for some minutes; a dead engine's leases are taken over at start
)

# Ready leads in zones that are open now, with all of their numbers: of each of these lanes so many at most, by rank and
# by the time at which they became callable. The partial index lead_ready serves filter and order: it is looked into
# once for each rank of a lane. SKIP LOCKED lets engines lease side by side.
PICK = Prepared(
    "pick",
    "bigint, timestamptz, text[], smallint[], int[], int, bigint",
    f"""
WITH picked AS MATERIALIZED (
    SELECT r.* FROM unnest($4, $5) AS q (lane, quota) CROSS JOIN LATERAL (
        SELECT l.* FROM lead l
        WHERE l.campaign_id = $1 AND l.lane = q.lane AND l.open AND l.lease IS NULL AND l.next_at <= $2
            AND l.zones <@ $3
        ORDER BY l.rank, l.next_at, l.id
        LIMIT q.quota
        FOR UPDATE SKIP LOCKED
    ) r
    LIMIT $6
)
SELECT {facts.columns("$7", "l.place")} FROM (SELECT *, row_number() OVER () AS place FROM picked) l {facts.NUMBERS}
""",
)
LEASE = Prepared(
    "lease",
    "uuid[], bigint[], bigint[], text, timestamptz, timestamptz",
    """
UPDATE lead l SET lease = g.lease, lease_number = g.number, lease_owner = $4, lease_until = $5, ready_at = NULL,
    next_at = LEAST(l.next_at, $6)
FROM unnest($1, $2, $3) AS g (lease, lead, number) WHERE l.id = g.lead
""",
)
RENEW = text(
    "UPDATE lead SET lease_until = :until WHERE lease = ANY(CAST(:ids AS uuid[])) AND lease_owner = :owner"
)

# A lead whose attempt is on record is not released: only its outcome takes the lease away. The leads are locked by a
# statement of its own, so that an attempt which was being recorded is seen by the next one's snapshot.
HOLD = text("SELECT id FROM lead WHERE lease = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")
RELEASE = text(f"""
UPDATE lead l SET lease = NULL, lease_owner = NULL, lease_until = NULL,
    next_at = GREATEST(l.next_at, COALESCE(CAST(:not_before AS timestamptz), l.next_at), {ANYONE_AT})
WHERE l.lease = ANY(CAST(:ids AS uuid[]))
    AND NOT EXISTS (SELECT FROM attempt a WHERE a.call_id = l.lease AND a.leased_at = ANY(:times))
""")

DIALED = text("""
INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at, basis_id,
    consent_id, caller_id)
SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:times AS timestamptz[]), CAST(:campaigns AS bigint[]),
    CAST(:leads AS bigint[]), CAST(:numbers AS bigint[]), CAST(:switches AS text[]),
    CAST(:owners AS text[]), CAST(:dialed AS timestamptz[]), CAST(:bases AS bigint[]),
    CAST(:consents AS bigint[]), CAST(:caller_ids AS text[]))
""")
COUNTED = text("UPDATE number SET attempts = attempts + 1 WHERE id = ANY(:numbers)")

IN_FLIGHT = text("""
SELECT l.lease, l.lease_owner, l.id, l.campaign_id, l.list_id, l.customer_id, l.name, l.attributes, l.zones,
    n.id AS number_id, n.e164, n.attempts, a.call_id IS NOT NULL AS dialed, a.switch, a.connected_at, a.user_id
FROM lead l
JOIN number n ON n.lead_id = l.id AND n.id = COALESCE(l.lease_number, n.id)
LEFT JOIN attempt a ON a.call_id = l.lease AND a.leased_at >= :oldest
WHERE l.lease IS NOT NULL AND (l.lease_owner = :owner OR l.lease_until < :now)
""")
TAKE_OVER = text("""
UPDATE lead SET lease_owner = :owner, lease_until = :until
WHERE lease IS NOT NULL AND (lease_owner = :owner OR lease_until < :now)
""")

OPEN_LEADS = text("SELECT count(*) FROM lead WHERE campaign_id = :campaign AND open")
LANES = text(
    "SELECT DISTINCT ON (lane) lane, name FROM list WHERE campaign_id = :campaign ORDER BY lane, id DESC"
)
ZONES = text("SELECT zone FROM campaign_zone WHERE campaign_id = :campaign")
NEWEST = text("""
SELECT v.change FROM campaign c JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version
WHERE c.id = :campaign
""")

VERSIONS = text("""
SELECT v.change, v.version, v.text, c.name FROM campaign_version v JOIN campaign c ON c.id = v.campaign_id
WHERE v.change = ANY(:changes)
""")

CALLBACKS_FIRST = {facts.CALLBACKS: 1.0}
ROUNDS = 4  # of picking leads at one time, while the rules refuse what is picked
# As many more are picked as are missing, by the share that the rules permitted, and a few to spare.
MOST_PICKED, SPARE, LEAST_SHARE = 2_000, 20, 0.05
MOST_BASES, MOST_VERSIONS = 10_000, 1_000  # kept in memory
# When a lead comes again that waits for something other than time.
RELOOK = {
    RefusalReason.CONSENT: timedelta(hours=1),
    RefusalReason.WINDOW: timedelta(hours=1),
    RefusalReason.IN_CALL: timedelta(seconds=30),
}
# What closes a lead, where there is no instant at which it ends.
NEVER = frozenset(
    {
        RefusalReason.DNC,
        RefusalReason.ATTEMPTS,
        RefusalReason.NUMBER_DONE,
        RefusalReason.NO_ZONE,
        RefusalReason.CAP_LIFE,
    }
)
REMEMBERED = DAYS_30 + timedelta(days=1)  # how long the calls to a party are kept one by one
OLDEST_CALL = timedelta(days=2)  # no call in flight is older: it bounds the partitions that are looked at


class Hopper:
    """The leads of all campaigns, for one engine named `owner`. Safe to use from several threads."""

    def __init__(self, engine: Engine, owner: str) -> None:
        self._engine = engine
        self._owner = owner
        self._known = KnownTerms()
        self._rotation = Rotation(owner)
        self._bases: dict[Basis, int] = {}
        self._mixers: dict[int, Mixer] = {}

    def lease(self, campaign_id: int, limit: int, now: datetime) -> list[Lead]:
        """Up to `limit` leads that may be called at `now`, leased for five minutes.

        The rules are asked about each lead that is picked. What they refuse is put off for as long as they say, so it
        is not picked again; for what they refuse others are picked, up to :data:`ROUNDS` times.
        """
        leads: list[Lead] = []
        with self._engine.begin() as connection:
            change = connection.execute(NEWEST, {"campaign": campaign_id}).scalar_one()
            terms = self._known.of(connection, [change])[change]
            zones = [r.zone for r in connection.execute(ZONES, {"campaign": campaign_id})]
            open_now = [zone for zone in zones if terms.opening((), (zone,), now).open]
            if not open_now or not terms.running:
                return []
            numbers = free(connection, self._known.pools(change))
            if numbers.none_is(now):
                return []
            lanes = {r.lane: r.name for r in connection.execute(LANES, {"campaign": campaign_id})}
            connection.execute(callbacks.EXPIRED, {"campaign": campaign_id, "now": now})
            connection.exec_driver_sql(UNHURRIED)
            for weights in (CALLBACKS_FIRST, *tiers(self._known.order(change), lanes)):
                if len(leads) < limit:
                    leads += self._lease_of(
                        connection, campaign_id, change, numbers, weights, limit - len(leads), open_now, now
                    )
        return leads

    def lease_callbacks(self, campaign_id: int, users: Sequence[int], now: datetime) -> list[Lead]:
        """The personal callbacks that are due of these persons, one for each of them, as far as the rules permit.

        Asked again, it gives each of them the next one. What the rules refuse waits for its person until it goes to
        anyone; the answer to whether it may be called is asked for anew each time.
        """
        with self._engine.begin() as connection:
            change = connection.execute(NEWEST, {"campaign": campaign_id}).scalar_one()
            terms = self._known.of(connection, [change])[change]
            if not terms.running:
                return []
            connection.exec_driver_sql(UNHURRIED)
            found = callbacks.OF_PERSONS.run(connection, campaign_id, now, list(users), change)
            width = len(facts.LeadRow._fields)
            persons = {row[0]: row[width] for row in found}
            # For its person the lead is ready since the callback is due.
            rows = [facts.LeadRow._make(row[:width])._replace(next_at=row[width + 1]) for row in found]
            rows = _mixed(rows, {0: len(rows)})
            numbers = free(connection, self._known.pools(change))
            leads = self._lease_permitted(connection, rows, len(rows), change, numbers, now, put_off=False)
        return [msgspec.structs.replace(lead, user_id=persons[lead.lead_id]) for lead in leads]

    def coming_callbacks(
        self, campaign_id: int, users: Sequence[int], now: datetime, until: datetime
    ) -> list[callbacks.Coming]:
        """The personal callbacks of these persons that are due by `until`."""
        with self._engine.connect() as connection:
            return callbacks.coming(connection, campaign_id, users, now, until)

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
            if not_before is not None:
                connection.execute(callbacks.PUT_OFF, {"ids": list(call_ids), "not_before": not_before})
            connection.execute(RELEASE, {"ids": list(call_ids), "times": times, "not_before": not_before})

    def authorize(self, calls: Sequence[Ask], now: datetime) -> Mapping[str, Permit | Refusal]:
        """Ask the rules about calls, at the moment of dialing.

        In one transaction the facts are read afresh, the permitted attempts recorded as dialed, and the refused
        leads given back. When this returns, what it says is durable.
        """
        asked_for = {call.call_id: call for call in calls}
        ids = list(asked_for)
        answers: dict[str, Permit | Refusal] = {
            call_id: Refusal(call_id, RefusalReason.LEASE_LOST, "the lease is gone") for call_id in ids
        }
        with self._engine.begin() as connection:
            connection.exec_driver_sql(PLANNED)
            held = connection.execute(facts.HOLD, {"ids": ids}).all()
            names = sorted({p for row in held for p in parties(row.e164, row.customer_id)})
            connection.execute(facts.HOLD_PARTIES, {"parties": names})
            place = {
                call_id: at for at, call_id in enumerate(ids)
            }  # what is left goes to whoever asked first
            rows = sorted(facts.of_leases(connection, ids), key=lambda row: place[row.call_id])
            known = self._known.of(connection, [row.change for row in rows])
            attempts, record = facts.attempts_of(rows), on_record(connection, rows)
            parties_of = {
                row.call_id: Party(self._known.pools(row.change), row.region, row.e164, row.customer_id)
                for row in rows
                if row.lease_number in (None, row.number_id)
            }
            turn = self._rotation.hold(connection, parties_of.values(), now)
            permitted, refused, found = [], [], self._bases
            shown: dict[str, str] = {}  # caller-IDs by call
            theirs: dict[int, set[str]] = {}  # all numbers, and the customer, by lead
            for row in rows:
                theirs.setdefault(row.lead_id, set()).update(parties(row.e164, row.customer_id))
            in_call, ringing = record.in_call(rows), set[str]()
            just: dict[str, list[tuple[datetime, int]]] = {}
            for row in rows:
                if row.lease_number not in (None, row.number_id):
                    continue  # another number of the lead's
                ours = row.lease_owner == self._owner
                busy = row.lead_id in in_call or not ringing.isdisjoint(theirs[row.lead_id])
                about = facts.facts_of(
                    row, record.of(row), attempts[row.lead_id], row.call_id, ours, busy, just
                )
                answer = may_call(about, known[row.change], now)
                if isinstance(answer, Permit):
                    answer = _shown(answer, turn.take(parties_of[about.call_id], now))
                answers[about.call_id] = answer
                if isinstance(answer, Permit):
                    shown[about.call_id] = answer.caller_id
                    permitted.append((row, about, known[row.change]))
                    ringing |= theirs[row.lead_id]
                    for party in parties(row.e164, row.customer_id):
                        just.setdefault(party, []).append((now, row.campaign_id))
                elif answer.reason is not RefusalReason.LEASE_LOST:
                    refused.append((row.lead_id, answer))
            self._put_off(connection, refused, now)
            if permitted:
                wanted = {basis_of(about, terms, row.change, now) for row, about, terms in permitted}
                found = self._bases | bases_on_record(connection, wanted - self._bases.keys())
                self._record(connection, permitted, theirs, asked_for, shown, found, now)
                turn.keep(connection)
        self._bases = (
            found if len(found) < MOST_BASES else {}
        )  # only now: a transaction that fails leaves nothing
        self._rotation.settled()
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
                    customer_id=r.customer_id or "",
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

    def _lease_of(
        self,
        connection: Connection,
        campaign_id: int,
        change: int,
        numbers: Free,
        weights: Mapping[int, float],
        limit: int,
        zones: Sequence[str],
        now: datetime,
    ) -> list[Lead]:
        """Lease up to `limit` leads of lanes of one priority; a lane that has no more gives its share to the others."""
        mixer = self._mixers.setdefault(campaign_id, Mixer())
        leads: list[Lead] = []
        full, wanted = dict(weights), limit
        for _ in range(ROUNDS + len(weights)):
            if len(leads) >= limit or not full:
                break
            quotas = mixer.shares(full, wanted)
            lanes, most = array(quotas), array(quotas.values())
            picked = PICK.run(connection, campaign_id, now, list(zones), lanes, most, wanted, change)
            rows = _mixed([facts.LeadRow._make(row) for row in picked], quotas)
            permitted = self._lease_permitted(connection, rows, limit - len(leads), change, numbers, now)
            leads += permitted
            found = Counter({row.lead_id: row.lane for row in rows}.values())
            full = {lane: weight for lane, weight in full.items() if found[lane] >= quotas[lane]}
            share = max(len(permitted) / max(found.total(), 1), LEAST_SHARE)
            wanted = min(MOST_PICKED, int((limit - len(leads)) / share) + SPARE)
        return leads

    def _lease_permitted(
        self,
        connection: Connection,
        rows: list[facts.LeadRow],
        limit: int,
        change: int,
        numbers: Free,
        now: datetime,
        put_off: bool = True,
    ) -> list[Lead]:
        """Lease up to `limit` of the leads that were picked and are locked, in their order."""
        rules, attempts = Alike(self._known.terms(change), now), facts.attempts_of(rows)
        record = on_record(connection, rows)
        in_call = record.in_call(rows)
        permitted: dict[int, facts.LeadRow] = {}
        refused = []
        for row in rows:
            if len(permitted) == limit:
                break
            if row.lead_id in permitted:
                continue
            answer = rules.ask(row, record.of(row), attempts[row.lead_id], row.lead_id in in_call)
            if isinstance(answer, Permit):
                until = numbers.until(row.region, row.e164, row.customer_id, now)
                answer = answer if until is None else rests("", until)
            if isinstance(answer, Permit):
                permitted[row.lead_id] = row
            else:
                refused.append((row.lead_id, answer))
        if put_off:
            self._put_off(connection, [each for each in refused if each[0] not in permitted], now)
        if not permitted:
            return []
        call_ids = new_call_ids(now, len(permitted))
        LEASE.run(
            connection,
            array(call_ids),
            array(permitted),
            array([row.number_id for row in permitted.values()]),
            self._owner,
            now + timedelta(seconds=LEASE_S),
            now,
        )
        return [
            Lead(
                call_id=call_id,
                campaign_id=row.campaign_id,
                lead_id=row.lead_id,
                number_id=row.number_id,
                number=row.e164,
                name=row.name,
                zones=tuple(row.zones),
                attempts=row.attempts,
                attributes=msgspec.json.decode(row.attributes),
                list_id=row.list_id,
                customer_id=row.customer_id or "",
            )
            for call_id, row in zip(call_ids, permitted.values(), strict=True)
        ]

    def _put_off(self, connection: Connection, refused: Sequence[tuple[int, Refusal]], now: datetime) -> None:
        """Give refused leads back, not before the rules may permit them; those that they never will are closed.

        A lead with several refusals, one for each number, comes again when the first of them may end.
        """
        if not refused:
            return
        held: dict[int, tuple[bool, datetime]] = {}  # closed, and until when
        for lead_id, r in refused:
            closed = r.until is None and r.reason in NEVER
            until = r.until or now + RELOOK.get(r.reason, timedelta())
            held[lead_id] = min(held.get(lead_id, (closed, until)), (closed, until))
        values = {
            "leads": list(held),
            "untils": [until for _, until in held.values()],
            "opens": [not closed for closed, _ in held.values()],
        }
        connection.execute(HOLD_BACK, values)

    def _record(
        self,
        connection: Connection,
        permitted: Sequence[tuple[facts.LeadRow, Facts, Terms]],
        theirs: Mapping[int, set[str]],
        asked: Mapping[str, Ask],
        shown: Mapping[str, str],
        bases: Mapping[Basis, int],
        now: datetime,
    ) -> None:
        rows = [row for row, _, _ in permitted]
        ids = [r.call_id for r in rows]
        connection.execute(
            DIALED,
            {
                "ids": ids,
                "times": [leased_at(call_id) for call_id in ids],
                "campaigns": [r.campaign_id for r in rows],
                "leads": [r.lead_id for r in rows],
                "numbers": [r.number_id for r in rows],
                "switches": [asked[call_id].switch for call_id in ids],
                "owners": [self._owner] * len(ids),
                "dialed": [now] * len(ids),
                "bases": [bases[basis_of(about, terms, row.change, now)] for row, about, terms in permitted],
                "consents": [consent_of(about, now) for _, about, _ in permitted],
                "caller_ids": [shown[call_id] for call_id in ids],
            },
        )
        connection.execute(COUNTED, {"numbers": [r.number_id for r in rows]})
        called = [(party, row) for row in rows for party in theirs[row.lead_id]]
        values = {
            "parties": [party for party, _ in called],
            "campaigns": [row.campaign_id for _, row in called],
            "ids": [row.call_id for _, row in called],
            "calls": [int(party in parties(row.e164, row.customer_id)) for party, row in called],
            "now": now,
            "oldest": now - REMEMBERED,
        }
        connection.execute(facts.COUNT_CALLS, values)


def _mixed(rows: list[facts.LeadRow], quotas: Mapping[int, int]) -> list[facts.LeadRow]:
    """What was picked in the order of calling: lanes in turn, by their quotas, each in its own order.

    Of a lead's numbers the one with the fewest attempts comes first, then the one that the list has first.
    """
    if len(quotas) == 1:
        return sorted(rows, key=lambda row: (row.place, row.attempts, row.ordinal, row.number_id))
    turns: dict[int, float] = {}
    taken = Counter[int]()
    for row in sorted(rows, key=lambda row: row.place):
        if row.lead_id not in turns:
            turns[row.lead_id] = (taken[row.lane] + 0.5) / quotas[row.lane]
            taken[row.lane] += 1
    return sorted(
        rows, key=lambda row: (turns[row.lead_id], row.place, row.attempts, row.ordinal, row.number_id)
    )


def _shown(permit: Permit, found: str | datetime) -> Permit | Refusal:
    """The permit with the number that the customer is shown, or when there will be one."""
    return replace(permit, caller_id=found) if isinstance(found, str) else rests(permit.call_id, found)


class KnownTerms:
    """The terms of campaigns' versions, by number of change: a version never changes, so each is read once."""

    def __init__(self) -> None:
        self._terms: dict[int, Terms] = {}
        self._orders: dict[int, Order] = {}
        self._pools: dict[int, Pools] = {}

    def terms(self, change: int) -> Terms:
        """The terms of a version that were asked for."""
        return self._terms[change]

    def order(self, change: int) -> Order:
        """In which order leads are called, of a version whose terms were asked for."""
        return self._orders[change]

    def pools(self, change: int) -> Pools:
        """The caller-IDs of such a version."""
        return self._pools[change]

    def of(self, connection: Connection, changes: Iterable[int]) -> Mapping[int, Terms]:
        """The terms of these versions at least. Raises :class:`campaigns.config.ConfigError`."""
        known, missing = self._terms, set(changes) - self._terms.keys()
        if missing:
            if len(known) > MOST_VERSIONS:
                known, missing = {}, set(changes)
            for row in connection.execute(VERSIONS, {"changes": list(missing)}):
                config = parse(row.text, f"campaign {row.name}, version {row.version}")
                self._orders[row.change] = config.order
                known[row.change] = terms_of(config.rules, config.running)
                self._pools[row.change] = pools_of(config)
            self._terms = known
        return known
