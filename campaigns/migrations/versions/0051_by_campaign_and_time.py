"""Ways to what was read whole: a campaign's half hours, the changes of one lead, calls and messages of one number."""

from __future__ import annotations

from alembic import op

revision = "0051"
down_revision = "0050"

INDEXES = """
CREATE INDEX rollup_call_of_campaign ON rollup_call (campaign_id, half_hour);
"""


def upgrade() -> None:
    """Add the indexes."""
    op.get_bind().exec_driver_sql(INDEXES)
