"""At which number a callback was promised: the one that is called back."""

from __future__ import annotations

from alembic import op

revision = "0059"
down_revision = "0058"

# Those that wait; what is counted of them stays as it is.
NUMBER = """
ALTER TABLE callback ADD number_id bigint;
ALTER TABLE callback DISABLE TRIGGER callback_changed;
UPDATE callback c SET number_id = a.number_id FROM attempt a WHERE c.done_at IS NULL AND a.call_id = c.call_id;
ALTER TABLE callback ENABLE TRIGGER callback_changed
"""


def upgrade() -> None:
    """Add the column."""
    op.get_bind().exec_driver_sql(NUMBER)
