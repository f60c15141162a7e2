"""What the law counts of a campaign over its window: who was connected, hung up while they waited, was abandoned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from campaigns.reports.counting import HALF_HOUR, HALF_HOUR_OF, LONGEST_BUFFER, NO_PERSON_IN, half_hour_of

BUFFER = f"interval '{LONGEST_BUFFER.days} d'"
MONTH = "date_trunc('month', ({}) AT TIME ZONE 'UTC')::date"
BEGUN = "date_trunc('month', CAST(:since AS timestamptz) AT TIME ZONE 'UTC')"  # the month in which the window begins

# Half hours are counted for reports (campaigns/reports/rolling.py). Here are counted those in which something changed
# since, and the part of one with which the window begins. A mark is of when calls were leased, a half hour of when they
# were dialed. Months that are archived, by when calls were leased, count as they were counted then: the half hours of
# the day after one may have some of its calls, and are counted here as well. Of the archived month in which the window
# begins count its half hours, which stay: without the part of one, and what was leased in it and dialed in the next.
WINDOW = text(f"""
WITH archived AS MATERIALIZED (
    SELECT array(SELECT month FROM archived_month WHERE kind = 'attempt' AND state <> 'restored') AS months
), fresh AS MATERIALIZED (
    SELECT {HALF_HOUR_OF.format("a.dialed_at")} AS begin
    FROM (SELECT DISTINCT half_hour AS h FROM rollup_due WHERE kind = 'calls' AND half_hour >= :whole_from - {BUFFER}) d
    CROSS JOIN LATERAL (
        SELECT dialed_at FROM attempt WHERE campaign_id = :campaign AND dialed_at >= d.h
            AND dialed_at < d.h + {BUFFER} + interval '30 minutes' AND leased_at >= d.h
            AND leased_at < d.h + interval '30 minutes'
    ) a
    UNION
    SELECT half_hour FROM rollup_call CROSS JOIN archived
    WHERE campaign_id = :campaign AND half_hour >= :whole_from AND {MONTH.format(f"half_hour - {BUFFER}")} = ANY(months)
), span AS (
    SELECT begin, begin + interval '30 minutes' AS until FROM fresh WHERE begin >= :whole_from
    UNION ALL SELECT CAST(:since AS timestamptz), CAST(:whole_from AS timestamptz)
)
SELECT sum(connected)::bigint AS connected, sum(hung_up)::bigint AS hung_up, sum(abandoned)::bigint AS abandoned,
    sum(machines)::bigint AS machines FROM (
SELECT sum(connected) AS connected, sum(attempts - machines) FILTER (WHERE outcome = 'hung_up') AS hung_up,
    sum(attempts) FILTER (WHERE outcome = 'abandoned') AS abandoned,
    sum(connected) FILTER (WHERE code = ANY(:machine_codes)) AS machines
FROM rollup_call CROSS JOIN archived
WHERE campaign_id = :campaign AND half_hour >= :whole_from AND half_hour NOT IN (SELECT begin FROM fresh)
    AND {MONTH.format("half_hour")} <> ALL(months)
UNION ALL
SELECT count(a.connected_at), count(*) FILTER (WHERE a.outcome = 'hung_up' AND NOT {NO_PERSON_IN.format("a")}),
    count(*) FILTER (WHERE a.outcome = 'abandoned'),
    count(*) FILTER (WHERE a.connected_at IS NOT NULL AND d.code = ANY(:machine_codes))
FROM span CROSS JOIN archived CROSS JOIN LATERAL (
    SELECT * FROM attempt WHERE campaign_id = :campaign AND dialed_at >= span.begin AND dialed_at < span.until
        AND leased_at >= span.begin - {BUFFER} AND leased_at < span.until AND called_in IS NULL
) a LEFT JOIN disposition d ON d.call_id = a.call_id AND d.leased_at = a.leased_at
WHERE {MONTH.format("a.leased_at")} <> ALL(months)
UNION ALL
SELECT sum(connected), sum(attempts - machines) FILTER (WHERE outcome = 'hung_up'),
    sum(attempts) FILTER (WHERE outcome = 'abandoned'), sum(connected) FILTER (WHERE code = ANY(:machine_codes))
FROM archived_outcome WHERE campaign_id = :campaign AND month > {BEGUN}
UNION ALL
SELECT sum(connected), sum(attempts - machines) FILTER (WHERE outcome = 'hung_up'),
    sum(attempts) FILTER (WHERE outcome = 'abandoned'), sum(connected) FILTER (WHERE code = ANY(:machine_codes))
FROM rollup_call CROSS JOIN archived WHERE campaign_id = :campaign AND half_hour >= :whole_from
    AND half_hour < ({BEGUN} + interval '1 month') AT TIME ZONE 'UTC' AND {MONTH.format("half_hour")} = ANY(months)
) x
""")


def window(
    connection: Connection, campaign_id: int, length: timedelta, now: datetime, machine_codes: Sequence[str]
) -> tuple[int, int, int, int]:
    """Of the last `length`: connected, hung up while waiting, abandoned; and those connected that were machines.

    One statement, so all of it is of one moment. What it reads grows with the half hours of the window, not with calls.
    """
    since = now - length
    values = {
        "campaign": campaign_id,
        "since": since,
        "whole_from": half_hour_of(since) + HALF_HOUR,
        "machine_codes": list(machine_codes),
    }
    row = connection.execute(WINDOW, values).one()
    return row.connected or 0, row.hung_up or 0, row.abandoned or 0, row.machines or 0
