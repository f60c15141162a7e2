"""Which scheduled reports were sent of which days."""

from __future__ import annotations

from alembic import op

revision = "0031"
down_revision = "0030"

TABLE = """
CREATE TABLE report_sent (
    name text NOT NULL,
    until date NOT NULL,
    sent_at timestamptz NOT NULL,
    PRIMARY KEY (name, until)
)
"""


def upgrade() -> None:
    """Make the table."""
    op.get_bind().exec_driver_sql(TABLE)
