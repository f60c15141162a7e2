"""What follows a call: another number, another part of the day, often enough; and a person's word that it be again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from campaigns import requeue as requeueing
from campaigns.config import CampaignConfig, ConfigError, parse
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.lists.undoing import undo
from campaigns.records import AttemptConnected, AttemptEnded, Dispositioned
from campaigns.recycle import PARTS, after_outcome, other_part
from campaigns.requeue import NothingToRequeue, Which, requeue
from campaigns.rules import calendar
from campaigns.values import Lead, Outcome
from campaigns.why import Explainer
from tests.campaigns.test_rules import INSTANTS, ZONES
from tests.campaigns.world import CONFIG, NOON, Campaign, later

RECYCLE = """
[rules]
attempts = 5
[rules.recycle.no_answer]
other_number_s = 60.0
[rules.recycle.busy]
most = 2
"""
NUMBERS = ("+8613900000001", "+8613900000002")


def with_two_numbers(db: Engine, more: str = RECYCLE, numbers: Sequence[str] = NUMBERS) -> Campaign:
    campaign = Campaign(db, leads=0, more=more)
    row = Row(2, tuple(numbers), "李娜", {}, ("Asia/Shanghai",), ("phone",) * len(numbers))
    store_rows(db, campaign.id, "two", "test", NOON, [row])
    return campaign


def call(campaign: Campaign, outcome: Outcome, at: datetime, says: Dispositioned | None = None) -> Lead:
    """Lease, dial and end a call, as the engine does."""
    [lead] = campaign.lease(at=at)
    assert campaign.dial([lead], at)
    after = after_outcome(campaign.applied.config, outcome, lead.attempts + 1, at, lead.zones)
    ended = AttemptEnded(
        at=at,
        call_id=lead.call_id,
        outcome=outcome.value,
        retry_at=after.retry_at,
        locked_until=after.locked_until,
        final=after.final,
        other_at=after.other_at,
        number_done=after.number_done,
        most=after.most,
    )
    campaign.record(ended)
    return lead


def test_a_number_that_does_not_exist_ends_and_the_customers_other_one_is_called(db: Engine) -> None:
    campaign = with_two_numbers(db)
    first = call(campaign, Outcome.INVALID, NOON)
    [why] = [w for w in Explainer(db).lead(first.lead_id, NOON) if w.number == first.number]
    assert [reason.reason for reason in why.reasons] == ["number_done"]
    told = Explainer(db).campaign("spring", NOON)
    assert (told.callable, told.done, told.held) == (1, 0, {})
    second = call(campaign, Outcome.INVALID, later(seconds=1))
    assert {first.number, second.number} == set(NUMBERS)
    assert campaign.lease(at=later(days=1)) == [] and campaign.hopper.left(campaign.id) == 0


def test_the_other_number_comes_soon_and_the_same_one_after_its_delay(db: Engine) -> None:
    campaign = with_two_numbers(db)
    first = call(campaign, Outcome.NO_ANSWER, NOON)
    assert campaign.lease(at=later(seconds=59)) == []
    second = call(campaign, Outcome.NO_ANSWER, later(seconds=60))
    assert second.number != first.number
    assert campaign.lease(at=later(hours=4, seconds=59)) == []
    assert call(campaign, Outcome.NO_ANSWER, later(hours=4, seconds=60)).number == first.number


def test_the_last_attempt_on_a_number_leaves_the_others(db: Engine) -> None:
    campaign = with_two_numbers(db, "[rules]\nattempts = 1\n")
    first = call(campaign, Outcome.BUSY, NOON)
    assert call(campaign, Outcome.BUSY, later(minutes=15)).number != first.number
    assert campaign.hopper.left(campaign.id) == 0


def test_an_outcome_that_came_often_enough_ends_the_number(db: Engine) -> None:
    campaign = with_two_numbers(db, RECYCLE, NUMBERS[:1])
    call(campaign, Outcome.BUSY, NOON)
    call(campaign, Outcome.NO_ANSWER, later(minutes=15))
    call(campaign, Outcome.BUSY, later(hours=5))
    assert campaign.hopper.left(campaign.id) == 0


def test_after_an_abandoned_call_the_customers_other_number_waits_as_long(db: Engine) -> None:
    campaign = with_two_numbers(db)
    call(campaign, Outcome.ABANDONED, NOON)
    assert campaign.lease(at=later(days=2, hours=23)) == []
    assert len(campaign.lease(at=later(days=3))) == 1


def test_a_verdict_may_ask_for_the_other_number_and_come_often_enough(db: Engine) -> None:
    campaign = with_two_numbers(db)
    for n, at in enumerate((NOON, later(minutes=5))):
        lead = call(campaign, Outcome.CONNECTED, at)
        verdict = Dispositioned(
            at=at,
            call_id=lead.call_id,
            user_id=7,
            code="not_in",
            retry_at=at + timedelta(hours=1),
            other_at=at + timedelta(minutes=5),
            most=2,
        )
        campaign.record(verdict)
        assert lead.number == NUMBERS[n]
    assert campaign.hopper.left(campaign.id) == 0


# This zone put its clocks back at one minute past midnight, so that midnight came twice.
@example(at=datetime(2010, 11, 7, 2, 31, tzinfo=UTC), delay=0, zone="America/St_Johns")
@given(at=INSTANTS, delay=st.integers(0, 3 * 86_400), zone=st.sampled_from(ZONES))
def test_another_part_of_the_day_is_another_and_the_next_there_is(
    at: datetime, delay: int, zone: str
) -> None:
    retry = at + timedelta(seconds=delay)
    found = other_part(at, retry, zone)
    here = calendar.zone(zone)

    def part(instant: datetime) -> int:
        return sum(instant.astimezone(here).time() >= begins for begins in PARTS)

    assert found >= retry and part(found) != part(at)
    assert found - retry <= timedelta(hours=13)
    if part(retry) != part(at):
        assert found == retry


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("[rules.recycle.sold]\nmost = 2\n", "rules.recycle.sold"),
        ("[rules.recycle.busy]\nmost = 0\n", "rules.recycle.busy.most"),
        ("[rules.recycle.busy]\nother_number_s = -1.0\n", "rules.recycle.busy.other_number_s"),
        (
            '[[dispositions]]\ncode = "a"\nlabel = { en = "A", zh = "甲" }\nrecycle = { most = 99 }\n',
            "dispositions[0].recycle.most",
        ),
    ],
)
def test_what_makes_no_sense_is_told(more: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("[", r"\[")):
        parse(CONFIG + more, "x")


def test_an_outcome_without_a_delay_is_not_tried_again_at_this_number() -> None:
    config: CampaignConfig = parse(CONFIG + "[rules.retry_s]\nbusy = 60.0\n", "x")
    assert after_outcome(config, Outcome.NO_ANSWER, 1, NOON).number_done
    assert not after_outcome(config, Outcome.BUSY, 1, NOON).number_done


def test_a_person_has_leads_called_again_by_number_list_or_outcome(db: Engine) -> None:
    campaign = with_two_numbers(db, RECYCLE, NUMBERS[:1])
    lead = call(campaign, Outcome.INVALID, NOON)
    assert campaign.lease(at=later(hours=1)) == []
    for which in (
        Which("spring", numbers=(lead.number,)),
        Which("spring", list_name="two"),
        Which("spring", outcome="invalid"),
    ):
        assert requeue(db, which, "lin", later(hours=1)) == 1
        call(campaign, Outcome.INVALID, later(hours=1))
    assert requeue(db, Which("spring", outcome="busy"), "lin", later(hours=1)) == 0
    audited = campaign.one("SELECT count(*), min(actor) FROM audit WHERE action = 'requeue'")
    assert audited == (4, "lin")


def test_a_lead_in_an_engines_hands_is_not_called_again_beside_it(db: Engine) -> None:
    campaign = with_two_numbers(db)
    [lead] = campaign.lease()
    assert requeue(db, Which("spring", numbers=(lead.number,)), "lin", NOON) == 0
    assert campaign.dial([lead])


def test_what_was_closed_with_its_list_stays_closed_unless_that_list_is_named(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    lead = call(campaign, Outcome.NO_ANSWER, NOON)
    assert undo(db, campaign.id, "list", NOON).closed == 1
    for which in (Which("spring", outcome="no_answer"), Which("spring", numbers=(lead.number,))):
        assert requeue(db, which, "lin", later(days=1)) == 0
    assert campaign.lease(at=later(days=1)) == []
    assert requeue(db, Which("spring", list_name="list", outcome="no_answer"), "lin", later(days=1)) == 1
    assert len(campaign.lease(at=later(days=1))) == 1


def test_who_was_promised_a_callback_is_called_sooner_only_when_their_number_is_named(db: Engine) -> None:
    campaign = Campaign(db, leads=2)
    [lead, other] = campaign.lease(2)
    assert len(campaign.dial([lead, other])) == 2
    for each in (lead, other):
        campaign.record(
            AttemptConnected(at=NOON, call_id=each.call_id, user_id=7),
            AttemptEnded(at=NOON, call_id=each.call_id, outcome="connected", final=True),
        )
    due = later(hours=5)
    campaign.record(
        Dispositioned(
            at=NOON, call_id=lead.call_id, user_id=7, code="interested", callback_at=due, anyone_at=due,
            expires_at=later(days=2),
        )
    )  # fmt: skip
    for which in (Which("spring", list_name="list"), Which("spring", outcome="connected")):
        assert requeue(db, which, "lin", later(hours=1)) == 1
    assert [each.lead_id for each in campaign.lease(2, later(hours=2))] == [other.lead_id]
    assert requeue(db, Which("spring", numbers=(lead.number,)), "lin", later(hours=2)) == 1
    assert [each.lead_id for each in campaign.lease(2, later(hours=2))] == [lead.lead_id]


def test_many_leads_are_called_again_some_at_a_time_each_time_on_record(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = Campaign(db, leads=4)
    Campaign(db, leads=4, name="summer")
    store_rows(db, campaign.id, "list", "more", NOON, [Row(2, (NUMBERS[0],), "李娜", {}, ("Asia/Shanghai",))])
    monkeypatch.setattr(requeueing, "SPAN", 3)
    monkeypatch.setattr(requeueing, "CHUNK", 2)
    assert requeue(db, Which("spring", list_name="list"), "lin", NOON) == 5
    with db.connect() as connection:
        told = connection.execute(text("SELECT detail FROM audit WHERE action = 'requeue' ORDER BY id"))
        assert told.scalars().all() == [f"{count} leads: list list" for count in (2, 2, 1)]


def test_leads_to_be_called_again_are_looked_for_by_a_span_of_ids(db: Engine) -> None:
    """Not by going through the leads of every campaign until enough of them fit."""
    campaign = Campaign(db, leads=1)
    asked = {"campaign": campaign.id, "numbers": [], "lists": None, "outcome": "lost"}
    asked |= {"after": 0, "upto": requeueing.SPAN}
    with db.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        lines = connection.execute(text(f"EXPLAIN {requeueing.WITHIN.text}"), asked).scalars().all()
    plan = "\n".join(lines)
    assert f"Index Cond: ((id > 0) AND (id <= {requeueing.SPAN}))" in plan, plan


@pytest.mark.parametrize(
    "which",
    [
        Which("spring"),
        Which("winter", outcome="busy"),
        Which("spring", list_name="three"),
        Which("spring", outcome="sold"),
    ],
)
def test_what_is_not_there_is_told(db: Engine, which: Which) -> None:
    campaign = with_two_numbers(db)
    with pytest.raises(NothingToRequeue):
        requeue(campaign.db, which, "lin", NOON)
