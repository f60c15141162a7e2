"""Row-level security: what the pages' and the reports' roles see of the tables, by the tree of units.

The owner of the tables, who is the engine's role, is not subject to it: a lease or a record costs what it did. Who asks
is `zhudong.asker`, set for a transaction (campaigns/reach.py); nobody is nobody, and sees nothing. The database itself
works out how far somebody reaches, as campaigns/users.py does for the pages.
"""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0033"

ROLES = """
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['zhudong_web', 'zhudong_reports'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %%I LOGIN', wanted);
            EXCEPTION
                WHEN duplicate_object THEN NULL;  -- by another database of the same server, in this moment
                WHEN unique_violation THEN NULL;
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'the role %% is missing: let one who may do CREATE ROLE %% LOGIN; GRANT %% TO %%;',
                        wanted, wanted, wanted, current_user;
            END;
        END IF;
        -- To become it is what is needed, which PostgreSQL tells apart from membership since 16.
        IF NOT pg_has_role(current_user, wanted,
            CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) THEN
            EXECUTE format('GRANT %%I TO %%I', wanted, current_user);
        END IF;
    END LOOP;
END $$;
"""
# The roles that reach as far as their unit: those with the right `unit_campaigns` (campaigns/rights.py).
REACH = """
CREATE FUNCTION zhudong_units() RETURNS bigint[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp AS $$
    WITH RECURSIVE below AS (
        SELECT unit_id AS id FROM app_user WHERE id = NULLIF(current_setting('zhudong.asker', true), '')::bigint
            AND enabled AND role IN ('branch_manager', 'analyst', 'administrator', 'auditor')
        UNION ALL SELECT u.id FROM unit u JOIN below b ON u.parent_id = b.id)
    SELECT COALESCE(array_agg(id), '{}') FROM below
$$;
CREATE FUNCTION zhudong_campaigns() RETURNS bigint[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp AS $$
    SELECT COALESCE(array_agg(c.id), '{}') FROM campaign c
    WHERE c.unit_id = ANY (zhudong_units()) OR c.name IN (
        SELECT unnest(campaigns) FROM app_user
        WHERE id = NULLIF(current_setting('zhudong.asker', true), '')::bigint AND enabled)
$$;
CREATE FUNCTION zhudong_people() RETURNS bigint[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp AS $$
    SELECT COALESCE(array_agg(id), '{}') FROM app_user WHERE unit_id = ANY (zhudong_units())
$$;
CREATE FUNCTION zhudong_whole() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM unit WHERE parent_id IS NULL AND id = ANY (zhudong_units()))
$$;
-- What is recorded of a change is not the affair of who changes.
ALTER FUNCTION audit_chained() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION rollup_calls_due() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION rollup_seats_due() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION rollup_callbacks_due() SECURITY DEFINER SET search_path = public, pg_temp;
GRANT INSERT ON audit TO zhudong_web;
GRANT SELECT (id, unit_id, login, name, role, phone, language, campaigns, enabled) ON app_user
    TO zhudong_web, zhudong_reports;
"""

# A scalar subquery is worked out once for a statement, and not for each row.
CAMPAIGNS = "(SELECT zhudong_campaigns())::bigint[]"
UNITS = "(SELECT zhudong_units())::bigint[]"
PEOPLE = "(SELECT zhudong_people())::bigint[]"
WHOLE = "(SELECT zhudong_whole())"
OF_CAMPAIGN = f"campaign_id = ANY ({CAMPAIGNS})"
OF_UNIT = f"unit_id = ANY ({UNITS})"
OF_PERSON = f"({OF_CAMPAIGN} OR user_id = ANY ({PEOPLE}))"
OF_NUMBER = f"""({WHOLE}
    OR EXISTS (SELECT FROM number n WHERE n.campaign_id = ANY ({CAMPAIGNS}) AND n.e164 = {{table}}.e164))"""
OF_PARTY = f"""({WHOLE}
    OR EXISTS (SELECT FROM number n WHERE n.campaign_id = ANY ({CAMPAIGNS}) AND n.e164 = called.party)
    OR EXISTS (SELECT FROM lead l WHERE l.campaign_id = ANY ({CAMPAIGNS}) AND l.customer_id = called.party))"""
OF_ATTEMPT = """EXISTS (SELECT FROM attempt a WHERE a.call_id = disposition.call_id
    AND a.leased_at = disposition.leased_at)"""

