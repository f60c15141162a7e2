"""Applies the journal's records to the tables: in order, in groups, exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from psycopg2.extras import execute_values
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from campaigns import called_in
from campaigns.callbacks import LIST_LANE
from campaigns.database import session_name
from campaigns.ids import LEASED_AT, PROMISED_AT, as_uuid, leased_at
from campaigns.prepared import PLANNED
from campaigns.records import (
    AnyRecord,
    AttemptAnswered,
    AttemptConnected,
    AttemptEnded,
    Audited,
    CalledIn,
    Dispositioned,
    NotesSaved,
    OptedOut,
    OutsideEnded,
    SeatChanged,
)
from campaigns.reports.counting import NO_PERSON_IN
from campaigns.rules.held import ANYONE_AT, LET_GO, let_numbers_go

CALLBACK_LASTS = timedelta(days=2)  # where the record does not say

Rows = Sequence[tuple[int, AnyRecord]]
Put = Callable[..., list[tuple[Any, ...]]]  # takes a statement, its rows and their types

# Outcomes by which a person took the call; and those of all calls that a person could have taken.
ANSWERED_BY_PEOPLE = "'connected', 'abandoned', 'hung_up'"
RANG = f"{ANSWERED_BY_PEOPLE}, 'machine', 'busy', 'no_answer', 'rejected'"

# The serial that was applied last, locked for this transaction: a second writer of the same name waits here. Each
# statement is planned anew, for the months at hand, which is half of what a few calls cost: so other ways than by the
# keys are not weighed.
CURSOR = f"""
{PLANNED};
INSERT INTO journal_cursor (writer, serial) VALUES (%s, 0)
ON CONFLICT (writer) DO UPDATE SET serial = journal_cursor.serial RETURNING serial
"""
# A batch that this writer's last life had sent is applied as a whole by now, or never: the database may take hours to
# find that a machine is gone, and its session would hold the serial for as long. None of this life's writes so soon.
CUT_OFF = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = %s AND datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
    AND xact_start IS NOT NULL
"""
MOVE = "UPDATE journal_cursor SET serial = %s WHERE writer = %s"

