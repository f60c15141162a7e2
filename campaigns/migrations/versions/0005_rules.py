"""What the rules want to know: do-not-call layers, consents, calls to each party, what allowed an attempt."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

TABLES = """
ALTER TABLE lead ADD COLUMN IF NOT EXISTS region text NOT NULL DEFAULT ''; -- ISO 3166-2 of the address
ALTER TABLE lock_out ADD reason text NOT NULL DEFAULT 'abandoned';

-- `campaign_id` is 0 where an entry holds for all campaigns.
ALTER TABLE dnc RENAME TO old_dnc;
ALTER TABLE old_dnc RENAME CONSTRAINT dnc_pkey TO old_dnc_pkey;
CREATE TABLE dnc (
    e164 text COLLATE "C" NOT NULL,
    layer text NOT NULL CHECK (layer IN ('national', 'company', 'campaign', 'complaint')),
    campaign_id bigint NOT NULL DEFAULT 0,
    source text NOT NULL,
    reason text NOT NULL DEFAULT '',
    at timestamptz NOT NULL,
    expires_at timestamptz,
    load_id bigint,
    PRIMARY KEY (e164, layer, campaign_id)
);
INSERT INTO dnc (e164, layer, source, at) SELECT e164, 'company', source, at FROM old_dnc;
DROP TABLE old_dnc;
-- Number ranges and area codes: all numbers that begin so.
CREATE TABLE dnc_prefix (
    prefix text COLLATE "C" NOT NULL,
    layer text NOT NULL CHECK (layer IN ('national', 'company', 'campaign', 'complaint')),
    campaign_id bigint NOT NULL DEFAULT 0,
    source text NOT NULL,
    reason text NOT NULL DEFAULT '',
    at timestamptz NOT NULL,
    expires_at timestamptz,
    load_id bigint,
    PRIMARY KEY (prefix, layer, campaign_id)
);
-- Which version of which list was loaded when.
CREATE TABLE dnc_load (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    layer text NOT NULL,
    campaign_id bigint NOT NULL,
    source text NOT NULL,
    file text NOT NULL,
    at timestamptz NOT NULL,
    by text NOT NULL,
    entries bigint NOT NULL DEFAULT 0,
    done_at timestamptz
);

CREATE TABLE consent (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    e164 text COLLATE "C" NOT NULL,
    source text NOT NULL,
    given_at timestamptz NOT NULL,
    expires_at timestamptz,
    withdrawn_at timestamptz
);
CREATE INDEX consent_of_number ON consent (e164);

-- The calls of the last 30 days to a number (or `customer ID`) by any campaign, oldest first, and how many ever. Kept
-- in the transaction that records the attempt, so that no cap is counted from history.
CREATE TABLE called (
    party text COLLATE "C" PRIMARY KEY,
    life int NOT NULL DEFAULT 0,
    at timestamptz[] NOT NULL DEFAULT '{}',
    campaigns bigint[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 70);
INSERT INTO called (party, life, at, campaigns)
SELECT n.e164, count(*), COALESCE(array_agg(a.dialed_at ORDER BY a.dialed_at) FILTER (WHERE late), '{}'),
    COALESCE(array_agg(a.campaign_id ORDER BY a.dialed_at) FILTER (WHERE late), '{}')
FROM (SELECT *, dialed_at > now() - interval '31 days' AS late FROM attempt) a JOIN number n ON n.id = a.number_id
GROUP BY n.e164;

-- What allowed an attempt, once for all attempts that it is the same for.
CREATE TABLE permit_basis (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    change bigint NOT NULL,
    profile text NOT NULL,
    profile_version int NOT NULL,
    zones text NOT NULL,
    region text NOT NULL,
    hours text NOT NULL,
    data text NOT NULL,
    UNIQUE (change, profile, profile_version, zones, region, hours, data)
);
ALTER TABLE attempt ADD basis_id bigint, ADD consent_id bigint, ADD caller_id text;
"""


def upgrade() -> None:
    """Make the tables, and count the calls that are on record."""
    op.get_bind().exec_driver_sql(TABLES)
