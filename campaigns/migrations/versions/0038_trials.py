"""Scripts tried side by side: which arm a customer is of, the arms' chances now, and the arm of an attempt."""

from __future__ import annotations

from alembic import op

revision = "0038"
down_revision = "0037"

TABLES = """
CREATE TABLE trial_member (
    campaign_id bigint NOT NULL REFERENCES campaign (id),
    party text COLLATE "C" NOT NULL,
    arm text NOT NULL,
    chance real NOT NULL CHECK (chance > 0 AND chance <= 1),
    at timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, party)
);
CREATE INDEX trial_member_party ON trial_member (party);
CREATE TABLE trial_chance (
    campaign_id bigint NOT NULL REFERENCES campaign (id),
    arm text NOT NULL,
    chance real NOT NULL,
    PRIMARY KEY (campaign_id, arm)
);
ALTER TABLE attempt ADD arm text;
"""
REACHED = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON {table} TO zhudong_web, zhudong_reports
    USING (campaign_id = ANY ((SELECT zhudong_campaigns())::bigint[]));
GRANT SELECT ON {table} TO zhudong_web, zhudong_reports;
"""


def upgrade() -> None:
    """Make the tables and the column."""
    run = op.get_bind().exec_driver_sql
    run(TABLES)
    for table in ("trial_member", "trial_chance"):
        run(REACHED.format(table=table))
