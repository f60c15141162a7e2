"""Indexes where tables were read whole, a customer's calls for those who reach them, and with a callback its call."""

from __future__ import annotations

from alembic import op

revision = "0051"
down_revision = "0050"

INDEXES = """
CREATE INDEX rollup_call_of_campaign ON rollup_call (campaign_id, half_hour);
-- An import's changes that are still to be made, and all that were made of a lead.
CREATE INDEX list_change_due ON list_change (list_id, lead_id) WHERE before IS NULL;
CREATE INDEX list_change_of_lead ON list_change (lead_id);
CREATE INDEX outside_call_by_number ON outside_call (number);
-- Of all messages, not only of those that were sent: a person asks what is known of them.
DROP INDEX message_by_address, message_by_customer;
CREATE INDEX message_by_address ON message (address, channel);
CREATE INDEX message_by_customer ON message (customer_id, channel) WHERE customer_id IS NOT NULL;
"""
# Reports count it of the call's half hour anew whenever a callback of that half hour changes, also when its calls have
# long been in files. What is counted stays as it is.
CALLED_BACK = """
ALTER TABLE callback ADD called_at timestamptz, ADD called_by bigint;
ALTER TABLE callback DISABLE TRIGGER callback_changed;
UPDATE callback c SET called_at = a.dialed_at, called_by = a.user_id FROM attempt a
WHERE c.done_at IS NOT NULL AND a.lead_id = c.lead_id AND a.ended_at = c.done_at AND a.call_id <> c.call_id
    AND a.called_in IS NULL;
ALTER TABLE callback ENABLE TRIGGER callback_changed;
"""
# The party of a customer is 'customer ' and the customer's id.
CAMPAIGNS = "(SELECT zhudong_campaigns())::bigint[]"
REACH = f"""
DROP POLICY reach ON called;
CREATE POLICY reach ON called TO zhudong_web, zhudong_reports USING ((SELECT zhudong_whole())
    OR EXISTS (SELECT FROM number n WHERE n.campaign_id = ANY ({CAMPAIGNS}) AND n.e164 = called.party)
    OR (starts_with(called.party, 'customer ') AND EXISTS (
        SELECT FROM lead l WHERE l.campaign_id = ANY ({CAMPAIGNS}) AND l.customer_id = substr(called.party, 10))))
"""


def upgrade() -> None:
    """Add them, and have the policy know of customers."""
    run = op.get_bind().exec_driver_sql
    run(INDEXES)
    run(CALLED_BACK)
    run(REACH)
