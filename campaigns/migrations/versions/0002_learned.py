"""What a campaign's pacing has learned, kept for the next start."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column."""
    op.get_bind().exec_driver_sql("ALTER TABLE campaign ADD COLUMN learned text")
