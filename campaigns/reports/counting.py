"""Half hours counted anew from what is on record: the statements, over live tables or over the same rows from files.

A half hour is counted whole or not at all: what was counted of it goes, and what is on record of it now takes its
place, all cuts of the calls in one statement. So it does not matter how often it is counted, and the cuts agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from campaigns.values import NO_PERSON

HALF_HOUR = timedelta(minutes=30)
HALF_HOUR_OF = "date_bin('30 minutes', {}, '2000-01-01Z')"  # SQL: the half hour that an instant lies in
NO_PERSON_IN = f"COALESCE({{}}.amd IN {NO_PERSON}, false)"  # SQL: if it hung up it counts as no person
LONGEST_BUFFER = timedelta(days=1)  # between the lease, whose time finds the partition, and the dial
LONGEST_STATE = timedelta(days=1)  # a seat that said nothing for longer is not counted as there

# The index on (campaign_id, dialed_at) serves, since all campaigns are named.
OF_HALF_HOUR = """
a.campaign_id = ANY(ARRAY(SELECT id FROM campaign)) AND a.dialed_at >= :begin AND a.dialed_at < :end
    AND a.leased_at >= :leased_from AND a.leased_at < :end
"""
CALLS_GONE = tuple(
    text(f"DELETE FROM {table} WHERE half_hour >= :begin AND half_hour < :end")
    for table in ("rollup_call", "rollup_line", "rollup_agent", "rollup_caller")
)
CALLS = f"""
WITH fact AS MATERIALIZED (
    SELECT {HALF_HOUR_OF.format("a.dialed_at")} AS half_hour, a.campaign_id,
        COALESCE(l.list_id, 0) AS list_id, COALESCE(a.user_id, 0) AS user_id, a.switch,
        COALESCE(a.caller_id, '') AS caller_id, COALESCE(a.outcome, '') AS outcome, COALESCE(a.cause, 0) AS cause,
        COALESCE(a.tech_cause, 0) AS tech_cause, COALESCE(d.code, '') AS code,
        (a.called_in IS NOT NULL)::int AS called_in,
        (a.answered_at IS NOT NULL)::int AS answered, (a.connected_at IS NOT NULL)::int AS connected,
        {NO_PERSON_IN.format("a")}::int AS machine, a.harbour_played::int AS harbour,
        COALESCE(round(a.ring_s * 1000.0), 0)::bigint AS ring_ms,
        COALESCE(round(a.wait_s * 1000.0), 0)::bigint AS wait_ms,
        COALESCE(round(a.talk_s * 1000.0), 0)::bigint AS talk_ms
    FROM {{attempt}} a LEFT JOIN lead l ON l.id = a.lead_id
    LEFT JOIN {{disposition}} d ON d.call_id = a.call_id AND d.leased_at = a.leased_at
        AND d.leased_at >= :leased_from AND d.leased_at < :end
    WHERE {OF_HALF_HOUR}
), calls AS (
    INSERT INTO rollup_call
    SELECT half_hour, campaign_id, list_id, outcome, cause, code, count(*), sum(answered), sum(connected), sum(machine),
        sum(harbour), sum(ring_ms), sum(wait_ms), sum(talk_ms)
    FROM fact WHERE called_in = 0 GROUP BY half_hour, campaign_id, list_id, outcome, cause, code
), lines AS (
    INSERT INTO rollup_line
    SELECT half_hour, campaign_id, switch, caller_id, outcome, cause, tech_cause, count(*), sum(answered), sum(machine),
        sum(ring_ms), sum(talk_ms)
    FROM fact WHERE called_in = 0 GROUP BY half_hour, campaign_id, switch, caller_id, outcome, cause, tech_cause
), callers AS (
    INSERT INTO rollup_caller
    SELECT half_hour, campaign_id, outcome, count(*), sum(connected), sum(wait_ms), sum(talk_ms)
    FROM fact WHERE called_in = 1 GROUP BY half_hour, campaign_id, outcome
)
INSERT INTO rollup_agent
SELECT half_hour, campaign_id, user_id, list_id, outcome, code, count(*), sum(connected), sum(wait_ms), sum(talk_ms),
    COALESCE(sum(connected) FILTER (WHERE called_in = 1), 0)
