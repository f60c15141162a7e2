"""In which order leads are called: their list's lane, and a rank within it."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"

CHANGES = """
-- All imports of a list of one name share a lane of their campaign.
ALTER TABLE list ADD lane smallint NOT NULL DEFAULT 1;
-- Within a lane the lower rank is called first.
ALTER TABLE lead ADD lane smallint NOT NULL DEFAULT 1, ADD rank smallint NOT NULL DEFAULT 0;
ALTER TABLE list_change ADD rank smallint NOT NULL DEFAULT 0;
DROP INDEX lead_ready;
CREATE INDEX lead_ready ON lead (campaign_id, lane, rank, next_at, id) WHERE open AND lease IS NULL;
"""


def upgrade() -> None:
    """Add the columns, and have the index serve them."""
    op.get_bind().exec_driver_sql(CHANGES)
