"""A campaign's lists by lane: a lease asks for the names of those that have leads, not for all that ever were."""

from __future__ import annotations

from alembic import op

revision = "0061"
down_revision = "0060"


def upgrade() -> None:
    """Add the index."""
    op.get_bind().exec_driver_sql("CREATE INDEX list_of_lane ON list (campaign_id, lane, id)")
