"""The commands as people and scripts use them: exit code 2 and one line for a wrong input, JSON for machines."""

from __future__ import annotations

import csv
import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text

from campaigns import database
from campaigns.messages.bounces import return_address
from campaigns.second_factor import SecondFactor
from campaigns.steering import changed
from campaigns.store import CampaignStore
from campaigns.users import UserStore
from campaigns.vault import KEYS, Vault
from dialer.cli import main
from dialer.console import WRONG_INPUT
from tests.campaigns.messages.mails import report
from tests.database import fresh_url

DIALER = Path(sys.executable).with_name("dialer")
CAMPAIGN = 'name = "spring"\nswitch = "main"\n'
COMMANDS = sorted(main.commands)
# 王小明 and 李雷, one number twice, one that is none, one row too short
LIST = "电话,姓名,plan\n13800138001,王小明,5G\n13800138002,李雷,\n13800138001,王小明,5G\n12345,赵四,\n13800138003\n"


class Installation:
    """A dialer.toml with a database of its own, and the commands given to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = fresh_url()
        self.config = folder / "dialer.toml"
        self.write()

    def write(self, more: str = "", port: int = 5038) -> None:
        self.config.write_text(
            f'[database]\nurl = "{self.url}"\n[[switch]]\nname = "main"\nhost = "127.0.0.1"\nport = {port}\n'
            f'user = "dialer"\nsecret = "s"\n{more}',
            "utf-8",
        )

    def do(self, command: str, *arguments: object) -> Result:
        return dialer(command, *arguments, "--config", self.config)

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.opened() as engine, engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    @contextmanager
    def opened(self) -> Iterator[Any]:
        engine = database.connect(self.url, pool_size=1)
        yield engine
        engine.dispose()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.setattr("os.nice", lambda by: by)  # the tests' own process has more to do
    return Installation(tmp_path)


def dialer(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


def refused(result: Result, *says: str) -> None:
    """Exit code 2 and one line that names what is wrong."""
    assert result.exit_code == WRONG_INPUT, result.output
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("dialer: ")
    for part in says:
        assert part in line


# --- every command -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = subprocess.run([DIALER, command, "--help"], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.lower().startswith("usage:") and len(result.stdout.splitlines()) > 3


def test_the_group_lists_them_all_and_knows_its_version() -> None:
    said = dialer("--help").stdout
    assert [c for c in COMMANDS if c not in said] == []
    assert dialer("--version").stdout.startswith("dialer, version ")


@pytest.mark.parametrize(
    "arguments", [["dance"], ["run", "--dance"], ["apply"], ["demo", "--seats", "0"], ["completion", "tcsh"]]
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str]) -> None:
    result = dialer(*arguments)
    assert result.exit_code == WRONG_INPUT and "Usage:" in result.stderr


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_command_that_needs_the_config_says_so(command: str) -> None:
    refused(dialer(command), "--config FILE is needed", "deploy/dialer.toml")


PERSON = ("add", "lina", "--name", "李娜", "--password", "correct horse")
NEED_CONFIG = {"run": (), "check": (), "apply": ("x.toml",), "import": ("x.csv",), "user": PERSON}


@pytest.mark.parametrize(("command", "arguments"), NEED_CONFIG.items(), ids=NEED_CONFIG)
def test_a_wrong_config_is_told_with_file_key_and_reason(
    command: str, arguments: tuple[str, ...], here: Installation
) -> None:
    here.write("max_lines = 0\n")
    refused(here.do(command, *arguments), str(here.config), "switch[0].max_lines", "must be at least 1")
    here.config.unlink()
    refused(here.do(command, *arguments), str(here.config), "can't be read: No such file or directory")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_that_shell(shell: str) -> None:
    result = dialer("completion", shell)
    assert result.exit_code == 0 and "_DIALER_COMPLETE" in result.stdout


def test_the_completion_of_bash_offers_the_commands() -> None:
    environment = os.environ | {
        "COMP_WORDS": "dialer ",
        "COMP_CWORD": "1",
        "_DIALER_COMPLETE": "bash_complete",
    }
    result = subprocess.run([DIALER], env=environment, capture_output=True, text=True, check=True)
    assert sorted(line.split(",")[1] for line in result.stdout.split()) == COMMANDS


# --- apply -------------------------------------------------------------------------------------------------------


def test_a_campaign_applied_twice_is_one_version(here: Installation) -> None:
    file = here.file("spring.toml", CAMPAIGN)
    for _ in range(2):
        result = here.do("apply", file, "--by", "chen")
        assert result.exit_code == 0 and result.stdout == "spring: version 1, stopped\n"
    file.write_text(CAMPAIGN + "running = true\n", "utf-8")
    result = here.do("apply", file, "--json")
    assert json.loads(result.stdout) == [{"campaign": "spring", "version": 2, "running": True}]
    rows = here.rows("SELECT version, applied_by FROM campaign_version ORDER BY version")
    assert rows[0] == (1, "chen") and rows[1][1] not in ("", "chen")


def test_of_several_files_with_a_wrong_one_none_is_applied(here: Installation) -> None:
    good = here.file("good.toml", CAMPAIGN)
    bad = here.file("bad.toml", CAMPAIGN + "ratio = 99.0\n")
    refused(here.do("apply", good, bad), "bad.toml", "ratio: must be between 1 and 15")
    assert here.rows("SELECT name FROM campaign") == []


def test_a_file_that_can_not_be_read_is_told(here: Installation) -> None:
    refused(here.do("apply", here.folder / "none.toml"), "none.toml: can't be read", "No such file")
    refused(here.do("apply", here.file("odd.toml", b"\xff\xfe")), "odd.toml: can't be read")
    refused(here.do("apply", here.folder), "can't be read", "Is a directory")


def test_a_campaign_on_a_switch_that_is_not_configured_is_applied_with_a_warning(here: Installation) -> None:
    """The switch may come later, or be another engine's: the campaign is no wrong one, and must not go unnoticed."""
    file = here.file("spring.toml", CAMPAIGN.replace("main", "north"))
    result = here.do("apply", file)
    assert (result.exit_code, result.stdout) == (0, "spring: version 1, stopped\n")
    assert result.stderr == f"dialer: warning: spring does not dial: {here.config} names no switch 'north'\n"
    assert here.do("apply", here.file("good.toml", CAMPAIGN)).stderr == ""


