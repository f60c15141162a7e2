"""Campaigns are made, rewritten and steered by the pages' role: within the asker's units, and else none is moved."""

from __future__ import annotations

from alembic import op

revision = "0035"
down_revision = "0034"

# The statement's own snapshot: what the campaign's unit was before.
WAS_OF = """
CREATE FUNCTION zhudong_unit_of(campaign_id bigint) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp AS $$ SELECT unit_id FROM campaign WHERE id = campaign_id $$
"""
ROLES = "TO zhudong_web, zhudong_reports"
CAMPAIGNS = "id = ANY ((SELECT zhudong_campaigns())::bigint[])"
UNITS = "unit_id = ANY ((SELECT zhudong_units())::bigint[])"


def upgrade() -> None:
    """Say apart who sees, adds and changes a campaign."""
    run = op.get_bind().exec_driver_sql
    run(WAS_OF)
    run("DROP POLICY reach ON campaign")
    run(f"CREATE POLICY seen ON campaign FOR SELECT {ROLES} USING ({CAMPAIGNS})")
    run(f"CREATE POLICY added ON campaign FOR INSERT {ROLES} WITH CHECK ({UNITS})")
    run(
        f"CREATE POLICY changed ON campaign FOR UPDATE {ROLES} USING ({CAMPAIGNS}) "
        f"WITH CHECK ({CAMPAIGNS} AND ({UNITS} OR unit_id = zhudong_unit_of(id)))"
    )
    run("REVOKE DELETE ON campaign FROM zhudong_web")  # a campaign stays: its calls are of it
    run("GRANT USAGE ON SEQUENCE campaign_change TO zhudong_web")
