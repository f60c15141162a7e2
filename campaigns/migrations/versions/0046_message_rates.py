"""How many messages of a channel were let go in the last second is looked up by it, whichever engine they were of."""

from __future__ import annotations

from alembic import op

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    """Add the index."""
    op.get_bind().exec_driver_sql(
        "CREATE INDEX message_by_time ON message (channel, permitted_at) WHERE permitted_at IS NOT NULL"
    )
