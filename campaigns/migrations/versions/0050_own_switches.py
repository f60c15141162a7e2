"""Which switches are an engine's own, and not only those that it stands by for."""

from __future__ import annotations

from alembic import op

revision = "0050"
down_revision = "0049"


def upgrade() -> None:
    """Add the column; an engine that does not know of it stands back for nobody."""
    op.get_bind().exec_driver_sql("ALTER TABLE engine ADD COLUMN own text[] NOT NULL DEFAULT '{}'")
