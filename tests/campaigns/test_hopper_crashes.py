"""Engines that are killed at any point as they call: no lead is called twice at once, and every one is accounted for.

Two engines call from one campaign until they are killed; the next life of the first takes over what was its own, and
what was the other's when its leases have run out. A few crashes a run; `make crashes` makes a hundred.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from campaigns.hopper import LEASE_S, Hopper
from campaigns.journal_store import JournalStore
from campaigns.records import AttemptEnded
from campaigns.rules.keys import WEEKDAYS
from tests.campaigns.caller import Diary, call
from tests.campaigns.crashes import CRASHES, chances, kill, started
from tests.campaigns.world import NOON, Campaign

LEADS = 3_000
ENGINES = ("engine-1", "engine-2")
LIFE_S = 0.5  # at most; longer where a machine is so busy that nobody is called in it
ANY_TIME = ", ".join(f"{day} = {{ from = 00:00:00, to = 23:59:59.999999 }}" for day in WEEKDAYS)
RULES = f"\n[rules]\nattempts = 50\nwindows = {{ {ANY_TIME} }}\n"

IN_FLIGHT = """
SELECT count(*) FILTER (WHERE NOT EXISTS (SELECT FROM lead l WHERE l.lease = a.call_id)) AS astray,
    count(DISTINCT lead_id) = count(*) AS once FROM attempt a WHERE outcome IS NULL
"""
TWICE = """
SELECT count(*) AS calls FROM (
    SELECT dialed_at < lag(ended_at) OVER (PARTITION BY lead_id ORDER BY dialed_at, call_id) AS early FROM attempt
) a WHERE early
"""
BOOKS = """
SELECT (SELECT count(*) FROM lead) AS leads, (SELECT count(*) FROM lead WHERE NOT open) AS closed,
    (SELECT count(*) FROM lead WHERE lease IS NOT NULL) AS leased,
    (SELECT count(*) FROM number n LEFT JOIN (
        SELECT number_id, count(*) AS calls FROM attempt WHERE outcome <> 'failed' GROUP BY number_id
    ) a ON a.number_id = n.id LEFT JOIN called k ON k.party = n.e164
    WHERE n.attempts <> COALESCE(a.calls, 0) OR COALESCE(k.life, 0) <> COALESCE(a.calls, 0)
        OR COALESCE(cardinality(k.at), 0) <> COALESCE(a.calls, 0)
    ) AS miscounted
"""


class Engines:
    """One campaign, and the diaries of those who call from it."""

    def __init__(self, db: Engine, folder: Path) -> None:
        self.db = db
        self.campaign = Campaign(db, leads=LEADS, more=RULES)
        self.diaries = {name: folder / name for name in ENGINES}

    def end(self, name: str, of: str, at: datetime) -> int:
        """What a crash left of the calls of one engine is ended by another, or by itself; how many were in flight."""
        Diary(self.diaries[of], JournalStore(self.db, of)).catch_up()
        hopper = Hopper(self.db, name)
        left = hopper.in_flight(at)
        assert hopper.take_over([each.call_id for each in left], at) == len(left)
        assert {each.owner for each in left} <= {of}
        mine = Diary(self.diaries[name], JournalStore(self.db, name))
        retry = at + timedelta(seconds=1)
        mine.keep(
            [
                AttemptEnded(at=at, call_id=each.call_id, outcome="lost", retry_at=retry)
                for each in left
                if each.dialed
            ]
        )
        hopper.release([each.call_id for each in left if not each.dialed])
        return len(left)

    def check(self) -> None:
        """Each attempt has the outcome that was written down first, and all counts are those of the attempts."""
        told: dict[str, AttemptEnded] = {}
        for diary in self.diaries.values():
            for record in Diary.read(diary):
                if isinstance(record, AttemptEnded):
                    assert told.setdefault(record.call_id, record) is record
        with self.db.connect() as connection:
            rows = connection.exec_driver_sql("SELECT call_id, outcome FROM attempt").all()
        assert {row.call_id.hex: row.outcome for row in rows} == {
            call_id: record.outcome for call_id, record in told.items()
        }
        books = self.campaign.one(BOOKS)
        assert (books.leads, books.leased, books.miscounted) == (LEADS, 0, 0)
        assert books.closed == sum(record.final for record in told.values())
        assert self.campaign.one(TWICE).calls == 0


@pytest.mark.slow
@pytest.mark.timeout(120 + 15 * CRASHES)
def test_an_engine_that_is_killed_loses_no_lead_and_calls_none_twice_at_once(
    db: Engine, tmp_path: Path
) -> None:
    engines, chance, now = Engines(db, tmp_path), chances(), NOON
    killed = taken_over = attempts = 0
    life_s = LIFE_S
    while killed < CRASHES or attempts <= killed or not taken_over:
        moments = sorted((chance.uniform(0.0, life_s), name) for name in ENGINES)
        with ExitStack() as lives:
            jobs = {}
            for name in ENGINES:
                told = (engines.campaign.id, name, engines.diaries[name], now, chance.random())
                jobs[name] = lives.enter_context(started(call, db, *told))
            begun = time.monotonic()
            for moment, name in moments:
                time.sleep(max(0.0, begun + moment - time.monotonic()))  # the moment itself is what is tried
                assert jobs[name].is_alive()
                kill(db, jobs[name])
                killed += 1
        found = engines.campaign.one(IN_FLIGHT)
        assert found.astray == 0 and found.once
        now += timedelta(seconds=60.0)
        taken_over += engines.end("engine-1", "engine-1", now)
        now += timedelta(seconds=LEASE_S)
        taken_over += engines.end("engine-1", "engine-2", now)
        engines.check()
        now += timedelta(seconds=2.0)
        before, attempts = attempts, engines.campaign.one("SELECT count(*) AS n FROM attempt").n
        if attempts == before:
            life_s *= 2.0
    print(f"killed: {killed}, attempts: {attempts:,}, taken over: {taken_over:,}")
