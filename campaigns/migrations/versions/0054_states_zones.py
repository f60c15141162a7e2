"""Leads with an address in the United States are called when it is time there, and not only where their numbers are."""

from __future__ import annotations

from alembic import op

revision = "0054"
down_revision = "0053"

EASTERN, CENTRAL, MOUNTAIN = "America/New_York", "America/Chicago", "America/Denver"
PACIFIC, BOISE = "America/Los_Angeles", "America/Boise"
ZONES = {
    (EASTERN,): "CT DC DE GA MA MD ME NC NH NJ NY OH PA RI SC VA VT WV",
    (EASTERN, CENTRAL): "FL IN KY MI",
    (CENTRAL,): "AL AR IA IL LA MN MO MS OK WI",
    (CENTRAL, EASTERN): "TN",
    (CENTRAL, MOUNTAIN): "KS ND NE SD TX",
    (MOUNTAIN,): "CO MT NM UT WY",
    ("America/Phoenix", MOUNTAIN): "AZ",
    (BOISE, PACIFIC): "ID",
    (PACIFIC, BOISE): "NV OR",
    (PACIFIC,): "CA WA",
    ("America/Anchorage", "America/Adak"): "AK",
    ("Pacific/Honolulu",): "HI",
    ("America/Puerto_Rico",): "PR VI",
    ("Pacific/Guam",): "GU MP",
    ("Pacific/Pago_Pago",): "AS",
}
# Closed ones too: what closed them may end, and a segment takes them over into another campaign.
ZONED = """
WITH zoned AS (
    UPDATE lead l SET zones = s.zones || ARRAY(SELECT zone FROM unnest(l.zones) zone WHERE zone <> ALL (s.zones))
    FROM (SELECT region, string_to_array(zones, ' ') AS zones FROM unnest(%s::text[], %s::text[]) u (region, zones)) s
    WHERE l.region = s.region AND NOT s.zones <@ l.zones
    RETURNING l.campaign_id, l.zones
)
INSERT INTO campaign_zone (campaign_id, zone) SELECT DISTINCT campaign_id, unnest(zones) FROM zoned
ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    """Give them the zones of their state, and their campaigns know of these."""
    states = {f"US-{state}": " ".join(zones) for zones, named in ZONES.items() for state in named.split()}
    run = op.get_bind().exec_driver_sql
    run("SET LOCAL statement_timeout = 0")  # all leads are looked at
    run(ZONED, (list(states), list(states.values())))
