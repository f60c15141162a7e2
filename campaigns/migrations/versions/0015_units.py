"""Units: one tree from the whole company down to its teams, where people and campaigns belong; and six roles."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"

CHANGES = """
-- The root has no name and no parent: it is the whole company, and there is one.
CREATE TABLE unit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent_id bigint REFERENCES unit,
    name text NOT NULL,
    CHECK ((parent_id IS NULL) = (name = '')),
    UNIQUE (parent_id, name)
);
CREATE UNIQUE INDEX unit_root ON unit ((true)) WHERE parent_id IS NULL;
INSERT INTO unit (name) VALUES ('');
-- A name in a path has no slash.
CREATE FUNCTION pg_temp.named(name text) RETURNS text LANGUAGE sql
    AS $$ SELECT coalesce(nullif(replace(name, '/', '／'), ''), '-') $$;
INSERT INTO unit (parent_id, name) SELECT u.id, pg_temp.named(o.name) FROM unit u, organisation o WHERE u.name = '';
INSERT INTO unit (parent_id, name)
SELECT u.id, pg_temp.named(b.name) FROM branch b JOIN organisation o ON o.id = b.organisation_id
JOIN unit u ON u.name = pg_temp.named(o.name);

ALTER TABLE app_user ADD unit_id bigint REFERENCES unit;
UPDATE app_user a SET unit_id = (
    SELECT u.id FROM branch b JOIN organisation o ON o.id = b.organisation_id
    JOIN unit p ON p.name = pg_temp.named(o.name) AND p.parent_id = (SELECT id FROM unit WHERE parent_id IS NULL)
    JOIN unit u ON u.name = pg_temp.named(b.name) AND u.parent_id = p.id
    WHERE b.id = a.branch_id
);
-- Who was an admin saw everything.
UPDATE app_user SET unit_id = (SELECT id FROM unit WHERE parent_id IS NULL) WHERE role = 'admin';
ALTER TABLE app_user ALTER unit_id SET NOT NULL, DROP branch_id, DROP CONSTRAINT app_user_role_check;
UPDATE app_user SET role = 'administrator' WHERE role = 'admin';
ALTER TABLE app_user ADD CHECK
    (role IN ('agent', 'supervisor', 'branch_manager', 'analyst', 'administrator', 'auditor'));
DROP TABLE branch, organisation;

ALTER TABLE campaign ADD unit_id bigint REFERENCES unit;
UPDATE campaign SET unit_id = (SELECT id FROM unit WHERE parent_id IS NULL);
ALTER TABLE campaign ALTER unit_id SET NOT NULL;
"""


def upgrade() -> None:
    """Plant the tree, and move people and campaigns into it."""
    op.get_bind().exec_driver_sql(CHANGES)
