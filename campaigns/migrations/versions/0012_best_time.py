"""Finished calls by segment and hour of the called party's day, and by whether they were ordered."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"

TABLES = """
-- Calls that finished since they were taken in last. `bucket` is 0 to 99, fixed for each lead.
CREATE TABLE best_time_fresh (
    campaign_id bigint NOT NULL,
    list_name text NOT NULL,
    region text NOT NULL,
    zone text NOT NULL,
    kind text NOT NULL,
    quarter timestamptz NOT NULL,
    bucket smallint NOT NULL,
    calls int NOT NULL,
    answers int NOT NULL,
    PRIMARY KEY (campaign_id, list_name, region, zone, kind, quarter, bucket)
);
-- All others, faded to the instant `at`. `weekday` (0: Monday) and `hour` are the called party's.
CREATE TABLE best_time_cell (
    campaign_id bigint NOT NULL,
    kind text NOT NULL,
    weekday smallint NOT NULL,
    region text NOT NULL,
    list_name text NOT NULL,
    hour smallint NOT NULL,
    calls real NOT NULL,
    answers real NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, kind, weekday, region, list_name, hour)
);
CREATE TABLE best_time_arm (
    campaign_id bigint NOT NULL,
    at_random boolean NOT NULL,
    calls bigint NOT NULL,
    answers bigint NOT NULL,
    PRIMARY KEY (campaign_id, at_random)
);
"""


def upgrade() -> None:
    """Make the tables."""
    op.get_bind().exec_driver_sql(TABLES)