def test_a_file_and_the_console_do_not_fight(here: Installation) -> None:
    file = here.file("spring.toml", CAMPAIGN)
    assert here.do("apply", file, "--by", "chen").exit_code == 0
    assert (here.do("diff", file).exit_code, here.do("diff", file).stdout) == (0, "")
    engine = database.connect(here.url)
    live = changed(CAMPAIGN, {"priority": 7}, "spring")
    CampaignStore(engine).change("spring", 1, live, "meng", datetime.now(UTC), "first")
    engine.dispose()
    told = here.do("apply", file)
    assert told.exit_code == WRONG_INPUT and "-priority = 7" in told.stderr
    assert "older than the live version 2 of spring, which meng made" in told.stderr
    seen = here.do("diff", file)
    assert seen.exit_code == 1 and "-priority = 7" in seen.stdout
    taken = here.do("export", "spring")
    assert taken.stdout.startswith("# follows version 2 of spring\n") and "priority = 7" in taken.stdout
    file.write_text(taken.stdout + "running = true\n", "utf-8")
    assert here.do("apply", file).stdout == "spring: version 3, running\n"
    assert "priority" not in here.do("export", "spring", "--version", "1").stdout
    refused(here.do("export", "autumn"), "there is no campaign 'autumn'")
    refused(here.do("export", "spring", "--version", "9"), "spring has no version 9")


