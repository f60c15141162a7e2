"""A lead knows when it was taken back with its list, whichever list it is on since.

Of the lists that were taken back before, only those have it to whom a message is still due.
"""

from __future__ import annotations

from alembic import op

revision = "0065"
down_revision = "0064"


def upgrade() -> None:
    """Add the column: when the lead was closed as its list was taken back; NULL once it is called again."""
    run = op.get_bind().exec_driver_sql
    run("ALTER TABLE lead ADD taken_back_at timestamptz")
    run("""
UPDATE lead l SET taken_back_at = i.undone_at FROM list i
WHERE i.id = l.list_id AND i.undone_at IS NOT NULL
    AND l.id IN (SELECT lead_id FROM message WHERE state IN ('waiting', 'sending'))
""")
