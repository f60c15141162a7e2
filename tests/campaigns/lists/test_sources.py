"""What a unit said of the columns of files of one origin holds for its next files, and for nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from campaigns import database
from campaigns.lists.importing import Request, import_list
from campaigns.lists.sources import ImportFailed
from campaigns.units import Units
from tests.campaigns.world import NOON, Campaign
from tests.database import as_of


def test_another_branch_has_a_source_of_the_same_name_for_itself(db: Engine, tmp_path: Path) -> None:
    branches = {}
    for name in ("east", "west"):
        Units(db).add(name)
        branches[name] = Campaign(db, leads=0, name=name, more=f'unit = "{name}"\n').id
    file = tmp_path / "billing.csv"

    def come_in(name: str, number: str, **columns: str) -> list[str]:
        file.write_text(f"甲,乙\n{number},李雷\n", "utf-8")
        request = Request(str(file), number, branches[name], columns, source="billing")
        return [lead for _, lead, _ in import_list(db, request, NOON).leads]

    assert come_in("east", "13800138001", 甲="mobile", 乙="name") == ["李雷"]
    with pytest.raises(ImportFailed, match="no source 'billing' yet"):
        come_in("west", "13800138002")
    assert come_in("west", "13800138002", 甲="mobile", 乙="ignore") == [""]
    assert come_in("east", "13800138003") == ["李雷"]
    branches["east"] = Campaign(db, leads=0, name="east-too", more='unit = "east"\n').id
    assert come_in("east", "13800138001") == ["李雷"]


def test_what_was_said_before_holds_in_every_unit_that_has_campaigns() -> None:
    engine = as_of("0055")
    with engine.begin() as connection:
        connection.exec_driver_sql("""
            INSERT INTO unit (parent_id, name) SELECT u.id, n FROM unit u, unnest(ARRAY['east', 'west', 'new']) n;
            INSERT INTO campaign (name, version, unit_id)
            SELECT c, 1, u.id FROM unit u JOIN (VALUES ('a', 'east'), ('b', 'east'), ('c', 'west')) v (c, u)
                ON u.name = v.u;
            INSERT INTO list_source VALUES ('billing', '{"甲": "mobile"}'), ('shop', '{"乙": "name"}');
        """)
    database.migrate(engine)
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT u.name, s.name, s.columns FROM list_source s JOIN unit u ON u.id = s.unit_id ORDER BY 1, 2"
        )
        assert [tuple(row) for row in found] == [
            (unit, *said)
            for unit in ("east", "west")
            for said in (("billing", {"甲": "mobile"}), ("shop", {"乙": "name"}))
        ]
    engine.dispose()
