"""The schema is brought up to date for as long as it takes, and beside the calls of an engine that works on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine, TextClause, text

from campaigns import database
from tests.campaigns.history.past import wait_for
from tests.database import as_of

LIMIT_MS = 500  # of a statement
LOCK, UNLOCK = (text(f"SELECT pg_advisory_{what}(:key)") for what in ("lock", "unlock"))
REVISION = text("SELECT version_num FROM alembic_version")
LONG_WAITS = text("""
SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND NOT l.granted AND a.datname = current_database()
    AND a.query_start < clock_timestamp() - :limit * interval '2 ms'
""")
CHANGE_WAITS = text("SELECT count(*) FROM pg_locks WHERE relation = CAST('dnc' AS regclass) AND NOT granted")


def count(engine: Engine, statement: TextClause, **values: int) -> int:
    with engine.connect() as connection:
        return connection.execute(statement, values).scalar_one()


def opt_out(connection: Connection, number: str) -> None:
    connection.execute(
        text("INSERT INTO dnc (e164, layer, source, at) VALUES (:number, 'company', 'key', now())"),
        {"number": number},
    )


def test_who_comes_second_waits_until_the_schema_is_up_to_date(db: Engine) -> None:
    url = db.url.render_as_string(hide_password=False)
    hasty = database.connect(url, 2, f"-c statement_timeout={LIMIT_MS}")
    with ThreadPoolExecutor(1) as thread, db.connect() as first:
        first.execute(LOCK, {"key": database.MIGRATION_LOCK})
        second = thread.submit(database.migrate, hasty)
        wait_for(lambda: second.done() or count(db, LONG_WAITS, limit=LIMIT_MS))
        assert not second.done()
        first.execute(UNLOCK, {"key": database.MIGRATION_LOCK})
        second.result()
    with hasty.connect() as connection:  # and what comes after has its limit, and its patience
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == f"{LIMIT_MS}ms"
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "0"
    hasty.dispose()


def test_a_change_of_a_table_that_is_in_use_lets_others_by_until_it_can_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database, "SCHEMA_PAUSE_S", 0.1)
    engine = as_of("0052")  # of the next one `dnc` gets a trigger
    with ThreadPoolExecutor(1) as thread:
        with engine.begin() as importing:
            opt_out(importing, "+8613800000001")
            upgrade = thread.submit(database.migrate, engine)
            wait_for(lambda: upgrade.done() or count(engine, CHANGE_WAITS))
            with engine.begin() as calling:
                calling.execute(text("SET LOCAL lock_timeout = '10s'"))
                opt_out(calling, "+8613800000002")
            assert not upgrade.done()
        upgrade.result()
    with engine.connect() as connection:
        assert connection.execute(REVISION).scalar_one() == database.newest_revision()
    engine.dispose()


def test_who_is_to_stop_waits_for_a_table_no_longer() -> None:
    engine = as_of("0052")
    with engine.begin() as importing:
        opt_out(importing, "+8613800000001")
        with pytest.raises(database.DatabaseError, match="stopped"):
            database.migrate(engine, lambda: True)
    engine.dispose()
