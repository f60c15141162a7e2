"""What every question about a campaign's calls and what they brought in is asked with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from campaigns.config import CampaignConfig
from campaigns.segments.store import UNITS

DAY = timedelta(days=1)  # a call's partition is that of its lease, not long before
UNIT = text("SELECT unit_id FROM campaign WHERE id = :campaign")


def asked_of(
    connection: Connection, campaign_id: int, config: CampaignConfig, since: datetime, until: datetime
) -> dict[str, Any]:
    """The campaign's calls dialed between two instants: whose orders count, for how long, and which results convert.

    `leased` bounds the partitions that are looked at.
    """
    unit = connection.execute(UNIT, {"campaign": campaign_id}).scalar_one()
    return {
        "campaign": campaign_id,
        "units": list(connection.execute(UNITS, {"unit": unit}).scalars()),
        "codes": [each.code for each in config.dispositions if each.converts],
        "days": timedelta(days=config.worth.days),
        "since": since,
        "until": until,
        "leased": since - DAY,
    }