# `{months}` is the span of the calls at hand. It tells PostgreSQL before it runs the statement which partitions there
# is work in, so that it neither reads nor locks any other: a join alone would tell it while it runs.
# `{since}` is its beginning.
# A call is heard by the engine whose it is, while it is on: one that slept may tell of an answer when whoever took its
# switch over has judged the call by what was on record, or has recorded it as one whose end nobody heard.
HEARD = "a.owner = v.owner AND a.outcome IS NULL"
ANSWERED = f"""
UPDATE attempt a SET answered_at = v.at FROM (VALUES %s) AS v (call_id, leased_at, owner, at)
WHERE a.call_id = v.call_id AND a.leased_at = v.leased_at
    AND a.leased_at BETWEEN {{months}} AND {HEARD}
"""
CONNECTED = f"""
UPDATE attempt a SET connected_at = v.at, user_id = v.user_id
FROM (VALUES %s) AS v (call_id, leased_at, owner, at, user_id)
WHERE a.call_id = v.call_id AND a.leased_at = v.leased_at
    AND a.leased_at BETWEEN {{months}} AND {HEARD}
"""
# One outcome for each attempt: a second one changes nothing.
ENDED = """
UPDATE attempt a SET ended_at = v.at, outcome = v.outcome, cause = v.cause, tech_cause = v.tech_cause,
    ring_s = v.ring_s, wait_s = v.wait_s, talk_s = v.talk_s, user_id = COALESCE(v.user_id, a.user_id), amd = v.amd,
    harbour_played = v.harbour_played
FROM (VALUES %s) AS v (call_id, leased_at, at, outcome, cause, tech_cause, ring_s, wait_s, talk_s, user_id, amd,
    harbour_played)
WHERE a.call_id = v.call_id AND a.leased_at = v.leased_at
    AND a.leased_at BETWEEN {months} AND a.outcome IS NULL
"""
# What the parts of campaigns on several switches have counted, as campaigns/store.py counts the window. They run before
# what puts it on record, so that each call counts once.
COUNT = """
INSERT INTO campaign_counted AS k (campaign_id, switch, {what})
SELECT a.campaign_id, a.switch, {counts}
FROM (VALUES %s) AS v ({columns})
JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at AND a.leased_at BETWEEN {{months}}
WHERE a.called_in IS NULL AND {first} GROUP BY a.campaign_id, a.switch ORDER BY a.campaign_id, a.switch
ON CONFLICT (campaign_id, switch) DO UPDATE SET {sums}
"""
COUNT_CONNECTED = COUNT.format(
    what="connected",
    counts="count(*)",
    columns="call_id, leased_at, owner",
    first=f"a.connected_at IS NULL AND {HEARD}",
    sums="connected = k.connected + excluded.connected",
)
COUNT_MACHINES = COUNT.format(
    what="machines",
    counts="count(*)",
    columns="call_id, leased_at",
    first="""a.connected_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM disposition d WHERE d.call_id = v.call_id AND d.leased_at = v.leased_at)""",
    sums="machines = k.machines + excluded.machines",
)
COUNT_ENDED = COUNT.format(
    what="hung_up, abandoned",
    counts=f"""count(*) FILTER (WHERE v.outcome = 'hung_up' AND NOT {NO_PERSON_IN.format("v")}),
    count(*) FILTER (WHERE v.outcome = 'abandoned')""",
    columns="call_id, leased_at, outcome, amd",
    first="a.outcome IS NULL AND v.outcome IN ('hung_up', 'abandoned')",
    sums="hung_up = k.hung_up + excluded.hung_up, abandoned = k.abandoned + excluded.abandoned",
)
# What came of a call by the number that it showed. Runs before ENDED, so that each call counts once.
TALLIED = f"""
INSERT INTO caller_id_answers AS k (campaign_id, caller_id, fresh_calls, fresh_answers)
SELECT a.campaign_id, a.caller_id, count(*), count(*) FILTER (WHERE v.outcome IN ({ANSWERED_BY_PEOPLE}))
FROM (VALUES %s) AS v (call_id, leased_at, outcome)
JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at AND a.leased_at BETWEEN {{months}}
WHERE a.outcome IS NULL AND a.caller_id <> '' AND v.outcome IN ({RANG})
GROUP BY a.campaign_id, a.caller_id ORDER BY a.campaign_id, a.caller_id
ON CONFLICT (campaign_id, caller_id) DO UPDATE SET fresh_calls = k.fresh_calls + excluded.fresh_calls,
    fresh_answers = k.fresh_answers + excluded.fresh_answers
"""
# The same by segment and quarter of an hour, for the best time to call. A lead's bucket never changes.
TIMED = f"""
INSERT INTO best_time_fresh AS k (campaign_id, list_name, region, zone, kind, quarter, bucket, calls, answers)
SELECT a.campaign_id, i.name, COALESCE(NULLIF(l.region, ''), l.zones[1], ''), COALESCE(l.zones[1], ''), n.kind,
    date_bin('15 minutes', a.dialed_at, '2000-01-01Z'),
    mod(('x' || substr(md5(l.id::text), 1, 8))::bit(32)::bigint, 100),
    count(*), count(*) FILTER (WHERE v.outcome IN ({ANSWERED_BY_PEOPLE}))
FROM (VALUES %s) AS v (call_id, leased_at, outcome)
JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at AND a.leased_at BETWEEN {{months}}
JOIN lead l ON l.id = a.lead_id JOIN list i ON i.id = l.list_id JOIN number n ON n.id = a.number_id
WHERE a.outcome IS NULL AND a.called_in IS NULL AND v.outcome IN ({RANG})
GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
ON CONFLICT (campaign_id, list_name, region, zone, kind, quarter, bucket)
DO UPDATE SET calls = k.calls + excluded.calls, answers = k.answers + excluded.answers
"""
# What was recorded as dialed before the switch was asked, and was not dialed after all. Runs before ENDED.
UNCOUNTED = """
UPDATE number n SET attempts = n.attempts - c.calls FROM (
    SELECT a.number_id, count(*) AS calls FROM (VALUES %s) AS v (call_id, leased_at)
    JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at
    AND a.leased_at BETWEEN {months}
    WHERE a.outcome IS NULL GROUP BY a.number_id
) c WHERE n.id = c.number_id
"""
# The same for the calls to its number and its customer.
UNCALLED = """
UPDATE called k SET life = k.life - c.calls, (at, campaigns) = (
    SELECT COALESCE(array_agg(u.t ORDER BY u.o), ARRAY[]::timestamptz[]),
        COALESCE(array_agg(u.g ORDER BY u.o), ARRAY[]::bigint[])
    FROM unnest(k.at, k.campaigns) WITH ORDINALITY u (t, g, o) WHERE NOT u.t = ANY(c.at)
) FROM (
    SELECT p.party, count(*) AS calls, array_agg(a.dialed_at) AS at FROM (VALUES %s) AS v (call_id, leased_at)
    JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at
        AND a.leased_at BETWEEN {months}
JOIN number n ON n.id = a.number_id JOIN lead l ON l.id = a.lead_id
    JOIN LATERAL (VALUES (n.e164), ('customer ' || l.customer_id)) AS p (party) ON true
    WHERE a.outcome IS NULL GROUP BY p.party
) c WHERE k.party = c.party
"""
# Others of its leads that waited because of it.
LET_GO_AGAIN = f"""
{LET_GO} AND id IN (SELECT o.lead_id FROM (VALUES %s) AS v (call_id, leased_at)
    JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at AND a.leased_at BETWEEN {{months}}
    JOIN number n ON n.id = a.number_id
    JOIN number o ON o.e164 = n.e164 AND o.campaign_id = ANY(ARRAY(SELECT id FROM campaign)))
"""
# A number is done when its outcome says so, or came often enough. Runs after ENDED.
NUMBER_DONE = """
UPDATE number n SET done = true FROM (VALUES %s) AS v (call_id, leased_at, number_done, most)
JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at
    AND a.leased_at BETWEEN {months}
WHERE n.id = a.number_id AND (v.number_done OR v.most <= (
    SELECT count(*) FROM attempt p
    WHERE p.lead_id = a.lead_id AND p.number_id = a.number_id AND p.outcome = a.outcome AND p.called_in IS NULL
))
"""
# Whether the lead of an attempt has other numbers to go on with, and whether one of them was tried less often.
OTHERS = """
LEFT JOIN LATERAL (
    SELECT true AS any, bool_or(o.attempts < m.attempts) AS fresh FROM number m JOIN number o ON o.lead_id = m.lead_id
    WHERE m.id = a.number_id AND o.id <> m.id AND NOT o.done HAVING count(*) > 0
) o ON true
"""
# The lane of a lead: a callback's own while one waits, else that of its list. What ends callbacks runs before.
LANE = f"""
CASE WHEN EXISTS (SELECT FROM callback c WHERE c.lead_id = l.id AND c.done_at IS NULL) THEN 0
    ELSE {LIST_LANE} END
"""
# The lead's next state. A disposition that came first has the last word. A call of the customer's own changes nothing
# but by its disposition, for which the lead waits a while.
RECYCLED = f"""
UPDATE lead l SET lease = NULL, lease_owner = NULL, lease_until = NULL, last_call = v.call_id,
    open = CASE WHEN a.called_in IS NOT NULL THEN d.final IS NOT TRUE AND (l.open OR d.retry_at IS NOT NULL)
        ELSE l.open AND NOT CASE WHEN d.final THEN true WHEN d.retry_at IS NOT NULL THEN false
            ELSE v.final OR n.done AND o.any IS NULL END END,
    next_at = GREATEST(CASE WHEN a.called_in IS NOT NULL THEN COALESCE(d.retry_at, GREATEST(l.next_at, v.retry_at))
        ELSE COALESCE(d.retry_at, CASE WHEN n.done OR o.fresh THEN v.other_at END, v.retry_at, v.at) END, {ANYONE_AT}),
    ready_at = CASE WHEN a.called_in IS NOT NULL AND d.final IS NOT TRUE AND d.retry_at IS NULL THEN l.ready_at END,
    lane = {LANE}
FROM (VALUES %s) AS v (call_id, leased_at, at, retry_at, final, other_at) LEFT JOIN disposition d
    ON d.call_id = v.call_id AND d.leased_at = v.leased_at AND d.leased_at BETWEEN {{months}}
LEFT JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at AND a.leased_at BETWEEN {{months}}
LEFT JOIN number n ON n.id = a.number_id {OTHERS}
WHERE l.lease = v.call_id
"""
LOCKED = """
INSERT INTO lock_out (e164, until, reason)
SELECT n.e164, max(v.until), 'abandoned' FROM (VALUES %s) AS v (call_id, leased_at, until)
JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at
    AND a.leased_at BETWEEN {months}
JOIN number n ON n.id = a.number_id GROUP BY n.e164
ON CONFLICT (e164) DO UPDATE SET until = excluded.until, reason = excluded.reason
WHERE excluded.until > lock_out.until
"""
# A refusal is the customer's: it bars every number of theirs that any list knows. Where the attempt has a number of its
# own, the customer is whoever a list has brought with it since.
REFUSED = """
INSERT INTO refusal_lock (call_id, user_id, e164, until)
SELECT v.call_id, v.user_id, p.e164, v.until FROM (VALUES %s) AS v (call_id, leased_at, user_id, until)
JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at
    AND a.leased_at BETWEEN {months}
CROSS JOIN LATERAL (
    SELECT a.e164 UNION SELECT n.e164 FROM lead called JOIN LATERAL (
        SELECT called.id UNION SELECT id FROM lead WHERE customer_id IS NOT NULL AND customer_id = called.customer_id
    ) l ON true
    JOIN number n ON n.lead_id = l.id
    WHERE called.id = COALESCE(
        (SELECT m.lead_id FROM number m WHERE m.campaign_id = a.campaign_id AND m.e164 = a.e164), a.lead_id)
) p
WHERE p.e164 <> ''
ON CONFLICT (call_id, user_id, e164) DO UPDATE SET until = excluded.until
"""
# A later verdict of the same person on the same call takes theirs back, as a slip of the key; no other's.
NOT_REFUSED = """
DELETE FROM refusal_lock r USING (VALUES %s) AS v (call_id, user_id)
WHERE r.call_id = v.call_id AND r.user_id = v.user_id RETURNING r.e164
"""
DISPOSED = """
INSERT INTO disposition (call_id, leased_at, user_id, code, notes, do_not_call, retry_at, final, at) VALUES %s
ON CONFLICT (call_id, leased_at) DO UPDATE SET user_id = excluded.user_id, code = excluded.code, notes = excluded.notes,
    do_not_call = excluded.do_not_call, retry_at = excluded.retry_at, final = excluded.final, at = excluded.at
"""
# The verdict of who has handed the customer on replaces no one else's. Runs after those of who had the customer last.
DISPOSED_BEFORE = f"{DISPOSED} WHERE disposition.user_id = excluded.user_id RETURNING call_id::text"
# A verdict is final when it was given often enough; else the next attempt may be at another number, and sooner.
OFTEN_OR_OTHER = f"""
UPDATE disposition d SET final = d.final OR e.often,
    retry_at = CASE WHEN d.retry_at IS NOT NULL AND o.fresh THEN COALESCE(v.other_at, d.retry_at) ELSE d.retry_at END
FROM (VALUES %s) AS v (call_id, leased_at, other_at, most)
JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at AND a.leased_at BETWEEN {{months}}
{OTHERS}
CROSS JOIN LATERAL (
    SELECT COALESCE(v.most <= count(*), false) AS often FROM attempt p
    JOIN disposition f ON f.call_id = p.call_id AND f.leased_at = p.leased_at
    WHERE p.lead_id = a.lead_id AND f.code = (SELECT code FROM disposition
        WHERE call_id = v.call_id AND leased_at = v.leased_at)
) e
WHERE d.call_id = v.call_id AND d.leased_at = v.leased_at AND d.leased_at BETWEEN {{months}}
"""
# The leads that are judged. A statement of its own, so that an attempt which was just being recorded is seen by the
# next one's snapshot; and before all others, so that nothing else is held by who waits for that.
TO_JUDGE = """
SELECT FROM lead l WHERE l.id = ANY(ARRAY(
    SELECT a.lead_id FROM (VALUES %s) AS v (call_id, leased_at)
    JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at AND a.leased_at BETWEEN {months}
)) ORDER BY l.id FOR UPDATE
"""
# The verdict on a call that is over already; not on one of a later attempt. A lead that was leased again since and is
# not dialed yet goes by the verdict all the same: whoever has it finds its lease gone. Who was taken back since with
# their list is not called again for it, but for what they asked for when they called in.
JUDGED = f"""
UPDATE lead l SET ready_at = NULL,
    open = NOT d.final AND (a.called_in IS NOT NULL OR l.taken_back_at IS NULL OR l.taken_back_at < v.leased_at),
    next_at = GREATEST(COALESCE(d.retry_at, l.ready_at, l.next_at), {ANYONE_AT}), lane = {LANE},
    lease = NULL, lease_owner = NULL, lease_until = NULL
FROM (VALUES %s) AS v (call_id, leased_at)
JOIN disposition d ON d.call_id = v.call_id AND d.leased_at = v.leased_at AND d.leased_at BETWEEN {{months}}
JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at AND a.leased_at BETWEEN {{months}}
WHERE l.id = a.lead_id AND l.last_call = v.call_id AND (d.final OR d.retry_at IS NOT NULL)
    AND l.lease IS DISTINCT FROM v.call_id
    AND NOT EXISTS (SELECT FROM attempt o WHERE o.call_id = l.lease AND o.leased_at = {LEASED_AT}
        AND o.leased_at >= {{since}})
"""
# The number that was called is not the customer's.
NOT_THEIRS = """
UPDATE number n SET done = true FROM (VALUES %s) AS v (call_id, leased_at)
JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at
    AND a.leased_at BETWEEN {months}
WHERE n.id = a.number_id
"""
CALLBACK = """
INSERT INTO callback (call_id, lead_id, number_id, campaign_id, user_id, due_at, personal, team_at, anyone_at,
    expires_at)
SELECT v.call_id, a.lead_id, a.number_id, a.campaign_id, v.user_id, v.due_at, v.personal, v.team_at, v.anyone_at,
    v.expires_at
FROM (VALUES %s) AS v (call_id, leased_at, user_id, due_at, personal, team_at, anyone_at, expires_at)
JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at
    AND a.leased_at BETWEEN {months}
ON CONFLICT (call_id) DO UPDATE SET due_at = excluded.due_at, user_id = excluded.user_id, done_at = NULL,
    personal = excluded.personal, team_at = excluded.team_at, anyone_at = excluded.anyone_at,
    expires_at = excluded.expires_at, called_at = NULL, called_by = NULL
"""
# A later verdict on the same call that asks for none takes it back.
NO_CALLBACK = """
UPDATE callback c SET done_at = v.at FROM (VALUES %s) AS v (call_id, at)
WHERE c.call_id = v.call_id AND c.done_at IS NULL
"""
# What comes of a customer's own call takes the place of what they were promised before: another callback, or an end.
REPLACED = """
UPDATE callback c SET done_at = v.at, replaced_by = v.call_id FROM (VALUES %s) AS v (call_id, leased_at, at)
JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at
    AND a.leased_at BETWEEN {months}
JOIN disposition d ON d.call_id = v.call_id AND d.leased_at = v.leased_at AND d.leased_at BETWEEN {months}
WHERE c.lead_id = a.lead_id AND a.called_in IS NOT NULL AND c.call_id <> v.call_id AND c.done_at IS NULL
    AND (d.final OR EXISTS (SELECT FROM callback n WHERE n.call_id = v.call_id AND n.done_at IS NULL))
"""
# A later verdict on that call which is neither gives it back. A verdict that says when to call has its say after this.
# Who was taken back with their list since it was promised waits for it once that list is called again.
GIVEN_BACK = f"""
WITH back AS (
    UPDATE callback c SET done_at = NULL, replaced_by = NULL FROM (VALUES %s) AS v (call_id, leased_at)
    JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at
        AND a.leased_at BETWEEN {{months}}
    JOIN disposition d ON d.call_id = v.call_id AND d.leased_at = v.leased_at AND d.leased_at BETWEEN {{months}}
    JOIN lead l ON l.id = a.lead_id AND l.last_call = v.call_id
    WHERE c.lead_id = a.lead_id AND c.replaced_by = v.call_id AND NOT d.final
        AND NOT EXISTS (SELECT FROM callback n WHERE n.call_id = v.call_id AND n.done_at IS NULL)
    RETURNING c.lead_id, c.anyone_at, {PROMISED_AT} AS promised_at
)
UPDATE lead l SET open = l.taken_back_at IS NULL OR l.taken_back_at < b.promised_at, ready_at = NULL, lane = 0,
    next_at = b.anyone_at
FROM (SELECT lead_id, max(anyone_at) AS anyone_at, max(promised_at) AS promised_at FROM back GROUP BY lead_id) b
WHERE l.id = b.lead_id RETURNING l.id
"""
# It was tried: the lead goes on by what came of it. What reports want of the call stands with it: calls go into files.
CALLED_BACK = """
UPDATE callback c SET done_at = v.at, called_at = a.dialed_at, called_by = COALESCE(v.user_id, a.user_id)
FROM (VALUES %s) AS v (call_id, leased_at, at, user_id)
JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at
    AND a.leased_at BETWEEN {months}
WHERE c.lead_id = a.lead_id AND a.called_in IS NULL AND c.call_id <> v.call_id AND c.done_at IS NULL
"""
# Nobody is barred by a number that was withheld.
BARRED = """
INSERT INTO dnc (e164, layer, source, at)
SELECT COALESCE(a.e164, n.e164), 'company', v.source, min(v.at)
FROM (VALUES %s) AS v (call_id, leased_at, source, at)
JOIN attempt a ON a.call_id = v.call_id AND a.leased_at = v.leased_at
    AND a.leased_at BETWEEN {months}
LEFT JOIN number n ON n.id = a.number_id WHERE COALESCE(a.e164, n.e164) <> '' GROUP BY 1, 3
ON CONFLICT (e164, layer, campaign_id, source) DO UPDATE SET expires_at = NULL WHERE dnc.expires_at IS NOT NULL
"""
# What was written down during a call; with the verdict come its answers once more, and its notes are the verdict's.
# NULL is what nothing was said of, an empty text what was taken back.
NOTES = """
UPDATE attempt a SET notes = COALESCE(v.notes, a.notes), answers = NULLIF(COALESCE(v.answers, a.answers), '')
FROM (VALUES %s) AS v (call_id, leased_at, notes, answers)
WHERE a.call_id = v.call_id AND a.leased_at = v.leased_at
    AND a.leased_at BETWEEN {months}
"""
OPTED_OUT = """
INSERT INTO dnc (e164, layer, source, at) VALUES %s
ON CONFLICT (e164, layer, campaign_id, source) DO UPDATE SET expires_at = NULL WHERE dnc.expires_at IS NOT NULL
"""
OUTSIDE_ENDED = """
UPDATE outside_call o SET ended_at = v.at FROM (VALUES %s) AS v (uid, at) WHERE o.uid = v.uid AND o.ended_at IS NULL
"""
SEATS = "INSERT INTO seat_log (at, user_id, session_id, state, reason, call_id, campaign_id) VALUES %s"
# What an engine tells late, as it was away from the database, is not what its seats do now where they have moved on.
SEATS_NOW = """
INSERT INTO seat_now AS n (user_id, session_id, engine, state, at) VALUES %s
ON CONFLICT (user_id) DO UPDATE SET session_id = excluded.session_id, engine = excluded.engine, state = excluded.state,
    at = excluded.at
WHERE n.engine = excluded.engine OR n.at <= excluded.at
"""
AUDIT = "INSERT INTO audit (at, actor, action, subject, detail) VALUES %s"

