"""Lanes: a campaign's lists of one name share one, and the index of ready leads begins with it (campaigns/order.py)."""

from __future__ import annotations

LAST = 32_767  # of a smallint
# SQL: the name of the lists of a lane `w`.
NAME = "SELECT name FROM list WHERE campaign_id = c.id AND lane = abs(w.lane) ORDER BY id DESC LIMIT 1"


def with_leads(campaign: str, side: str = ">") -> str:
    """SQL: the lanes on this side of 0 that have leads which are open and not leased; `campaign` is its id's place.

    The index is looked into once for each of them, from behind: before a lane's foremost lead are those just leased. So
    lists that were finished long ago cost nothing, however many they are.
    """
    of = f"campaign_id = {campaign} AND lane {side} 0 AND open AND lease IS NULL"
    return f"""
WITH RECURSIVE lanes AS (
    (SELECT lane FROM lead WHERE {of} ORDER BY lane DESC LIMIT 1)
    UNION ALL SELECT f.lane FROM lanes CROSS JOIN LATERAL (
        SELECT lane FROM lead WHERE {of} AND lane < lanes.lane ORDER BY lane DESC LIMIT 1
    ) f
) SELECT lane FROM lanes
"""


def of_list(campaign: str, name: str) -> str:
    """SQL: the lane of a list of this name that comes in: the one that the name has, or else a new one.

    When there are no more, it is the one whose list came in longest ago, of those without a lead to call; what is
    called again of that list later goes by the new one's priority and weight.
    """
    return f"""
COALESCE((
    SELECT lane FROM list o WHERE campaign_id = {campaign} AND name = {name} AND NOT EXISTS (
        SELECT FROM list n WHERE n.campaign_id = {campaign} AND n.lane = o.lane AND n.id > o.id AND n.name <> o.name)
    ORDER BY id DESC LIMIT 1
), (
    SELECT max(lane) + 1 FROM list WHERE campaign_id = {campaign} HAVING max(lane) < {LAST}
), (
    SELECT lane FROM list WHERE campaign_id = {campaign} GROUP BY lane
    ORDER BY lane = ANY(ARRAY({with_leads(campaign)})) OR -lane = ANY(ARRAY({with_leads(campaign, "<")})), max(id)
    LIMIT 1
), 1)
"""
