"""Months that are in files are counted from them to the same figures, and an erasure changes none of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from campaigns.history import person as persons
from campaigns.history.archive import holding
from campaigns.reports.rolling import roll, standing
from tests.campaigns.history.past import TODAY, Past, number

PROMISED = """
INSERT INTO callback (call_id, lead_id, campaign_id, user_id, due_at, anyone_at, expires_at, done_at, called_at,
    called_by)
SELECT a.call_id, a.lead_id, a.campaign_id, 7, k.due_at, k.due_at, k.due_at + interval '7 d', k.done_at, k.done_at,
    CASE WHEN k.done_at IS NOT NULL THEN 7 END
FROM (SELECT *, row_number() OVER (ORDER BY call_id) AS n FROM attempt ORDER BY call_id LIMIT 2) a
CROSS JOIN LATERAL (
    SELECT a.dialed_at + CASE n WHEN 1 THEN interval '1 d' ELSE interval '1 year' END AS due_at,
        CASE n WHEN 1 THEN a.dialed_at + interval '1 d 1 min' END AS done_at
) k
"""
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
        # Two promises whose calls go into files: one was kept, the other is due in a year.
        connection.execute(text(PROMISED), {"now": TODAY})
    while (turn := roll(db, TODAY)) is None or turn.more:
        pass
    assert standing(db) == (TODAY, 0)
    counted = figures(past)
    assert sum(row[6] for row in counted["rollup_call"]) == len(past.calls) and counted["rollup_seat"]
    assert [sum(row[n] for row in counted["rollup_callback"]) for n in range(3, 10)] == [
        2,
        0,
        1,
        1,
        60_000,
        0,
        1,
    ]

    past.run()  # two months go into files
    assert figures(past) == counted
    with db.begin() as connection:  # as after an upgrade, all of it is due
        for table, kind in (
            ("rollup_call", "calls"),
            ("rollup_seat", "stays"),
            ("rollup_callback", "callbacks"),
        ):
            connection.execute(
                text(f"INSERT INTO rollup_due SELECT DISTINCT '{kind}', half_hour FROM {table}")
            )
        for table in TABLES:
            connection.execute(text(f"DELETE FROM {table}"))
    while (turn := roll(db, TODAY)) is None or turn.more:
        pass
    _, left = standing(db)
    assert left > 0  # of months in files, which are not the daemon's
    assert past.run().counted == left
    assert figures(past) == counted and due(past) == 0

    with holding(db, past.files) as job:
        persons.erase(job, persons.find(db, number=number(2)), "ticket", "li", TODAY)
    while (turn := roll(db, TODAY)) is None or turn.more:
        pass
    past.run()
    assert figures(past) == counted and due(past) == 0
