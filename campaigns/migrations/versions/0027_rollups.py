"""Roll-ups: calls, agents, lines, seats, callbacks and refusals by the half hour, and which half hours are due."""

from __future__ import annotations

from datetime import UTC, date, datetime

from alembic import op
from sqlalchemy import Connection, text

revision = "0027"
down_revision = "0026"

TABLES = """
-- Half hours that changed since they were counted: written in the change's own transaction, taken by the count's.
-- `kind` calls: by the time in the call's id; seats: by that of the line, which tells what comes after too; stays: this
-- half hour of seats alone; callbacks: by the time in the id of the call that promised one.
CREATE TABLE rollup_due (
    kind text NOT NULL CHECK (kind IN ('calls', 'seats', 'stays', 'callbacks')),
    half_hour timestamptz NOT NULL
);
CREATE INDEX rollup_due_by_time ON rollup_due (kind, half_hour);
-- Until when seats were counted: who stays in a state writes no line, and time goes on.
CREATE TABLE rollup_seen (seats_until timestamptz NOT NULL);

-- Durations are whole milliseconds: sums of them do not depend on the order. 0 and '' stand for none.
CREATE TABLE rollup_call (
    half_hour timestamptz NOT NULL,
    campaign_id bigint NOT NULL,
    list_id bigint NOT NULL,
    outcome text NOT NULL,
    cause smallint NOT NULL,
    code text NOT NULL,
    attempts int NOT NULL,
    answered int NOT NULL,
    connected int NOT NULL,
    machines int NOT NULL,
    harbours int NOT NULL,
    ring_ms bigint NOT NULL,
    wait_ms bigint NOT NULL,
    talk_ms bigint NOT NULL,
    PRIMARY KEY (half_hour, campaign_id, list_id, outcome, cause, code)
);
CREATE TABLE rollup_line (
    half_hour timestamptz NOT NULL,
    campaign_id bigint NOT NULL,
    switch text NOT NULL,
    caller_id text NOT NULL,
    outcome text NOT NULL,
    cause smallint NOT NULL,
    tech_cause smallint NOT NULL,
    attempts int NOT NULL,
    answered int NOT NULL,
    machines int NOT NULL,
    ring_ms bigint NOT NULL,
    talk_ms bigint NOT NULL,
    PRIMARY KEY (half_hour, campaign_id, switch, caller_id, outcome, cause, tech_cause)
);
CREATE TABLE rollup_agent (
    half_hour timestamptz NOT NULL,
    campaign_id bigint NOT NULL,
    user_id bigint NOT NULL,
    list_id bigint NOT NULL,
    outcome text NOT NULL,
    code text NOT NULL,
    attempts int NOT NULL,
    connected int NOT NULL,
    wait_ms bigint NOT NULL,
    talk_ms bigint NOT NULL,
    PRIMARY KEY (half_hour, campaign_id, user_id, list_id, outcome, code)
);
CREATE TABLE rollup_seat (
    half_hour timestamptz NOT NULL,
    campaign_id bigint NOT NULL,
    user_id bigint NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    times int NOT NULL,
    spent_ms bigint NOT NULL,
    PRIMARY KEY (half_hour, campaign_id, user_id, state, reason)
);
CREATE TABLE rollup_callback (
    half_hour timestamptz NOT NULL,
    campaign_id bigint NOT NULL,
    user_id bigint NOT NULL,
    promised int NOT NULL,
    personal int NOT NULL,
    kept int NOT NULL,
    by_person int NOT NULL,
    late_ms bigint NOT NULL,
    expired int NOT NULL,
    open int NOT NULL,
    PRIMARY KEY (half_hour, campaign_id, user_id)
);
-- What the rules refused, appended as it happens: nobody waits for another's row. A turn of the count adds up what lies
-- behind.
CREATE TABLE rollup_refusal (
    half_hour timestamptz NOT NULL,
    campaign_id bigint NOT NULL,
    reason text NOT NULL,
    calls int NOT NULL
);
CREATE INDEX rollup_refusal_by_time ON rollup_refusal (half_hour);

CREATE FUNCTION rollup_calls_due() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO rollup_due
    SELECT DISTINCT 'calls', date_bin('30 minutes', leased_at, '2000-01-01Z') FROM changed;
    RETURN NULL;
END $$;
CREATE FUNCTION rollup_seats_due() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO rollup_due
    SELECT DISTINCT 'seats', date_bin('30 minutes', at, '2000-01-01Z') FROM changed;
    RETURN NULL;
END $$;
CREATE FUNCTION rollup_callbacks_due() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO rollup_due SELECT DISTINCT 'callbacks', date_bin('30 minutes', to_timestamp(
        ('x' || substr(replace(call_id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0), '2000-01-01Z')
    FROM changed;
    RETURN NULL;
END $$;
CREATE TRIGGER attempt_made AFTER INSERT ON attempt REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION rollup_calls_due();
CREATE TRIGGER attempt_changed AFTER UPDATE ON attempt REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION rollup_calls_due();
CREATE TRIGGER disposition_made AFTER INSERT ON disposition REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION rollup_calls_due();
CREATE TRIGGER disposition_changed AFTER UPDATE ON disposition REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION rollup_calls_due();
CREATE TRIGGER seat_log_made AFTER INSERT ON seat_log REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION rollup_seats_due();
CREATE TRIGGER callback_made AFTER INSERT ON callback REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION rollup_callbacks_due();
CREATE TRIGGER callback_changed AFTER UPDATE ON callback REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION rollup_callbacks_due();
"""
# What there is already, live or archived, is due: every half hour from its first month on.
PARTITIONS = """
SELECT c.relname FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE i.inhparent IN ('attempt'::regclass, 'seat_log'::regclass) ORDER BY right(c.relname, 7)
"""
ARCHIVED = "SELECT min(month) FROM archived_month WHERE state <> 'expired'"
ALL_DUE = """
INSERT INTO rollup_due
SELECT kind, half_hour FROM generate_series(CAST(:first AS timestamptz), CAST(:now AS timestamptz),
    interval '30 minutes') half_hour, unnest(ARRAY['calls', 'stays', 'callbacks']) kind
"""


def upgrade() -> None:
    """Make the tables, and have all that is on record counted."""
    connection, now = op.get_bind(), datetime.now(UTC)
    connection.exec_driver_sql(TABLES)
    connection.execute(text("INSERT INTO rollup_seen VALUES (:now)"), {"now": now})
    first = _first_month(connection)
    if first is not None:
        connection.execute(
            text(ALL_DUE), {"first": datetime(first.year, first.month, 1, tzinfo=UTC), "now": now}
        )


def _first_month(connection: Connection) -> date | None:
    """The first month that has an attempt or a line of the seat log."""
    first: date | None = connection.execute(text(ARCHIVED)).scalar_one()
    for table in connection.execute(text(PARTITIONS)).scalars().all():
        if connection.execute(text(f"SELECT EXISTS (SELECT FROM {table})")).scalar_one():
            month = date(int(table[-7:-3]), int(table[-2:]), 1)
            return month if first is None else min(first, month)
    return first
