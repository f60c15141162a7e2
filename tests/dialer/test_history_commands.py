"""History on the command line: archive, ask, prove, bring back, export, erase, hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from dialer.cli import main
from tests.campaigns.history.past import UNERASABLE, Past, number

Dialer = Callable[..., Result]

CONFIG = """
[[switch]]
name = "main"
host = "127.0.0.1"
user = "zhudong"
secret = "secret"

[database]
url = "{url}"

[history]
folder = "{folder}"
live_months = 3
"""


@pytest.fixture
def past(db: Engine, tmp_path: Path) -> Past:
    return Past(db, tmp_path / "archive")


@pytest.fixture
def dialer(past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dialer:
    monkeypatch.setattr("os.nice", lambda by: by)  # the tests' own process has more to do
    config = tmp_path / "dialer.toml"
    url = past.db.url.set(drivername="postgresql").render_as_string(hide_password=False)
    config.write_text(CONFIG.format(url=url, folder=past.files.folder), encoding="utf-8")

    def run(*words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [*words, "--config", str(config), "--data", str(tmp_path / "data")])
        assert result.exit_code == code, result.output
        return result

    return run


def test_old_months_go_to_files_are_proved_and_come_back(dialer: Dialer, past: Past) -> None:
    assert "archived: attempt 2026-06" in dialer("archive", "run", "--by", "chen").output
    assert "6 files, 200 rows: all as their manifests say" in dialer("archive", "verify").output
    listed = json.loads(dialer("archive", "list", "--json").stdout)
    assert {(m["kind"], m["state"]) for m in listed} == {
        ("attempt", "archived"),
        ("disposition", "archived"),
        ("seat_log", "archived"),
    }
    assert "60 rows are live again" in dialer("archive", "restore", "2026-06").output
    assert "is not archived" in dialer("archive", "restore", "2026-06", code=1).output
    dialer("archive", "restore", "June", code=2)
    assert "restored, live until" in dialer("archive", "list").output
    [path] = past.files.folder.glob("attempt/2026-07*.parquet")
    path.write_bytes(b"PAR1")
    assert "2026-07" in dialer("archive", "verify", code=1).output
    audited = past.rows("SELECT actor, subject FROM audit WHERE action = 'archived' ORDER BY id LIMIT 1")
    assert audited == [("chen", "attempt 2026-06")]


def test_a_run_says_that_an_erasure_is_left_and_does_the_rest(dialer: Dialer, past: Past) -> None:
    with past.db.begin() as connection:
        lead = connection.execute(text("SELECT min(id) FROM lead")).scalar_one()
        connection.execute(text(UNERASABLE.format(lead=lead)))
    dialer("person", "erase", "--number", number(0), "--reference", "ticket 12", "--yes", code=1)
    run = dialer("archive", "run", code=1)
    assert "archived: attempt 2026-06" in run.output and "1 erasures could not be" in run.output


def test_history_is_asked_over_files_and_tables_alike(dialer: Dialer) -> None:
    before = dialer("history", "outcomes", "--from", "2026-06", "--to", "2026-08").stdout
    dialer("archive", "run")
    assert dialer("history", "outcomes", "--from", "2026-06", "--to", "2026-08").stdout == before
    assert dialer("history", "calls", "--number", number(2)).output.count("(archived)") == 2
    found = json.loads(
        dialer(
            "history", "calls", "--campaign", "spring", "--from", "2026-06-01", "--to", "2026-06-30", "--json"
        ).stdout
    )
    assert len(found) == 60 and all(call["archived"] for call in found)
    assert "no campaign 'winter'" in dialer("history", "calls", "--campaign", "winter", code=2).output
    dialer("history", "calls", code=2)


def test_a_person_is_exported_held_and_erased(dialer: Dialer, tmp_path: Path, past: Past) -> None:
    dialer("archive", "run")
    out = tmp_path / "person.json"
    dialer("person", "export", "--number", number(2), "--out", str(out))
    assert len(json.loads(out.read_text("utf-8"))["calls"]) == 3
    assert out.stat().st_mode & 0o077 == 0
    assert (
        "hold 1" in dialer("hold", "place", "--number", number(2), "--why", "suit 7", "--by", "wang").output
    )
    erase = ("person", "erase", "--number", number(2), "--reference", "ticket 12", "--yes")
    assert "legal hold 1 (suit 7; wang" in dialer(*erase, code=1).output
    assert "suit 7 (wang" in dialer("hold", "list").output
    dialer("hold", "lift", "1", "--why", "settled")
    assert json.loads(dialer("hold", "list", "--json").stdout) == []
    assert "1 leads, 1 live and 2 archived attempts" in dialer(*erase).output
    assert "0 calls" in dialer("history", "calls", "--number", number(2)).output
    dialer("person", "erase", "--reference", "ticket 12", code=2)
    wrong = dialer("person", "erase", "--number", "13800138000", "--reference", "ticket 12", code=2)
    assert "no number in E.164" in wrong.output
    dialer("hold", "lift", "1", "--why", "again", code=2)
