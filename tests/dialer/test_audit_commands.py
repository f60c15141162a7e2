"""What is done by command is on record, and whether the record is whole is a command."""

from __future__ import annotations

import getpass
import json

from sqlalchemy import text

from tests.dialer.test_cli import Installation, here  # noqa: F401

CAMPAIGN = 'name = "spring"\nswitch = "main"\nunit = "兰州/一组"\n'
LIST = "电话,姓名\n13800138001,王小明\n"
NUMBER = "+8613800138001"
SECRET = "correct horse"


def test_every_command_that_changes_something_leaves_a_line(here: Installation) -> None:  # noqa: F811
    here.write(f'[history]\nfolder = "{here.folder / "archive"}"\n')
    files = {"c.toml": here.file("c.toml", CAMPAIGN), "l.csv": here.file("l.csv", LIST)}
    files["d.csv"] = here.file("d.csv", "13900138009\n")
    files["g.csv"] = here.file("g.csv", "number,given\n13800138001,2026-01-01\n")
    done = (
        ("unit add", ("unit", "add", "兰州/一组"), "unit added"),
        ("apply", ("apply", files["c.toml"]), "campaign applied"),
        ("import", ("import", files["l.csv"]), "list imported"),
        ("user add", ("user", "add", "lina", "--name", "李娜", "--password", SECRET), "user added"),
        ("user change", ("user", "change", "lina", "--role", "supervisor", "--unit", "兰州"), "user changed"),
        ("user disable", ("user", "disable", "lina"), "user changed"),
        ("user enable", ("user", "enable", "lina"), "user changed"),
        ("user password", ("user", "password", "lina", "--password", SECRET), "password set"),
        ("dnc add", ("dnc", "add", "13900138002"), "dnc added"),
        ("dnc remove", ("dnc", "remove", "13900138002"), "dnc removed"),
        ("dnc import", ("dnc", "import", files["d.csv"], "--by", "chen"), "dnc imported"),
        ("consent give", ("consent", "give", "13800138001", "--source", "form"), "consent given"),
        ("consent import", ("consent", "import", files["g.csv"], "--source", "form"), "consent given"),
        ("consent withdraw", ("consent", "withdraw", "13800138001"), "consents withdrawn"),
        ("requeue", ("requeue", "--campaign", "spring", "--list", "l"), "requeue"),
        ("hold place", ("hold", "place", "--campaign", "spring", "--why", "a case"), "hold placed"),
        ("hold lift", ("hold", "lift", "1", "--why", "over"), "hold lifted"),
        ("lists --undo", ("lists", "--undo", "l", "--campaign", "spring"), "list undone"),
        ("person export", ("person", "export", "--number", NUMBER), "person exported"),
        ("person erase", ("person", "erase", "--number", NUMBER, "--reference", "T1", "--yes"), "person erased"),
    )  # fmt: skip
    last = 0
    for name, (command, *arguments), action in done:
        result = here.do(command, *arguments)
        assert result.exit_code == 0, (name, result.output)
        rows = here.rows(f"SELECT id, actor, source, action FROM audit WHERE id > {last} ORDER BY id")
        assert rows, name
        last = rows[-1][0]
        who = "chen" if "--by" in arguments else getpass.getuser()
        assert (who, "command line", action) in [row[1:] for row in rows], (name, rows)
    told = json.loads(here.do("audit", "list", "--json", "--limit", "500").stdout)
    assert SECRET not in str(told) and "13800138001" not in str(told) and "13900138002" not in str(told)
    assert "user added: lina  {" in here.do("audit", "list", "--action", "user added").stdout
    verified = json.loads(here.do("audit", "verify", "--json").stdout)
    assert (verified["lines"], verified["fault"]) == (len(told), "")


def test_a_log_that_was_tampered_with_is_told_with_exit_code_1(here: Installation) -> None:  # noqa: F811
    for unit in ("a", "b"):
        here.do("unit", "add", unit)
    assert here.do("audit", "verify").stdout.startswith("2 lines, unbroken; the last hash is ")
    with here.opened() as engine, engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))
        connection.execute(text("UPDATE audit SET actor = 'somebody else' WHERE subject = 'b'"))
    result = here.do("audit", "verify")
    assert result.exit_code == 1 and "is not as it was written" in result.stderr
