"""Which lengths the do-not-call prefixes have, found without reading them."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the index."""
    op.get_bind().exec_driver_sql("CREATE INDEX dnc_prefix_length ON dnc_prefix (length(prefix))")
