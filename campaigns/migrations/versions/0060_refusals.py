"""What each refusal bars, by the call and by who wrote it down: a slip of the key is taken back, and no other's lock.

A refusal of before stays in `lock_out`, as long as it was for.
"""

from __future__ import annotations

from alembic import op

revision = "0060"
down_revision = "0059"

TABLE = """
CREATE TABLE refusal_lock (
    call_id uuid NOT NULL,
    user_id bigint NOT NULL,
    e164 text NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (call_id, user_id, e164)
);
CREATE INDEX refusal_lock_number ON refusal_lock (e164);
ALTER TABLE refusal_lock ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON refusal_lock TO zhudong_web, zhudong_reports USING ((SELECT zhudong_whole())
    OR EXISTS (SELECT FROM number n WHERE n.campaign_id = ANY ((SELECT zhudong_campaigns())::bigint[])
        AND n.e164 = refusal_lock.e164));
GRANT SELECT ON refusal_lock TO zhudong_web;
"""


def upgrade() -> None:
    """Make the table, which is seen as lock-outs are."""
    op.get_bind().exec_driver_sql(TABLE)
