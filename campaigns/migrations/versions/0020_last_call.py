"""Which call to a party was the last: while its lead has it for a lease, it is not over."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the column."""
    op.get_bind().exec_driver_sql("ALTER TABLE called ADD last_call uuid")
