"""A campaign on several switches: what each part has counted, and what it holds of the abandons that are left."""

from __future__ import annotations

from alembic import op

revision = "0048"
down_revision = "0047"

TABLES = """
-- Written with the calls, in their transaction. Counts only grow.
CREATE TABLE campaign_counted (
    campaign_id bigint NOT NULL REFERENCES campaign (id),
    switch text NOT NULL,
    connected bigint NOT NULL DEFAULT 0,
    hung_up bigint NOT NULL DEFAULT 0,
    abandoned bigint NOT NULL DEFAULT 0,
    machines bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (campaign_id, switch)
) WITH (fillfactor = 50);
-- Written once a second by the engine that has the switch: the same counts with what is not on record yet.
CREATE TABLE campaign_part (
    campaign_id bigint NOT NULL REFERENCES campaign (id),
    switch text NOT NULL,
    seats integer NOT NULL,
    held double precision NOT NULL,  -- so many of its calls may yet be abandoned
    connected bigint NOT NULL,
    hung_up bigint NOT NULL,
    abandoned bigint NOT NULL,
    machines bigint NOT NULL,
    at timestamptz NOT NULL,
    learned text NOT NULL DEFAULT '',
    PRIMARY KEY (campaign_id, switch)
) WITH (fillfactor = 50);
"""


def upgrade() -> None:
    """Make the tables."""
    op.get_bind().exec_driver_sql(TABLES)
