"""Which engines there are, and which of them has which switch until when."""

from __future__ import annotations

from alembic import op

revision = "0036"
down_revision = "0035"

CHANGES = """
-- `home` is the data folder's own mark: two folders never share a name while one of them is at work. `able`: the
-- switches that it can have.
CREATE TABLE engine (
    name text PRIMARY KEY,
    home text NOT NULL,
    address text NOT NULL,
    able text[] NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL
) WITH (fillfactor = 50);
-- A switch, and the campaigns on it, have one engine at a time. `token` grows each time it is taken.
CREATE TABLE switch_lease (
    switch text PRIMARY KEY,
    engine text NOT NULL,
    token bigint NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL
) WITH (fillfactor = 50);
"""


def upgrade() -> None:
    """Make the tables."""
    op.get_bind().exec_driver_sql(CHANGES)
