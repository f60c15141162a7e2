"""What was said of the columns of files of one origin is each unit's own; whose campaigns are the unit's see it."""

from __future__ import annotations

from alembic import op

revision = "0056"
down_revision = "0055"

# Nobody knows who said what is there: so each unit with campaigns has it, as it could use it so far.
OF_UNITS = """
ALTER TABLE list_source DROP CONSTRAINT list_source_pkey, ADD unit_id bigint REFERENCES unit;
INSERT INTO list_source (unit_id, name, columns)
SELECT c.unit_id, s.name, s.columns FROM list_source s CROSS JOIN (SELECT DISTINCT unit_id FROM campaign) c;
DELETE FROM list_source WHERE unit_id IS NULL;
ALTER TABLE list_source ALTER unit_id SET NOT NULL, ADD PRIMARY KEY (unit_id, name);
"""
# As in 0034 by the tree of units, and by the campaigns that somebody serves: the policy of `campaign` holds here, too.
REACH = """
ALTER TABLE list_source ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON list_source TO zhudong_web, zhudong_reports USING (unit_id IN (SELECT unit_id FROM campaign));
"""


def upgrade() -> None:
    """Give each its own, and let each reach them."""
    run = op.get_bind().exec_driver_sql
    run(OF_UNITS)
    run(REACH)
