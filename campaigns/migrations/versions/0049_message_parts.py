"""The parts in which a text was sent, by the ids that the other end gave them: by these its receipts come."""

from __future__ import annotations

from alembic import op

revision = "0049"
down_revision = "0048"

TABLE = """
CREATE TABLE message_part (
    remote_id text PRIMARY KEY,  -- of whom, and the id
    message_id bigint NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    delivered boolean NOT NULL DEFAULT false
);
CREATE INDEX message_part_by_message ON message_part (message_id);
"""


def upgrade() -> None:
    """Make the table. The pages' role has no use for it."""
    op.get_bind().exec_driver_sql(TABLE)
