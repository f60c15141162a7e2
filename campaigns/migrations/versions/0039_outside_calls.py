"""Calls that agents have placed to numbers of their own choice: by hand, and to whom they send customers outside."""

from __future__ import annotations

from alembic import op

revision = "0039"
down_revision = "0038"

CHANGES = """
CREATE TABLE outside_call (
    uid text PRIMARY KEY,
    at timestamptz NOT NULL,
    user_id bigint NOT NULL,
    campaign_id bigint NOT NULL,
    number text NOT NULL,
    by_hand uuid,
    ended_at timestamptz
);
CREATE INDEX outside_call_by_user ON outside_call (user_id, at);
"""


def upgrade() -> None:
    """Neither of the pages' roles has any business there: nothing is granted."""
    op.get_bind().exec_driver_sql(CHANGES)
