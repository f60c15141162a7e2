"""Tokens with which programs ask in somebody's name, for some of their rights and for a time."""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0023"

CHANGES = """
CREATE TABLE api_token (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES app_user ON DELETE CASCADE,
    name text NOT NULL,
    hash bytea NOT NULL UNIQUE,
    rights text[] NOT NULL,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    used_at timestamptz,
    used_from text NOT NULL DEFAULT ''
);
CREATE INDEX api_token_of_user ON api_token (user_id);
"""


def upgrade() -> None:
    """Add them."""
    op.get_bind().exec_driver_sql(CHANGES)
