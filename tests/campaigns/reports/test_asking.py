"""Reports agree with the rows and with each other to the unit, whatever they are split by, on page and in files."""

from __future__ import annotations

import csv
from datetime import date, datetime, timedelta
from io import BytesIO, StringIO
from random import Random
from typing import Any

import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine, event, text

from campaigns.reports.asking import BadQuestion, NotCounted, Question, Table, answer
from campaigns.reports.catalogue import MEASURES, REPORTS
from campaigns.reports.compliance import by_day, windows
from campaigns.reports.rolling import roll
from campaigns.reports.writing import as_csv, as_workbook
from cti.language import catalogue
from cti.report_reader import as_file
from cti.report_words import Words
from tests.campaigns.reports.raw import CODES, OUTCOMES, STATES, TURNS, Call, Line, World
from tests.campaigns.world import NOON, Campaign, later

SINCE, UNTIL = date(2026, 11, 22), date(2026, 11, 26)


def history(seed: int, many: int = 60) -> tuple[list[Call], list[Line]]:
    dice = Random(seed)
    calls = [
        Call(
            dice.uniform(-30_000, 30_000), 3.0, dice.randrange(2), dice.choice(("+864000000001", "+864000000002")),
            dice.choice(OUTCOMES), dice.choice((0, 16, 17)), dice.randrange(3), dice.uniform(0, 40),
            dice.uniform(0, 900), dice.choice((None, "MACHINE")), dice.choice((None, *CODES)), (0, 1, 2),
        )
        for _ in range(many)
    ]  # fmt: skip
    lines = [
        Line(
            dice.uniform(-30_000, 30_000),
            dice.randrange(3),
            dice.choice(STATES),
            "lunch",
            dice.randrange(2),
            1,
        )
        for _ in range(many)
    ]
    return calls, lines


def asked(world: World, report: str, by: tuple[str, ...] = (), **more: Any) -> Table:
    seen = more.pop("seen", None)
    question = Question(report, SINCE, UNTIL, more.pop("zone", "Asia/Shanghai"), by, **more)
    return answer(world.db, question, seen)


def total(table: Table, measure: str) -> Any:
    return table.totals[[column.key for column in table.columns].index(measure)]


def test_every_report_by_every_dimension_comes_to_the_same(db: Engine) -> None:
    world = World(db)
    calls, lines = history(7)
    ids: dict[int, str] = {}
    for turn in range(TURNS):
        world.write(calls, lines, turn, ids)
    world.roll(later(hours=12))
    raw = world.rows(
        "SELECT count(*) AS attempts, count(connected_at) AS connected, count(*) FILTER (WHERE outcome = 'abandoned')"
        " AS abandoned, sum(round(talk_s * 1000.0)) / 1000 AS talk, (SELECT count(*) FROM disposition) AS judged "
        "FROM attempt"
    )[0]
    promised = world.rows("SELECT count(*) AS n FROM callback")[0].n
    expected = {
        "attempts": raw.attempts, "line_attempts": raw.attempts, "connected": raw.connected,
        "agent_calls": raw.connected, "abandoned": raw.abandoned, "talk": float(raw.talk),
        "agent_talk": float(raw.talk), "line_talk": float(raw.talk), "judged": raw.judged, "agent_judged": raw.judged,
        "promised": promised,
    }  # fmt: skip
    logged_in = set()
    for report in REPORTS.values():
        whole = asked(world, report.key)
        for by in ((each,) for each in report.dimensions):
            table = asked(world, report.key, by)
            assert table.totals[1:] == whole.totals[len(report.by) :], (report.key, by)
            for place, column in enumerate(table.columns):
                if column.unit is not None and len(MEASURES[column.key].needs) == 1:
                    found = sum(row[place] for row in table.rows)
                    assert round(found, 6) == round(table.totals[place], 6), (report.key, by, column.key)
        for measure in set(report.measures) & set(expected):
            assert total(whole, measure) == expected[measure], (report.key, measure)
        if "logged_in" in report.measures:
            logged_in.add(total(whole, "logged_in"))
    assert len(logged_in) == 1

    # Two branches are the whole, and who sees one sees no more; another zone's days are other days.
    parts = [asked(world, "campaigns", seen=[name]) for name in ("east", "west")]
    assert sum(total(part, "attempts") for part in parts) == raw.attempts
    assert [part.rows[0][0] for part in parts] == ["east", "west"] and all(
        len(part.rows) == 1 for part in parts
    )
    assert (
        asked(world, "campaigns", seen=[]).rows
        == []
        == asked(world, "campaigns", seen=["east"], campaigns=("west",)).rows
    )
    assert total(asked(world, "days", zone="America/St_Johns"), "attempts") == raw.attempts

    # The law's count is the same rows', and so is what the files say.
    law = {each.campaign: each for each in windows(db, later(hours=12), None)}
    assert sum(each.abandoned for each in law.values()) == raw.abandoned
    assert sum(each.connected for each in law.values()) == raw.connected
    table = asked(world, "campaigns")
    rows = list(csv.reader(StringIO(as_csv(table, str, lambda _, value: value, "total").decode("utf-8-sig"))))
    assert [row[0] for row in rows[1:]] == [*(row[0] for row in table.rows), "total"]
    assert int(rows[-1][1]) == raw.attempts
    [sheet] = CalamineWorkbook.from_filelike(
        BytesIO(as_workbook(table, str, lambda _, value: value, "total", "campaigns"))
    ).sheet_names
    assert sheet == "campaigns"


