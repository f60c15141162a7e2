"""A number that its campaign has finished with, while the lead's others go on."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column."""
    op.get_bind().exec_driver_sql("ALTER TABLE number ADD done boolean NOT NULL DEFAULT false")
