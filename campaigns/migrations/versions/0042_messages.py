"""Messages: the steps of the campaigns as applied, the one table of what is due and was sent, and what people said.

A message is due by the very statement that puts the call's outcome or disposition on record (the triggers below), so
nothing is due without its call, and no call's message is forgotten. A lead has a step's message once.
"""

from __future__ import annotations

from alembic import op

revision = "0042"
down_revision = "0041"

TABLES = """
CREATE TABLE message_step (
    campaign_id bigint NOT NULL REFERENCES campaign (id),
    step text NOT NULL,
    event text NOT NULL,  -- outcome no_answer, disposition sold
    channel text NOT NULL,
    delay_s double precision NOT NULL,
    PRIMARY KEY (campaign_id, step, event)
);
CREATE TABLE message (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id bigint NOT NULL,
    step text NOT NULL,
    channel text NOT NULL,
    lead_id bigint NOT NULL,
    number_id bigint NOT NULL,
    call_id uuid NOT NULL,  -- whose outcome or disposition made it due
    leased_at timestamptz NOT NULL,
    event text NOT NULL,
    due_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL,  -- when it is looked at again; of one that is being sent, when its lease ends
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'not_sent', 'failed')),
    reason text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    tries integer NOT NULL DEFAULT 0,  -- and the token of the last lease
    key uuid NOT NULL DEFAULT gen_random_uuid(),  -- by which whoever brings it knows it again
    -- from the moment of sending on: to whom, what, and what allowed it
    customer_id text,
    address text,
    sender text NOT NULL DEFAULT '',
    subject text NOT NULL DEFAULT '',
    body text NOT NULL DEFAULT '',
    permitted_at timestamptz,
    basis_id bigint,
    choice_id bigint,
    engine text NOT NULL DEFAULT '',
    sent_at timestamptz,
    delivered_at timestamptz,
    bounced_at timestamptz,
    replied_at timestamptz,
    reply text NOT NULL DEFAULT '',
    UNIQUE (campaign_id, step, lead_id)
);
CREATE INDEX message_due ON message (channel, next_at, id) WHERE state IN ('waiting', 'sending');
CREATE INDEX message_by_address ON message (address, channel) WHERE permitted_at IS NOT NULL;
CREATE INDEX message_by_customer ON message (customer_id, channel) WHERE permitted_at IS NOT NULL;
CREATE INDEX message_by_lead ON message (lead_id);
CREATE UNIQUE INDEX message_by_key ON message (key);
-- What people said of being written to: the last word counts.
CREATE TABLE message_choice (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel text NOT NULL,
    address text NOT NULL,
    agreed boolean NOT NULL,
    source text NOT NULL,
    at timestamptz NOT NULL,
    expires_at timestamptz,
    UNIQUE (channel, address, agreed, source, at)
);
CREATE INDEX message_choice_by_address ON message_choice (address, channel);
"""
DUE = """
CREATE FUNCTION message_due_by_outcome() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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
    RETURN NULL;
END $$;
CREATE FUNCTION message_due_by_disposition() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$ BEGIN
    IF EXISTS (SELECT FROM message_step) THEN
        INSERT INTO message (campaign_id, step, channel, lead_id, number_id, call_id, leased_at, event, due_at, next_at)
        SELECT s.campaign_id, s.step, s.channel, a.lead_id, a.number_id, a.call_id, a.leased_at, s.event,
            n.at + make_interval(secs => s.delay_s), n.at + make_interval(secs => s.delay_s)
        FROM after n JOIN attempt a ON a.call_id = n.call_id AND a.leased_at = n.leased_at
        JOIN message_step s ON s.campaign_id = a.campaign_id AND s.event = 'disposition ' || n.code
        WHERE a.number_id IS NOT NULL
        ON CONFLICT (campaign_id, step, lead_id) DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
-- Whose code did not change was looked at before: an erasure, or notes that come later, make nothing due.
CREATE FUNCTION message_due_by_correction() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$ BEGIN
    IF EXISTS (SELECT FROM message_step) THEN
        INSERT INTO message (campaign_id, step, channel, lead_id, number_id, call_id, leased_at, event, due_at, next_at)
        SELECT s.campaign_id, s.step, s.channel, a.lead_id, a.number_id, a.call_id, a.leased_at, s.event,
            n.at + make_interval(secs => s.delay_s), n.at + make_interval(secs => s.delay_s)
        FROM after n JOIN before o ON o.call_id = n.call_id AND o.leased_at = n.leased_at
        JOIN attempt a ON a.call_id = n.call_id AND a.leased_at = n.leased_at
        JOIN message_step s ON s.campaign_id = a.campaign_id AND s.event = 'disposition ' || n.code
        WHERE o.code <> n.code AND a.number_id IS NOT NULL
        ON CONFLICT (campaign_id, step, lead_id) DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER attempt_message AFTER UPDATE ON attempt REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION message_due_by_outcome();
CREATE TRIGGER disposition_message AFTER INSERT ON disposition REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION message_due_by_disposition();
CREATE TRIGGER disposition_corrected AFTER UPDATE ON disposition REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION message_due_by_correction();
"""
REACHED = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON {table} TO zhudong_web, zhudong_reports USING (campaign_id = ANY (
    (SELECT zhudong_campaigns())::bigint[]));
GRANT SELECT ON {table} TO zhudong_web, zhudong_reports;
"""
# An address is of no campaign: what was said of it is told to who sees the whole company.
COMPANYS = """
ALTER TABLE message_choice ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON message_choice TO zhudong_web, zhudong_reports USING ((SELECT zhudong_whole()));
GRANT SELECT ON message_choice TO zhudong_web;
-- Who makes a version of a campaign says with it which steps it has.
GRANT INSERT, DELETE ON message_step TO zhudong_web;
"""


def upgrade() -> None:
    """Make the tables, and have calls' ends make messages due."""
    run = op.get_bind().exec_driver_sql
    run(TABLES)
    run(DUE)
    for table in ("message_step", "message"):
        run(REACHED.format(table=table))
    run(COMPANYS)
