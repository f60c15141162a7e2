"""Leads are vacuumed after so many changes, however many leads there are."""

from __future__ import annotations

from alembic import op

revision = "0043"
down_revision = "0042"

CHANGES = """
-- A lead that is leased leaves a dead entry at the head of the index of ready leads, and each lease goes past all of
-- them until they are vacuumed: with PostgreSQL's own setting when they are a fifth of all leads.
ALTER TABLE lead SET (autovacuum_vacuum_scale_factor = 0.01);
"""


def upgrade() -> None:
    """Set it; nobody waits for that."""
    op.get_bind().exec_driver_sql(CHANGES)
