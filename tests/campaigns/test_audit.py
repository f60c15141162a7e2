"""The audit log: written with the change or not at all, never changed, and a chain in which a hand shows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from campaigns import database
from campaigns.audit import By, acting, let_go, lines, masked, verify, write
from tests.database import as_of

NOW = datetime(2026, 11, 24, 4, tzinfo=UTC)


def log(db: Engine, *actions: str, at: datetime = NOW) -> None:
    for action in actions:
        with acting(db, By("chen", "10.0.0.7")).begin() as connection:
            write(connection, action, "thing 1", "a detail, 细节", {"was": 1}, {"is": None}, at)


def by_hand(db: Engine, *statements: str) -> None:
    """What an owner of the database can do and its users can't: the triggers are off."""
    with db.begin() as connection:
        for table in ("audit", "audit_link"):
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        for statement in statements:
            connection.execute(text(statement))
        for table in ("audit", "audit_link"):
            connection.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))


def test_a_line_says_who_when_from_where_what_and_what_it_was(db: Engine) -> None:
    log(db, "made")
    [line] = lines(db)
    assert (line.who, line.source, line.action, line.subject) == ("chen", "10.0.0.7", "made", "thing 1")
    assert (line.at, line.detail, line.before, line.after) == (
        NOW,
        "a detail, 细节",
        '{"was": 1}',
        '{"is": null}',
    )
    assert verify(db).fault == "" and verify(db).lines == 1


def test_a_change_that_fails_leaves_no_line_and_the_chain_whole(db: Engine) -> None:
    log(db, "first")
    with pytest.raises(ZeroDivisionError), db.begin() as connection:
        write(connection, "undone", "thing")
        raise ZeroDivisionError
    log(db, "second")
    assert [line.action for line in lines(db)] == ["second", "first"]
    assert verify(db).fault == ""


def test_many_writers_make_one_chain(db: Engine) -> None:
    def several(n: int) -> None:
        with acting(db, By(f"writer {n}")).begin() as connection:
            for k in range(5):
                write(connection, "written", f"{n} {k}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(several, range(40)))
    found = verify(db)
    assert (found.lines, found.fault) == (200, "")


def test_a_writer_who_takes_long_keeps_no_other_waiting(db: Engine) -> None:
    with db.connect() as slow:
        write(slow, "slow", "an import")
        log(db, "quick")  # commits at once
        slow.commit()
    assert [line.action for line in lines(db)] == ["quick", "slow"]
    assert verify(db).fault == ""


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "UPDATE audit_link SET n = n + 1",
        "DELETE FROM audit_link",
        "TRUNCATE audit_link",
    ],
)
def test_nothing_in_it_is_changed(db: Engine, statement: str) -> None:
    with db.begin() as connection:
        write(connection, "made", "thing")
    with pytest.raises(DBAPIError, match="only ever added to"), db.begin() as connection:
        connection.execute(text(statement))
    assert verify(db).fault == "" and len(lines(db)) == 1


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE action = 'two'", "is not as it was written"),
        ("UPDATE audit SET after = '{\"is\": 2}' WHERE action = 'two'", "is not as it was written"),
        (
            "UPDATE audit SET at = at + interval '1 microsecond' WHERE action = 'two'",
            "is not as it was written",
        ),
        ("DELETE FROM audit WHERE action = 'two'", "is gone"),
        ("DELETE FROM audit_link WHERE n = 2", "something is missing"),
        (
            "WITH x AS (DELETE FROM audit WHERE action = 'two') DELETE FROM audit_link WHERE n = 2",
            "is missing",
        ),
        (
            "WITH x AS (DELETE FROM audit WHERE action = 'one') DELETE FROM audit_link WHERE n = 1",
            "beginning is missing",
        ),
        ("UPDATE audit_link SET hash = previous WHERE n = 2", "is not as it was written"),
    ],
)
def test_a_hand_in_the_log_shows(db: Engine, statement: str, says: str) -> None:
    log(db, "one", "two", "three")
    by_hand(db, statement)
    assert says in verify(db).fault


def test_a_line_that_was_put_in_shows(db: Engine) -> None:
    log(db, "one", "two")
    by_hand(
        db,
        "INSERT INTO audit (at, actor, action, subject, detail) VALUES (now(), 'chen', 'never', 'happened', '')",
    )
    assert "is in no link" in verify(db).fault


def test_what_is_over_its_time_goes_and_a_line_tells_from_where_on_it_is_whole(db: Engine) -> None:
    log(db, "old", "older", at=NOW - timedelta(days=4000))
    log(db, "new")
    with db.begin() as connection:
        assert let_go(connection, NOW - timedelta(days=3653)) == 2
    assert [line.action for line in lines(db)] == ["audit lines let go", "new"]
    assert verify(db).fault == ""
    with db.begin() as connection:
        assert let_go(connection, NOW - timedelta(days=3653)) == 0
    by_hand(db, "DELETE FROM audit WHERE action = 'audit lines let go'", "DELETE FROM audit_link WHERE n = 4")
    assert "beginning is missing" in verify(db).fault


def test_lines_are_found_by_who_what_and_when(db: Engine) -> None:
    log(db, "one", "two")
    with db.begin() as connection:
        write(connection, "three", "of itself", at=NOW + timedelta(days=1))
    assert [line.action for line in lines(db, who="zhudong")] == ["three"]
    assert [line.action for line in lines(db, action="two")] == ["two"]
    assert [line.action for line in lines(db, until=NOW + timedelta(hours=1))] == ["two", "one"]
    assert [line.action for line in lines(db, people=["chen"], limit=1)] == ["two"]
    assert lines(db, people=[]) == []


def test_a_number_is_not_to_be_read_from_it() -> None:
    assert masked("+8613812345678") == "+86138****5678"


def test_the_lines_of_before_are_chained_by_the_migration() -> None:
    engine = as_of("0017")
    with engine.begin() as connection:
        for n in range(3):
            values = {"at": NOW + timedelta(microseconds=n), "subject": f"主题 {n}"}
            connection.execute(
                text(
                    "INSERT INTO audit (at, actor, action, subject, detail) VALUES (:at, 'lin', 'x', :subject, '')"
                ),
                values,
            )
    database.migrate(engine)
    log(engine, "after")
    found = verify(engine)
    assert (found.lines, found.fault) == (4, "")
    engine.dispose()
