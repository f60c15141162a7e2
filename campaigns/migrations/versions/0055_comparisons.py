"""What comparisons with those held out go by: a take's segment by its name, and a step's share as it was at a message.

Whose a campaign is may see what was gained there, also by a segment of a unit above, which itself is not theirs to see.
"""

from __future__ import annotations

from alembic import op

revision = "0055"
down_revision = "0054"

# Messages of before are compared as they were: nobody knows what the share was then.
COLUMNS = """
ALTER TABLE segment_take ADD segment text;
UPDATE segment_take t SET segment = s.name FROM segment s WHERE s.id = t.segment_id;
ALTER TABLE segment_take ALTER segment SET NOT NULL;
ALTER TABLE message ADD hold_out real;
"""


def upgrade() -> None:
    """Add them."""
    op.get_bind().exec_driver_sql(COLUMNS)
