"""A lead that the rules hold back keeps the instant from which it was ready, for when they let it go."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

CHANGES = """
-- NULL: the rules do not hold it. Else `next_at` (or `open`) is as the rules say, and this is what it was before.
ALTER TABLE lead ADD ready_at timestamptz;
CREATE INDEX lead_held ON lead (campaign_id) WHERE ready_at IS NOT NULL;
"""


def upgrade() -> None:
    """Add the column and its index."""
    op.get_bind().exec_driver_sql(CHANGES)
