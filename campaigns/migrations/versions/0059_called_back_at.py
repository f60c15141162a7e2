"""At which number a callback was promised: the one that is called back; and which call took its place."""

from __future__ import annotations

from alembic import op

revision = "0059"
down_revision = "0058"

# Those that wait; what is counted of them stays as it is. A call's id begins with the time at which it was leased, by
# which its attempt is looked for in one partition: nobody is promised a callback while all that ever were are read.
COLUMNS = """
ALTER TABLE callback ADD number_id bigint, ADD replaced_by uuid;
ALTER TABLE callback DISABLE TRIGGER callback_changed;
UPDATE callback c SET number_id = (
    SELECT a.number_id FROM attempt a WHERE a.call_id = c.call_id AND a.leased_at =
        to_timestamp(('x' || substr(replace(c.call_id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)
) WHERE c.done_at IS NULL;
ALTER TABLE callback ENABLE TRIGGER callback_changed
"""


def upgrade() -> None:
    """Add the columns."""
    op.get_bind().exec_driver_sql(COLUMNS)
