"""What each seat does now, and at which engine: when that one dies, nobody else tells that its seats are gone."""

from __future__ import annotations

from alembic import op

revision = "0057"
down_revision = "0056"

# Changed with each call of a seat, in place: there is room on the page.
SEATS = """
CREATE TABLE seat_now (
    user_id bigint PRIMARY KEY,
    session_id text NOT NULL,
    engine text NOT NULL,
    state text NOT NULL,
    at timestamptz NOT NULL
) WITH (fillfactor = 50)
"""


def upgrade() -> None:
    """Seats that are at work come with their next state."""
    run = op.get_bind().exec_driver_sql
    run(SEATS)
    run("ALTER TABLE engine ADD COLUMN before timestamptz")  # until when its last life was heard
