"""A report's run is of all its days: one of a week is not that of the week's last day."""

from __future__ import annotations

from alembic import op

revision = "0064"
down_revision = "0063"


def upgrade() -> None:
    """Tell runs apart by their first day, too."""
    run = op.get_bind().exec_driver_sql
    run("DROP INDEX report_run_once")
    run("""
CREATE UNIQUE INDEX report_run_once ON report_run ((COALESCE(schedule_id, 0)), name, since, until) WHERE asked_by = ''
""")