# PostgreSQL takes a bare VALUES list's types from its first row, so each column names its own.
ID, TIME, INT, REAL, TEXT, BOOL = (
    "%s::uuid",
    "%s::timestamptz",
    "%s::bigint",
    "%s::real",
    "%s::text",
    "%s::bool",
)


class JournalStore:
    """The tables behind one journal writer, an engine by its name. Blocks; raises what the database raises."""

    def __init__(self, engine: Engine, writer: str) -> None:
        self._engine = engine
        self._writer = writer

    def cut_off(self) -> None:
        """End what this writer's last life has left open in the database; for one that begins and writes nothing."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql(CUT_OFF, (session_name(self._writer),))

    def last_serial(self) -> int:
        """The serial that was applied last, 0 before the first.

        Waits for a batch that this writer's last life has sent and that is not applied yet.
        """
        with self._engine.begin() as connection:
            return connection.exec_driver_sql(CURSOR, (self._writer,)).scalar_one()

    def apply(self, batch: Rows) -> None:
        """Apply (serial, record) pairs in one transaction; those applied before are left out."""
        with _driver_faults(), self._engine.begin() as connection:
            done = connection.exec_driver_sql(CURSOR, (self._writer,)).scalar_one()
            fresh = [record for serial, record in batch if serial > done]
            if fresh:
                _write(connection, fresh, self._writer)
                connection.exec_driver_sql(MOVE, (batch[-1][0], self._writer))


@contextmanager
def _driver_faults() -> Iterator[None]:
    """What the driver raised, whichever way a statement went: its class tells the database's faults from a record's."""
    try:
        yield
    except DBAPIError as fault:
        raise fault.orig or fault from fault


def _write(connection: Connection, records: Sequence[AnyRecord], writer: str) -> None:
    cursor = connection.connection.cursor()
    kinds: dict[type, list[Any]] = {}
    for record in records:
        kinds.setdefault(type(record), []).append(record)

    def put(sql: str, rows: list[tuple[Any, ...]], *types: str) -> list[tuple[Any, ...]]:
        if not rows:
            return []
        template = f"({', '.join(types)})" if types else None
        if "{months}" in sql:
            times = [row[1] for row in rows]
            sql = sql.format(months=f"'{min(times)}' AND '{max(times)}'", since=f"'{min(times)}'")
        returns = "RETURNING" in sql
        return execute_values(cursor, sql, rows, template=template, page_size=2_000, fetch=returns) or []

    verdicts: list[Dispositioned] = kinds.get(Dispositioned, [])
    put(TO_JUDGE, [*{_key(r) for r in verdicts}], ID, TIME)
    for call in kinds.get(CalledIn, ()):
        called_in.record(connection, call)
    answered: list[AttemptAnswered] = kinds.get(AttemptAnswered, [])
    put(ANSWERED, _last((*_key(r), writer, r.at) for r in answered), ID, TIME, TEXT, TIME)
    connected: list[AttemptConnected] = kinds.get(AttemptConnected, [])
    put(COUNT_CONNECTED, [*{(*_key(r), writer) for r in connected if r.split}], ID, TIME, TEXT)
    put(CONNECTED, _last((*_key(r), writer, r.at, r.user_id) for r in connected), ID, TIME, TEXT, TIME, INT)

    disposed = list({(r.call_id, r.user_id): r for r in verdicts}.values())
    put(COUNT_MACHINES, [*{_key(r) for r in disposed if r.machine}], ID, TIME)
    valid = _put_verdicts(put, verdicts)
    put(
        OFTEN_OR_OTHER,
        [(*_key(r), r.other_at, r.most) for r in valid if r.other_at is not None or r.most is not None],
        ID, TIME, TIME, INT,
    )  # fmt: skip
    _put_callbacks(put, valid)
    ended: list[AttemptEnded] = list({r.call_id: r for r in reversed(kinds.get(AttemptEnded, []))}.values())
    _put_ended(put, ended)
    put(JUDGED, [_key(r) for r in valid], ID, TIME)
    put(NOT_THEIRS, [_key(r) for r in valid if r.other_number], ID, TIME)
    opted: list[OptedOut] = kinds.get(OptedOut, [])
    put(OPTED_OUT, _last((r.number, "company", r.source, r.at) for r in opted if r.number))
    put(
        BARRED,
        [(*_key(r), "agent", r.at) for r in disposed if r.do_not_call]
        + [(*_key(r), r.source, r.at) for r in opted if not r.number],
        ID, TIME, TEXT, TIME,
    )  # fmt: skip
    put(
        REFUSED,
        [(*_key(r), r.user_id, r.locked_until) for r in disposed if r.locked_until is not None],
        ID, TIME, INT, TIME,
    )  # fmt: skip
    slips = [(as_uuid(r.call_id), r.user_id) for r in disposed if r.locked_until is None]
    if let_go := put(NOT_REFUSED, slips, ID, INT):
        let_numbers_go(connection, [e164 for (e164,) in let_go])
    notes = [(r.at, _key(r), r.notes, r.answers) for r in kinds.get(NotesSaved, [])]
    notes += [(r.at, _key(r), None, r.answers or None) for r in disposed if not r.handed_on]
    told: dict[Any, tuple[Any, str | None, str | None]] = {}  # a verdict leaves the notes
    for _, key, text, answers in sorted(notes, key=lambda row: row[0]):
        before = told.get(key, (key, None, None))
        told[key] = key, before[1] if text is None else text, before[2] if answers is None else answers
    put(NOTES, [(*key, text, answers) for key, text, answers in told.values()], ID, TIME, TEXT, TEXT)
    put(OUTSIDE_ENDED, [(r.uid, r.at) for r in kinds.get(OutsideEnded, ())], TEXT, TIME)
    seats: list[SeatChanged] = kinds.get(SeatChanged, [])
    put(
        SEATS,
        [(r.at, r.user_id, r.session_id, r.state, r.reason, r.call_id, r.campaign_id or None) for r in seats],
    )
    last = {r.user_id: (r.user_id, r.session_id, writer, r.state, r.at) for r in seats}
    put(SEATS_NOW, [last[user_id] for user_id in sorted(last)])
    audit: list[Audited] = kinds.get(Audited, [])
    put(AUDIT, [(r.at, r.actor, r.action, r.subject, r.detail) for r in audit])


def _put_verdicts(put: Put, verdicts: list[Dispositioned]) -> list[Dispositioned]:
    """Returns those that hold: of one call the last seat's, else one of a seat that has handed the customer on."""
    last = {r.call_id: r for r in verdicts if not r.handed_on}
    before: dict[str, Dispositioned] = {}
    for r in verdicts:
        if r.handed_on and before.setdefault(r.call_id, r).user_id == r.user_id:
            before[r.call_id] = r
    put(DISPOSED, [_verdict(r) for r in last.values()])
    taken = {call_id for (call_id,) in put(DISPOSED_BEFORE, [_verdict(r) for r in before.values()])}
    return list((last | {r.call_id: r for r in before.values() if as_uuid(r.call_id) in taken}).values())


