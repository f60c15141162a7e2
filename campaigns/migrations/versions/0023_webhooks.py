"""Events on their way to a company's own systems: each until it was taken, in the order of its call."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"

CHANGES = """
-- What was taken is gone from here; what was given up has `dead_at`, and holds up nothing.
CREATE TABLE webhook_delivery (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    engine text NOT NULL, -- whose it is to send
    hook text NOT NULL,
    call_id uuid NOT NULL,
    kind text NOT NULL,
    body text NOT NULL, -- JSON
    since timestamptz NOT NULL,
    next_at timestamptz NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    dead_at timestamptz,
    fault text NOT NULL DEFAULT '' -- of the last try
);
CREATE INDEX webhook_waiting ON webhook_delivery (engine, hook, call_id, id) WHERE dead_at IS NULL;
CREATE INDEX webhook_dead ON webhook_delivery (dead_at) WHERE dead_at IS NOT NULL;
CREATE INDEX webhook_of_call ON webhook_delivery (call_id);
"""


def upgrade() -> None:
    """Add them."""
    op.get_bind().exec_driver_sql(CHANGES)
