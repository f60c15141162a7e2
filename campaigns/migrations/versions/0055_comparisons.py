"""A take has its segment by its name.

Whose a campaign is may see what was gained there, also by a segment of a unit above, which itself is not theirs to see.
"""

from __future__ import annotations

from alembic import op

revision = "0055"
down_revision = "0054"

NAMED = """
ALTER TABLE segment_take ADD segment text;
UPDATE segment_take t SET segment = s.name FROM segment s WHERE s.id = t.segment_id;
ALTER TABLE segment_take ALTER segment SET NOT NULL;
"""


def upgrade() -> None:
    """Add it."""
    op.get_bind().exec_driver_sql(NAMED)
