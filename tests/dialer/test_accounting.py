"""The squaring of the books finds each difference that is planted, names it, and finds nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from campaigns import database
from campaigns.accounts import Accounts, Verdict
from campaigns.records import (
    AttemptAnswered,
    AttemptConnected,
    AttemptEnded,
    Dispositioned,
    OptedOut,
    SeatChanged,
)
from dialer.accounting import Balance, Stay, Witnessed, balance, witnessed
from dialer.journal import REJECTED, SPOOL
from simulator.switch.log import BridgeStay, CallRecord
from tests.campaigns.world import NOON, Campaign, later
from tests.database import fresh_url

LEG, OTHERS_LEG = "zds-" + f"{7:012x}" + "5" * 20, "zds-" + f"{8:012x}" + "5" * 20
AT = NOON.timestamp()


@dataclass
class Books:
    """A day of three calls whose books are square: one connected, one busy, one that never reached the switch."""

    campaign: Campaign
    seen: list[Witnessed]
    folder: Path
    promised: dict[str, Verdict]
    cap: int = 3
    at_work: bool = False
    unheard: tuple[tuple[float, float], ...] = ()
    calls: tuple[str, ...] = field(default=())

    @property
    def balance(self) -> Balance:
        since = NOON - timedelta(hours=1)
        return balance(
            Accounts(self.campaign.db, since),
            self.seen,
            self.cap,
            spools=[self.folder],
            promised=self.promised,
            unheard=self.unheard,
            connect_limit_s=2.0,
            at_work=self.at_work,
        )

    def sql(self, statement: str, **values: Any) -> None:
        with self.campaign.db.begin() as connection:
            connection.execute(text(statement), values)


@pytest.fixture(scope="module")
def shared() -> Iterator[Engine]:
    """One database for all; each test finds it empty."""
    engine = database.connect(fresh_url())
    yield engine
    engine.dispose()


@pytest.fixture
def books(shared: Engine, tmp_path: Path) -> Books:
    with shared.begin() as connection:
        tables = "campaign, lead, number, attempt, disposition, dnc, called, seat_log, journal_cursor"
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
    campaign = Campaign(shared, leads=4)
    leads = campaign.lease(3)
    campaign.dial(leads)
    connected, busy, failed = (lead.call_id for lead in leads)
    end = later(minutes=2)
    campaign.record(
        AttemptAnswered(at=later(minutes=1), call_id=connected),
        AttemptConnected(at=later(minutes=1), call_id=connected, user_id=7),
        AttemptEnded(at=end, call_id=connected, outcome="connected", user_id=7, final=True, wait_s=1.0),
        AttemptEnded(at=end, call_id=busy, outcome="busy", cause=17),
        AttemptEnded(at=end, call_id=failed, outcome="failed"),
        Dispositioned(at=end, call_id=connected, user_id=7, code="sold", notes="two", final=True),
        SeatChanged(at=NOON, user_id=7, session_id="s", state="talking"),
        SeatChanged(at=end, user_id=7, session_id="s", state="offline"),
    )
    talk = (Stay(AT + 61, (LEG,), AT + 120),)
    return Books(
        campaign,
        [
            Witnessed(f"zdc-{connected}", "PJSIP/1@c", AT, AT + 60, talk, AT + 120),
            Witnessed(f"zdc-{busy}", "PJSIP/2@c", AT, None, (), AT + 120),
            Witnessed(LEG, "PJSIP/seat", AT, AT, (Stay(AT + 61, (f"zdc-{connected}",), AT + 120),), AT + 130),
        ],
        tmp_path,
        {connected: Verdict("sold", "two")},
        calls=(connected, busy, failed),
    )


def test_square_books_are_found_square(books: Books) -> None:
    found = books.balance
    assert found.differences == [] and found.square
    assert (found.waited_s, found.told_s) == (1.0, 1.0)


def test_seats_may_be_where_they_are_while_the_engine_works(books: Books) -> None:
    call(books, 2, ended=None)
    seen_again(books)
    assert len(books.balance.seats) == 2
    books.at_work = True
    assert books.balance.square


def test_of_what_ended_while_nobody_listened_the_books_need_not_know(books: Books) -> None:
    """The busy one was answered and had a seat, and the engine was dead by then."""
    outcome(books, "busy", "lost")
    call(books, 1, answered=AT + 119, stays=(Stay(AT + 119.1, (OTHERS_LEG,), AT + 120),))
    assert len(books.balance.calls) == 1
    books.unheard = ((AT + 119.5, AT + 130),)
    found = books.balance
    assert found.square and len(found.unheard) == 1
    outcome(books, "lost", "busy")  # what is told is told by somebody who heard
    assert len(books.balance.calls) == 2


@pytest.mark.parametrize(
    ("waited", "lasted", "square"), [(2.3, 0.1, True), (1.5, 0.1, False), (2.3, 30.0, False)]
)
def test_who_was_given_up_before_the_switch_did_as_it_was_told_is_abandoned(
    waited: float, lasted: float, square: bool, books: Books
) -> None:
    outcome(books, "busy", "abandoned")
    books.sql("UPDATE attempt SET answered_at = dialed_at, wait_s = 2 WHERE outcome = 'abandoned'")
    began = AT + 20 + waited
    call(books, 1, answered=AT + 20, stays=(Stay(began, (LEG,), began + lasted),))
    call(books, 2, stays=(Stay(began, (books.seen[1].uid,), began + lasted - 0.01), *books.seen[2].stays))
    assert (books.balance.calls == []) is square


def test_a_seat_that_goes_from_one_to_the_next_has_one_at_a_time(books: Books) -> None:
    """The one leaves the bridge a moment after the seat has, and the next waits there already."""
    two_at_once(books)
    call(books, 0, stays=(Stay(AT + 61, (LEG,), AT + 79.9902),))
    call(books, 1, stays=(Stay(AT + 79.99, (LEG,), AT + 90),))
    talks = (
        Stay(AT + 61, (books.seen[0].uid,), AT + 79.98995),
        Stay(AT + 79.99005, (books.seen[1].uid,), AT + 90),
    )
    call(books, 2, stays=talks)
    assert books.balance.seats == []


def test_the_switchs_own_log_is_read_as_it_is() -> None:
    stay = BridgeStay("b", 3.0, ["zds-1"], 4.0)
    record = CallRecord("zdc-1", "PJSIP/1@c", 1.0, answered=2.0, bridged_with=[stay], ended=5.0)
    assert witnessed([record]) == [
        Witnessed("zdc-1", "PJSIP/1@c", 1.0, 2.0, (Stay(3.0, ("zds-1",), 4.0),), 5.0)
    ]


# --- what is planted ---------------------------------------------------------------------------------------------


def call(books: Books, n: int, **changes: Any) -> None:
    books.seen[n] = replace(books.seen[n], **changes)


def outcome(books: Books, old: str, new: str | None) -> None:
    books.sql("UPDATE attempt SET outcome = :new WHERE outcome = :old", old=old, new=new)


def called_while_on_dnc(books: Books) -> None:
    number = books.campaign.one("SELECT n.e164 FROM number n JOIN attempt a ON a.number_id = n.id LIMIT 1")[0]
    barred = OptedOut(at=NOON - timedelta(days=1), call_id="", number=number, source="list", campaign_id=1)
    books.campaign.record(barred)


def called_twice_at_once(books: Books) -> None:
    """The same lead and number, half a minute later; its counts are right."""
    books.sql(
        "UPDATE attempt SET lead_id = b.lead_id, number_id = b.number_id, ended_at = b.ended_at + interval '1 min', "
        "dialed_at = b.dialed_at + interval '30 s' FROM attempt b WHERE attempt.outcome = 'failed' "
        "AND b.outcome = 'busy'"
    )
    books.sql("UPDATE number n SET attempts = (SELECT count(*) FROM attempt WHERE number_id = n.id)")
    books.sql("UPDATE called k SET life = n.attempts FROM number n WHERE n.e164 = k.party")
    books.sql(
        "UPDATE lead SET last_call = (SELECT call_id FROM attempt a WHERE a.lead_id = lead.id "
        "ORDER BY ended_at DESC LIMIT 1)"
    )


def seen_again(books: Books) -> None:
    books.campaign.record(SeatChanged(at=later(hours=1), user_id=7, session_id="s", state="talking"))


def placed_twice(books: Books) -> None:
    books.seen.append(replace(books.seen[1], made=AT + 200, ended=AT + 210))


def two_at_once(books: Books) -> None:
    """The busy one was connected as well, in the middle of the other's talk."""
    books.sql("UPDATE attempt SET outcome = 'connected', user_id = 7 WHERE outcome = 'busy'")
    books.sql(
        "UPDATE attempt SET answered_at = dialed_at WHERE answered_at IS NULL AND outcome = 'connected'"
    )
    call(books, 1, answered=AT + 79, stays=(Stay(AT + 80, (LEG,), AT + 90),))
    call(books, 2, stays=(*books.seen[2].stays, Stay(AT + 80, (books.seen[1].uid,), AT + 90)))


