"""Sessions that their owner can tell apart and end."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"

CHANGES = """
ALTER TABLE session ADD id bigint GENERATED ALWAYS AS IDENTITY, ADD browser text NOT NULL DEFAULT '';
CREATE INDEX session_of_user ON session (user_id);
"""


def upgrade() -> None:
    """Name them."""
    op.get_bind().exec_driver_sql(CHANGES)
