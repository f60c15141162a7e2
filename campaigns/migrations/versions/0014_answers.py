"""Answers to the script, with the attempt they were given in."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"

# A JSON object as text, so that an archived month has it to the letter.
CHANGES = "ALTER TABLE attempt ADD answers text"


def upgrade() -> None:
    """Add them."""
    op.get_bind().exec_driver_sql(CHANGES)
