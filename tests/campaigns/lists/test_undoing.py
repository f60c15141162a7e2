"""A list that is taken back: what it changed in leads is as it was before, and nothing else is changed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from campaigns.editing import Edit, edit
from campaigns.lists import undoing
from campaigns.lists.loading import OnDuplicate, Policy
from campaigns.lists.undoing import undo
from campaigns.records import AttemptConnected, AttemptEnded, Dispositioned
from campaigns.requeue import Which, requeue
from tests.campaigns.lists.test_duplicates import FIRST, come_in, counts
from tests.campaigns.test_callbacks import DUE, LI, promised
from tests.campaigns.test_called_in import called, ended
from tests.campaigns.world import NOON, Campaign, later

UPDATE, REPLACE = Policy(on_duplicate=OnDuplicate.UPDATE), Policy(on_duplicate=OnDuplicate.REPLACE)
ONE = "手机,姓名\n13800138000,李娜\n"
NEW_YORK, HONOLULU = "+12127365000", "+18085311111"
LEAD = """
SELECT id, name, attributes, zones, region, list_id, lane, rank, open, CAST(next_at AS text) AS next_at,
    CAST(ready_at AS text) AS ready_at, last_call FROM lead
"""
NUMBERS = "SELECT array_agg(e164 ORDER BY ordinal) AS e164s FROM number"


@pytest.mark.parametrize("person", [None, LI])
def test_a_callback_is_waited_for_when_its_lead_is_replaced_and_when_that_is_taken_back(
    db: Engine, tmp_path: Path, person: int | None
) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, ONE)
    promised(campaign, person)
    before = campaign.one(LEAD)
    come_in(campaign, tmp_path, ONE, "nightly", REPLACE)
    replaced = campaign.one(LEAD)
    assert replaced.list_id != before.list_id and (replaced.lane, replaced.next_at) == (0, before.next_at)
    assert campaign.lease(at=later(hours=1)) == []
    undo(db, campaign.id, "nightly", later(hours=1))
    assert campaign.one(LEAD) == before
    assert campaign.lease(at=later(hours=1)) == [] and len(campaign.lease(at=later(hours=3))) == 1


def test_who_waited_to_be_tried_again_waits_on_when_the_list_is_taken_back(
    db: Engine, tmp_path: Path
) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, ONE)
    [lead] = campaign.lease()
    campaign.dial([lead])
    campaign.record(AttemptEnded(at=NOON, call_id=lead.call_id, outcome="busy", retry_at=DUE))
    before = campaign.one(LEAD)
    come_in(campaign, tmp_path, ONE, "again", REPLACE)
    assert campaign.one(LEAD).next_at == "-infinity"
    undo(db, campaign.id, "again", NOON)
    assert campaign.one(LEAD) == before


def test_who_was_called_since_goes_on_by_what_came_of_it(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, ONE)
    before = campaign.one(LEAD)
    for policy in (UPDATE, REPLACE):
        come_in(campaign, tmp_path, ONE, policy.on_duplicate.value, policy)
    promised(campaign)
    for policy in (REPLACE, UPDATE):
        undo(db, campaign.id, policy.on_duplicate.value, NOON)
    lead = campaign.one(LEAD)
    assert (lead.list_id, lead.lane, lead.open) == (before.list_id, 0, True)
    assert campaign.lease(at=later(hours=1)) == [] and len(campaign.lease(at=DUE)) == 1


def test_who_is_in_a_call_goes_on_by_what_will_come_of_it(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, ONE)
    [lead] = campaign.lease()
    campaign.dial([lead])
    campaign.record(AttemptEnded(at=NOON, call_id=lead.call_id, outcome="busy", retry_at=NOON, final=True))
    assert not campaign.one(LEAD).open
    come_in(campaign, tmp_path, ONE, "again", REPLACE)
    [lead] = campaign.lease(at=DUE)
    campaign.dial([lead], DUE)
    undo(db, campaign.id, "again", DUE)
    campaign.record(AttemptEnded(at=DUE, call_id=lead.call_id, outcome="busy", retry_at=DUE))
    assert campaign.one(LEAD).open


def talked(campaign: Campaign, at: datetime) -> Dispositioned:
    """The next one is called and talked to; returns the verdict, which is not on record yet: again tomorrow."""
    [lead] = campaign.lease(at=at)
    campaign.dial([lead], at)
    campaign.record(
        AttemptConnected(at=at, call_id=lead.call_id, user_id=LI),
        AttemptEnded(at=at, call_id=lead.call_id, outcome="connected", final=True),
    )
    return Dispositioned(at=at, call_id=lead.call_id, user_id=LI, code="again", retry_at=later(days=1))


@pytest.mark.parametrize("while_it_goes_on", [False, True])
def test_a_verdict_that_comes_after_brings_nobody_back_until_the_list_is_named(
    db: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, while_it_goes_on: bool
) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, ONE)
    again, not_taken = talked(campaign, NOON), undoing._not_taken

    def judged(connection: Connection, list_id: int) -> None:
        not_taken(connection, list_id)
        campaign.record(again)

    if while_it_goes_on:
        monkeypatch.setattr(undoing, "_not_taken", judged)
    undo(db, campaign.id, "first", later(minutes=1))
    if not while_it_goes_on:
        campaign.record(again)
    assert campaign.lease(at=later(days=1)) == []
    requeue(db, Which("spring", list_name="first"), "tester", later(minutes=2))
    campaign.record(talked(campaign, later(minutes=3)))
    assert len(campaign.lease(at=later(days=1))) == 1


def test_nor_one_who_had_called_in_before_the_list_came(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    campaign.record(ended(called(campaign, "+8613800138000"), "missed"))
    come_in(campaign, tmp_path, ONE)
    again = talked(campaign, later(minutes=3))
    assert undo(db, campaign.id, "first", later(minutes=4)).restored == 1
    campaign.record(again)
    assert campaign.lease(at=later(days=1)) == []
    come_in(campaign, tmp_path, ONE, "second")
    campaign.record(talked(campaign, later(minutes=5)))
    assert len(campaign.lease(at=later(days=1))) == 1, "as the customer of the list that came after"


def test_nor_one_whom_a_list_called_that_had_them_of_another_one_taken_back(
    db: Engine, tmp_path: Path
) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, ONE)
    talked(campaign, NOON)
    undo(db, campaign.id, "first", later(minutes=1))
    come_in(campaign, tmp_path, ONE, "second", REPLACE)
    again = talked(campaign, later(minutes=2))
    assert undo(db, campaign.id, "second", later(minutes=3)).closed == 1
    campaign.record(again)
    assert campaign.lease(at=later(days=1)) == []


@pytest.mark.parametrize("undone", [False, True])
def test_a_verdict_on_a_call_of_the_list_before_brings_back_whom_a_list_has_by_now(
    db: Engine, tmp_path: Path, undone: bool
) -> None:
    campaign = Campaign(db, leads=0)
    campaign.record(ended(called(campaign, "+8613800138000"), "missed"))
    come_in(campaign, tmp_path, ONE)
    again = talked(campaign, later(minutes=3))
    undo(db, campaign.id, "first", later(minutes=4))
    come_in(campaign, tmp_path, ONE, "second")
    if undone:
        undo(db, campaign.id, "second", later(minutes=5))
    campaign.record(again)
    assert len(campaign.lease(at=later(days=1))) == (0 if undone else 1)


def test_a_list_whose_taking_back_was_broken_off_has_closed_whom_it_came_to(
    db: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, ONE)
    again = talked(campaign, NOON)

    def broken_off(_connection: Connection, _list_id: int) -> None:
        raise ConnectionError

    monkeypatch.setattr(undoing, "_not_taken", broken_off)
    with pytest.raises(ConnectionError):
        undo(db, campaign.id, "first", later(minutes=1))
    campaign.record(again)
    assert campaign.lease(at=later(days=1)) == []


def test_nor_does_a_verdict_on_a_call_that_was_leased_while_it_was_taken_back(
    db: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, ONE)
    restore, calls = undoing._restore, list[str]()

    def leased(engine: Engine, list_id: int, at: datetime) -> tuple[int, int, int]:
        [lead] = campaign.lease(at=later(seconds=30))
        calls.extend(campaign.dial([lead], later(seconds=30)))
        return restore(engine, list_id, at)

    monkeypatch.setattr(undoing, "_restore", leased)
    assert undo(db, campaign.id, "first", NOON).closed == 1
    [call] = calls
    campaign.record(
        AttemptConnected(at=later(minutes=1), call_id=call, user_id=LI),
        AttemptEnded(at=later(minutes=2), call_id=call, outcome="connected", final=True),
        Dispositioned(at=later(minutes=3), call_id=call, user_id=LI, code="again", retry_at=later(hours=1)),
    )
    assert campaign.lease(at=later(days=1)) == []


def test_whom_it_closes_it_closes_once(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    campaign.dial(campaign.lease())
    closed = []

    def look(_connection: Connection, cursor: Any, statement: str, *_more: object) -> None:
        if statement.startswith("\nUPDATE lead l SET open = false"):
            closed.append(cursor.rowcount)

    event.listen(db, "after_cursor_execute", look)
    undo(db, campaign.id, "list", NOON)
    assert sum(closed) == 1


def test_what_a_person_or_a_later_list_changed_stays(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, FIRST.splitlines()[0] + "\n" + FIRST.splitlines()[1] + "\n")
    before = campaign.one(LEAD)
    come_in(campaign, tmp_path, "手机,姓名,套餐,备注\n13800138000,李娜娜,99,VIP\n", "second", UPDATE)
    edit(db, before.id, 1, Edit(attributes={"备注": "老客户"}), NOON)
    come_in(campaign, tmp_path, "手机,姓名,等级\n13800138000,李娜娜,金\n", "third", UPDATE)
    undo(db, campaign.id, "second", NOON)
    lead = campaign.one(LEAD)
    assert lead.name == "李娜娜", "the third list says so too"
    assert lead.attributes == {"客户编号": "K1", "套餐": "59", "备注": "老客户", "等级": "金"}
    undo(db, campaign.id, "third", NOON)
    lead = campaign.one(LEAD)
    assert (lead.name, lead.attributes) == ("李娜", before.attributes | {"备注": "老客户"})


def test_lists_taken_back_in_any_order_leave_nothing(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, "手机,姓名,套餐\n13800138000,李娜,59\n")
    before = campaign.one(LEAD)
    lists = {"second": ("99", REPLACE), "third": ("129", UPDATE), "fourth": ("159", REPLACE)}
    for order in (
        ("second", "third", "fourth"),
        ("third", "fourth", "second"),
        ("fourth", "second", "third"),
    ):
        for name, (plan, policy) in lists.items():
            rows = f"手机,姓名,套餐,{name}\n13800138000,{name},{plan},1\n"
            assert counts(come_in(campaign, tmp_path, rows, name, policy)) == (0, 1, 0)
        undo(db, campaign.id, order[0], NOON)
        left = max(set(order[1:]), key=list(lists).index)
        assert campaign.one(LEAD).name == left and order[0] not in campaign.one(LEAD).attributes
        for name in order[1:]:
            undo(db, campaign.id, name, NOON)
        assert campaign.one(LEAD) == before


def test_a_lead_of_a_list_that_was_taken_back_does_not_come_again_with_another(
    db: Engine, tmp_path: Path
) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, ONE)
    come_in(campaign, tmp_path, ONE, "again", REPLACE)
    assert undo(db, campaign.id, "first", NOON).removed == 0
    [lead] = campaign.lease()
    campaign.hopper.release([lead.call_id])
    undone = undo(db, campaign.id, "again", NOON)
    assert (undone.removed, undone.closed, undone.restored) == (1, 0, 0)
    assert counts(come_in(campaign, tmp_path, ONE)) == (1, 0, 0)


def test_a_number_that_has_called_stays_with_its_zone(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, f"mobile\n{NEW_YORK}\n")
    before = campaign.one(LEAD)
    more = f"mobile,home\n{NEW_YORK},{HONOLULU}\n"
    come_in(campaign, tmp_path, more, "more", UPDATE)
    undo(db, campaign.id, "more", NOON)
    assert campaign.one(LEAD) == before and campaign.one(NUMBERS).e164s == [NEW_YORK]
    come_in(campaign, tmp_path, more, "more", UPDATE)
    called(campaign, HONOLULU)
    undo(db, campaign.id, "more", NOON)
    assert campaign.one(NUMBERS).e164s == [NEW_YORK, HONOLULU]
    assert campaign.one(LEAD).zones == ["America/New_York", "Pacific/Honolulu"]


def test_a_number_that_an_agent_added_keeps_its_zone(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, f"mobile\n{NEW_YORK}\n")
    come_in(campaign, tmp_path, f"mobile,home\n{NEW_YORK},{HONOLULU}\n", "more", UPDATE)
    edit(db, campaign.one(LEAD).id, 1, Edit(number="+18085312222"), NOON)
    undo(db, campaign.id, "more", NOON)
    assert campaign.one(NUMBERS).e164s == [NEW_YORK, "+18085312222"]
    assert campaign.one(LEAD).zones == ["America/New_York", "Pacific/Honolulu"]
