"""Plans: what was expected of a campaign when it was made from an earlier one's calls."""

from __future__ import annotations

from alembic import op

revision = "0040"
down_revision = "0039"

TABLE = """
CREATE TABLE plan (
    campaign_id bigint PRIMARY KEY REFERENCES campaign (id),
    based_on bigint NOT NULL REFERENCES campaign (id),
    segment text NOT NULL,
    arm text NOT NULL,
    hours smallint[] NOT NULL,
    until date NOT NULL,
    customers integer NOT NULL CHECK (customers > 0),
    seats integer NOT NULL,
    talked double precision NOT NULL,
    conversions double precision NOT NULL,
    conversions_low double precision NOT NULL,
    conversions_high double precision NOT NULL,
    revenue double precision NOT NULL,
    seat_hours double precision NOT NULL,
    known_from double precision NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL
);
ALTER TABLE plan ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON plan TO zhudong_web, zhudong_reports
    USING (campaign_id = ANY ((SELECT zhudong_campaigns())::bigint[]));
GRANT SELECT, INSERT ON plan TO zhudong_web;
GRANT SELECT ON plan TO zhudong_reports;
"""


def upgrade() -> None:
    """Make the table."""
    op.get_bind().exec_driver_sql(TABLE)
