"""Mails that come back: whose message it was an address tells that only we could make, the mail the rest."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from campaigns.messages.bounces import (
    LONGEST_LOCAL,
    MOST_MAIL,
    MOST_PARTS,
    NotABounce,
    bounce_of,
    return_address,
    take_bounce,
)
from campaigns.messages.choices import ChoiceStore
from campaigns.messages.figures import figures
from campaigns.messages.writing import MAIL_ADDRESS
from tests.campaigns.messages.mails import AWAY, EXIM, QMAIL, report
from tests.campaigns.messages.world import OFFER, Writing
from tests.campaigns.world import NOON, later

HOME, SECRET = "bounces@company.example", "sixteen characters"
KEY = "62354445fc4e41fa821b0f2d5e847c3f"
BACK = return_address(HOME, SECRET, KEY)


def test_a_mails_return_address_is_an_address() -> None:
    longest = return_address("b" * LONGEST_LOCAL + "@company.example", SECRET, KEY)
    assert len(longest.partition("@")[0]) == 64 and MAIL_ADDRESS.fullmatch(longest)
    assert BACK.startswith("bounces+") and BACK.endswith("@company.example") and BACK.lower() == BACK


@pytest.mark.parametrize(
    ("mail", "fate"),
    [
        (report(BACK), "nobody"),
        (report(BACK.upper()), "nobody"),  # some servers write addresses in capitals
        (report(BACK, status="5.0.0", said="550 5.1.1 <kunde0@example.com> not here"), "nobody"),
        (report(BACK, status="5.0.0", said="550 Unknown user"), "nobody"),
        (report(BACK, status="5.2.2", said="552 5.2.2 mailbox full"), "failed"),
        (report(BACK, status="5.7.1", said="554 5.7.1 spam, user unknown to us"), "failed"),
        (report(BACK, status="4.4.7", said="delivery time expired"), "failed"),
        (report(BACK, action="delayed", status="4.4.1", said="no answer"), "delayed"),
        (QMAIL.format(to=BACK, said="Sorry, no mailbox here by that name. (#5.1.1)").encode(), "nobody"),
        (QMAIL.format(to=BACK, said="192.0.2.1 failed after I sent the message: 554 no").encode(), "failed"),
        (EXIM.format(to=BACK, said="550 No such user here").encode(), "nobody"),
        (Path(__file__).with_name("exim.eml").read_bytes(), "nobody"),  # Exim 4.96 wrote it
        (EXIM.format(to=BACK, said="552 message too large").encode(), "failed"),
    ],
)
def test_what_servers_say_is_understood(mail: bytes, fate: str) -> None:
    found = bounce_of(mail, HOME, SECRET)
    assert (found.key, found.fate) == (KEY, fate) and found.why.isprintable() and len(found.why) <= 500


@pytest.mark.parametrize(
    ("mail", "why"),
    [
        (report(BACK.replace("+", "+a", 1)[:9] + BACK[10:]), "none that we made|no return address"),
        (report(return_address(HOME, "another secret of ours", KEY)), "none that we made"),
        (report(return_address(HOME, SECRET, KEY).replace("@company", "@other")), "no return address"),
        (report("bounces@company.example"), "no return address"),
        (AWAY.format(to=BACK).encode(), "says of no message"),
        (report(BACK, action="relayed", status="2.0.0", said="250 ok"), "says of no message"),
        (b"", "no return address"),
        (b"To: " + BACK.encode() + b"\n\n" + b"x" * MOST_MAIL, "more than 262144 bytes"),
        (
            f"To: {BACK}\n".encode()
            + b"".join(
                b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(2_000)
            ),
            f"more than {MOST_PARTS} parts",
        ),
        (
            f'To: {BACK}\nFrom: mailer-daemon\nContent-Type: text/plain; charset="x"\n'.encode()
            + b"Content-Transfer-Encoding: base64\n\n\xff\xfe====550 5.1.1",
            "says of no message|can't be read",
        ),
    ],
)
def test_what_is_forged_huge_or_broken_is_refused_and_says_why(mail: bytes, why: str) -> None:
    with pytest.raises(NotABounce, match=why):
        bounce_of(mail, HOME, SECRET)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.binary(max_size=12), st.integers(0, 40))
def test_a_damaged_mail_is_understood_or_refused_and_nothing_else(at: int, put: bytes, gone: int) -> None:
    mail = report(BACK)
    at %= len(mail)
    with suppress(NotABounce):
        assert bounce_of(mail[:at] + put + mail[at + gone :], HOME, SECRET).key == KEY


def sent(db: Engine, customers: int = 1) -> Writing:
    world = Writing(db, steps=OFFER, customers=customers)
    world.calls()
    assert all(world.outbox.sent(each, NOON) for each in world.claim(NOON))
    return world


def come_back(world: Writing, **said: str) -> bool:
    [row] = world.rows()
    back = return_address(HOME, SECRET, row.key.hex)
    return take_bounce(world.db, bounce_of(report(back, **said), HOME, SECRET), later(hours=1))


def test_an_address_that_is_no_ones_is_written_to_no_more_and_it_is_said_why(db: Engine) -> None:
    world = sent(db)
    assert come_back(world) and not come_back(world)
    [row] = world.rows()
    assert (row.state, row.reason, row.bounced_at) == ("sent", "bounced", later(hours=1))
    assert row.detail == "550 5.1.1 user unknown"
    [step] = figures(db, "spring").steps
    assert step.failed == 1
    again = OFFER.replace('"offer"', '"again"')
    world.campaign.store.apply(
        f'name = "spring"\nswitch = "main"\nrunning = true\n{again}', "test", "li", NOON
    )
    world.calls(at=later(days=1))
    assert not world.claim(later(days=1))
    assert world.rows()[1].reason == "no_one" and "5.1.1" in world.rows()[1].detail
    # Who says an address anew is written to there; the old mail that comes back once more changes nothing.
    ChoiceStore(db).say("email", "kunde0@example.com", True, "form 8", later(days=2))
    take_bounce(db, bounce_of(report(return_address(HOME, SECRET, row.key.hex)), HOME, SECRET), later(days=3))
    assert [said.agreed for said in ChoiceStore(db).of("kunde0@example.com")] == [False, True]


def test_a_full_mailbox_is_on_record_and_written_to_again(db: Engine) -> None:
    world = sent(db)
    assert come_back(world, action="delayed", status="4.2.2", said="452 full")
    assert world.rows()[0].bounced_at is None and "452 full" in world.rows()[0].detail
    assert come_back(world, status="5.2.2", said="552 full")
    assert world.rows()[0].bounced_at is not None
    assert not ChoiceStore(db).of("kunde0@example.com")


def test_a_mail_of_a_message_that_there_is_not_changes_nothing(db: Engine) -> None:
    assert not take_bounce(db, bounce_of(report(BACK), HOME, SECRET), NOON)
