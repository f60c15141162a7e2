"""Months that are in files are counted from them to the same figures, and an erasure changes none of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from campaigns.history import person as persons
from campaigns.history.archive import holding
from campaigns.reports.rolling import roll
from tests.campaigns.history.past import TODAY, Past, number

TABLES = ("rollup_call", "rollup_line", "rollup_agent", "rollup_caller", "rollup_seat", "rollup_callback")


def figures(past: Past) -> dict[str, list[Any]]:
    return {table: sorted(map(tuple, past.rows(f"SELECT * FROM {table}"))) for table in TABLES}


def due(past: Past) -> int:
    return past.rows("SELECT count(*) AS n FROM rollup_due")[0].n


def test_figures_are_the_same_from_files_after_an_erasure_and_after_what_comes_late(
    db: Engine, tmp_path: Path
) -> None:
    past = Past(db, tmp_path, leads=12)
    with db.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO app_user (id, unit_id, login, name, role, password_hash) OVERRIDING SYSTEM VALUE "
                "SELECT 7, id, 'li', 'li', 'agent', '' FROM unit WHERE parent_id IS NULL"
            )
        )
        connection.execute(text("UPDATE rollup_seen SET seats_until = :now"), {"now": TODAY})
    while (turn := roll(db, TODAY)) is None or turn.more:
        pass
    assert turn.left == 0
    counted = figures(past)
    assert sum(row[6] for row in counted["rollup_call"]) == len(past.calls) and counted["rollup_seat"]

    past.run()  # two months go into files
    assert figures(past) == counted
    with db.begin() as connection:  # as after an upgrade, all of it is due
        for table, kind in (("rollup_call", "calls"), ("rollup_seat", "stays")):
            connection.execute(
                text(f"INSERT INTO rollup_due SELECT DISTINCT '{kind}', half_hour FROM {table}")
            )
        for table in TABLES[:5]:
            connection.execute(text(f"DELETE FROM {table}"))
    while (turn := roll(db, TODAY)) is None or turn.more:
        pass
    assert turn.left > 0  # of months in files, which are not the daemon's
    assert past.run().counted == turn.left
    assert figures(past) == counted and due(past) == 0

    with holding(db, past.files) as job:
        persons.erase(job, persons.find(db, number=number(2)), "ticket", "li", TODAY)
    while (turn := roll(db, TODAY)) is None or turn.more:
        pass
    past.run()
    assert figures(past) == counted and due(past) == 0
