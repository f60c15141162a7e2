"""That reports fall behind is told also by a daemon whose counting fails."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, text

from campaigns.reports.counting import half_hour_of
from dialer.metrics import Metrics
from dialer.rolling import Rolling
from tests.cti.running import until


async def test_a_count_that_fails_says_since_when_and_how_much_is_due(db: Engine) -> None:
    yesterday = half_hour_of(datetime.now(UTC) - timedelta(days=1))
    with db.begin() as connection:
        connection.execute(text("UPDATE rollup_seen SET seats_until = :at"), {"at": yesterday})
        connection.execute(text("INSERT INTO rollup_due VALUES ('calls', :at)"), {"at": yesterday})
        connection.execute(text("ALTER TABLE rollup_seat RENAME TO gone"))
    metrics = Metrics()
    told = metrics.registry.get_sample_value
    rolling = Rolling(db, metrics)
    running = asyncio.create_task(rolling.run())
    try:
        await until(lambda: told("zhudong_reports_counted_timestamp_seconds") == yesterday.timestamp())
        assert told("zhudong_report_spans_due") == 1
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        rolling.close()
