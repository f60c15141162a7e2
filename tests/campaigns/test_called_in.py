"""Who calls in is a customer like others: known by number, not called meanwhile, judged by the agent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, text

from campaigns.dnc import DncStore, Layer
from campaigns.ids import new_call_id
from campaigns.lists.copying import copy_lines
from campaigns.lists.loading import Loading, OnDuplicate, Policy
from campaigns.lists.rows import Row
from campaigns.lists.undoing import undo
from campaigns.records import AttemptConnected, AttemptEnded, CalledIn, Dispositioned
from campaigns.rules.held import let_campaign_go
from campaigns.values import Ask, Lead, OutsideCaller, Refusal, RefusalReason
from campaigns.why import Explainer
from tests.campaigns.history.past import wait_for
from tests.campaigns.lists.test_duplicates import come_in, counts
from tests.campaigns.world import NOON, Campaign, later, put_on_record

KNOWN, UNKNOWN = "+8613800000000", "+8613911112222"


def called(campaign: Campaign, number: str, channel: str = "1764.1", at: datetime = NOON) -> CalledIn:
    record = CalledIn(
        at=at, call_id=new_call_id(at), campaign_id=campaign.id, number=number, channel=channel,
        switch="main", owner="engine-1",
    )  # fmt: skip
    campaign.record(record)
    return record


def ended(call: CalledIn, outcome: str = "connected") -> AttemptEnded:
    return AttemptEnded(at=later(minutes=2), call_id=call.call_id, outcome=outcome, talk_s=60.0, user_id=7)


def importing(campaign: Campaign, *numbers: str) -> Loading:
    """An import of a customer that is not finished."""
    loading = Loading(campaign.db, campaign.id, "millions", "crm", NOON)
    rows = [Row(2, numbers, "王", {}, ("Asia/Shanghai",), ("phone",) * len(numbers))]
    loading.load(rows, copy_lines(rows))
    return loading


def test_a_number_on_the_lists_names_its_customer(db: Engine) -> None:
    campaign = Campaign(db, leads=2)
    found = campaign.hopper.who_called(campaign.id, KNOWN, "a" * 32)
    assert found is not None
    assert (found.name, found.call_id, found.attributes) == ("客户0", "a" * 32, {"n": 0})
    assert campaign.hopper.who_called(campaign.id, UNKNOWN, "a" * 32) is None
    assert campaign.hopper.who_called(campaign.id, "", "a" * 32) is None


def test_nobody_known_becomes_a_lead_that_is_not_called_of_itself(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    for number in (UNKNOWN, UNKNOWN, "", ""):
        campaign.record(ended(called(campaign, number)))
    assert campaign.one("SELECT count(*), bool_or(open) FROM lead") == (2, False)
    assert campaign.one("SELECT count(*), count(called_in) FROM attempt") == (4, 4)
    assert campaign.lease(9, later(days=1)) == []


@pytest.mark.parametrize("judged_first", [False, True])
def test_nor_does_a_verdict_that_says_nothing_of_calling_have_them_called(
    db: Engine, judged_first: bool
) -> None:
    campaign = Campaign(db, leads=0)
    call = called(campaign, UNKNOWN)
    verdict = Dispositioned(at=NOON, call_id=call.call_id, user_id=7, code="asked for the way")
    for record in (verdict, ended(call)) if judged_first else (ended(call), verdict):
        campaign.record(record)
    assert campaign.lease(9, later(days=1)) == []


def test_a_customer_who_is_on_the_line_is_not_called(db: Engine) -> None:
    campaign, other = Campaign(db, leads=1), Campaign(db, leads=1, name="autumn")
    [queued] = campaign.lease()
    call = called(campaign, KNOWN)
    assert campaign.dial([queued]) == []  # it waited to be dialed
    assert campaign.lease() == []
    assert other.lease() == []
    [told] = [each for each in Explainer(db).number(KNOWN, NOON) if each.campaign == "autumn"]
    assert RefusalReason.IN_CALL.value in [reason.reason for reason in told.reasons]
    campaign.record(ended(call))
    assert len(other.lease(1, later(minutes=3))) == 1


def test_the_call_counts_for_no_cap_and_for_no_law(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    call = called(campaign, KNOWN)
    campaign.record(AttemptConnected(at=NOON, call_id=call.call_id, user_id=7), ended(call))
    assert campaign.one("SELECT attempts FROM number") == (0,)
    assert campaign.one("SELECT life, at FROM called") == (0, [])
    assert campaign.store.window(campaign.id, timedelta(days=1), later(hours=1)) == (0, 0, 0, 0)
    assert len(campaign.lease(1, later(minutes=3))) == 1  # and what was planned for the customer still is


def test_the_agent_decides_what_follows(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    sold, again = called(campaign, KNOWN), called(campaign, UNKNOWN, "1764.2")
    campaign.record(
        Dispositioned(at=NOON, call_id=sold.call_id, user_id=7, code="sold", final=True),
        Dispositioned(at=NOON, call_id=again.call_id, user_id=7, code="later", retry_at=later(hours=1)),
        ended(sold),
        ended(again),
    )
    assert campaign.lease(9) == []
    assert [lead.number for lead in campaign.lease(9, later(hours=1))] == [UNKNOWN]


def test_who_was_spoken_with_is_not_called_while_their_agent_writes_it_down(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    call = called(campaign, KNOWN)
    over = msgspec.structs.replace(ended(call), retry_at=later(minutes=3))
    campaign.record(AttemptConnected(at=NOON, call_id=call.call_id, user_id=7), over)
    assert campaign.lease(1, later(seconds=179)) == []
    assert len(campaign.lease(1, later(minutes=3))) == 1


def sold(call: CalledIn) -> Dispositioned:
    return Dispositioned(at=later(minutes=3), call_id=call.call_id, user_id=7, code="sold", final=True)


def test_who_has_what_they_want_is_not_called_though_their_lead_was_leased_before_that_was_said(
    db: Engine,
) -> None:
    campaign = Campaign(db, leads=1)
    call = called(campaign, KNOWN)
    campaign.record(ended(call))
    [waits] = campaign.lease(1, later(minutes=3))
    campaign.record(sold(call))
    answer = campaign.hopper.authorize([Ask(waits.call_id, "main")], later(minutes=3))[waits.call_id]
    assert isinstance(answer, Refusal) and answer.reason is RefusalReason.LEASE_LOST
    let_campaign_go(db, campaign.id)
    assert campaign.hopper.left(campaign.id) == 0 and campaign.lease(1, later(hours=1)) == []


def test_a_verdict_on_the_call_before_takes_no_lead_from_a_call_that_is_on(db: Engine) -> None:
    """Nor from one whose permit is just being recorded."""
    campaign = Campaign(db, leads=1)
    call = called(campaign, KNOWN)
    campaign.record(ended(call))
    [lead] = campaign.lease(1, later(minutes=3))
    with db.connect() as recording, ThreadPoolExecutor(1) as thread:
        recording.execute(text("SELECT id FROM lead FOR UPDATE"))
        put_on_record(recording, campaign, lead)
        judging = thread.submit(campaign.record, sold(call))
        wait_for(lambda: judging.done() or campaign.one("SELECT count(*) FROM pg_locks WHERE NOT granted")[0])
        recording.commit()
        judging.result(10)
    [flight] = campaign.hopper.in_flight(later(minutes=3))
    assert flight.dialed and flight.call_id == lead.call_id


def test_what_the_agent_decided_outlasts_what_the_rules_had_held_back(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    with db.begin() as connection:  # till a zone opens, perhaps
        connection.execute(text("UPDATE lead SET ready_at = next_at, next_at = :at"), {"at": later(hours=9)})
    sold = called(campaign, KNOWN)
    campaign.record(Dispositioned(at=NOON, call_id=sold.call_id, user_id=7, code="sold", final=True))
    campaign.record(ended(sold))
    let_campaign_go(db, campaign.id)
    assert campaign.lease(9, later(hours=1)) == []


@pytest.mark.parametrize("policy", list(OnDuplicate))
def test_who_called_in_before_their_list_came_is_the_lists_customer(
    db: Engine, tmp_path: Path, policy: OnDuplicate
) -> None:
    campaign = Campaign(db, leads=1)
    campaign.record(ended(called(campaign, UNKNOWN), "missed"))
    rows = f"手机,备用电话,姓名,套餐\n{UNKNOWN},13800138009,王小明,99\n{KNOWN},,别人,\n"
    assert counts(come_in(campaign, tmp_path, rows, "crm", Policy(on_duplicate=policy))) == (0, 2, 0)
    found = campaign.hopper.who_called(campaign.id, UNKNOWN, "a" * 32)
    assert found is not None and (found.name, found.attributes) == ("王小明", {"套餐": "99"})
    assert {lead.lead_id for lead in campaign.lease(9, later(days=1))} >= {found.lead_id}
    names = "SELECT name FROM lead WHERE id <> :caller"
    name = "客户0" if policy is OnDuplicate.SKIP else "别人"
    assert campaign.one(names, caller=found.lead_id).name == name
    assert campaign.one("SELECT count(*) FROM number WHERE lead_id = :id", id=found.lead_id) == (2,)


def test_whom_an_agent_has_finished_with_stays_as_they_are(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    call = called(campaign, UNKNOWN)
    sold = Dispositioned(at=NOON, call_id=call.call_id, user_id=7, code="sold", final=True)
    campaign.record(sold, ended(call))
    campaign.record(ended(called(campaign, UNKNOWN, "1764.2"), "missed"))
    assert counts(come_in(campaign, tmp_path, f"手机,姓名\n{UNKNOWN},王小明\n")) == (0, 1, 0)
    assert campaign.lease(9, later(days=1)) == []
    answer = campaign.hopper.lease_number(campaign.id, UNKNOWN, OutsideCaller(7, 100, 100.0), later(hours=1))
    assert isinstance(answer, Refusal) and answer.reason is RefusalReason.FINISHED


def test_a_list_that_brought_a_callers_name_is_taken_back(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    campaign.record(ended(called(campaign, UNKNOWN), "missed"))
    before = campaign.one("SELECT name, list_id, lane, open FROM lead")
    come_in(campaign, tmp_path, f"手机,姓名\n{UNKNOWN},王小明\n")
    assert campaign.one("SELECT finished_at FROM list WHERE name = 'first'").finished_at is not None
    assert undo(db, campaign.id, "first", later(hours=1)).restored == 1
    assert campaign.one("SELECT name, list_id, lane, open FROM lead") == before


def test_who_was_called_by_a_list_that_is_taken_back_is_called_no_more(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    campaign.record(ended(called(campaign, UNKNOWN), "missed"))
    come_in(campaign, tmp_path, f"手机,姓名\n{UNKNOWN},王小明\n")
    [lead] = campaign.lease()
    campaign.dial([lead])
    again = later(hours=1)
    campaign.record(AttemptEnded(at=NOON, call_id=lead.call_id, outcome="busy", retry_at=again))
    assert undo(db, campaign.id, "first", NOON).restored == 1
    assert campaign.lease(9, again) == []


def test_an_agent_calls_a_missed_caller_back_within_the_rules(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    campaign.record(ended(called(campaign, UNKNOWN), "missed"))

    def ask(at: datetime) -> Lead | Refusal:
        return campaign.hopper.lease_number(campaign.id, UNKNOWN, OutsideCaller(7, 100, 100.0), at)

    refused = ask(later(hours=11))
    assert isinstance(refused, Refusal) and refused.reason is RefusalReason.WINDOW
    assert campaign.lease(9, later(days=1)) == []
    back = ask(later(hours=1))
    assert isinstance(back, Lead) and campaign.dial([back], later(hours=1)) == [back.call_id]
    campaign.record(
        AttemptEnded(at=later(hours=1), call_id=back.call_id, outcome="busy", retry_at=later(hours=2))
    )
    assert len(campaign.lease(9, later(hours=2))) == 1, "and from then on it is dialed as others are"


@pytest.mark.parametrize("barred", [False, True])
def test_a_missed_caller_whom_an_agent_does_not_dial_after_all_is_not_called_of_itself(
    db: Engine, barred: bool
) -> None:
    campaign = Campaign(db, leads=0)
    campaign.record(ended(called(campaign, UNKNOWN), "missed"))
    back = campaign.hopper.lease_number(campaign.id, UNKNOWN, OutsideCaller(7, 100, 100.0), NOON)
    assert isinstance(back, Lead)
    if barred:
        DncStore(db).add(UNKNOWN, Layer("company", "test"), NOON)
        assert campaign.dial([back]) == []
        DncStore(db).remove(UNKNOWN)
    else:
        campaign.hopper.release([back.call_id])
    assert campaign.lease(9, later(hours=1)) == []


def test_after_a_crash_they_are_known_by_their_channel(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    waits, twice = called(campaign, KNOWN), called(campaign, KNOWN, "1764.2")  # two lines of one customer
    campaign.record(AttemptConnected(at=NOON, call_id=twice.call_id, user_id=7))
    found = {each.channel: each for each in campaign.hopper.in_flight(later(minutes=1))}
    assert {c: (f.call_id, f.dialed, f.seat_user_id) for c, f in found.items()} == {
        "1764.1": (waits.call_id, True, None),
        "1764.2": (twice.call_id, True, 7),
    }
    campaign.record(ended(waits, "lost"), ended(twice))
    assert campaign.hopper.in_flight(later(minutes=1)) == []
    with db.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM lead WHERE lease IS NOT NULL")).scalar_one() == 0


def test_after_days_they_are_known_too_and_take_no_lead_from_the_call_it_is_in(db: Engine) -> None:
    campaign, after = Campaign(db, leads=1), later(days=9)
    [lead] = campaign.lease()
    campaign.dial([lead])
    early, late = called(campaign, KNOWN), called(campaign, KNOWN, "1764.2", after)
    found = {each.call_id for each in campaign.hopper.in_flight(after)}
    assert found == {lead.call_id, early.call_id, late.call_id}
    campaign.record(*(AttemptEnded(at=after, call_id=each, outcome="lost") for each in found))
    assert campaign.hopper.in_flight(after) == []
    assert campaign.one("SELECT count(*) FROM lead WHERE lease IS NOT NULL") == (0,)


def test_nobody_waits_for_an_import_that_has_the_number(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    loading = importing(campaign, UNKNOWN)
    call = called(campaign, UNKNOWN)
    by_hand = campaign.hopper.lease_number(campaign.id, UNKNOWN, OutsideCaller(7, 100, 100.0), NOON)
    assert isinstance(by_hand, Refusal) and "import" in by_hand.detail
    loading.finish(0, NOON)
    assert campaign.lease() == []  # the customer is on the line
    campaign.record(ended(call))
    # Its lead is that of those who withhold their number; the next call is the customer's of the list.
    assert campaign.one("SELECT count(*), max(outcome), max(e164) FROM attempt") == (1, "connected", UNKNOWN)
    assert campaign.one("SELECT count(*) FROM lead") == (2,)
    campaign.record(ended(called(campaign, UNKNOWN)))
    assert campaign.one(
        "SELECT count(*) FROM attempt a JOIN lead l ON l.id = a.lead_id WHERE l.name = '王'"
    ) == (1,)


def test_who_says_no_while_an_import_has_the_number_is_not_called_once_it_is_in(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    loading = importing(campaign, UNKNOWN)
    call = called(campaign, UNKNOWN)
    campaign.record(
        Dispositioned(at=NOON, call_id=call.call_id, user_id=7, code="no", final=True, do_not_call=True),
        ended(call),
    )
    loading.finish(0, NOON)
    assert [(entry.layer, entry.source) for entry in DncStore(db).check(UNKNOWN)] == [("company", "agent")]
    assert campaign.lease(9, later(hours=1)) == []


def test_a_refusal_while_an_import_has_the_number_locks_what_it_has_brought_since(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    loading = importing(campaign, UNKNOWN, KNOWN)
    early, late = called(campaign, UNKNOWN), called(campaign, UNKNOWN, "1764.2")
    refused = {"at": NOON, "user_id": 7, "code": "no", "final": True, "locked_until": later(days=9)}
    campaign.record(Dispositioned(call_id=early.call_id, **refused), ended(early))  # type: ignore[arg-type]
    locked = "SELECT array_agg(DISTINCT e164 ORDER BY e164), max(until) FROM refusal_lock"
    assert campaign.one(locked) == ([UNKNOWN], later(days=9))
    loading.finish(0, NOON)
    campaign.record(Dispositioned(call_id=late.call_id, **refused), ended(late))  # type: ignore[arg-type]
    assert campaign.one(locked) == (sorted([KNOWN, UNKNOWN]), later(days=9))


def test_those_who_withhold_their_number_bar_nobody(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    calls = [called(campaign, "", channel) for channel in ("1764.1", "1764.2")]
    said = {"at": NOON, "user_id": 7, "code": "no", "do_not_call": True, "locked_until": later(days=9)}
    records = [Dispositioned(call_id=call.call_id, **said) for call in calls]  # type: ignore[arg-type]
    campaign.record(*records, *map(ended, calls))
    assert campaign.one("SELECT (SELECT count(*) FROM dnc), (SELECT count(*) FROM refusal_lock)") == (0, 0)
