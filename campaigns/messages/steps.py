"""The steps of a campaign's newest version, as the tables have them: by these, calls make messages due."""

from __future__ import annotations

from sqlalchemy import Connection, text

from campaigns.config import CampaignConfig
from campaigns.messages.keys import events_of

GONE = text("DELETE FROM message_step WHERE campaign_id = :campaign")
NOW = text("""
INSERT INTO message_step (campaign_id, step, event, channel, delay_s)
VALUES (:campaign, :step, :event, :channel, :delay)
""")


def keep_steps(connection: Connection, campaign_id: int, config: CampaignConfig) -> None:
    """Have calls that end from now on make due what this version says."""
    connection.execute(GONE, {"campaign": campaign_id})
    rows = [
        {
            "campaign": campaign_id,
            "step": step.code,
            "event": event,
            "channel": step.channel,
            "delay": step.delay_s,
        }
        for step in config.messages.steps
        for event in dict.fromkeys(events_of(step))
    ]
    if rows:
        connection.execute(NOW, rows)
