"""Who may be called, as supervisors and scripts ask and say it on the command line."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path

import pytest

from campaigns.hopper import Hopper
from campaigns.values import Ask, Permit
from dialer.check import check_calendar
from tests.dialer.test_cli import Installation

CAMPAIGN = 'name = "spring"\nswitch = "main"\nrunning = true\n[rules]\nprofile = "cn-insurance"\n'
LIST = "电话,姓名\n13800138001,王小明\n13900138002,李雷\n"
NIGHT = "2026-11-24T23:00+08:00"
NOON = "2026-11-24T12:00+08:00"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.setattr("os.nice", lambda by: by)  # the tests' own process has more to do
    installation = Installation(tmp_path)
    assert installation.do("apply", installation.file("c.toml", CAMPAIGN)).exit_code == 0
    assert installation.do("import", installation.file("l.csv", LIST)).exit_code == 0
    return installation


def test_a_supervisor_asks_why_a_customer_is_not_called_and_when(here: Installation) -> None:
    told = here.do("why", "13800138001", "--at", NIGHT).stdout
    assert "would not be called" in told and "window: outside the calling hours in Asia/Shanghai: tue" in told
    [why] = json.loads(here.do("why", "13800138001", "--at", NIGHT, "--json").stdout)
    assert (why["permitted"], why["next_at"]) == (False, "2026-11-25T01:00:00+00:00")
    [why] = json.loads(here.do("why", str(why["lead_id"]), "--at", NOON, "--json").stdout)
    assert why["permitted"] and why["reasons"] == [] and why["profile"] == "cn-insurance"


def test_who_is_in_another_campaigns_call_is_called_when_that_is_over(here: Installation) -> None:
    here.do("apply", here.file("s.toml", CAMPAIGN.replace("spring", "summer")))
    here.do("import", here.file("s.csv", "电话\n13800138001\n"), "--campaign", "summer")
    at = datetime.fromisoformat(NOON)
    with here.opened() as engine:
        hopper = Hopper(engine, "engine-1")
        [lead] = hopper.lease(2, 1, at)
        assert isinstance(hopper.authorize([Ask(lead.call_id, "main")], at)[lead.call_id], Permit)
    told = here.do("why", "13800138001", "--at", "2026-11-24T12:45+08:00").stdout
    assert "in_call: another call to this customer is not over\n  next: when that call is over" in told


def test_a_supervisor_asks_why_the_hopper_is_empty(here: Installation) -> None:
    told = here.do("why", "--campaign", "spring", "--at", NIGHT).stdout
    assert "2 leads, 0 may be called" in told and "2  held back by window, 2 of them by nothing else" in told
    why = json.loads(here.do("why", "--campaign", "spring", "--at", NOON, "--json").stdout)
    assert (why["callable"], why["held"], why["looked_at"]) == (2, {}, 2)


def test_a_number_is_barred_and_set_free(here: Installation) -> None:
    assert here.do("dnc", "check", "13900138002").exit_code == 1
    here.do("dnc", "add", "+86139*", "--layer", "complaint", "--source", "12321", "--reason", "asked")
    here.do("dnc", "add", "13900138002", "--expires", "2027-01-01T00:00+08:00")
    assert here.do("dnc", "check", "139 0013 8002").stdout.startswith(
        "company: +8613900138002 (company, since "
    )
    assert "dnc: on the complaint do-not-call list (12321), numbers +86139…: asked" in (
        here.do("why", "13900138002").stdout
    )
    assert (
        here.do("dnc", "remove", "+86139*").exit_code
        == here.do("dnc", "remove", "13900138002").exit_code
        == 0
    )
    gone = here.do("dnc", "remove", "13900138002")
    assert gone.exit_code == 1 and "is not there as such" in gone.stderr
    assert here.do("dnc", "check", "13900138002").exit_code == 1


def test_a_national_list_comes_as_a_file(here: Installation) -> None:
    file = here.file("registry.csv", "number,reason\n13900138002,asked\nnone\n")
    refused = here.do("dnc", "import", file, "--layer", "national", "--replace")
    assert refused.exit_code == 2 and "1 lines are no numbers" in refused.stderr
    told = here.do("dnc", "import", file, "--layer", "national").stdout
    assert told.startswith("1 entries, 0 outdated ones removed, 1 lines rejected\n  line 3: 'none'")
    found = json.loads(here.do("dnc", "check", "13900138002", "--json").stdout)
    assert [(e["layer"], e["source"], e["reason"]) for e in found] == [("national", "registry", "asked")]


def test_a_consent_is_given_shown_and_withdrawn(here: Installation) -> None:
    assert (
        here.do("consent", "give", "13800138001", "--source", "form 7", "--given", NOON).stdout
        == "consent 1\n"
    )
    assert (
        "on record already"
        in here.do("consent", "give", "13800138001", "--source", "form 7", "--given", NOON).stdout
    )
    assert here.do("consent", "withdraw", "13800138001").stdout == "1 consents withdrawn\n"
    [shown] = json.loads(here.do("consent", "show", "13800138001", "--json").stdout)
    assert (shown["source"], shown["withdrawn_at"] is None) == ("form 7", False)
    file = here.file("c.csv", "13800138001,2026-11-25\n13900138002,2026-11-25\n")
    assert here.do("consent", "import", file, "--source", "form 8").stdout == "2 consents recorded\n"


def test_the_evidence_of_a_span_is_a_file_with_a_line_a_call(here: Installation) -> None:
    out = here.folder / "evidence.csv"
    span = ("--from", "2026-11-01", "--to", "2026-12-01", "--output", out)
    assert here.do("evidence", "--campaign", "spring", *span).stdout == f"0 calls: {out}\n"
    with out.open(encoding="utf-8-sig", newline="") as file:
        [header] = csv.reader(file)
    assert {"number", "profile", "zones", "hours", "consent_id", "caller_id"} <= set(header)
    refused = here.do("evidence", *span)
    assert refused.exit_code == 2 and "--campaign or a --number" in refused.stderr


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("why",), "name a number, a lead or a --campaign"),
        (("why", "13700000000"), "+8613700000000 is on no list of any campaign"),
        (("why", "--campaign", "autumn"), "there is no campaign 'autumn'"),
        (("why", "x"), "'x' is no telephone number"),
        (("why", "1", "--at", "noon"), "'noon' is no time"),
        (("dnc", "add", "12"), "is no number that can be dialed"),
        (("dnc", "add", "13800138001", "--layer", "campaign"), "the layer campaign needs a campaign"),
        (("dnc", "import", "/none"), "/none: can't be read"),
        (("consent", "import", "/none", "--source", "x"), "/none: can't be read"),
    ],
)
def test_what_can_not_be_answered_is_one_line_and_exit_code_2(
    here: Installation, command: tuple[str, ...], says: str
) -> None:
    result = here.do(*command)
    assert result.exit_code == 2 and says in result.stderr


def test_the_check_says_how_new_the_calendar_is() -> None:
    known, unknown = check_calendar(2026), check_calendar(2027)
    assert known.ok and known.detail.startswith("tzdata ")
    assert not unknown.ok and "those of 2027 are not" in unknown.hint