# --- import ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "told"), [("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("gb18030", "GB18030")]
)
def test_a_list_comes_in_and_what_does_not_is_in_a_file_with_its_reason(
    encoding: str, told: str, here: Installation
) -> None:
    here.do("apply", here.file("spring.toml", CAMPAIGN))
    file = here.file("list.csv", LIST.encode(encoding))
    result = here.do("import", file, "--list", "first", "--zone", "Asia/Shanghai", "--json")
    assert result.exit_code == 0, result.output
    rejects = here.folder / "list.csv.rejected.csv"
    assert json.loads(result.stdout) == {
        "rows": 5, "accepted": 2, "duplicates": 1, "rejected": 2, "format": f"{told}, commas", "rejects": str(rejects),
    }  # fmt: skip
    assert here.rows("SELECT name, attributes->>'plan' FROM lead ORDER BY id") == [
        ("王小明", "5G"),
        ("李雷", None),
    ]
    assert here.rows("SELECT name, accepted, duplicates, rejected FROM list") == [("first", 2, 1, 2)]
    with rejects.open(encoding="utf-8-sig", newline="") as rows:
        assert [(row["rejected_row"], row["rejected_reason"][:20]) for row in csv.DictReader(rows)] == [
            ("5", "is no number that ca"), ("6", "has 1 cells, the hea"),
        ]  # fmt: skip


def test_an_import_for_people_says_how_many_and_why_not(here: Installation) -> None:
    here.do("apply", here.file("spring.toml", CAMPAIGN))
    out = here.folder / "not taken.csv"
    result = here.do("import", here.file("list.csv", LIST), "--rejects", out)
    lines = result.stdout.splitlines()
    assert lines[0] == "5 rows: 2 accepted, 1 duplicates, 2 rejected (UTF-8, commas)"
    assert lines[-1] == f"all rejected rows: {out}"
    assert any("row 5:" in line and "'12345'" in line for line in lines)


def test_a_dry_run_shows_the_first_rows_and_writes_nothing(here: Installation) -> None:
    here.do("apply", here.file("spring.toml", CAMPAIGN))
    result = here.do(
        "import", here.file("list.csv", LIST), "--dry-run", "--source", "billing", "--map", "plan=ignore"
    )
    assert "nothing written" in result.stdout and "row 2: 王小明 +8613800138001" in result.stdout
    assert [here.rows(f"SELECT count(*) FROM {table}") for table in ("lead", "list", "list_source")] == [
        [(0,)]
    ] * 3
    assert not (here.folder / "list.csv.rejected.csv").exists()


def test_a_sources_columns_are_said_once(here: Installation) -> None:
    here.do("apply", here.file("spring.toml", CAMPAIGN))
    file = here.file("odd.csv", "甲,乙\n13800138001,李雷\n")
    refused(here.do("import", file, "--source", "billing"), "there is no source 'billing' yet")
    refused(here.do("import", file, "--map", "丙=mobile"), "there is no column '丙'")
    refused(here.do("import", file, "--map", "甲=colour"), "'colour' is none of")
    refused(here.do("import", file, "--source", "billing", "--map", "丙=mobile"), "there is no column")
    first = here.do("import", file, "--source", "billing", "--map", "甲=mobile", "--map", "乙=name", "--json")
    again = here.do("import", file, "--source", "billing", "--json")
    assert json.loads(first.stdout)["accepted"] == json.loads(again.stdout)["duplicates"] == 1


def test_a_list_comes_from_another_database_and_from_standard_input(here: Installation) -> None:
    here.do("apply", here.file("spring.toml", CAMPAIGN))
    other = f"sqlite:///{here.folder / 'crm.db'}"
    engine = create_engine(other)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE customer (mobile integer, name text, balance real)"))
        connection.execute(text("INSERT INTO customer VALUES (13800138001, '李雷', 12.5), (12, '王', 0)"))
    engine.dispose()
    result = here.do(
        "import",
        "--sql",
        other,
        "--query",
        "SELECT * FROM customer",
        "--rejects",
        here.folder / "r.csv",
        "--json",
    )
    assert json.loads(result.stdout)["accepted"] == json.loads(result.stdout)["rejected"] == 1
    assert here.rows("SELECT name, attributes FROM lead") == [("李雷", {"balance": 12.5})]
    refused(
        here.do("import", "--sql", other, "--query", "SELECT 1 FROM nothing"),
        "the list's database",
        "nothing",
    )
    piped = CliRunner().invoke(
        main,
        ["import", "-", "--config", str(here.config), "--rejects", str(here.folder / "r.csv")],
        input=LIST.replace("138001", "139001"),
    )
    assert piped.exit_code == 0 and "2 accepted" in piped.output, piped.output


