"""A second factor: a secret for codes by time, the codes of last resort, and sessions that wait for one of them."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"

CHANGES = """
-- `totp_step` is the time step of the last code that was taken: that one and older ones are taken no more.
-- `totp_offered` is a secret that was shown and not yet proven to have arrived.
ALTER TABLE app_user ADD totp_secret text, ADD totp_step bigint NOT NULL DEFAULT 0, ADD totp_offered text;
CREATE TABLE recovery_code (
    user_id bigint NOT NULL REFERENCES app_user ON DELETE CASCADE,
    hash bytea NOT NULL,
    PRIMARY KEY (user_id, hash)
);
-- What a session waits for before it is good for anything: nothing, a code, or that a second factor is set up.
ALTER TABLE session ADD waits_for text NOT NULL DEFAULT '' CHECK (waits_for IN ('', 'code', 'enrolment'));
"""


def upgrade() -> None:
    """Add them."""
    op.get_bind().exec_driver_sql(CHANGES)
