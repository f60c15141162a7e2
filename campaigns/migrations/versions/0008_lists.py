"""What imports need: numbers with kind and order, which of them a lease is for, and what each import did."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

TABLES = """
ALTER TABLE number ADD kind text NOT NULL DEFAULT 'phone', ADD ordinal smallint NOT NULL DEFAULT 1;
-- The number that the lease is for: authorized, dialed and recorded is this one and no other of the lead's.
ALTER TABLE lead ADD lease_number bigint;

-- A row of `list` is one import; a list of a name is all of them. Its leads are within `first_lead` … `last_lead`.
ALTER TABLE list ADD duplicates int NOT NULL DEFAULT 0, ADD updated int NOT NULL DEFAULT 0,
    ADD first_lead bigint, ADD last_lead bigint, ADD finished_at timestamptz, ADD undone_at timestamptz;
UPDATE list l SET finished_at = imported_at,
    (first_lead, last_lead) = (SELECT min(id), max(id) FROM lead WHERE list_id = l.id);
-- What an import changes in leads that were there; `before` is what was, once the change is made.
CREATE TABLE list_change (
    list_id bigint NOT NULL REFERENCES list,
    lead_id bigint NOT NULL,
    replaces boolean NOT NULL,
    name text NOT NULL,
    attributes jsonb NOT NULL,
    zones text[] NOT NULL,
    region text NOT NULL,
    customer_id text,
    numbers text[] NOT NULL,
    kinds text[] NOT NULL,
    before jsonb,
    PRIMARY KEY (list_id, lead_id)
);
-- What a person said of the columns of files of one origin.
CREATE TABLE list_source (
    name text PRIMARY KEY,
    columns jsonb NOT NULL
);
"""


def upgrade() -> None:
    """Add them."""
    op.get_bind().exec_driver_sql(TABLES)
