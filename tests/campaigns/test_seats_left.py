"""The seats of an engine that died are offline since it was heard last, and nobody else's are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, text

from campaigns.journal_store import JournalStore
from campaigns.ownership import LEASE_S, Ownership
from campaigns.records import SeatChanged
from campaigns.seats_left import end_seats
from tests.campaigns.test_ownership import owner, runs_out

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(hours=9)


def died(db: Engine, at: datetime) -> None:
    """Nobody was heard since."""
    with db.begin() as connection:
        connection.execute(
            text("UPDATE engine SET until = :until"), {"until": at + timedelta(seconds=LEASE_S)}
        )


def tell(db: Engine, engine: str, serial: int, *lines: tuple[int, str, datetime]) -> None:
    records = [SeatChanged(at=at, user_id=user, session_id=engine, state=state) for user, state, at in lines]
    JournalStore(db, engine).apply([(serial + n, record) for n, record in enumerate(records)])


def states(db: Engine) -> dict[int, list[tuple[str, datetime]]]:
    """Of each seat what the log tells, in the order of time."""
    with db.connect() as connection:
        rows = connection.execute(text("SELECT user_id, state, at FROM seat_log ORDER BY at, id")).all()
    found: dict[int, list[tuple[str, datetime]]] = {}
    for row in rows:
        found.setdefault(row.user_id, []).append((row.state, row.at))
    return found


def test_after_a_night_without_an_engine_nobody_was_ready_all_night(db: Engine) -> None:
    owner(db).turn()
    tell(db, "a", 1, (7, "ready", LONG_AGO - timedelta(minutes=5)), (8, "talking", LONG_AGO))
    tell(db, "a", 3, (9, "offline", LONG_AGO))
    died(db, LONG_AGO + timedelta(seconds=1))
    again: Ownership = owner(db)
    again.turn()
    again.turn()
    tell(db, "a", 4, (8, "phone", NOW + timedelta(seconds=1)))  # a page that came back before
    assert end_seats(db, "a", began=NOW) == 1
    assert states(db) == {
        7: [("ready", LONG_AGO - timedelta(minutes=5)), ("offline", LONG_AGO + timedelta(seconds=1))],
        8: [("talking", LONG_AGO), ("phone", NOW + timedelta(seconds=1))],
        9: [("offline", LONG_AGO)],
    }
    assert end_seats(db, "a", began=NOW) == 0


def test_a_dead_engines_seats_are_gone_and_those_of_a_living_one_are_not(db: Engine) -> None:
    for name in ("a", "b", "c"):
        owner(db, name).turn()
    tell(db, "a", 1, (7, "talking", NOW), (8, "ready", NOW))
    tell(db, "c", 1, (9, "ready", NOW))
    assert end_seats(db, "b", {"a"}) == 0
    runs_out(db)
    owner(db, "c").turn()
    tell(db, "b", 1, (8, "phone", NOW + timedelta(seconds=4)))  # whose page has moved already
    assert end_seats(db, "b", {"a", "c"}) == 1
    assert [state for state, _ in states(db)[7]] == ["talking", "offline"]
    assert [state for state, _ in states(db)[8]] == ["ready", "phone"]
    assert [state for state, _ in states(db)[9]] == ["ready"]


def test_what_a_dead_engine_tells_late_ends_with_its_own_next_life(db: Engine) -> None:
    owner(db).turn()
    tell(db, "a", 1, (7, "ready", LONG_AGO), (8, "ready", LONG_AGO))
    died(db, LONG_AGO)
    end_seats(db, "b", {"a"})
    tell(db, "b", 1, (8, "ready", NOW))
    tell(db, "a", 3, (7, "talking", LONG_AGO + timedelta(seconds=1)))  # of its spool
    tell(db, "a", 4, (8, "talking", LONG_AGO + timedelta(seconds=1)))
    owner(db).turn()
    assert end_seats(db, "a", began=NOW + timedelta(seconds=1)) == 1
    assert [state for state, _ in states(db)[7]][-1] == "offline"
    assert [state for state, _ in states(db)[8]][-1] == "ready"


def test_what_is_longer_ago_than_a_state_is_counted_for_needs_no_line(db: Engine) -> None:
    """Its month may be in files."""
    owner(db).turn()
    tell(db, "a", 1, (7, "talking", NOW - timedelta(days=2)))
    with db.begin() as connection:
        connection.execute(text("UPDATE seat_now SET at = at - interval '1 year'"))
    died(db, NOW - timedelta(days=366))
    owner(db).turn()
    assert end_seats(db, "a", began=NOW) == 0
    assert [state for state, _ in states(db)[7]] == ["talking"]


def test_a_seat_that_is_just_written_is_at_work_and_holds_nobody_up(db: Engine) -> None:
    owner(db).turn()
    tell(db, "a", 1, (7, "talking", NOW), (8, "ready", NOW))
    runs_out(db)
    with db.begin() as connection:
        connection.execute(text("UPDATE seat_now SET engine = 'b' WHERE user_id = 8"))
        assert end_seats(db, "b", {"a"}) == 1
    assert [state for state, _ in states(db)[8]] == ["ready"]