SCOPED = {
    "campaign": f"id = ANY ({CAMPAIGNS})",
    **dict.fromkeys(
        ("archived_number", "archived_outcome", "attempt", "best_time_arm", "best_time_cell", "best_time_fresh",
         "callback", "caller_id_answers", "campaign_version", "campaign_zone", "lead", "list", "number",
         "rollup_agent", "rollup_call", "rollup_callback", "rollup_caller", "rollup_line", "rollup_refusal",
         "segment_member", "segment_take"),
        OF_CAMPAIGN,
    ),
    "disposition": OF_ATTEMPT,
    "lead_edit": "EXISTS (SELECT FROM lead l WHERE l.id = lead_edit.lead_id)",
    "list_change": "EXISTS (SELECT FROM list i WHERE i.id = list_change.list_id)",
    "segment": OF_UNIT,
    "segment_version": "EXISTS (SELECT FROM segment s WHERE s.id = segment_version.segment_id)",
    "purchase": OF_UNIT,
    "seat_log": OF_PERSON,
    "rollup_seat": OF_PERSON,
    "consent": OF_NUMBER.format(table="consent"),
    "lock_out": OF_NUMBER.format(table="lock_out"),
    "called": OF_PARTY,
    "legal_hold": f"({WHOLE} OR {OF_CAMPAIGN})",
    "erasure": WHOLE,
    "webhook_delivery": WHOLE,
}  # fmt: skip
# An entry for all campaigns is everybody's to see and to add: who asks not to be called is heard at once. Taken off it
# is by who sees the whole company.
DO_NOT_CALL = ("dnc", "dnc_prefix", "dnc_load")
# Nothing in them is of a customer or of one campaign alone.
SHARED = ("unit", "permit_basis", "archived_month", "list_source", "caller_id_use", "caller_id_watch", "rollup_due",
          "rollup_seen")  # fmt: skip
READ_BY_REPORTS = ("campaign", "attempt", "disposition", "callback", "seat_log", "list", "archived_outcome", "purchase",
                   "segment", "segment_take", "segment_member", "campaign_version", "caller_id_answers", "rollup_agent",
                   "rollup_call", "rollup_callback", "rollup_caller", "rollup_line", "rollup_refusal",
                   "rollup_seat")  # fmt: skip
CHANGED_BY_PAGES = ("campaign", "campaign_version", "campaign_zone", "lead", "list", "list_change", "number", "segment",
                    "segment_version", "segment_take", "segment_member", "purchase", "callback", "list_source",
                    *DO_NOT_CALL)  # fmt: skip


def upgrade() -> None:
    """Make the roles, say how far who reaches, and hold every table to it."""
    run = op.get_bind().exec_driver_sql
    run(ROLES)
    run(REACH)
    for table, rows in SCOPED.items():
        run(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        added = OF_UNIT if table == "campaign" else rows
        if table == "consent":  # a customer's yes or no is taken from whoever it is said to
            added = "true"
        run(
            f"CREATE POLICY reach ON {table} TO zhudong_web, zhudong_reports USING ({rows}) WITH CHECK ({added})"
        )
    for table in DO_NOT_CALL:
        run(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        seen = f"COALESCE(campaign_id, 0) = 0 OR {OF_CAMPAIGN}"  # 0: of none
        gone = f"{OF_CAMPAIGN} OR (COALESCE(campaign_id, 0) = 0 AND {WHOLE})"
        run(f"CREATE POLICY seen ON {table} FOR SELECT TO zhudong_web, zhudong_reports USING ({seen})")
        run(f"CREATE POLICY added ON {table} FOR INSERT TO zhudong_web WITH CHECK ({seen})")
        run(f"CREATE POLICY changed ON {table} FOR UPDATE TO zhudong_web USING ({seen}) WITH CHECK ({seen})")
        run(f"CREATE POLICY gone ON {table} FOR DELETE TO zhudong_web USING ({gone})")
    run(f"GRANT SELECT ON {', '.join((*SCOPED, *DO_NOT_CALL, *SHARED))} TO zhudong_web")
    run(f"GRANT INSERT, UPDATE, DELETE ON {', '.join(CHANGED_BY_PAGES)} TO zhudong_web")
    run("GRANT INSERT, UPDATE ON consent TO zhudong_web")
    run(f"GRANT SELECT ON {', '.join((*READ_BY_REPORTS, *SHARED))} TO zhudong_reports")
