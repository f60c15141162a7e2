"""The hopper: hands out leads under a lease, asks the rules again at the moment of dialing, and takes leads back.

A lease is the durable intent to call. It is the id of the call to come, so a lead is in flight once; after a crash
the leases tell what was. Every method blocks; the engine calls them in executors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, Engine, text

from campaigns import by_hand, callbacks, called_in, lanes, outside
from campaigns.caller_ids.free import Free, free, rests
from campaigns.caller_ids.rotation import Party, Rotation
from campaigns.dialed import Dialed, record
from campaigns.ids import new_call_ids
from campaigns.judging import RELOOK, for_good, hold_back, judged
from campaigns.leases import LEASE_S, Leases, lead_of_row
from campaigns.order import Mixer, mixed, tiers
from campaigns.ownership import held as still_held
from campaigns.prepared import UNHURRIED, Prepared, array
from campaigns.rules import facts
from campaigns.rules.basis import Basis, bases_on_record
from campaigns.rules.decision import may_call
from campaigns.rules.known import on_record, parties
from campaigns.trials.assigning import assign, party_of
from campaigns.values import Ask, Lead, OutsideCaller, Permit, Refusal, RefusalReason
from campaigns.versions import KnownTerms

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
SELECT {facts.columns("$7", "l.place", "NULL::timestamptz")}
FROM (SELECT *, row_number() OVER () AS place FROM picked) l {facts.NUMBERS}
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
# Of the foremost leads of these lanes those in a zone that is closed, put off until it opens: else each lease of the
# evening would walk past all that the day has left there. A new version of the rules waits, and lets them go again.
PUT_OFF = Prepared(
    "put_off",
    "bigint, timestamptz, smallint[], int, text[], timestamptz[], bigint",
    """
WITH goes_by AS MATERIALIZED (
    SELECT FROM campaign c JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version
    WHERE c.id = $1 AND v.change = $7 FOR SHARE OF c
)
UPDATE lead l SET ready_at = COALESCE(l.ready_at, l.next_at), next_at = COALESCE(
    (SELECT max(z.opens_at) FROM unnest($5, $6) AS z (zone, opens_at) WHERE z.zone = ANY(l.zones)), l.next_at)
WHERE EXISTS (SELECT FROM goes_by) AND l.id = ANY(ARRAY(
    SELECT c.id FROM lead c
    WHERE c.open AND c.lease IS NULL AND c.next_at <= $2 AND c.id = ANY(ARRAY(
        SELECT f.id FROM unnest($3) AS q (lane) CROSS JOIN LATERAL (
            SELECT r.id, r.zones FROM lead r
            WHERE r.campaign_id = $1 AND r.lane = q.lane AND r.open AND r.lease IS NULL AND r.next_at <= $2
            ORDER BY r.rank, r.next_at, r.id
            LIMIT $4
        ) f
        WHERE f.zones && $5
    ))
    FOR UPDATE SKIP LOCKED
))
""",
)
# What a lease goes by: the campaign's version now, the zones of its leads, the lanes that have any with their lists'
# names, whether callbacks are over that nobody made, and whether leads that wait for one are ready: mostly none are.
STANDING = Prepared(
    "standing",
    "bigint, timestamptz",
    f"""
SELECT v.change, ARRAY(SELECT zone FROM campaign_zone WHERE campaign_id = c.id), ARRAY(
        SELECT ARRAY[lane::text, ({lanes.NAME})] FROM ({lanes.with_leads("$1")}) w
    ),
    EXISTS (SELECT FROM callback WHERE campaign_id = c.id AND done_at IS NULL AND due_at <= $2 AND expires_at <= $2),
    EXISTS (SELECT FROM lead WHERE campaign_id = c.id AND lane = {facts.CALLBACKS} AND open AND lease IS NULL
        AND next_at <= $2)
FROM campaign c JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version WHERE c.id = $1
""",
    UNHURRIED,
)
# Asked so that the two indexes of open leads can answer: of a list of years most are finished.
OPEN_LEADS = text("""
SELECT (SELECT count(*) FROM lead WHERE campaign_id = :campaign AND open AND lease IS NULL)
    + (SELECT count(*) FROM lead WHERE campaign_id = :campaign AND open AND lease IS NOT NULL)
