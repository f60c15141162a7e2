"""Where a message goes, where an answer comes from, and where a no is on record: one address, however it is written."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from campaigns.dnc import DncStore, Layer
from campaigns.messages.answers import Event, Taken, take
from campaigns.messages.choices import ChoiceStore
from tests.campaigns.messages.world import MISSED, TWO_DAYS_LATER, Writing
from tests.campaigns.world import later

ACCOUNT = MISSED.replace('"sms"', '"gateway"') + 'to = "account"\n'
MOBILE = MISSED + 'to = "mobile"\n'


def writing(
    db: Engine, steps: str, number: str = "+8613800000000", more: str = "", **known: object
) -> Writing:
    """A campaign with one customer, who was called in vain."""
    world = Writing(db, steps=steps, customers=0, more=more)
    world.add(number, **known)
    world.calls()
    return world


def stop(db: Engine, channel: str, sender: str) -> Taken:
    return take(db, channel, [Event(kind="reply", sender=sender, text="退订")], TWO_DAYS_LATER)


@pytest.mark.parametrize("account", ["wxid_abc", "wxid_1234567", "13800138000"])
def test_who_wants_no_more_at_an_account_is_written_to_no_more(db: Engine, account: str) -> None:
    again = ACCOUNT.replace('"missed"', '"again"').replace("172800", "259200")
    world = writing(db, ACCOUNT + again, account=account)
    [letter] = world.claim(TWO_DAYS_LATER, ("gateway",))
    assert letter.address == account and world.outbox.sent(letter, TWO_DAYS_LATER)
    assert stop(db, "gateway", account) == Taken(replies=1, no_more=1)
    assert not world.claim(later(days=3), ("gateway",))
    assert sorted(world.states()) == [("not_sent", "dnc"), ("sent", "")]


def test_who_wants_no_more_before_anything_was_sent_is_heard(db: Engine) -> None:
    world = writing(db, ACCOUNT, account="wxid_1234567")
    assert stop(db, "gateway", " wxid_1234567\n") == Taken(no_more=1)
    assert not world.claim(TWO_DAYS_LATER, ("gateway",))
    assert world.states() == [("not_sent", "dnc")] and not DncStore(db).check("+861234567")


def test_a_gateway_that_is_given_numbers_may_leave_out_the_countrys_code(db: Engine) -> None:
    world = writing(db, MISSED.replace('"sms"', '"gateway"'))
    assert world.claim(TWO_DAYS_LATER, ("gateway",))
    assert stop(db, "gateway", "13800000000") == Taken(replies=1, no_more=1)
    assert DncStore(db).check("+8613800000000")


@pytest.mark.parametrize(
    ("number", "told"),
    [("+13125550123", "13125550123"), ("+447700900123", "447700900123"), ("+8613800000000", "13800000000")],
)
@pytest.mark.parametrize("channel", ["sms", "gateway"])
def test_a_stop_without_a_plus_is_of_the_number_that_was_written_to(
    db: Engine, channel: str, number: str, told: str
) -> None:
    world = writing(db, MISSED.replace('"sms"', f'"{channel}"'), number)
    assert world.claim(TWO_DAYS_LATER, (channel,))
    assert stop(db, channel, told) == Taken(replies=1, no_more=1)
    assert [said.agreed for said in ChoiceStore(db).of(number)] == [False]
    assert DncStore(db).check(number) and not DncStore(db).check("+8613125550123")


def test_a_stop_from_nobody_that_can_be_read_is_told(db: Engine) -> None:
    with capture_logs() as logged:
        assert stop(db, "sms", "SPRING\0") == Taken(unknown=1)
    assert [(line["sender"], line["no_more"]) for line in logged] == [("SPRING", True)]


@pytest.mark.parametrize(
    ("number", "given", "address"),
    [
        ("+8613800000000", "13800138000", "+8613800138000"),
        ("+8613800000000", "+86 138 0013 8000", "+8613800138000"),
        ("+8613800000000", 13800138001, "+8613800138001"),
        ("+8613800000000", "+13125550123", "+13125550123"),
        ("+13125550100", "(312) 555-0123", "+13125550123"),
        ("+13125550100", "13125550123", "+13125550123"),
    ],
)
def test_a_text_to_an_attribute_goes_to_its_number(
    db: Engine, number: str, given: object, address: str
) -> None:
    [letter] = writing(db, MOBILE, number, mobile=given).claim(TWO_DAYS_LATER)
    assert letter.address == address


def test_a_text_to_an_attribute_that_has_no_number_is_not_sent(db: Engine) -> None:
    world = writing(db, MOBILE, mobile="nobody")
    assert not world.claim(TWO_DAYS_LATER) and world.states() == [("not_sent", "no_address")]


@pytest.mark.parametrize("number", ["+8613800000000", "+8613800138000"])
def test_a_text_to_an_attribute_is_refused_where_either_number_is_barred(db: Engine, number: str) -> None:
    world = writing(db, MOBILE, mobile="13800138000")
    DncStore(db).add(number, Layer("company", "letter"), later(days=1))
    assert not world.claim(TWO_DAYS_LATER) and world.states() == [("not_sent", "dnc")]


@pytest.mark.parametrize("number", ["+8613800000000", "+8613800138000"])
def test_a_text_to_an_attribute_waits_while_either_number_is_locked_out(db: Engine, number: str) -> None:
    world = writing(db, MOBILE, mobile="13800138000")
    with db.begin() as connection:
        values = {"e164": number, "until": later(days=3)}
        connection.execute(
            text("INSERT INTO lock_out (e164, until, reason) VALUES (:e164, :until, 'refusal')"), values
        )
    assert not world.claim(TWO_DAYS_LATER) and world.states() == [("waiting", "refused")]
    assert len(world.claim(later(days=3))) == 1


def test_a_text_to_an_attribute_is_refused_after_a_no_at_its_number(db: Engine) -> None:
    world = writing(db, MOBILE, mobile="13800138000")
    ChoiceStore(db).say("sms", "+8613800138000", False, "asked", later(days=1))
    assert not world.claim(TWO_DAYS_LATER) and world.states() == [("not_sent", "dnc")]


def test_a_text_to_an_attribute_goes_where_the_campaign_may_call(db: Engine) -> None:
    world = writing(db, MOBILE, more='[rules]\ndestinations = ["+86*"]\n', mobile="+13125550123")
    assert not world.claim(TWO_DAYS_LATER) and world.states() == [("not_sent", "destination")]
