"""Dispositions and the seat log by month, as attempts are; the seat log knows the campaign."""

from __future__ import annotations

from datetime import UTC, datetime

from alembic import op
from sqlalchemy import text

from campaigns.partitions import make_partition, month_of

revision = "0003"
down_revision = "0002"

TABLES = """
ALTER TABLE disposition RENAME TO old_disposition;
ALTER TABLE old_disposition RENAME CONSTRAINT disposition_pkey TO old_disposition_pkey;
CREATE TABLE disposition (
    call_id uuid NOT NULL,
    leased_at timestamptz NOT NULL,
    user_id bigint NOT NULL,
    code text NOT NULL,
    notes text NOT NULL,
    do_not_call boolean NOT NULL,
    retry_at timestamptz,
    final boolean NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (call_id, leased_at)
) PARTITION BY RANGE (leased_at);

ALTER TABLE seat_log RENAME TO old_seat_log;
ALTER TABLE old_seat_log RENAME CONSTRAINT seat_log_pkey TO old_seat_log_pkey;
ALTER INDEX seat_log_by_time RENAME TO old_seat_log_by_time;
ALTER TABLE old_seat_log ALTER id DROP IDENTITY;
CREATE SEQUENCE seat_log_id;
-- `campaign_id`: whose pacing counts on the seat, or whose customer it has.
CREATE TABLE seat_log (
    id bigint NOT NULL DEFAULT nextval('seat_log_id'),
    at timestamptz NOT NULL,
    user_id bigint NOT NULL,
    session_id text NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    call_id text NOT NULL,
    campaign_id bigint,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX seat_log_by_time ON seat_log (at);
"""
# The time that a call's id carries (campaigns/ids.py).
CALLED = "to_timestamp(('x' || substr(replace(call_id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)"
MOVED = f"""
INSERT INTO disposition
SELECT call_id, {CALLED}, user_id, code, notes, do_not_call, retry_at, final, at FROM old_disposition;
INSERT INTO seat_log SELECT id, at, user_id, session_id, state, reason, call_id FROM old_seat_log ORDER BY id;
SELECT setval('seat_log_id', (SELECT max(id) FROM seat_log));
DROP TABLE old_disposition, old_seat_log;
"""


def upgrade() -> None:
    """Make the new tables, their partitions from the first month on record, and move what there is."""
    connection = op.get_bind()
    connection.exec_driver_sql(TABLES)
    for table, first in (
        ("disposition", f"SELECT min({CALLED}) FROM old_disposition"),
        ("seat_log", "SELECT min(at) FROM old_seat_log"),
    ):
        begins: datetime | None = connection.execute(text(first)).scalar_one()
        if begins is not None:
            month, last = month_of(begins.date()), month_of(datetime.now(UTC).date(), 1)
            while month <= last:
                make_partition(connection, table, month)
                month = month_of(month, 1)
    connection.exec_driver_sql(MOVED)
