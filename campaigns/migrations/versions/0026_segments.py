"""Segments with their versions, whom campaigns took by them, whom they held out, and what customers bought."""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"

TABLES = """
CREATE TABLE segment (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    unit_id bigint NOT NULL REFERENCES unit,
    name text NOT NULL UNIQUE,
    version int NOT NULL
);
CREATE TABLE segment_version (
    segment_id bigint NOT NULL REFERENCES segment,
    version int NOT NULL,
    text text NOT NULL,
    saved_by text NOT NULL,
    saved_at timestamptz NOT NULL,
    PRIMARY KEY (segment_id, version)
);
-- One time that a campaign took customers by a segment.
CREATE TABLE segment_take (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    segment_id bigint NOT NULL REFERENCES segment,
    version int NOT NULL,
    campaign_id bigint NOT NULL REFERENCES campaign,
    list_name text NOT NULL,
    hold_out real NOT NULL,
    taken_at timestamptz NOT NULL,
    taken_by text NOT NULL,
    called int NOT NULL,
    held_out int NOT NULL
);
CREATE INDEX segment_take_of_campaign ON segment_take (campaign_id);
-- `party` is a customer's id or, without one, a number, as in `called`. Who was held out of a campaign stays out of it.
CREATE TABLE segment_member (
    campaign_id bigint NOT NULL,
    party text COLLATE "C" NOT NULL,
    take_id bigint NOT NULL REFERENCES segment_take,
    held_out boolean NOT NULL,
    PRIMARY KEY (campaign_id, party)
);
CREATE INDEX segment_member_of_take ON segment_member (take_id);
CREATE INDEX segment_member_by_party ON segment_member (party);

-- What a customer bought, as the company's own systems tell. A `reference` comes in once.
CREATE TABLE purchase (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    unit_id bigint NOT NULL REFERENCES unit,
    customer_id text NOT NULL,
    at timestamptz NOT NULL,
    amount numeric(16, 2) NOT NULL,
    reference text NOT NULL,
    UNIQUE (unit_id, reference)
);
CREATE INDEX purchase_of_customer ON purchase (customer_id, at);
"""


def upgrade() -> None:
    """Make the tables."""
    op.get_bind().exec_driver_sql(TABLES)