""")
NEWEST = text("""
SELECT v.change FROM campaign c JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version
WHERE c.id = :campaign
""")

CALLBACKS_FIRST = {facts.CALLBACKS: 1.0}
ANOTHERS = "another engine has the campaign"
ROUNDS = 4  # of picking leads at one time, while the rules refuse what is picked
# As many more are picked as are missing, by the share that the rules permitted, and a few to spare.
MOST_PICKED, SPARE, LEAST_SHARE = 2_000, 20, 0.05
MOST_BASES = 10_000  # kept in memory
FOREMOST = 2_000  # of all lanes: so many are looked at for closed zones with each lease, more than it takes


class Hopper(Leases):
    """The leads of all campaigns, for one engine named `owner`. Safe to use from several threads.

    `tokens` are those of the switches that the engine has (:mod:`campaigns.ownership`): over no other is a lead leased
    or a call permitted. None: nobody else can be there.
    """

    def __init__(
        self, engine: Engine, owner: str, tokens: Callable[[], Mapping[str, int]] | None = None
    ) -> None:
        super().__init__(engine, owner)
        self._tokens = tokens
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
            [(change, zones, lists, expired, callbacks_ready)] = STANDING.run(connection, campaign_id, now)
            terms = self._known.of(connection, [change])[change]
            open_now = terms.open_among(zones, now)
            if not open_now or not terms.running or not self._ours(connection, change):
                return []
            numbers = free(connection, self._known.pools(change))
            if numbers.none_is(now):
                return []
            if expired:
                connection.execute(callbacks.EXPIRED, {"campaign": campaign_id, "now": now})
            first = (CALLBACKS_FIRST,) if callbacks_ready else ()
            names = {int(lane): name for lane, name in lists}
            closed = [zone for zone in zones if zone not in open_now]
            if closed and names:
                self._put_off(connection, campaign_id, change, closed, names, now)
            for weights in (*first, *tiers(self._known.order(change), names)):
                if len(leads) < limit:
                    leads += self._lease_of(
                        connection, campaign_id, change, numbers, weights, limit - len(leads), open_now, now
                    )
        return leads

    def lease_callbacks(self, campaign_id: int, users: Sequence[int], now: datetime) -> list[Lead]:
        """The personal callbacks that are due of these persons, one for each of them, as far as the rules permit.

        Asked again, it gives each of them the next one. What the rules refuse waits for its person until it goes to
        anyone, while they are given the next one that is permitted; whether it may be called is asked anew each time.
        What will never be permitted is closed.
        """
        with self._engine.begin() as connection:
            change = connection.execute(NEWEST, {"campaign": campaign_id}).scalar_one()
            terms = self._known.of(connection, [change])[change]
            if not terms.running or not self._ours(connection, change):
                return []
            found = callbacks.OF_PERSONS.run(connection, campaign_id, now, list(users), change)
            width = len(facts.LeadRow._fields)
            persons = {row[0]: row[width] for row in found}
            rows = mixed([facts.LeadRow._make(row[:width]) for row in found], {0: len(found)})
            numbers = free(connection, self._known.pools(change))
            permitted, refused = judged(connection, self._known, rows, rows, len(rows), change, numbers, now)
            wait = permitted.keys() | {lead for lead, refusal in refused if not for_good(refusal)}
            hold_back(connection, [each for each in refused if each[0] not in wait], now)
            first = {persons[row.lead_id]: row for row in reversed(permitted.values())}
            leads = self._take(connection, list(first.values()), now)
        return [msgspec.structs.replace(lead, user_id=persons[lead.lead_id]) for lead in leads]

    def lease_number(self, campaign_id: int, number: str, by: OutsideCaller, now: datetime) -> Lead | Refusal:
        """The customer with this number (E.164), for an agent who dials it by hand, or what does not permit it.

        A number that is on none of the campaign's lists becomes a lead of its own.
        """
        with self._engine.begin() as connection:
            change = connection.execute(NEWEST, {"campaign": campaign_id}).scalar_one()
            if not self._known.of(connection, [change])[change].running:
                return Refusal("", RefusalReason.CAMPAIGN_STOPPED, "the campaign does not run")
            if not self._ours(connection, change):
                return Refusal("", RefusalReason.LEASE_LOST, ANOTHERS)
            if (too_much := outside.refusal(connection, by, now)) is not None:
                return too_much
            try:
                lead = by_hand.lead_of(connection, campaign_id, number, now)
            except by_hand.Importing as fault:
                return Refusal("", RefusalReason.LEASE_LOST, str(fault))
            if lead is None:
                return Refusal("", RefusalReason.NO_ZONE, "the time zone of the called party is not known")
            rows = by_hand.lead_rows(connection, lead, change)
            wanted = [row for row in rows if row.e164 == number]
            numbers = free(connection, self._known.pools(change))
            permitted, refused = judged(connection, self._known, rows, wanted, 1, change, numbers, now)
            if permitted:
                taken = self._take(connection, list(permitted.values()), now)[0]
                outside.add(connection, by, taken.call_id, campaign_id, number, now, by_hand=taken.call_id)
                return taken
        return (
            refused[0][1]
            if refused
            else Refusal("", RefusalReason.LEASE_LOST, "the customer is being called")
        )

    def may_send_outside(self, by: OutsideCaller, now: datetime) -> Refusal | None:
        """What does not permit that this agent sends a customer outside now."""
        with self._engine.begin() as connection:
            return outside.refusal(connection, by, now)

    def sent_outside(
        self, by: OutsideCaller, uid: str, campaign_id: int, number: str, now: datetime
    ) -> Refusal | None:
        """Put a call to an outside number on record at the moment of dialing, or say what does not permit it."""
        with self._engine.begin() as connection:
            too_much = outside.refusal(connection, by, now)
            if too_much is None:
                outside.add(connection, by, uid, campaign_id, number, now)
            return too_much

    def who_called(self, campaign_id: int, number: str, call_id: str) -> Lead | None:
        """The campaign's customer who calls in from this number (E.164), if it is one's; `call_id` is the call."""
        with self._engine.connect() as connection:
            return called_in.who(connection, campaign_id, number, call_id)

    def coming_callbacks(
        self, campaign_id: int, users: Sequence[int], now: datetime, until: datetime
    ) -> list[callbacks.Coming]:
        """The personal callbacks of these persons that are due by `until`."""
        with self._engine.connect() as connection:
            return callbacks.coming(connection, campaign_id, users, now, until)

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
            if self._tokens is not None:
                ours = still_held(connection, self._tokens(), {call.switch for call in calls})
                foreign = [call.call_id for call in calls if call.switch not in ours]
                answers |= {each: Refusal(each, RefusalReason.LEASE_LOST, ANOTHERS) for each in foreign}
                ids = [call.call_id for call in calls if call.switch in ours]
            facts.HOLD.run(connection, array(ids))
            # What is left, of our numbers and of a customer's calls, goes to whoever was asked about first.
            place = {call_id: at for at, call_id in enumerate(ids)}
            leased = facts.of_leases(connection, ids)
            closed = {row.lead_id for row in leased if not row.open}
            rows = sorted(by_hand.with_callers(connection, leased), key=lambda row: place[row.call_id])
            known = self._known.of(connection, [row.change for row in rows])
            attempts, on_them = facts.attempts_of(connection, rows, known), on_record(connection, rows)
            parties_of = {
                row.call_id: Party(self._known.pools(row.change), row.region, row.e164, row.customer_id)
                for row in rows
                if row.lease_number in (None, row.number_id)
            }
            turn = self._rotation.hold(connection, parties_of.values(), now)
            permitted: list[Dialed] = []
            refused, found = [], self._bases
            theirs: dict[int, set[str]] = {}  # all numbers, and the customer, by lead
            for row in rows:
                theirs.setdefault(row.lead_id, set()).update(parties(row.e164, row.customer_id))
            in_call, ringing = on_them.in_call(rows), set[str]()
            others = set[int]()  # leads with numbers that are not asked about
            just: dict[str, list[tuple[datetime, int]]] = {}
            for row in rows:
                if row.lease_number not in (None, row.number_id):
                    others.add(row.lead_id)
                    continue
                mine = row.lease_owner == self._owner
                busy = row.lead_id in in_call or not ringing.isdisjoint(theirs[row.lead_id])
                about = facts.facts_of(
                    row, on_them.of(row), attempts[row.lead_id], row.call_id, mine, busy, just
                )
                answer = may_call(about, known[row.change], now)
                if isinstance(answer, Permit):
                    answer = _shown(answer, turn.take(parties_of[about.call_id], now))
                answers[about.call_id] = answer
                if isinstance(answer, Permit):
                    asked = asked_for[about.call_id]
                    terms = known[row.change]
                    permitted.append(Dialed(row, about, terms, asked.switch, answer.caller_id, asked.arm))
                    ringing |= theirs[row.lead_id]
                    for party in parties(row.e164, row.customer_id):
                        just.setdefault(party, []).append((now, row.campaign_id))
                elif answer.reason is not RefusalReason.LEASE_LOST:
                    refused.append((row.lead_id, answer))
            hold_back(connection, refused, now, others)
            if permitted:
                wanted = {call.basis(now) for call in permitted}
                found = self._bases | bases_on_record(connection, wanted - self._bases.keys())
                record(connection, permitted, self._owner, theirs, found, now)
                # A caller whom an agent dials by hand is dialed as others are from the first such call on.
                if opened := closed.intersection(call.row.lead_id for call in permitted):
                    connection.execute(by_hand.OPENED, {"leads": list(opened)})
                turn.keep(connection)
        self._bases = (
            found if len(found) < MOST_BASES else {}
        )  # only now: a transaction that fails leaves nothing
        self._rotation.settled()
        return answers

    def left(self, campaign_id: int) -> int:
        """Leads that the campaign has not finished with."""
        with self._engine.connect() as connection:
            return connection.execute(OPEN_LEADS, {"campaign": campaign_id}).scalar_one()

    # --- within -----------------------------------------------------------------------------------------------

    def _ours(self, connection: Connection, change: int) -> bool:
        """Whether a switch of this version, whose terms were asked for, stays ours until the transaction ends."""
        switches = self._known.switches(change)
        return self._tokens is None or bool(still_held(connection, self._tokens(), switches))

    def _put_off(
        self,
        connection: Connection,
        campaign_id: int,
        change: int,
        closed: Sequence[str],
        lanes: Collection[int],
        now: datetime,
    ) -> None:
        """Have the foremost leads of these lanes out of the way that are in one of the closed zones."""
        terms, later = self._known.terms(change), now + RELOOK[RefusalReason.WINDOW]
        opens_at = [terms.opening((), (zone,), now).until or later for zone in closed]
        most = FOREMOST // len(lanes) + 1
        PUT_OFF.run(connection, campaign_id, now, array(lanes), most, closed, opens_at, change)

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
            rows = mixed([facts.LeadRow._make(row) for row in picked], quotas)
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
    ) -> list[Lead]:
        """Lease up to `limit` of the leads that were picked and are locked, in their order."""
        permitted, refused = judged(connection, self._known, rows, rows, limit, change, numbers, now)
        hold_back(connection, [each for each in refused if each[0] not in permitted], now)
        return self._take(connection, list(permitted.values()), now)

    def _take(self, connection: Connection, rows: list[facts.LeadRow], now: datetime) -> list[Lead]:
        """Lease these leads, each for the number of its row."""
        if not rows:
            return []
        call_ids = new_call_ids(now, len(rows))
        LEASE.run(
            connection,
            array(call_ids),
            array([row.lead_id for row in rows]),
            array([row.number_id for row in rows]),
            self._owner,
            now + timedelta(seconds=LEASE_S),
            now,
        )
        arms: Sequence[str | None] = [None] * len(rows)
        trial = self._known.trial(rows[0].change)  # all are of one campaign
        if trial.arms:
            of = [party_of(row.customer_id, row.lead_id) for row in rows]
            found = assign(connection, rows[0].campaign_id, trial, of, now)
            arms = [found.get(party) for party in of]
        return list(map(lead_of_row, rows, call_ids, arms))


def _shown(permit: Permit, found: str | datetime) -> Permit | Refusal:
    """The permit with the number that the customer is shown, or when there will be one."""
    return replace(permit, caller_id=found) if isinstance(found, str) else rests(permit.call_id, found)