def test_an_import_is_taken_back_and_those_who_were_called_stay(here: Installation) -> None:
    here.do("apply", here.file("spring.toml", CAMPAIGN))
    here.do("import", here.file("list.csv", LIST), "--list", "first")
    with here.opened() as engine, engine.begin() as connection:
        connection.execute(text("UPDATE number SET attempts = 1 WHERE e164 = '+8613800138001'"))
    assert "first: 2 accepted" in here.do("lists").stdout
    assert json.loads(here.do("lists", "--undo", "first", "--json").stdout) == {
        "imports": 1, "removed": 1, "closed": 1, "restored": 0,
    }  # fmt: skip
    assert here.rows("SELECT n.e164, l.open FROM lead l JOIN number n ON n.lead_id = l.id") == [
        ("+8613800138001", False)
    ]
    refused(here.do("lists", "--undo", "first"), "there is no list 'first'")


def test_an_import_minds_its_own_campaigns_version_only(here: Installation) -> None:
    """A newer program may have applied a version that this one can't read."""
    for name in ("spring", "autumn"):
        here.do("apply", here.file("one.toml", CAMPAIGN.replace("spring", name)))
    with here.opened() as engine, engine.begin() as connection:
        connection.execute(text("UPDATE campaign_version SET text = 'colour = 1' WHERE campaign_id = 1"))
    file = here.file("list.csv", LIST)
    refused(here.do("import", file, "--campaign", "spring"), "campaign spring, version 1: ", "apply a file")
    refused(here.do("import", file), "say --campaign, one of ", "autumn")
    assert here.do("import", file, "--campaign", "autumn").exit_code == 0


def test_an_import_that_can_not_begin_is_told_in_one_line(here: Installation) -> None:
    file, report = here.file("list.csv", LIST), here.folder / "out.json"
    refused(here.do("import", file), "there is no campaign", "apply its file first")
    refused(
        here.do("import", file, "--campaign", "spring", "--report", report), "there is no campaign 'spring'"
    )
    assert "there is no campaign" in json.loads(report.read_text("utf-8"))["refused"]
    here.do("apply", here.file("spring.toml", CAMPAIGN))
    refused(here.do("import", here.folder / "none.csv"), "none.csv: can't be read")
    refused(here.do("import", here.file("empty.csv", "")), "empty.csv: is empty")
    refused(here.do("import", here.file("odd.csv", "a,b\n1,2\n")), "odd.csv: no column holds the number")
    refused(here.do("import", file, "--zone", "Moon/Base"), "'Moon/Base' is no time zone")
    refused(here.do("import", file, "--country", "XX"), "'XX' is no region")
    refused(here.do("import", file, "--area-code", "x"), "'x' is no area code")
    refused(here.do("import", file, "--rejects", here.folder / "no" / "r.csv"), "r.csv", "No such file")
    refused(here.do("import", file, "--rejects", file), "would be written over")
    refused(here.do("import", file, "--watch"), "is no folder")
    assert file.read_text("utf-8") == LIST
    assert here.rows("SELECT count(*) FROM lead") == [(0,)]


# --- user --------------------------------------------------------------------------------------------------------


def test_a_person_is_added_once(here: Installation) -> None:
    arguments = (
        "lina",
        "--name",
        "李娜",
        "--phone",
        "seat001",
        "--campaign",
        "spring",
        "--password",
        "correct horse",
    )
    result = here.do("user", "add", *arguments)
    assert result.exit_code == 0 and result.stdout == "lina: user 1\n"
    refused(here.do("user", "add", *arguments), "lina")
    with here.opened() as engine:
        [user] = UserStore(engine).all()
    assert (user.name, user.phone, user.campaigns) == ("李娜", "seat001", ("spring",))
    assert "correct horse" not in str(here.rows("SELECT * FROM app_user"))


# --- check, demo, run --------------------------------------------------------------------------------------------


