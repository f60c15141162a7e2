"""A user's own day is read by user, not out of everyone's log."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the index."""
    op.get_bind().exec_driver_sql("CREATE INDEX seat_log_by_user ON seat_log (user_id, at)")
