"""The audit log says from where, and what was before and after; a chain of hashes, and nothing in it is changed."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"

CHANGES = """
ALTER TABLE audit ADD source text NOT NULL DEFAULT '', ADD before jsonb, ADD after jsonb;
-- The chain, in the order of the commits: each link has the hash of the one before it.
CREATE TABLE audit_link (
    n bigint PRIMARY KEY,
    audit_id bigint NOT NULL UNIQUE,
    previous bytea NOT NULL UNIQUE,
    hash bytea NOT NULL
);

CREATE FUNCTION audit_field(value text) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$ SELECT coalesce(octet_length(convert_to(value, 'UTF8')) || ':' || value, '-') $$;
-- campaigns/audit.py works out the same, to verify.
CREATE FUNCTION audit_hash(previous bytea, a audit) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(previous || convert_to(
        audit_field(a.id::text) || audit_field((extract(epoch FROM a.at) * 1000000)::bigint::text)
        || audit_field(a.actor) || audit_field(a.source) || audit_field(a.action)
        || audit_field(a.subject) || audit_field(a.detail)
        || audit_field(a.before::text) || audit_field(a.after::text), 'UTF8'))
$$;
-- Runs as the last thing of a transaction, so that writers wait for one another only while they commit.
CREATE FUNCTION audit_chained() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    tail audit_link;
BEGIN
    PERFORM pg_advisory_xact_lock(8821437520941179649);
    SELECT * INTO tail FROM audit_link ORDER BY n DESC LIMIT 1;
    INSERT INTO audit_link VALUES (coalesce(tail.n, 0) + 1, NEW.id, coalesce(tail.hash, '\\x00'),
        audit_hash(coalesce(tail.hash, '\\x00'), NEW));
    RETURN NULL;
END $$;
-- Lines older than the shortest time that they may be kept for are let go (campaigns/audit.py); a line tells of it.
CREATE FUNCTION audit_refused() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF TG_TABLE_NAME = 'audit' THEN
            IF OLD.at < now() - interval '30 days' THEN
                RETURN OLD;
            END IF;
        ELSIF NOT EXISTS (SELECT FROM audit a WHERE a.id = OLD.audit_id) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit log is only ever added to';
END $$;
DO $$
DECLARE
    line audit;
    last bytea := '\\x00';
    place bigint := 0;
BEGIN
    FOR line IN SELECT * FROM audit ORDER BY id LOOP
        place := place + 1;
        INSERT INTO audit_link VALUES (place, line.id, last, audit_hash(last, line)) RETURNING hash INTO last;
    END LOOP;
END $$;
CREATE CONSTRAINT TRIGGER audit_chained AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit_chained();
CREATE TRIGGER audit_refused BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refused();
CREATE TRIGGER audit_kept BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refused();
CREATE TRIGGER audit_refused BEFORE UPDATE OR DELETE ON audit_link FOR EACH ROW EXECUTE FUNCTION audit_refused();
CREATE TRIGGER audit_kept BEFORE TRUNCATE ON audit_link FOR EACH STATEMENT EXECUTE FUNCTION audit_refused();
REVOKE ALL ON audit, audit_link FROM PUBLIC;
CREATE INDEX audit_by_time ON audit (at);
"""


def upgrade() -> None:
    """Chain what there is, and let nobody change it."""
    op.get_bind().exec_driver_sql(CHANGES)
