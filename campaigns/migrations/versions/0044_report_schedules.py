"""Reports that people schedule on a page, and what came of each run, of these and of those in the configuration."""

from __future__ import annotations

from alembic import op

revision = "0044"
down_revision = "0043"

TABLES = """
CREATE TABLE report_schedule (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES app_user (id),  -- who saved it last: it shows what they may see
    name text NOT NULL,
    report text NOT NULL,
    split_by text[] NOT NULL,
    campaigns text[] NOT NULL,
    every text NOT NULL CHECK (every IN ('day', 'week', 'month')),
    at time NOT NULL,
    zone text NOT NULL,
    format text NOT NULL,
    language text NOT NULL,
    recipients text[] NOT NULL,
    laid boolean NOT NULL,  -- also in its owner's folder
    paused boolean NOT NULL DEFAULT false,
    since timestamptz NOT NULL,  -- what was due before is not sent
    UNIQUE (user_id, name)
);
CREATE TABLE report_run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schedule_id bigint REFERENCES report_schedule (id) ON DELETE CASCADE,
    name text NOT NULL,  -- of one in the configuration; else empty
    user_id bigint NOT NULL REFERENCES app_user (id),  -- in whose name
    since date NOT NULL,
    until date NOT NULL,
    asked_by text NOT NULL DEFAULT '',  -- who wanted it now; empty: it was due
    made_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL,  -- when it is tried again; while it is being tried, when its lease ends
    tries integer NOT NULL DEFAULT 0,  -- and the token of the last lease
    sent_at timestamptz,
    fault text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX report_run_once ON report_run ((COALESCE(schedule_id, 0)), name, until) WHERE asked_by = '';
CREATE INDEX report_run_asked ON report_run (next_at) WHERE asked_by <> '' AND sent_at IS NULL;
CREATE INDEX report_run_last ON report_run ((COALESCE(schedule_id, 0)), name, id DESC);
CREATE INDEX report_run_until ON report_run (until);
-- What went out is not sent anew: whose name it was in was not kept, so it is the company's.
INSERT INTO report_run (name, user_id, since, until, made_at, next_at, tries, sent_at)
SELECT s.name, u.id, s.until, s.until, s.sent_at, s.sent_at, 1, s.sent_at
FROM report_sent s CROSS JOIN (SELECT min(id) AS id FROM app_user) u WHERE u.id IS NOT NULL;
DROP TABLE report_sent;
"""
# One's own, and those of the people whom one's unit has.
REACHED = """
CREATE FUNCTION zhudong_self() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp AS $$
    SELECT id FROM app_user WHERE id = NULLIF(current_setting('zhudong.asker', true), '')::bigint AND enabled
$$;
ALTER TABLE report_schedule ENABLE ROW LEVEL SECURITY;
ALTER TABLE report_run ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON report_schedule TO zhudong_web
    USING (user_id = ANY ((SELECT zhudong_people())::bigint[]) OR user_id = (SELECT zhudong_self()));
CREATE POLICY reach ON report_run TO zhudong_web
    USING (user_id = ANY ((SELECT zhudong_people())::bigint[]) OR user_id = (SELECT zhudong_self()));
GRANT SELECT, INSERT, UPDATE, DELETE ON report_schedule TO zhudong_web;
GRANT SELECT, INSERT ON report_run TO zhudong_web;
"""


def upgrade() -> None:
    """Make the tables, and take over what was sent."""
    run = op.get_bind().exec_driver_sql
    run(TABLES)
    run(REACHED)
