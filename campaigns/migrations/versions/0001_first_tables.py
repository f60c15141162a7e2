"""The first tables: organisations and users, campaigns and lists, leads and attempts, dispositions, DNC, journal."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE organisation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);
CREATE TABLE branch (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id bigint NOT NULL REFERENCES organisation,
    name text NOT NULL,
    UNIQUE (organisation_id, name)
);
CREATE TABLE app_user (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    branch_id bigint NOT NULL REFERENCES branch,
    login text NOT NULL UNIQUE,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('agent', 'supervisor', 'admin')),
    password_hash text NOT NULL,
    phone text NOT NULL DEFAULT '',
    language text NOT NULL DEFAULT '',
    campaigns text[] NOT NULL DEFAULT '{}',
    enabled boolean NOT NULL DEFAULT true
);
CREATE TABLE session (
    token_hash bytea PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES app_user,
    source text NOT NULL,
    opened_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL
);

CREATE TABLE campaign (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    version int NOT NULL
);
CREATE SEQUENCE campaign_change;
CREATE TABLE campaign_version (
    campaign_id bigint NOT NULL REFERENCES campaign,
    version int NOT NULL,
    text text NOT NULL,
    applied_by text NOT NULL,
    applied_at timestamptz NOT NULL,
    change bigint NOT NULL UNIQUE DEFAULT nextval('campaign_change'),
    PRIMARY KEY (campaign_id, version)
);

CREATE TABLE list (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id bigint NOT NULL REFERENCES campaign,
    name text NOT NULL,
    source text NOT NULL,
    imported_at timestamptz NOT NULL,
    accepted int NOT NULL DEFAULT 0,
    rejected int NOT NULL DEFAULT 0
);
-- `lease` is the durable intent to call: the call's id while a lead is in flight, on the channel and the attempt too.
CREATE TABLE lead (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id bigint NOT NULL REFERENCES campaign,
    list_id bigint NOT NULL REFERENCES list,
    name text NOT NULL,
    attributes jsonb NOT NULL,
    zones text[] NOT NULL,
    open boolean NOT NULL DEFAULT true,
    next_at timestamptz NOT NULL DEFAULT '-infinity',
    last_call uuid,
    lease uuid,
    lease_owner text,
    lease_until timestamptz
) WITH (fillfactor = 80);
CREATE INDEX lead_ready ON lead (campaign_id, next_at, id) WHERE open AND lease IS NULL;
CREATE UNIQUE INDEX lead_leased ON lead (lease) WHERE lease IS NOT NULL;
CREATE TABLE number (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lead_id bigint NOT NULL REFERENCES lead,
    campaign_id bigint NOT NULL REFERENCES campaign,
    e164 text NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    UNIQUE (campaign_id, e164)
) WITH (fillfactor = 80);
CREATE INDEX number_of_lead ON number (lead_id);
CREATE TABLE campaign_zone (
    campaign_id bigint NOT NULL REFERENCES campaign,
    zone text NOT NULL,
    PRIMARY KEY (campaign_id, zone)
);

-- A call's id is a UUID of version 7: `leased_at` is the time in it, so an attempt is found in one partition.
CREATE TABLE attempt (
    call_id uuid NOT NULL,
    leased_at timestamptz NOT NULL,
    campaign_id bigint NOT NULL,
    lead_id bigint NOT NULL,
    number_id bigint NOT NULL,
    switch text NOT NULL,
    owner text NOT NULL,
    dialed_at timestamptz NOT NULL,
    answered_at timestamptz,
    connected_at timestamptz,
    ended_at timestamptz,
    outcome text,
    cause smallint,
    tech_cause smallint,
    ring_s real,
    wait_s real,
    talk_s real,
    user_id bigint,
    amd text,
    harbour_played boolean NOT NULL DEFAULT false,
    notes text,
    PRIMARY KEY (call_id, leased_at)
) PARTITION BY RANGE (leased_at);
CREATE INDEX attempt_by_campaign ON attempt (campaign_id, dialed_at);
CREATE INDEX attempt_by_lead ON attempt (lead_id);

CREATE TABLE disposition (
    call_id uuid PRIMARY KEY,
    user_id bigint NOT NULL,
    code text NOT NULL,
    notes text NOT NULL,
    do_not_call boolean NOT NULL,
    retry_at timestamptz,
    final boolean NOT NULL,
    at timestamptz NOT NULL
);
CREATE TABLE callback (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call_id uuid NOT NULL UNIQUE,
    lead_id bigint NOT NULL,
    user_id bigint NOT NULL,
    due_at timestamptz NOT NULL
);
CREATE TABLE dnc (
    e164 text PRIMARY KEY,
    source text NOT NULL,
    campaign_id bigint,
    at timestamptz NOT NULL
);
CREATE TABLE lock_out (
    e164 text PRIMARY KEY,
    until timestamptz NOT NULL
);

CREATE TABLE seat_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    user_id bigint NOT NULL,
    session_id text NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    call_id text NOT NULL
);
CREATE INDEX seat_log_by_time ON seat_log (at);
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE journal_cursor (
    writer text PRIMARY KEY,
    serial bigint NOT NULL
);
"""


def upgrade() -> None:
    """Create everything."""
    op.get_bind().exec_driver_sql(TABLES)
