"""Whom the company's own sign-on vouches for, and by which token a session was opened that way."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"

CHANGES = """
CREATE TABLE sign_on (
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id bigint NOT NULL REFERENCES app_user ON DELETE CASCADE,
    bound_at timestamptz NOT NULL,
    PRIMARY KEY (issuer, subject),
    UNIQUE (user_id, issuer)
);
ALTER TABLE session ADD COLUMN id_token text NOT NULL DEFAULT '';
"""


def upgrade() -> None:
    """Add them."""
    op.get_bind().exec_driver_sql(CHANGES)
