"""Months are there ahead of time, and what was recorded before there were any is moved into them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Engine, event, text

from campaigns import database
from campaigns.ids import as_uuid, leased_at, new_call_id
from campaigns.partitions import KEYS, ensure_partitions, make_partition
from campaigns.records import (
    AttemptAnswered,
    AttemptConnected,
    AttemptEnded,
    Dispositioned,
    NotesSaved,
    OptedOut,
    SeatChanged,
)
from tests.campaigns.world import NOON, Campaign, later
from tests.database import as_of

SPRING = datetime(2026, 3, 31, 23, 59, 59, 999_000, tzinfo=UTC)

READY = text("""
INSERT INTO seat_log (at, user_id, session_id, state, reason, call_id) VALUES (:at, 7, '', 'ready', '', '')
""")


@pytest.fixture
def old() -> Iterator[Engine]:
    """A database as it was before dispositions lay in months."""
    engine = as_of("0002")
    yield engine
    engine.dispose()


def test_what_was_recorded_before_lies_in_its_month(old: Engine) -> None:
    call = new_call_id(SPRING)
    with old.begin() as connection:
        connection.execute(
            text("INSERT INTO disposition VALUES (:call, 7, 'sold', '', false, NULL, true, :at)"),
            {"call": as_uuid(call), "at": SPRING},
        )
        connection.execute(READY, {"at": SPRING})
    database.migrate(old)
    with old.begin() as connection:
        assert connection.execute(text("SELECT code, leased_at FROM disposition_2026_03")).one() == (
            "sold",
            leased_at(call),
        )
        assert connection.execute(text("SELECT state, campaign_id FROM seat_log_2026_03")).one() == (
            "ready",
            None,
        )
        connection.execute(READY, {"at": datetime.now(UTC)})
        assert connection.execute(text("SELECT array_agg(id ORDER BY id) FROM seat_log")).scalar_one() == [
            1,
            2,
        ]


def test_months_are_made_ahead_once(db: Engine) -> None:
    for _ in range(2):
        ensure_partitions(db, date(2031, 12, 30))
    with db.connect() as connection:
        for table in KEYS:
            made = connection.execute(
                text(
                    "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:table AS regclass)"
                ),
                {"table": table},
            ).scalars()
            assert {f"{table}_2031_11", f"{table}_2031_12", f"{table}_2032_01", f"{table}_2032_02"} <= set(
                made
            )


def test_making_a_month_waits_for_nobody_who_reads_or_writes(db: Engine) -> None:
    with db.begin() as busy:
        busy.execute(text("LOCK TABLE attempt IN ROW EXCLUSIVE MODE"))  # as an INSERT that is under way
        with db.begin() as making:
            making.execute(text("SET LOCAL lock_timeout = '2s'"))
            make_partition(making, "attempt", date(2031, 12, 1))


def test_a_month_that_somebody_works_on_holds_up_no_call(db: Engine) -> None:
    campaign = Campaign(db, leads=3)
    with db.begin() as connection:
        for table in ("attempt", "disposition", "seat_log"):
            make_partition(connection, table, date(2026, 1, 1))
    event.listen(db, "connect", lambda raw, _: raw.cursor().execute("SET lock_timeout = '500ms'"))
    db.dispose()
    with db.begin() as working:
        working.execute(
            text("LOCK TABLE attempt_2026_01, disposition_2026_01, seat_log_2026_01 IN ACCESS EXCLUSIVE MODE")
        )
        sold, machine, undone = campaign.lease(3)
        assert len(campaign.dial([sold, machine, undone])) == 3
        campaign.record(
            AttemptAnswered(at=NOON, call_id=sold.call_id),
            AttemptConnected(at=NOON, call_id=sold.call_id, user_id=7),
            SeatChanged(at=NOON, user_id=7, session_id="s", state="talking", call_id=sold.call_id),
            AttemptEnded(at=NOON, call_id=sold.call_id, outcome="connected", final=True),
            Dispositioned(
                at=NOON,
                call_id=sold.call_id,
                user_id=7,
                code="sold",
                callback_at=later(days=1),
                do_not_call=True,
            ),
            NotesSaved(at=NOON, call_id=sold.call_id, user_id=7, notes="asks for the contract"),
            AttemptEnded(at=NOON, call_id=machine.call_id, outcome="abandoned", locked_until=later(days=3)),
            AttemptEnded(at=NOON, call_id=undone.call_id, outcome="cancelled", retry_at=NOON, dialed=False),
            OptedOut(at=NOON, call_id=machine.call_id, number="", source="key", campaign_id=0),
        )
        again = campaign.lease(3)
        campaign.hopper.release([lead.call_id for lead in again])
        assert campaign.hopper.in_flight(NOON) == []
