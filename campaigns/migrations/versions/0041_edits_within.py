"""What an agent changes of a customer is put on record by the pages' role, for the customers it reaches."""

from __future__ import annotations

from alembic import op

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Have the pages' role add to the record; change and delete it may not."""
    op.get_bind().exec_driver_sql("GRANT INSERT ON lead_edit TO zhudong_web")
