"""Reports by command: scheduled in somebody's name, as far as they reach, and on record; or shown at once."""

from __future__ import annotations

import json

from sqlalchemy import text

from tests.dialer.test_cli import Installation, here  # noqa: F401


def test_a_report_is_scheduled_changed_paused_sent_and_removed(here: Installation) -> None:  # noqa: F811
    here.write('[mail]\nhost = "mail.example"\nsender = "dialer@company.example"\n')
    for login, role, unit in (
        ("chen", "supervisor", "兰州"),
        ("tian", "supervisor", "天水"),
        ("lina", "agent", "兰州"),
    ):
        here.do("unit", "add", unit)
        added = here.do(
            "user",
            "add",
            login,
            "--name",
            login,
            "--role",
            role,
            "--unit",
            unit,
            "--password",
            "correct horse",
        )
        assert added.exit_code == 0, added.output

    def do(*words: str) -> str:
        done = here.do("reports", "schedule", *words)
        assert done.exit_code == 0, done.output
        return done.output

    add = (
        "add", "--login", "chen", "--name", "Agents", "--report", "agents", "--every", "month", "--at", "06:00",
        "--to", "boss@company.example",
    )  # fmt: skip
    assert do(*add) == do(*add) == "schedule 1 is kept\n"
    do("change", "1", "--every", "week", "--by", "team")
    do("pause", "1", "--login", "chen")
    do("send", "1")
    [told] = json.loads(do("list", "--json"))
    assert (told["login"], told["every"], told["by"], told["to"]) == (
        "chen",
        "week",
        ["team"],
        ["boss@company.example"],
    )
    assert told["paused"] and told["runs"][0]["sent_at"] is None
    assert "to come" in do("list", "--login", "chen") and do("list", "--login", "tian") == "there is none\n"

    for words, said in (
        (("pause", "1", "--login", "tian"), "there is no such schedule"),
        (("add", "--login", "lina", *add[3:]), "may not have reports sent"),
        (("add", "--login", "nobody", *add[3:]), "nobody with the login"),
        (("add", "--login", "chen", "--name", "x"), "--report, --every, --at"),
        ((*add, "--laid"), "no folder"),
        (("change", "1", "--by", "agent", "--by", "day", "--by", "team"), "two at most"),
        (("change", "1", "--report", "weather"), "none of"),
        (("remove", "7"), "no such schedule"),
    ):
        refused = here.do("reports", "schedule", *words)
        assert refused.exit_code == 2 and said in refused.output, (words, refused.output)
    do("resume", "1")
    do("remove", "1")
    assert do("list") == "there is none\n"
    actions = [
        row[0] for row in here.rows("SELECT action FROM audit WHERE subject LIKE 'report%' ORDER BY id")
    ]
    assert actions == [
        f"report {what}"
        for what in (
            "schedule made", "schedule changed", "schedule paused", "asked for", "schedule resumed", "schedule deleted",
        )
    ]  # fmt: skip


def test_a_report_on_the_screen_says_what_a_file_says_of_days_that_are_not_all_counted(
    here: Installation,  # noqa: F811
) -> None:
    days = ("report", "campaigns", "--from", "2025-03-03", "--to", "2025-03-04", "--zone", "UTC")
    here.do("user", "list")  # makes the database
    for seen, said in (("2025-03-04T23:00Z", True), ("2025-03-05T00:00Z", False)):
        with here.opened() as engine, engine.begin() as connection:
            connection.execute(text("UPDATE rollup_seen SET seats_until = :seen"), {"seen": seen})
        for form in ("table", "csv"):
            done = here.do(*days, "--format", form)
            assert done.exit_code == 0 and ("these figures will change" in done.output) == said, done.output
