"""What agents changed of a customer's data, value by value."""

from __future__ import annotations

from alembic import op

revision = "0032"
down_revision = "0031"

CHANGES = """
CREATE TABLE lead_edit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lead_id bigint NOT NULL REFERENCES lead ON DELETE CASCADE,
    at timestamptz NOT NULL,
    user_id bigint NOT NULL,
    field text NOT NULL,
    before text NOT NULL,
    after text NOT NULL
);
CREATE INDEX lead_edit_of_lead ON lead_edit (lead_id, id);
"""


def upgrade() -> None:
    """Add the table."""
    op.get_bind().exec_driver_sql(CHANGES)
