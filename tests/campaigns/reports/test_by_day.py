"""The abandon rate at the end of each day is what the law's window comes to then, for every law and zone."""

from __future__ import annotations

import csv
from datetime import date, datetime, time, timedelta
from io import BytesIO, StringIO
from zoneinfo import ZoneInfo

import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine

from campaigns.reports.asking import BadQuestion, Question
from campaigns.reports.compliance import by_day, windows
from campaigns.reports.writing import as_csv, as_workbook
from campaigns.store import CampaignStore
from cti.language import catalogue
from cti.report_words import Words
from tests.campaigns.reports.raw import TURNS, World
from tests.campaigns.reports.test_asking import history
from tests.campaigns.world import CONFIG, NOON, later

SINCE, UNTIL = date(2026, 11, 20), date(2026, 11, 30)


@pytest.fixture
def world(db: Engine) -> World:
    world = World(db)
    calls, lines = history(11, 80)
    ids: dict[int, str] = {}
    for turn in range(TURNS):
        world.write(calls, lines, turn, ids)
    world.roll(later(hours=12))
    return world


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/St_Johns"])
def test_each_day_has_the_window_that_ends_with_it(world: World, zone: str) -> None:
    question, seen = Question("compliance", SINCE, UNTIL, zone), set()
    for one, other in (("us", "life"), ("uk", "cn")):
        for name, law in (("east", one), ("west", other)):
            config = f'{CONFIG.replace("spring", name)}unit = "{name}"\n[abandon]\nprofile = "{law}"\n'
            CampaignStore(world.db).apply(config, "test", "tester", NOON)
        rows = {(row[0], row[1]): row for row in by_day(world.db, question, None).rows}
        for n in range((UNTIL - SINCE).days + 1):
            day = SINCE + timedelta(days=n)
            end = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone))
            for window in windows(world.db, end, None):
                row = rows.pop((window.campaign, str(day)), None)
                assert (row is None) == (not window.answered)
                if row is not None:
                    seen.add(row[2])
                    assert row[4:10] == (
                        window.connected, window.hung_up, window.machines, window.abandoned, window.answered,
                        window.given_up,
                    )  # fmt: skip
                    assert (row[10], row[12]) == (window.rate, "law_yes" if window.kept else "law_no")
        assert not rows
    assert seen == {"law_us", "law_uk", "law_cn", "law_life"}


def test_it_is_told_of_those_whom_one_sees_and_asks_for(world: World) -> None:
    question = Question("compliance", SINCE, UNTIL, "UTC", (), ("east",))
    assert {row[0] for row in by_day(world.db, question, None).rows} == {"east"}
    assert by_day(world.db, question, ["west"]).rows == [] == by_day(world.db, question, []).rows
    for wrong in (
        Question("compliance", UNTIL, SINCE, "UTC"),
        Question("compliance", SINCE, UNTIL, "UTC", ("day",)),
        Question("compliance", date(2024, 1, 1), UNTIL, "UTC"),
        Question("compliance", SINCE, UNTIL, "Mars/Olympus"),
    ):
        with pytest.raises(BadQuestion):
            by_day(world.db, wrong, None)


@pytest.mark.parametrize(
    ("language", "kept", "law"), [("en", "Yes", "US: 30 days"), ("zh", "达标", "美国：30 天")]
)
def test_the_files_say_it_in_words_and_have_no_total(
    world: World, language: str, kept: str, law: str
) -> None:
    words = Words(catalogue(language))
    table = by_day(world.db, Question("compliance", SINCE, UNTIL, "UTC", (), ("east",)), None)
    told = as_csv(table, words.column, words.value, words.total).decode("utf-8-sig")
    rows = list(csv.reader(StringIO(told)))[1:]
    assert len(rows) == len(table.rows) and {row[2] for row in rows} == {law}
    assert {row[12] for row in rows} <= {kept, words.value("law_kept", "law_no")}
    book = as_workbook(table, words.column, words.value, words.total, words.title("compliance"))
    sheet = CalamineWorkbook.from_filelike(BytesIO(book)).get_sheet_by_index(0).to_python()
    assert len(sheet) == 1 + len(table.rows)
    assert [row[10] for row in sheet[1:]] == pytest.approx([row[10] for row in table.rows])
