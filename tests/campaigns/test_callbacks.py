"""Callbacks as told to customers: by the person who promised, else by anyone, before others, and within the rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from campaigns.accounts import Accounts
from campaigns.contacts import Contacts
from campaigns.dnc import DncStore, Layer
from campaigns.ids import new_call_id
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.lists.undoing import undo
from campaigns.people import People
from campaigns.records import AttemptConnected, AttemptEnded, CalledIn, Dispositioned
from campaigns.requeue import Which, requeue
from campaigns.units import Units
from campaigns.values import Ask, Lead, Permit, Refusal
from campaigns.why import Explainer
from tests.campaigns.world import NOON, Campaign, later

LI, WU = 7, 8
DUE = later(hours=2)


def promised(
    campaign: Campaign, person: int | None = None, due: datetime = DUE, judged_first: bool = False
) -> Lead:
    """A call whose customer is to be called back, by this person or by anyone."""
    [lead] = campaign.lease()
    assert campaign.dial([lead])
    talk = (
        AttemptConnected(at=NOON, call_id=lead.call_id, user_id=LI),
        AttemptEnded(at=NOON, call_id=lead.call_id, outcome="connected", final=True),
    )
    verdict = Dispositioned(
        at=NOON,
        call_id=lead.call_id,
        user_id=person or LI,
        code="interested",
        callback_at=due,
        personal=person is not None,
        team_at=due + timedelta(minutes=20) if person is not None else None,
        anyone_at=due + timedelta(minutes=30 if person is not None else 0),
        expires_at=due + timedelta(days=2),
    )
    for record in (verdict, *talk) if judged_first else (*talk, verdict):
        campaign.record(record)
    return lead


def with_two_numbers(campaign: Campaign) -> tuple[str, str]:
    """Put a customer on the books who has two numbers: in the order in which they are called at first."""
    mobile, home = numbers = ("+8613911110001", "+8613911110002")
    row = Row(2, numbers, "王", {}, ("Asia/Shanghai",), ("phone",) * 2)
    store_rows(campaign.db, campaign.id, "two", "test", NOON, [row])
    return mobile, home


def busy(campaign: Campaign, times: int) -> None:
    """So many calls to the lead that is next, each at once after the other."""
    for _ in range(times):
        [lead] = campaign.lease()
        assert campaign.dial([lead])
        campaign.record(AttemptEnded(at=NOON, call_id=lead.call_id, outcome="busy", retry_at=NOON))


def calls_in(campaign: Campaign, lead: Lead, at: datetime, verdict: dict[str, Any] | None = None) -> None:
    """The customer calls by themselves; nobody takes it in time, or an agent does and says what follows."""
    call = new_call_id(at)
    campaign.record(
        CalledIn(
            at=at, call_id=call, campaign_id=campaign.id, number=lead.number, channel=f"1764.{at:%H%M}",
            switch="main", owner="engine-1",
        )
    )  # fmt: skip
    if verdict is not None:
        campaign.record(
            AttemptConnected(at=at, call_id=call, user_id=WU),
            Dispositioned(at=at, call_id=call, user_id=WU, code="interested", **verdict),
        )
    outcome = "missed" if verdict is None else "connected"
    campaign.record(AttemptEnded(at=at, call_id=call, outcome=outcome))


def back(campaign: Campaign, *persons: int, at: datetime = DUE) -> list[Lead]:
    return campaign.hopper.lease_callbacks(campaign.id, persons, at)


def test_a_callback_to_anyone_comes_when_it_is_due_and_before_all_others(db: Engine) -> None:
    for judged_first in (False, True):
        name = f"first-{judged_first}"
        campaign = Campaign(db, leads=5, name=name)
        lead = promised(campaign, judged_first=judged_first)
        assert lead.lead_id not in {other.lead_id for other in campaign.lease(2, later(hours=1))}
        assert campaign.lease(1, DUE)[0].lead_id == lead.lead_id


def test_a_persons_callback_is_for_that_person_as_long_as_it_waits(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    lead = promised(campaign, LI)
    assert back(campaign, LI, at=later(minutes=119)) == []
    assert back(campaign, WU) == [] and campaign.lease(at=DUE) == []
    [mine] = back(campaign, WU, LI)
    assert (mine.lead_id, mine.user_id) == (lead.lead_id, LI)
    assert isinstance(campaign.hopper.authorize([Ask(mine.call_id, "main")], DUE)[mine.call_id], Permit)
    assert back(campaign, LI) == []


def test_when_that_person_is_away_it_goes_to_anyone_after_its_wait(db: Engine) -> None:
    campaign = Campaign(db, leads=3)
    lead = promised(campaign, LI)
    assert lead.lead_id not in {other.lead_id for other in campaign.lease(5, later(minutes=149))}
    assert [other.lead_id for other in campaign.lease(5, later(minutes=150))] == [lead.lead_id]


def test_their_team_has_it_before_anyone_and_whose_own_it_is_goes_first(db: Engine) -> None:
    campaign = Campaign(db, leads=3)
    people = People(db)
    Units(db).add("east/one")
    Units(db).add("east/two")
    li, wu, an = (
        people.add(unit, login, login, "agent", "")
        for unit, login in (("east/one", "li"), ("east/one", "wu"), ("east/two", "an"))
    )
    lead = promised(campaign, li)
    assert back(campaign, wu, an, at=later(minutes=139)) == []
    [fallback] = back(campaign, an, wu, at=later(minutes=140))
    assert (fallback.lead_id, fallback.user_id) == (lead.lead_id, wu)
    campaign.hopper.release([fallback.call_id])
    [own] = back(campaign, wu, li, at=later(minutes=140))
    assert own.user_id == li
    campaign.hopper.release([own.call_id])
    wus = promised(campaign, wu)
    found = {each.user_id: each.lead_id for each in back(campaign, wu, at=later(minutes=141))}
    assert found == {wu: wus.lead_id}, "their own comes before one that they stand in for"
    [why] = [each for each in Explainer(db).lead(lead.lead_id, later(minutes=121)) if each.reasons]
    assert "for li until" in why.reasons[0].detail and "then their team until" in why.reasons[0].detail


def test_one_that_its_person_gives_back_waits_for_them_again_and_one_put_off_comes_later(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    promised(campaign, LI)
    [mine] = back(campaign, LI)
    campaign.hopper.release([mine.call_id])
    assert campaign.lease(at=later(minutes=149)) == []
    [again] = back(campaign, LI)
    campaign.hopper.release([again.call_id], later(hours=4))
    assert back(campaign, LI, at=later(hours=3)) == [] and campaign.lease(at=later(hours=3)) == []
    assert len(back(campaign, LI, at=later(hours=4))) == 1


def test_a_person_with_several_is_given_one_after_the_other(db: Engine) -> None:
    campaign = Campaign(db, leads=2)
    second = promised(campaign, LI, due=later(hours=2, minutes=1))
    first = promised(campaign, LI)
    assert [lead.lead_id for lead in back(campaign, LI, at=later(hours=3))] == [first.lead_id]
    assert [lead.lead_id for lead in back(campaign, LI, at=later(hours=3))] == [second.lead_id]


def test_one_that_the_rules_refuse_keeps_no_other_from_its_person(db: Engine) -> None:
    """For a while, and it waits on; or for good, and it is closed, and comes again when the bar is taken away."""
    campaign = Campaign(db, leads=3)
    dnc, company = DncStore(db), Layer("company", "x")
    for_now, for_good, fine = (promised(campaign, LI, due=later(hours=2, minutes=n)) for n in range(3))
    dnc.add(for_now.number, company, NOON, expires_at=later(hours=4))
    dnc.add(for_good.number, company, NOON)
    [mine] = back(campaign, LI, at=later(hours=3))
    assert mine.lead_id == fine.lead_id
    told = Contacts(db).day(LI, NOON, NOON, ["spring"]).callbacks
    assert for_good.number not in {each.number for each in told} and len(told) == 2
    assert campaign.one("SELECT sum(calls) FROM rollup_refusal") == (1,), "not at each look"
    assert back(campaign, LI, at=later(hours=3)) == []
    dnc.remove(for_good.number, "company")
    [again] = back(campaign, LI, at=later(hours=3))
    assert again.lead_id == for_good.lead_id
    assert [each.lead_id for each in back(campaign, LI, at=later(hours=4))] == [for_now.lead_id]


def test_the_rules_hold_for_callbacks_too_and_it_still_waits_for_its_person(db: Engine) -> None:
    campaign = Campaign(db, leads=2)
    early = promised(campaign, LI, due=later(hours=20))  # eight o'clock, tomorrow
    assert back(campaign, LI, at=later(hours=20)) == []
    [mine] = back(campaign, LI, at=later(hours=21))
    assert mine.lead_id == early.lead_id
    DncStore(db).add(mine.number, Layer("company", "x"), NOON, expires_at=later(hours=22))
    answer = campaign.hopper.authorize([Ask(mine.call_id, "main")], later(hours=21))[mine.call_id]
    assert isinstance(answer, Refusal)
    assert back(campaign, LI, at=later(hours=21)) == []
    assert [lead.lead_id for lead in back(campaign, LI, at=later(hours=22))] == [early.lead_id]


@pytest.mark.parametrize("person", [None, LI])
def test_who_said_call_me_here_is_called_there(db: Engine, person: int | None) -> None:
    """And not at the number that was tried less often, nor at the one that the list has first."""
    campaign = Campaign(db, leads=0)
    first, asked = with_two_numbers(campaign)
    busy(campaign, 1)
    assert promised(campaign, person).number == asked
    if person is not None:
        [soon] = campaign.hopper.coming_callbacks(campaign.id, [LI], NOON, DUE)
        [own] = Contacts(db).day(LI, NOON, NOON, ["spring"]).callbacks
        assert soon.number == own.number == asked
    [lead] = campaign.lease(at=DUE) if person is None else back(campaign, LI)
    assert lead.number == asked
    campaign.hopper.release([lead.call_id])
    DncStore(db).add(asked, Layer("company", "x"), NOON)
    [lead] = campaign.lease(at=DUE) if person is None else back(campaign, LI)
    assert lead.number == first, "that one is barred since: the customer has another"


@pytest.mark.parametrize("person", [None, LI])
def test_a_callback_promised_on_the_last_attempt_is_made_and_no_second_call(
    db: Engine, person: int | None
) -> None:
    campaign = Campaign(db, leads=1, more="[rules]\nattempts = 3\n")
    busy(campaign, 2)
    promised(campaign, person)
    [lead] = campaign.lease(at=DUE) if person is None else back(campaign, LI)
    assert campaign.dial([lead], DUE)
    assert Accounts(db, NOON).over_cap(3) == 0
    campaign.record(AttemptEnded(at=DUE, call_id=lead.call_id, outcome="busy", retry_at=DUE))
    assert Accounts(db, NOON).over_cap(3) == 0
    assert campaign.lease(at=DUE) == [] and campaign.hopper.left(campaign.id) == 0
    assert campaign.one("SELECT attempts FROM number") == (4,)


def test_a_promise_is_a_call_more_by_the_campaigns_own_count_only(db: Engine) -> None:
    campaign = Campaign(db, leads=1, more="[rules]\nattempts = 1\n[rules.number_here]\nlife = 1\n")
    promised(campaign)
    assert campaign.lease(at=DUE) == [] and campaign.hopper.left(campaign.id) == 0


def test_a_customer_who_calls_in_before_is_called_back_all_the_same_and_first(db: Engine) -> None:
    campaign = Campaign(db, leads=3)
    lead = promised(campaign)
    calls_in(campaign, lead, later(hours=1))
    assert [each.lead_id for each in campaign.lease(1, DUE)] == [lead.lead_id]


def test_a_customer_who_calls_in_at_the_moment_waits_for_their_person_still(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    lead = promised(campaign, LI)
    assert back(campaign, LI)
    calls_in(campaign, lead, DUE, {"retry_at": DUE})
    assert campaign.lease(at=later(minutes=149)) == []
    assert [each.lead_id for each in back(campaign, LI)] == [lead.lead_id]


def test_a_callback_whose_call_was_not_placed_after_all_waits_for_its_person_still(db: Engine) -> None:
    campaign = Campaign(db, leads=3)
    lead = promised(campaign, LI)
    [mine] = back(campaign, LI)
    assert campaign.dial([mine], DUE)
    campaign.record(
        AttemptEnded(at=DUE, call_id=mine.call_id, outcome="cancelled", retry_at=DUE, dialed=False)
    )
    assert lead.lead_id not in {each.lead_id for each in campaign.lease(3, later(minutes=149))}
    assert [each.lead_id for each in back(campaign, LI)] == [lead.lead_id]


def test_who_calls_in_and_asks_for_another_time_is_called_then_only(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    lead = promised(campaign, LI)
    moved = later(hours=5)
    calls_in(
        campaign, lead, later(hours=1), {"callback_at": moved, "personal": True, "anyone_at": later(hours=6)}
    )
    assert back(campaign, LI, WU, at=later(hours=4)) == [] and campaign.lease(at=later(hours=4)) == []
    [mine] = back(campaign, LI, WU, at=moved)
    assert (mine.lead_id, mine.user_id) == (lead.lead_id, WU)
    assert Contacts(db).day(LI, NOON, NOON, ["spring"]).callbacks == []


def test_who_calls_in_and_has_what_they_want_is_called_back_no_more(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    lead = promised(campaign, LI)
    calls_in(campaign, lead, later(hours=1), {"final": True})
    assert campaign.hopper.left(campaign.id) == 0
    assert requeue(db, Which("spring", list_name="list"), "lin", later(hours=1)) == 1
    assert back(campaign, LI) == []
    assert [each.lead_id for each in campaign.lease(at=later(hours=1))] == [lead.lead_id]


@pytest.mark.parametrize(
    "slip", [{"final": True}, {"callback_at": later(hours=5)}], ids=["final", "callback"]
)
@pytest.mark.parametrize("retry_at", [None, later(minutes=70)], ids=["nothing", "retry"])
def test_what_a_slip_of_the_key_on_a_customers_own_call_replaced_is_promised_still(
    db: Engine, slip: dict[str, Any], retry_at: datetime | None
) -> None:
    campaign = Campaign(db, leads=1)
    lead = promised(campaign, LI)
    before = campaign.one("SELECT open, lane, next_at FROM lead")
    calls_in(campaign, lead, later(hours=1), slip)
    assert back(campaign, LI) == []
    call = campaign.one("SELECT call_id FROM attempt WHERE called_in IS NOT NULL").call_id.hex
    at = later(minutes=65)
    campaign.record(Dispositioned(at=at, call_id=call, user_id=WU, code="wrote down", retry_at=retry_at))
    assert campaign.one("SELECT open, lane, next_at FROM lead") == before
    assert [each.lead_id for each in back(campaign, LI)] == [lead.lead_id]
    assert campaign.one("SELECT count(*) FROM callback WHERE done_at IS NULL") == (1,)


def test_what_such_a_slip_replaced_waits_for_the_list_where_that_was_taken_back(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    lead = promised(campaign, LI)
    assert undo(db, campaign.id, "list", later(minutes=1)).closed == 1
    calls_in(campaign, lead, later(hours=1), {"final": True})
    call = campaign.one("SELECT call_id FROM attempt WHERE called_in IS NOT NULL").call_id.hex
    campaign.record(Dispositioned(at=later(minutes=65), call_id=call, user_id=WU, code="wrote down"))
    assert back(campaign, LI) == [] and campaign.lease(at=later(days=1)) == []
    assert requeue(db, Which("spring", list_name="list"), "lin", later(minutes=70)) == 1
    assert [each.lead_id for each in back(campaign, LI)] == [lead.lead_id]


@pytest.mark.parametrize("again", ["list", "call"])
def test_but_not_where_the_customer_is_called_again_by_then(db: Engine, again: str) -> None:
    campaign = Campaign(db, leads=1)
    lead = promised(campaign, LI)
    assert undo(db, campaign.id, "list", later(minutes=1)).closed == 1
    if again == "list":
        assert requeue(db, Which("spring", list_name="list"), "lin", later(minutes=2)) == 1
    else:
        calls_in(campaign, lead, later(minutes=2), {"callback_at": DUE})
    calls_in(campaign, lead, later(hours=1), {"final": True})
    call = campaign.one("SELECT last_call FROM lead").last_call.hex
    campaign.record(Dispositioned(at=later(minutes=65), call_id=call, user_id=WU, code="wrote down"))
    assert [each.lead_id for each in back(campaign, LI) + campaign.lease(at=DUE)] == [lead.lead_id]


def test_what_was_replaced_before_a_later_call_stays_so(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    lead = promised(campaign, LI)
    calls_in(campaign, lead, later(hours=1), {"callback_at": later(hours=3)})
    call = campaign.one("SELECT call_id FROM attempt WHERE called_in IS NOT NULL").call_id.hex
    assert campaign.dial(campaign.lease(at=later(hours=3)), later(hours=3))
    last = campaign.one("SELECT lease FROM lead").lease.hex
    again = later(hours=5)
    campaign.record(AttemptEnded(at=later(hours=3), call_id=last, outcome="busy", retry_at=again))
    campaign.record(Dispositioned(at=later(hours=4), call_id=call, user_id=WU, code="wrote down"))
    assert back(campaign, LI, at=later(hours=4)) == [] and len(campaign.lease(at=again)) == 1


def test_a_callback_that_was_tried_is_done_and_the_lead_goes_on_by_what_came_of_it(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    promised(campaign, LI)
    mine = back(campaign, LI)
    assert campaign.dial(mine, DUE)
    campaign.record(AttemptEnded(at=DUE, call_id=mine[0].call_id, outcome="busy", retry_at=later(hours=3)))
    assert back(campaign, LI, at=later(hours=4)) == []
    assert campaign.one("SELECT done_at FROM callback")[0] == DUE
    assert campaign.one("SELECT lane, open FROM lead") == (1, True)
    assert len(campaign.lease(at=later(hours=3))) == 1


def test_a_later_verdict_takes_a_callback_back(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    lead = promised(campaign, LI)
    campaign.record(Dispositioned(at=NOON, call_id=lead.call_id, user_id=LI, code="sold", final=True))
    assert back(campaign, LI) == [] and campaign.hopper.left(campaign.id) == 0
    assert campaign.one("SELECT lane FROM lead")[0] == 1


def test_an_expired_callback_is_a_lead_like_others(db: Engine) -> None:
    campaign = Campaign(db, leads=3)
    lead = promised(campaign, LI)
    late = DUE + timedelta(days=2)
    assert back(campaign, LI, at=late) == []
    assert [other.lead_id for other in campaign.lease(3, late)][-1] == lead.lead_id
    assert campaign.one("SELECT count(*) FROM callback WHERE done_at IS NULL")[0] == 0


def test_a_person_is_reminded_of_what_comes_soon(db: Engine) -> None:
    campaign = Campaign(db, leads=2)
    lead = promised(campaign, LI)
    promised(campaign)  # anyone's: nobody is reminded
    soon = campaign.hopper.coming_callbacks(campaign.id, [LI, WU], later(minutes=116), later(minutes=121))
    assert [(each.user_id, each.due_at, each.number) for each in soon] == [(LI, DUE, lead.number)]
    assert campaign.hopper.coming_callbacks(campaign.id, [WU], NOON, DUE) == []


def test_nobody_is_reminded_of_a_callback_whose_lead_is_closed_until_it_is_opened_again(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    promised(campaign, LI)

    def told() -> tuple[int, int]:
        soon = campaign.hopper.coming_callbacks(campaign.id, [LI], later(minutes=116), later(minutes=121))
        return len(soon), len(Contacts(db).day(LI, NOON, NOON, ["spring"]).callbacks)

    assert told() == (1, 1)
    assert undo(db, campaign.id, "list", later(minutes=1)).closed == 1
    assert told() == (0, 0)
    assert requeue(db, Which("spring", list_name="list"), "lin", later(minutes=2)) == 1
    assert told() == (1, 1)


def test_a_callback_is_called_when_it_is_due_though_its_list_was_taken_back_and_is_called_again(
    db: Engine,
) -> None:
    campaign = Campaign(db, leads=1)
    lead = promised(campaign)
    assert undo(db, campaign.id, "list", later(minutes=1)).closed == 1
    assert requeue(db, Which("spring", list_name="list"), "lin", later(minutes=2)) == 1
    assert campaign.lease(at=later(hours=1)) == []
    assert [each.lead_id for each in campaign.lease(at=DUE)] == [lead.lead_id]


def test_callbacks_are_found_by_their_index(db: Engine) -> None:
    Campaign(db, leads=1)
    with db.connect() as connection:
        indexes = connection.execute(
            text("SELECT indexname FROM pg_indexes WHERE tablename = 'callback'")
        ).scalars()
        assert {"callback_waiting", "callback_of_lead"} <= set(indexes)
