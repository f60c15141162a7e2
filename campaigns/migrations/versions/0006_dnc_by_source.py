"""A do-not-call entry for each source that has it, so that one list's new version takes nothing from another's."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

CHANGES = """
ALTER TABLE dnc DROP CONSTRAINT dnc_pkey, ADD PRIMARY KEY (e164, layer, campaign_id, source);
ALTER TABLE dnc_prefix DROP CONSTRAINT dnc_prefix_pkey, ADD PRIMARY KEY (prefix, layer, campaign_id, source);
"""


def upgrade() -> None:
    """Change the keys."""
    op.get_bind().exec_driver_sql(CHANGES)
