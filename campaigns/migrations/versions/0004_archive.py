"""What the archive of old months needs in the database: what was archived, who is in it, holds, and erasures."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = """
-- The customer's id in the systems that lists come from.
ALTER TABLE lead ADD COLUMN IF NOT EXISTS customer_id text;
CREATE INDEX IF NOT EXISTS lead_of_customer ON lead (customer_id) WHERE customer_id IS NOT NULL;

-- Whom an attempt called, where a restored month knows and the lead may be gone; empty in all others.
ALTER TABLE attempt ADD COLUMN e164 text, ADD COLUMN customer_id text;
CREATE INDEX attempt_by_e164 ON attempt (e164) WHERE e164 IS NOT NULL;
CREATE INDEX attempt_by_customer ON attempt (customer_id) WHERE customer_id IS NOT NULL;

-- A month is where this table says: `archived` in a file, `expired` nowhere any more, else live.
CREATE TABLE archived_month (
    kind text NOT NULL,
    month date NOT NULL,
    state text NOT NULL CHECK (state IN ('archived', 'restored', 'expired')),
    generation int NOT NULL,
    manifest jsonb NOT NULL,
    changed_at timestamptz NOT NULL,
    live_until date,
    PRIMARY KEY (kind, month)
);
-- Whom the archive knows: for whoever brings in a list.
CREATE TABLE archived_number (
    e164 text NOT NULL,
    campaign_id bigint NOT NULL,
    customer_id text,
    attempts int NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (e164, campaign_id)
);
CREATE INDEX archived_number_of_customer ON archived_number (customer_id) WHERE customer_id IS NOT NULL;
-- What came of the archived attempts; `machines` of them heard one.
CREATE TABLE archived_outcome (
    month date NOT NULL,
    campaign_id bigint NOT NULL,
    outcome text NOT NULL,
    code text NOT NULL,
    attempts int NOT NULL,
    connected int NOT NULL,
    machines int NOT NULL,
    PRIMARY KEY (month, campaign_id, outcome, code)
);

CREATE TABLE legal_hold (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id bigint,
    e164 text,
    customer_id text,
    why text NOT NULL,
    placed_by text NOT NULL,
    placed_at timestamptz NOT NULL,
    lifted_by text,
    lifted_at timestamptz,
    CHECK (num_nonnulls(campaign_id, e164, customer_id) = 1)
);
-- An erasure that was begun: whom it is about is kept until it is done, so that a crash can't stop it half-way.
CREATE TABLE erasure (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reference text NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL,
    done_at timestamptz,
    e164s text[],
    customer_ids text[],
    lead_ids bigint[]
);
"""


def upgrade() -> None:
    """Create the tables."""
    op.get_bind().exec_driver_sql(TABLES)