def _verdict(r: Dispositioned) -> tuple[Any, ...]:
    retry_at = r.anyone_at or r.callback_at or r.retry_at
    return (*_key(r), r.user_id, r.code, r.notes, r.do_not_call, retry_at, r.final, r.at)


def _put_callbacks(put: Put, disposed: list[Dispositioned]) -> None:
    put(NO_CALLBACK, [(as_uuid(r.call_id), r.at) for r in disposed if r.callback_at is None], ID, TIME)
    put(
        CALLBACK,
        [
            (
                *_key(r), r.callback_for or r.user_id, r.callback_at, r.personal, r.team_at,
                r.anyone_at or r.callback_at, r.expires_at or r.callback_at + CALLBACK_LASTS,
            )
            for r in disposed
            if r.callback_at is not None
        ],
        ID, TIME, INT, TIME, BOOL, TIME, TIME, TIME,
    )  # fmt: skip
    put(REPLACED, [(*_key(r), r.at) for r in disposed], ID, TIME, TIME)
    put(GIVEN_BACK, [_key(r) for r in disposed], ID, TIME)


def _put_ended(put: Put, ended: list[AttemptEnded]) -> None:
    undone = [_key(r) for r in ended if not r.dialed]
    put(UNCOUNTED, undone, ID, TIME)
    put(UNCALLED, undone, ID, TIME)
    put(LET_GO_AGAIN, undone, ID, TIME)
    put(
        COUNT_ENDED,
        [(*_key(r), r.outcome, r.amd) for r in ended if r.split and r.dialed],
        ID, TIME, TEXT, TEXT,
    )  # fmt: skip
    rang = [(*_key(r), r.outcome) for r in ended if r.dialed]
    put(TALLIED, rang, ID, TIME, TEXT)
    put(TIMED, rang, ID, TIME, TEXT)
    put(CALLED_BACK, [(*_key(r), r.at, r.user_id) for r in ended if r.dialed], ID, TIME, TIME, INT)
    put(
        ENDED,
        [
            (
                *_key(r), r.at, r.outcome, r.cause, r.tech_cause, r.ring_s, r.wait_s, r.talk_s, r.user_id, r.amd,
                r.harbour_played,
            )
            for r in ended
        ],
        ID, TIME, TIME, TEXT, "%s::smallint", "%s::smallint", REAL, REAL, REAL, INT, TEXT, BOOL,
    )  # fmt: skip
    put(
        NUMBER_DONE,
        [(*_key(r), r.number_done, r.most) for r in ended if r.number_done or r.most is not None],
        ID, TIME, BOOL, INT,
    )  # fmt: skip
    put(
        RECYCLED,
        [(*_key(r), r.at, r.retry_at, r.final, r.other_at) for r in ended],
        ID, TIME, TIME, TIME, BOOL, TIME,
    )  # fmt: skip
    put(
        LOCKED,
        [(*_key(r), r.locked_until) for r in ended if r.locked_until is not None],
        ID, TIME, TIME,
    )  # fmt: skip


def _key(record: Any) -> tuple[str, Any]:
    return as_uuid(record.call_id), leased_at(record.call_id)


def _last(rows: Any) -> list[tuple[Any, ...]]:
    """One row for each first column, the last one counts: an UPDATE from several rows would take any."""
    return list({row[0]: row for row in rows}.values())
