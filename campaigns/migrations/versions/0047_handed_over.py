"""A switch that its engine does not reach: it says so, another one offers to take it, and how often it went."""

from __future__ import annotations

from alembic import op

revision = "0047"
down_revision = "0046"

CHANGES = """
ALTER TABLE switch_lease
    ADD COLUMN out_of_reach boolean NOT NULL DEFAULT false,  -- its engine has had no link to it for too long
    ADD COLUMN offered_by text NOT NULL DEFAULT '',  -- an engine that has just tried the switch, and reached it
    ADD COLUMN offered_until timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN handed integer NOT NULL DEFAULT 0;  -- how often in a row it was handed over soon after it was taken
"""


def upgrade() -> None:
    """Add the columns."""
    op.get_bind().exec_driver_sql(CHANGES)
