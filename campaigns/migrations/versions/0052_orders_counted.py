"""Evaluations by the pages' role see the orders that count for its campaigns: those of units above and below, too."""

from __future__ import annotations

from alembic import op

revision = "0052"
down_revision = "0051"

# As campaigns/segments/store.py counts orders, over all campaigns and units that the asker reaches.
UNITS = """
CREATE FUNCTION zhudong_order_units() RETURNS bigint[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp AS $$
    WITH RECURSIVE reached AS (
        SELECT unnest(zhudong_units()) AS id
        UNION SELECT unit_id FROM campaign WHERE id = ANY (zhudong_campaigns())
    ), below AS (
        SELECT id FROM reached UNION SELECT u.id FROM unit u JOIN below b ON u.parent_id = b.id
    ), above AS (
        SELECT u.id, u.parent_id FROM unit u JOIN reached r ON u.id = r.id
        UNION SELECT u.id, u.parent_id FROM unit u JOIN above a ON u.id = a.parent_id
    ) SELECT COALESCE(array_agg(id), '{}') FROM (SELECT id FROM below UNION SELECT id FROM above) x
$$
"""
# Beside those of one's own units (0034), which alone are added and changed. Only of customers whom the asker reaches:
# the policies of `lead` and `segment_member` hold here as well.
SEEN = """
CREATE POLICY seen ON purchase FOR SELECT TO zhudong_web USING (
    unit_id = ANY ((SELECT zhudong_order_units())::bigint[]) AND (
        EXISTS (SELECT FROM lead l WHERE l.customer_id = purchase.customer_id)
        OR EXISTS (SELECT FROM segment_member m WHERE m.party = 'customer ' || purchase.customer_id)))
"""


def upgrade() -> None:
    """Add the policy."""
    run = op.get_bind().exec_driver_sql
    run(UNITS)
    run(SEEN)
