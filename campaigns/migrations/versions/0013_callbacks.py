"""Callbacks: whom they are for, how long they wait for that person, and when they are over."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"

CHANGES = """
-- Until `anyone_at` a personal callback is for `user_id` alone; from `expires_at` on the lead is one like others.
-- `done_at`: it was tried, taken back, or expired.
ALTER TABLE callback ADD campaign_id bigint, ADD personal boolean NOT NULL DEFAULT false,
    ADD anyone_at timestamptz, ADD expires_at timestamptz, ADD done_at timestamptz;
UPDATE callback c SET campaign_id = (SELECT campaign_id FROM lead WHERE id = c.lead_id), anyone_at = due_at,
    expires_at = due_at + interval '7 days', done_at = CASE WHEN due_at < now() THEN due_at END;
ALTER TABLE callback ALTER anyone_at SET NOT NULL, ALTER expires_at SET NOT NULL;
CREATE INDEX callback_waiting ON callback (campaign_id, due_at) WHERE done_at IS NULL;
CREATE INDEX callback_of_lead ON callback (lead_id);
"""


def upgrade() -> None:
    """Add them."""
    op.get_bind().exec_driver_sql(CHANGES)