def test_a_name_that_is_a_formula_is_none_in_a_file(db: Engine) -> None:
    world = World(db)
    with db.begin() as connection:
        connection.execute(text("UPDATE app_user SET name = '=cmd|'' /C calc''!A0'"))
    world.write([Call(0, 1, 0, "", "connected", 16, 0, 5, 60, None, "sold", (0, 0, 0))], [], 0, {})
    world.roll(NOON + timedelta(hours=1))
    table = asked(world, "agents")
    written = as_csv(table, str, lambda _, value: value, "total").decode("utf-8-sig")
    assert written.splitlines()[1].startswith("'=cmd|")
    book = CalamineWorkbook.from_filelike(
        BytesIO(as_workbook(table, str, lambda _, value: value, "total", "agents"))
    )
    assert str(book.get_sheet_by_index(0).to_python()[1][0]).startswith("=cmd|")  # a string, and no formula


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"report": "none"}, "report"),
        ({"zone": "Mars/Base"}, "zone"),
        ({"zone": "Asia/Kathmandu"}, "half hour"),
        ({"zone": "../../etc/passwd"}, "zone"),
        ({"by": ("caller_id",)}, "by"),
        ({"by": ("campaign", "campaign")}, "twice"),
        ({"until": date(2026, 11, 1)}, "from"),
        ({"until": date(2036, 11, 1)}, "from"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(db: Engine, change: dict[str, Any], says: str) -> None:
    question: dict[str, Any] = {"report": "campaigns", "since": SINCE, "until": UNTIL, "zone": "UTC"} | change
    with pytest.raises(BadQuestion, match=says):
        answer(db, Question(**question), None)


def test_customers_who_called_in_are_counted_apart(db: Engine) -> None:
    world = World(db)
    two = [Call(n * 60.0, 1, 0, "", "connected", 16, 0, 5, 60, None, "sold", (0, 0, 0)) for n in range(2)]
    world.write(two, [], 0, {})
    with db.begin() as connection:
        connection.execute(
            text("UPDATE attempt SET called_in = 'a channel' WHERE dialed_at > :noon"), {"noon": NOON}
        )
    world.roll(NOON + timedelta(hours=1))
    assert total(asked(world, "campaigns"), "attempts") == total(asked(world, "causes"), "line_attempts") == 1
    assert total(asked(world, "callers"), "callers_connected") == 1
    agents = asked(world, "agents")
    assert (total(agents, "agent_calls"), total(agents, "agent_called_in")) == (2, 1)
    assert sum(each.connected for each in windows(db, later(hours=2), None)) == 1


def test_what_the_rules_refuse_is_counted_by_rule(db: Engine) -> None:
    campaign = Campaign(db, leads=3)
    with db.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO dnc (e164, layer, source, at) VALUES ('+8613800000001', 'company', 'key', :at)"
            ),
            {"at": NOON},
        )
    assert len(campaign.lease(3)) == 2
    with db.begin() as connection:  # as on another day
        connection.execute(
            text("INSERT INTO rollup_refusal SELECT half_hour, campaign_id, reason, 4 FROM rollup_refusal")
        )
    roll(db, later(hours=5))
    table = answer(db, Question("refusals", SINCE, UNTIL, "UTC"), None)
    assert table.rows == [("spring", "dnc", 5)]
    with db.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM rollup_refusal")).scalar_one() == 1


