"""How each caller-ID was used, how it is answered beside the others of its pool, and which were taken out."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"

TABLES = """
CREATE SEQUENCE caller_id_change;
-- Calls by bucket of five minutes and of an hour; only of numbers that a campaign limits. Written with every batch.
CREATE TABLE caller_id_use (
    caller_id text COLLATE "C" PRIMARY KEY,
    hour_calls jsonb NOT NULL DEFAULT '{}',
    day_calls jsonb NOT NULL DEFAULT '{}',
    run int NOT NULL DEFAULT 0,
    last_at timestamptz NOT NULL,
    owner text NOT NULL,
    change bigint NOT NULL
) WITH (fillfactor = 50);
-- Finished calls with a number: those since the watch looked last, and those that it remembers.
CREATE TABLE caller_id_answers (
    campaign_id bigint NOT NULL,
    caller_id text COLLATE "C" NOT NULL,
    fresh_calls int NOT NULL DEFAULT 0,
    fresh_answers int NOT NULL DEFAULT 0,
    calls real NOT NULL DEFAULT 0,
    answers real NOT NULL DEFAULT 0,
    PRIMARY KEY (campaign_id, caller_id)
) WITH (fillfactor = 50);
CREATE TABLE caller_id_watch (
    caller_id text COLLATE "C" PRIMARY KEY,
    evidence real NOT NULL DEFAULT 0,
    flagged_at timestamptz,
    out_at timestamptz
);
"""


def upgrade() -> None:
    """Make the tables."""
    op.get_bind().exec_driver_sql(TABLES)
