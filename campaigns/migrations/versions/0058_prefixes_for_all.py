"""Numbers by their beginning are barred for all campaigns by who sees the whole company: `+86*` stops every one."""

from __future__ import annotations

from alembic import op

revision = "0058"
down_revision = "0057"

ENTERED = """
campaign_id = ANY ((SELECT zhudong_campaigns())::bigint[]) OR (campaign_id = 0 AND (SELECT zhudong_whole()))
"""


def upgrade() -> None:
    """Hold what the pages' role enters to it; a number alone is still taken from everybody."""
    run = op.get_bind().exec_driver_sql
    for policy in ("added", "changed"):
        run(f"ALTER POLICY {policy} ON dnc_prefix WITH CHECK ({ENTERED})")