@pytest.mark.parametrize(
    ("mark", "waits"),
    [
        ("calls", {"campaigns", "agents", "compliance"}),
        ("seats", {"agents", "pauses"}),
        ("stays", {"agents", "pauses"}),
        ("callbacks", {"callbacks"}),
    ],
)
def test_a_report_waits_only_for_what_it_is_made_of(db: Engine, mark: str, waits: set[str]) -> None:
    with db.begin() as connection:
        connection.execute(text("DELETE FROM rollup_due"))
        connection.execute(text("UPDATE rollup_seen SET seats_until = :at"), {"at": later(days=4)})
        connection.execute(text("INSERT INTO rollup_due VALUES (:mark, :noon)"), {"mark": mark, "noon": NOON})
    for report in ("campaigns", "agents", "pauses", "callbacks", "refusals", "compliance"):
        told = by_day if report == "compliance" else answer
        table = told(db, Question(report, SINCE, UNTIL, "Asia/Shanghai"), None)
        assert (table.due, table.counted) == ((1, False) if report in waits else (0, True)), report


@pytest.mark.parametrize("report", ["campaigns", "compliance"])
def test_what_waits_until_its_days_are_counted_is_not_summed_before(db: Engine, report: str) -> None:
    world, told = World(db), by_day if report == "compliance" else answer
    world.write([Call(0, 1, 0, "", "connected", 16, 0, 5, 60, None, "sold", (0, 0, 0))], [], 0, {})
    world.roll(later(days=4))
    question = Question(report, SINCE, UNTIL, "Asia/Shanghai")
    assert told(db, question, None, True).counted
    said: list[str] = []
    event.listen(db, "before_cursor_execute", lambda *given: said.append(given[2]))
    with db.begin() as connection:
        connection.execute(text("INSERT INTO rollup_due VALUES ('calls', :noon)"), {"noon": NOON})
    with pytest.raises(NotCounted, match="1 half hours are due"):
        told(db, question, None, True)
    assert not any("FROM rollup_call" in each for each in said)
    assert not told(db, question, None).counted and any("FROM rollup_call" in each for each in said)


@pytest.mark.parametrize(
    ("counted", "due", "now", "says"),
    [
        (later(days=3), 0, later(days=4), False),
        (later(hours=1), 0, later(days=4), True),  # counting has stood still since
        (later(days=3), 1, later(days=4), True),  # something came late
        (later(hours=1), 1, later(hours=1), False),  # the days go on: it is counted in a moment
        (later(hours=1), 5, later(hours=1), True),
    ],
)
def test_a_file_says_below_when_what_is_over_is_not_all_in_it(
    db: Engine, counted: datetime, due: int, now: datetime, says: bool
) -> None:
    world = World(db)
    world.write([Call(0, 1, 0, "", "connected", 16, 0, 5, 60, None, "sold", (0, 0, 0))], [], 0, {})
    world.roll(NOON + timedelta(hours=1))
    with db.begin() as connection:
        connection.execute(text("UPDATE rollup_seen SET seats_until = :at"), {"at": counted})
        for n in range(due):
            mark = text("INSERT INTO rollup_due VALUES ('calls', :at)")
            connection.execute(mark, {"at": NOON + n * timedelta(minutes=30)})
    table, words = asked(world, "campaigns"), Words(catalogue("zh"))
    note = "这些天的数据尚未全部统计完，数字还会变化。"
    *_, last = csv.reader(StringIO(as_file(table, "csv", words, now).decode("utf-8-sig")))
    assert (last == [note]) == says and (last[0] == "合计") == (not says)
    book = CalamineWorkbook.from_filelike(BytesIO(as_file(table, "xlsx", words, now)))
    assert (book.get_sheet_by_index(0).to_python()[-1][0] == note) == says
