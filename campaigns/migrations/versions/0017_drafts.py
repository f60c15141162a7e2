"""What agents typed and have not put on record yet, so that no reload, no other computer and no restart loses it."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"

CHANGES = """
CREATE TABLE draft (
    user_id bigint PRIMARY KEY REFERENCES app_user ON DELETE CASCADE,
    call_id uuid NOT NULL,
    at double precision NOT NULL, -- POSIX seconds, by the page: the newer of two counts
    fields text NOT NULL -- JSON
);
"""


def upgrade() -> None:
    """Add them."""
    op.get_bind().exec_driver_sql(CHANGES)
