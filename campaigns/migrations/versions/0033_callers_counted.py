"""Customers who called in are counted apart from those that were dialed; what has them is due to be counted anew."""

from __future__ import annotations

from alembic import op

revision = "0033"
down_revision = "0032"

CHANGES = """
CREATE TABLE rollup_caller (
    half_hour timestamptz NOT NULL,
    campaign_id bigint NOT NULL,
    outcome text NOT NULL,
    calls int NOT NULL,
    connected int NOT NULL,
    wait_ms bigint NOT NULL,
    talk_ms bigint NOT NULL,
    PRIMARY KEY (half_hour, campaign_id, outcome)
);
-- Of `connected`, those who called in.
ALTER TABLE rollup_agent ADD called_in int NOT NULL DEFAULT 0;
INSERT INTO rollup_due
SELECT DISTINCT 'calls', date_bin('30 minutes', leased_at, '2000-01-01Z') FROM attempt WHERE called_in IS NOT NULL;
"""


def upgrade() -> None:
    """Make the table and the column."""
    op.get_bind().exec_driver_sql(CHANGES)
