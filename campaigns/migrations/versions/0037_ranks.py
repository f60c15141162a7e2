"""Where people stand in the campaigns they serve: first, or behind those who do."""

from __future__ import annotations

from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """Everybody stands first where nothing is said."""
    op.get_bind().exec_driver_sql("ALTER TABLE app_user ADD COLUMN ranks jsonb NOT NULL DEFAULT '{}'")