def test_a_check_of_a_switch_that_is_not_there_fails_with_what_to_do(here: Installation) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it
        here.write(port=sock.getsockname()[1])
        result = here.do("check")
        assert result.exit_code == 1
        assert "switch main" in result.stdout and "FAILED  connection: nothing listens on" in result.stdout
        machine = json.loads(here.do("check", "--json").stdout)
    [step] = machine["main"]
    assert (step["what"], step["ok"]) == ("connection", False) and set(step) == {
        "what",
        "ok",
        "detail",
        "hint",
    }
    refused(here.do("check", "--switch", "north"), "there is no switch 'north'", str(here.config))


def test_a_demo_of_a_wrong_campaign_does_not_begin(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(CAMPAIGN + "ratio = 99.0\n", "utf-8")
    refused(dialer("demo", "--config", file), "mine.toml: ratio: must be between")
    refused(dialer("demo", "--config", tmp_path / "none.toml"), "none.toml")


def test_a_demo_whose_summary_can_not_be_written_says_so_before_it_runs(tmp_path: Path) -> None:
    refused(dialer("demo", "--json", tmp_path / "no" / "out.json"), "out.json: can't be written")


def test_a_database_that_is_not_there_is_told_with_1(here: Installation) -> None:
    here.url = "postgresql://nobody@127.0.0.1:1/none"
    here.write()
    result = here.do("apply", here.file("spring.toml", CAMPAIGN))
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert line.startswith("dialer: the database could not be prepared") and "127.0.0.1" in line


@pytest.mark.parametrize(
    ("section", "what"), [("web", "web address"), ("metrics", "metrics address"), ("agi", "FastAGI address")]
)
def test_a_daemon_whose_address_is_taken_says_which(section: str, what: str, here: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"web": 0, "metrics": 0, "agi": 0} | {section: port}
        here.write("".join(f"[{name}]\nport = {number}\n" for name, number in ports.items()))
        command = [DIALER, "run", "--config", here.config, "--data", here.folder / "data"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("dialer: ") and f"{what} 127.0.0.1:{port} can't be used" in last
    assert "Traceback" not in result.stderr


def test_a_daemon_takes_as_many_open_files_as_the_system_lets_it(here: Installation) -> None:
    here.write("".join(f"[{name}]\nport = 0\n" for name in ("web", "metrics", "agi")))
    command = ["sh", "-c", 'ulimit -Sn 512 && exec "$@"', "sh", DIALER, "run"]  # a shell's own is 1,024
    command += ["--config", here.config, "--data", here.folder / "data"]
    limits = None
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "the seats' page is open" in line:
                limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
                process.terminate()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert limits == (min(hard, 65_536), hard)


def test_what_a_daemon_has_loaded_is_not_gone_through_again_for_garbage(here: Installation) -> None:
    here.write("".join(f"[{name}]\nport = 0\n" for name in ("web", "metrics", "agi")))
    told = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count(), len(gc.get_objects())))"
    command = [sys.executable, "-c", f"{told}\nfrom dialer.cli import main; main()", "run"]
    command += ["--config", str(here.config), "--data", str(here.folder / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "the seats' page is open" in line:  # it is ready
                process.terminate()
        counts = process.stdout.read() if process.stdout is not None else ""
    assert process.returncode == 0, said
    kept, young = map(int, counts.split())
    assert kept > 2 * young


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full, a disk without a block")
def test_a_daemon_whose_words_have_no_room_goes_on(here: Installation) -> None:
    here.write("".join(f"[{name}]\nport = 0\n" for name in ("web", "metrics", "agi")))
    command = [sys.executable, "-m", "dialer", "run", "--config", str(here.config)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, open("/dev/full", "w") as full:
        told.bind(str(here.folder / "notify"))
        told.settimeout(120.0)
        environment = os.environ | {"NOTIFY_SOCKET": str(here.folder / "notify")}
        command += ["--data", str(here.folder / "data")]
        with subprocess.Popen(command, stderr=full, env=environment) as process:
            while b"READY=1" not in told.recv(1_000):
                pass
            process.terminate()
    assert process.returncode == 0


def test_without_a_config_the_embedded_database_of_the_data_folder_is_used(tmp_path: Path) -> None:
    file = tmp_path / "spring.toml"
    file.write_text(CAMPAIGN, "utf-8")
    data = tmp_path / "data"
    for _ in range(2):  # it is started, stopped and started again
        command = [DIALER, "apply", file, "--data", data, "--json"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout) == [{"campaign": "spring", "version": 1, "running": False}]
    assert (data / "postgresql").is_dir()


@pytest.mark.parametrize("configured", [False, True])
@pytest.mark.parametrize(
    "words", [("dnc", "add", "13800138000"), ("apply", "spring.toml"), ("archive", "run")]
)
def test_a_command_that_names_no_data_folder_makes_no_database(
    words: tuple[str, ...], configured: bool, here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = here.folder / "home"
    monkeypatch.setattr("dialer.console.default_data_folder", lambda: home)
    monkeypatch.chdir(here.file("spring.toml", CAMPAIGN).parent)
    here.url = ""
    here.write()
    result = here.do(*words) if configured else dialer(*words)
    refused(result, f"no database in {home}", "--config and --data of the daemon")
    assert not home.exists()


def test_a_command_that_names_no_data_folder_uses_the_users_own_database(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = here.folder / "home/postgresql/PG_VERSION"
    made.parent.mkdir(parents=True)
    made.write_text("9.6\n")  # it is there, and does not start
    monkeypatch.setattr("dialer.console.default_data_folder", lambda: here.folder / "home")
    result = dialer("dnc", "add", "13800138000")
    assert result.exit_code == 1 and f"PostgreSQL in {made.parent} did not start" in result.stderr


MAILS = (
    '[messages]\npublic_url = "https://dialer.example"\n'
    '[messages.email]\nhost = "127.0.0.1"\nsender = "us@company.example"\n'
    'bounces = "bounces@company.example"\nsecret = "sixteen characters"\n'
)


def test_a_mail_that_comes_back_is_refused_for_what_it_is_alone(here: Installation) -> None:
    def handed_in(mail: bytes, *options: object) -> int:
        words = ["messages", "bounced", *(str(option) for option in options)]
        return CliRunner().invoke(main, words, input=mail).exit_code

    config = ("--config", here.config)
    ours = report(return_address("bounces@company.example", "sixteen characters", "1" * 32))
    here.write(MAILS)
    assert handed_in(ours, *config) == 0
    assert handed_in(report("bounces@company.example"), *config) == WRONG_INPUT
    assert handed_in(ours) == os.EX_TEMPFAIL
    with here.opened() as engine, engine.begin() as connection:
        connection.execute(text("ALTER TABLE message RENAME TO gone"))
    assert handed_in(ours, *config) == os.EX_TEMPFAIL
    here.url = "postgresql://nobody@127.0.0.1:1/none"
    here.write(MAILS)
    assert handed_in(ours, *config) == os.EX_TEMPFAIL
    here.url = ""
    here.write(MAILS)
    assert handed_in(ours, *config, "--data", here.file("file", "") / "data") == os.EX_TEMPFAIL
    here.write()
    assert handed_in(ours, *config) == os.EX_TEMPFAIL
    here.config.unlink()
    assert handed_in(ours, *config) == os.EX_TEMPFAIL


def test_the_keys_are_rotated_where_there_are_some(here: Installation) -> None:
    data = here.folder / "data"
    assert "the daemon makes it" in here.do("keys", "rotate", "--data", data).stderr
    here.do("user", "add", "li", "--name", "Li", "--password", "correct horse")
    with here.opened() as engine:
        secret = SecondFactor(engine, Vault(data / KEYS)).offer(1)
        before = (data / KEYS).read_bytes()
        assert here.do("keys", "rotate", "--data", data).exit_code == 0
        after = (data / KEYS).read_bytes()
        assert after != before and len(after) == len(before)
        assert SecondFactor(engine, Vault(data / KEYS)).offer(1) == secret
    assert here.rows("SELECT action FROM audit ORDER BY id DESC LIMIT 1") == [("keys rotated",)]