FROM fact WHERE user_id <> 0 GROUP BY half_hour, campaign_id, user_id, list_id, outcome, code
"""
SEATS_GONE = text("DELETE FROM rollup_seat WHERE half_hour >= :begin AND half_hour < :end")
# Each line lasts until the next one of its user. The last line before the first half hour reaches into it.
SEATS = f"""
WITH line AS (
    SELECT s.id, s.at, s.user_id, s.state, s.reason, COALESCE(s.campaign_id, 0) AS campaign_id
    FROM app_user u JOIN LATERAL (
        SELECT * FROM {{seat_log}} WHERE user_id = u.id AND at >= :state_from AND at < :begin
        ORDER BY at DESC, id DESC LIMIT 1
    ) s ON true
    UNION ALL
    SELECT id, at, user_id, state, reason, COALESCE(campaign_id, 0) FROM {{seat_log}} WHERE at >= :begin AND at < :end
), stay AS (
    SELECT *, LEAST(COALESCE(lead(at) OVER (PARTITION BY user_id ORDER BY at, id), :end),
        at + interval '{LONGEST_STATE.days} d', :now, :end) AS stop FROM line
)
INSERT INTO rollup_seat
SELECT h.half_hour, campaign_id, user_id, state, reason, count(*) FILTER (WHERE at >= h.half_hour),
    sum(GREATEST(0, round(1000 * extract(epoch FROM LEAST(stop, h.half_hour + interval '30 minutes')
        - GREATEST(at, h.half_hour)))))::bigint
FROM stay CROSS JOIN LATERAL generate_series({HALF_HOUR_OF.format("GREATEST(at, :begin)")},
    GREATEST(stop, at), interval '30 minutes') h (half_hour)
WHERE state <> 'offline' AND h.half_hour < :end AND (h.half_hour < stop OR at >= h.half_hour)
GROUP BY h.half_hour, campaign_id, user_id, state, reason
"""
CALLBACKS_GONE = text("DELETE FROM rollup_callback WHERE half_hour >= :begin AND half_hour < :end")
# SQL: ids of calls that were leased from an instant on begin with this one.
ID_FROM = """
(lpad(to_hex((extract(epoch FROM CAST({} AS timestamptz)) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
"""
# Of what was promised in calls of the half hour. One was kept when a call to its customer ended it.
CALLBACKS = f"""
INSERT INTO rollup_callback
SELECT :begin, c.campaign_id, c.user_id, count(*), count(*) FILTER (WHERE c.personal), count(c.called_at),
    count(c.called_at) FILTER (WHERE c.called_by = c.user_id),
    COALESCE(sum(GREATEST(0, round(1000 * extract(epoch FROM c.called_at - c.due_at)))), 0)::bigint,
    count(*) FILTER (WHERE c.called_at IS NULL AND c.done_at = c.expires_at), count(*) FILTER (WHERE c.done_at IS NULL)
FROM callback c
WHERE c.campaign_id IS NOT NULL AND c.call_id >= {ID_FROM.format(":begin")} AND c.call_id < {ID_FROM.format(":end")}
GROUP BY c.campaign_id, c.user_id
"""


@dataclass(frozen=True, slots=True)
class Source:
    """The tables that are read: the live ones, or others with the same columns."""

    attempt: str = "attempt"
    disposition: str = "disposition"
    seat_log: str = "seat_log"

    def statement(self, sql: str) -> str:
        return sql.format(attempt=self.attempt, disposition=self.disposition, seat_log=self.seat_log)


LIVE = Source()


def count_calls(connection: Connection, begin: datetime, end: datetime, source: Source = LIVE) -> None:
    """Count the calls dialed in the half hours from `begin` up to `end`."""
    values = {"begin": begin, "end": end, "leased_from": begin - LONGEST_BUFFER}
    for gone in CALLS_GONE:
        connection.execute(gone, values)
    connection.execute(text(source.statement(CALLS)), values)


def count_seats(
    connection: Connection, begin: datetime, end: datetime, now: datetime, source: Source = LIVE
) -> None:
    """Count what seats did in the half hours from `begin` up to `end`, as far as they lie before `now`."""
    values = {"begin": begin, "end": end, "state_from": begin - LONGEST_STATE, "now": now}
    connection.execute(SEATS_GONE, values)
    connection.execute(text(source.statement(SEATS)), values)


def count_callbacks(connection: Connection, begin: datetime) -> None:
    """Count what became of the callbacks that calls of the half hour from `begin` on promised."""
    values = {"begin": begin, "end": begin + HALF_HOUR}
    connection.execute(CALLBACKS_GONE, values)
    connection.execute(text(CALLBACKS), values)


def half_hour_of(at: datetime) -> datetime:
    """The half hour that an instant lies in, as it begins."""
    return at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0)
