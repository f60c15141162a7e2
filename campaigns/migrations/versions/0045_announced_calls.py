"""Announced calls: leads of such lists wait below lane 0, and a message that announces a call has none before it.

`message.call_id` of an announcement is the first call that came after it, so that what was announced and did not come
yet is counted by a small index.
"""

from __future__ import annotations

from alembic import op

revision = "0045"
down_revision = "0044"

TABLES = """
ALTER TABLE list ADD announces boolean NOT NULL DEFAULT false;  -- its leads go in below lane 0
CREATE INDEX list_announces ON list (campaign_id) WHERE announces;
ALTER TABLE message ALTER call_id DROP NOT NULL, ALTER leased_at DROP NOT NULL;
CREATE INDEX message_ahead ON message (campaign_id, due_at) WHERE event = 'before' AND call_id IS NULL;
"""
CALLED = """
CREATE OR REPLACE FUNCTION message_due_by_outcome() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$ BEGIN
    IF EXISTS (SELECT FROM message_step) THEN
        INSERT INTO message (campaign_id, step, channel, lead_id, number_id, call_id, leased_at, event, due_at, next_at)
        SELECT s.campaign_id, s.step, s.channel, n.lead_id, n.number_id, n.call_id, n.leased_at, s.event,
            n.ended_at + make_interval(secs => s.delay_s), n.ended_at + make_interval(secs => s.delay_s)
        FROM after n JOIN before o ON o.call_id = n.call_id AND o.leased_at = n.leased_at
        JOIN message_step s ON s.campaign_id = n.campaign_id AND s.event = 'outcome ' || n.outcome
        WHERE o.outcome IS NULL AND n.number_id IS NOT NULL
        ON CONFLICT (campaign_id, step, lead_id) DO NOTHING;
    END IF;
    IF EXISTS (SELECT FROM message_step WHERE event = 'before') THEN
        UPDATE message m SET call_id = n.call_id, leased_at = n.leased_at
        FROM after n JOIN before o ON o.call_id = n.call_id AND o.leased_at = n.leased_at
        WHERE o.outcome IS NULL AND n.outcome IS NOT NULL AND m.lead_id = n.lead_id AND m.event = 'before'
            AND m.call_id IS NULL;
    END IF;
    RETURN NULL;
END $$;
"""


def upgrade() -> None:
    """Let messages come before calls."""
    run = op.get_bind().exec_driver_sql
    run(TABLES)
    run(CALLED)
