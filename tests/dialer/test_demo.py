"""The demo does what it promises to a program that runs it, and the squaring of its books finds what is planted."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from campaigns.accounts import Accounts
from campaigns.records import AttemptConnected, AttemptEnded, OptedOut, SeatChanged
from dialer.accounting import Balance, Witnessed, balance
from dialer.metrics import INVARIANTS
from tests.campaigns.world import NOON, Campaign, later

ROOT = Path(__file__).parents[2]
DIALER = Path(sys.executable).with_name("dialer")


def documented_keys() -> set[str]:
    page = (ROOT / "docs/reference/cli.md").read_text("utf-8").partition("## The summary of a demo")[2]
    return {key for row in re.findall(r"(?m)^\| (`.*?`) \|", page) for key in re.findall(r"`(\w+)`", row)}


@pytest.mark.timeout(120)
@pytest.mark.slow
def test_a_demo_runs_for_as_long_as_it_is_told_and_everything_is_accounted_for(tmp_path: Path) -> None:
    """When its time is up calls may finish; Ctrl-C then ends them, and the books are square all the same."""
    out, said = tmp_path / "out.json", ""
    command = [DIALER, "demo", "--duration", "12", "--json", out, "--seats", "20", "--leads", "800"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            said += line
            if line.startswith("the calls in progress finish"):
                demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0, said
    summary = json.loads(out.read_text("utf-8"))
    assert summary.keys() == documented_keys()
    assert 11.5 <= summary["duration_s"] <= 14.0
    assert (
        summary["seats"] == 20 and summary["dials"] >= summary["answered_humans"] >= summary["connected"] > 0
    )
    assert summary["unaccounted"] == {"leads": 0, "calls": 0, "seats": 0}
    assert summary["invariant_breaches"] == dict.fromkeys(INVARIANTS, 0)
    assert 0 < summary["occupancy"] <= 1 and 0 <= summary["abandon_rate"] <= 1
    for times in ("answer_to_pop_ms", "answer_to_connect_ms"):
        assert 0 < summary[times]["p50"] <= summary[times]["p99"]
    assert re.search(r"a seat's page: http://127\.0\.0\.1:\d+/", said)
    assert "Traceback" not in said


# --- the books ---------------------------------------------------------------------------------------------------

SEAT = "zds-" + "5" * 32


@dataclass
class Books:
    """A day of three calls whose books are square: one connected, one busy, one that never reached the switch."""

    campaign: Campaign
    seen: list[Witnessed]
    cap: int = 3

    @property
    def balance(self) -> Balance:
        return balance(Accounts(self.campaign.db, NOON - timedelta(hours=1)), self.seen, self.cap)

    def sql(self, statement: str, **values: Any) -> None:
        with self.campaign.db.begin() as connection:
            connection.execute(text(statement), values)


@pytest.fixture
def books(db: Engine) -> Books:
    campaign = Campaign(db, leads=4)
    leads = campaign.lease(3)
    campaign.dial(leads)
    connected, busy, failed = (lead.call_id for lead in leads)
    end = later(minutes=2)
    campaign.record(
        AttemptConnected(at=later(minutes=1), call_id=connected, user_id=7),
        AttemptEnded(at=end, call_id=connected, outcome="connected", user_id=7, final=True),
        AttemptEnded(at=end, call_id=busy, outcome="busy", cause=17),
        AttemptEnded(at=end, call_id=failed, outcome="failed"),
        SeatChanged(at=NOON, user_id=7, session_id="s", state="talking"),
        SeatChanged(at=end, user_id=7, session_id="s", state="offline"),
    )
    return Books(
        campaign,
        [
            Witnessed(f"zdc-{connected}", True, (SEAT,), True),
            Witnessed(f"zdc-{busy}", False, (), True),
            Witnessed(SEAT, True, (f"zdc-{connected}",), True),
        ],
    )


def test_square_books_are_found_square(books: Books) -> None:
    assert books.balance == Balance() and books.balance.square


def call(books: Books, n: int, **changes: Any) -> None:
    books.seen[n] = replace(books.seen[n], **changes)


def outcome(books: Books, old: str, new: str | None) -> None:
    books.sql("UPDATE attempt SET outcome = :new WHERE outcome = :old", old=old, new=new)


def called_while_on_dnc(books: Books) -> None:
    number = books.campaign.one("SELECT n.e164 FROM number n JOIN attempt a ON a.number_id = n.id LIMIT 1")[0]
    barred = OptedOut(at=NOON - timedelta(days=1), call_id="", number=number, source="list", campaign_id=1)
    books.campaign.record(barred)


def called_twice_at_once(books: Books) -> None:
    books.sql(
        "UPDATE attempt SET lead_id = (SELECT min(lead_id) FROM attempt), "
        "dialed_at = dialed_at + interval '1 min' WHERE outcome = 'busy'"
    )


PLANTED: dict[str, tuple[Callable[[Books], object], str, str]] = {
    "a call the books don't know": (
        lambda b: b.seen.append(Witnessed("zdc-" + "9" * 32, False, (), True)),
        "calls",
        "on the switch, not in the books",
    ),
    "an attempt without an outcome": (lambda b: outcome(b, "busy", None), "calls", "has no outcome"),
    "an outcome of a call that never was": (
        lambda b: b.seen.pop(1),
        "calls",
        "busy in the books, never on the switch",
    ),
    "a call that was left up": (lambda b: call(b, 1, ended=False), "calls", "still up on the switch"),
    "a connected customer who met nobody": (
        lambda b: call(b, 0, bridged_with=()),
        "calls",
        "connected in the books, was not in a bridge with a seat",
    ),
    "a customer in a bridge with another customer": (
        lambda b: call(b, 0, bridged_with=("zdc-" + "8" * 32,)),
        "calls",
        "was not in a bridge with a seat",
    ),
    "a busy one who met a seat": (
        lambda b: call(b, 1, bridged_with=(SEAT,)),
        "calls",
        "busy in the books, was in a bridge with a seat",
    ),
    "a person told as busy": (
        lambda b: call(b, 1, answered=True),
        "calls",
        "busy in the books, answered on the switch",
    ),
    "an abandoned call that nobody answered": (
        lambda b: outcome(b, "busy", "abandoned"),
        "calls",
        "abandoned in the books, never answered on the switch",
    ),
    "a lead that is still leased": (lambda b: b.campaign.lease(1), "leads", "1 leads are still leased"),
    "a lead called twice at once": (called_twice_at_once, "leads", "1 leads were called while a call to them was on"),
    "a call to who wants none": (called_while_on_dnc, "leads", "1 calls went to numbers on the do-not-call list"),
    "a number over its cap": (
        lambda b: b.sql("UPDATE number SET attempts = 4 WHERE id = 1"),
        "leads",
        "1 numbers were called more often than the cap",
    ),
    "a seat's leg that was left up": (lambda b: call(b, 2, ended=False), "seats", f"the leg {SEAT} was left up"),
    "a seat that never went": (
        lambda b: b.campaign.record(SeatChanged(at=later(hours=1), user_id=7, session_id="s", state="talking")),
        "seats",
        "seat 7 ended as talking",
    ),
}  # fmt: skip


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_difference_is_found_and_named_and_nothing_else(plant: str, books: Books) -> None:
    do, kind, says = PLANTED[plant]
    do(books)
    found = books.balance
    assert not found.square
    [difference] = getattr(found, kind)
    assert says in difference
    assert [len(found.leads), len(found.calls), len(found.seats)].count(0) == 2
