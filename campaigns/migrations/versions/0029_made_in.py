"""Where each version of a campaign was made, and why: a file must not undo what was changed live."""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"

CHANGES = """
ALTER TABLE campaign_version ADD COLUMN made_in text NOT NULL DEFAULT 'file' CHECK (made_in IN ('file', 'console')),
    ADD COLUMN why text NOT NULL DEFAULT '';
"""


def upgrade() -> None:
    """Add both."""
    op.get_bind().exec_driver_sql(CHANGES)