def written(books: Books, name: str) -> None:
    folder = books.folder / "engine"
    folder.mkdir()
    (folder / name).write_text("a record\n")


PLANTED: dict[str, tuple[Callable[[Books], object], str, str]] = {
    "a call the books don't know": (
        lambda b: b.seen.append(Witnessed("zdc-" + "9" * 32, "PJSIP/9@c", AT, ended=AT)),
        "calls",
        "on the switch, not in the books",
    ),
    "a call that was placed twice": (placed_twice, "calls", "placed twice on the switch"),
    "an outcome of a call that never was": (
        lambda b: b.seen.pop(1),
        "calls",
        "busy in the books, never on the switch",
    ),
    "a call that was left up": (lambda b: call(b, 1, ended=None), "calls", "still up on the switch"),
    "a connected customer who met nobody": (
        lambda b: call(b, 0, stays=()),
        "calls",
        "connected in the books, was not in a bridge with a seat",
    ),
    "a customer in a bridge with another customer": (
        lambda b: call(b, 0, stays=(Stay(AT + 61, ("zdc-" + "8" * 32,), AT + 70),)),
        "calls",
        "was not in a bridge with a seat",
    ),
    "a customer with another seat than the books say": (
        lambda b: call(b, 0, stays=(Stay(AT + 61, (OTHERS_LEG,), AT + 70),)),
        "calls",
        "with seat 7, was in a bridge with another",
    ),
    "a busy one who met a seat": (
        lambda b: call(b, 1, stays=(Stay(AT + 121, (LEG,), AT + 122),)),
        "calls",
        "busy in the books, was in a bridge with a seat",
    ),
    "a person told as busy": (
        lambda b: call(b, 1, answered=AT),
        "calls",
        "busy in the books, answered on the switch",
    ),
    "an abandoned call that nobody answered": (
        lambda b: b.sql(
            "UPDATE attempt SET outcome = 'abandoned', answered_at = dialed_at WHERE outcome = 'busy'"
        ),
        "calls",
        "abandoned in the books, never answered on the switch",
    ),
    "a talk without an answer": (
        lambda b: b.sql("UPDATE attempt SET answered_at = NULL"),
        "calls",
        "connected in the books, without the instant of its answer",
    ),
    "a call known as answered whose fate nobody tells": (
        lambda b: b.sql("UPDATE attempt SET outcome = 'lost', answered_at = ended_at WHERE outcome = 'failed'"),
        "calls",
        "lost in the books, though it is known to have been answered",
    ),
    "a lead that is still leased": (lambda b: b.campaign.lease(1), "leads", "1 leads are still leased"),
    "an outcome without its lead's next state": (
        lambda b: b.sql("UPDATE lead SET last_call = NULL WHERE last_call IS NOT NULL AND NOT open"),
        "leads",
        "does not know its last call",
    ),
    "an open lead that never comes again": (
        lambda b: b.sql("UPDATE lead SET next_at = 'infinity' WHERE last_call IS NOT NULL AND open AND id = 2"),
        "leads",
        "lead 2: does not know its last call",
    ),
    "a lead called twice at once": (called_twice_at_once, "leads", "1 leads were called while a call to them was on"),
    "a number called twice at once, by the switch's clock": (
        lambda b: call(b, 1, dial="PJSIP/1@c"),
        "leads",
        "PJSIP/1@c was called while a call to it was up on the switch",
    ),
    "a call that its number does not count": (
        lambda b: b.sql(
            "WITH n AS (UPDATE number SET attempts = 0 WHERE id = 2 RETURNING e164) "
            "UPDATE called SET life = 0 FROM n WHERE party = n.e164"
        ),
        "leads",
        "its calls are not those that count",
    ),
    "a call that its customer's count lacks": (
        lambda b: b.sql("UPDATE called SET life = 0 WHERE party = (SELECT e164 FROM number WHERE id = 2)"),
        "leads",
        "its calls are not those that count",
    ),
    "a call to who wants none": (called_while_on_dnc, "leads", "1 calls went to numbers on the do-not-call list"),
    "a number over its cap": (
        lambda b: setattr(b, "cap", 0),
        "leads",
        "3 numbers were called more often than the cap",
    ),
    "a seat's leg that was left up": (lambda b: call(b, 2, ended=None), "seats", f"the leg {LEG} was left up"),
    "a seat that never went": (seen_again, "seats", "seat 7 ended as talking"),
    "a seat with two customers": (two_at_once, "seats", f"the leg {LEG} had two customers at once"),
    "a wait that is longer than the books say": (
        lambda b: call(b, 0, answered=AT + 57),
        "waits",
        "connected after 1.0 s in the books, 4.0 s on the switch",
    ),
    "a person who left after the limit and counts as one who left before": (
        lambda b: (
            outcome(b, "busy", "hung_up"),
            b.sql("UPDATE attempt SET answered_at = dialed_at, wait_s = 20 WHERE outcome = 'hung_up'"),
            call(b, 1, answered=AT + 100),
        ),
        "waits",
        "hung_up after 20.0 s in the books, 20.0 s on the switch",
    ),
    "records that wait": (lambda b: written(b, SPOOL), "journal", "records wait here"),
    "records that were refused": (lambda b: written(b, REJECTED), "journal", "1 records were refused"),
    "a verdict that was promised and is gone": (
        lambda b: b.promised.update({b.calls[1]: Verdict("no_interest", "")}),
        "journal",
        "was acknowledged, None is on record",
    ),
    "a verdict that was saved as another": (
        lambda b: b.promised.update({b.calls[0]: Verdict("sold", "three")}),
        "journal",
        "was acknowledged",
    ),
}  # fmt: skip


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_difference_is_found_and_named_and_nothing_else(plant: str, books: Books) -> None:
    do, kind, says = PLANTED[plant]
    do(books)
    found = books.balance
    assert not found.square
    [difference] = found.differences
    assert getattr(found, kind) == [difference] and says in difference


def test_an_attempt_without_an_outcome_is_found_and_so_is_its_lead(books: Books) -> None:
    outcome(books, "busy", None)
    found = books.balance
    assert [each.partition(": ")[2] for each in found.calls] == ["has no outcome"]
    assert "its lease and its outcome do not fit" in found.leads[0]
