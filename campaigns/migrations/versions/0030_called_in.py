"""Customers who call in: their calls stand among the attempts, known by the channel they came on."""

from __future__ import annotations

from alembic import op

revision = "0030"
down_revision = "0029"

# The switch's own id of the caller's channel; of a call that was dialed there is none.
CHANGES = """
ALTER TABLE attempt ADD called_in text;
CREATE INDEX attempt_called_in ON attempt (owner) WHERE called_in IS NOT NULL AND outcome IS NULL;
"""


def upgrade() -> None:
    """Add the column."""
    op.get_bind().exec_driver_sql(CHANGES)
