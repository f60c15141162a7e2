"""Whoever is there already: found by number or customer, in this campaign or any, and left, updated or replaced."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from campaigns import database
from campaigns.dnc import DncStore
from campaigns.lists import changing
from campaigns.lists.copying import copy_lines
from campaigns.lists.importing import Request, import_list
from campaigns.lists.loading import Loading, OnDuplicate, Policy, store_rows
from campaigns.lists.report import Result
from campaigns.lists.rows import Row
from campaigns.lists.undoing import undo
from campaigns.records import AttemptEnded
from tests.campaigns.history.past import wait_for
from tests.campaigns.test_dnc import COMPANY
from tests.campaigns.world import NOON, Campaign, later

FIRST = "手机,家庭电话,客户编号,姓名,套餐\n13800138000,023-88886666,K1,李娜,59\n13900139001,,K2,王小明,99\n"
LEADS = (
    "SELECT string_agg(name, ',' ORDER BY id) AS names, count(*) AS leads FROM lead WHERE campaign_id = :id"
)


def come_in(
    campaign: Campaign, folder: Path, rows: str, name: str = "first", policy: Policy | None = None
) -> Result:
    file = folder / "list.csv"
    file.write_text(rows, "utf-8")
    return import_list(campaign.db, Request(str(file), name, campaign.id, policy=policy or Policy()), NOON)


def counts(result: Result) -> tuple[int, int, int]:
    assert result.rows == result.accepted + result.duplicates + result.rejected
    return result.accepted, result.duplicates, result.rejected


def test_the_same_file_twice_adds_nothing(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    assert counts(come_in(campaign, tmp_path, FIRST)) == (2, 0, 0)
    assert counts(come_in(campaign, tmp_path, FIRST)) == (0, 2, 0)
    assert tuple(campaign.one(LEADS, id=campaign.id)) == ("李娜,王小明", 2)


def test_a_household_shares_a_telephone_and_is_called_there_for_the_first_of_it(
    db: Engine, tmp_path: Path
) -> None:
    campaign = Campaign(db, leads=0)
    result = come_in(
        campaign, tmp_path, FIRST + "18612345678,023-88886666,K3,李雷,\n,023-88886666,K4,韩梅,\n"
    )
    assert counts(result) == (3, 1, 0)
    assert [numbers for _, name, numbers in result.leads if name == "李雷"] == [("+8618612345678",)]


def test_a_customer_is_known_by_id_when_asked_for(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, FIRST)
    other = "手机,客户编号\n18612345678,K1\n18612345679,K9\n18612345670,K9\n"
    assert counts(come_in(campaign, tmp_path, other, policy=Policy(by="customer"))) == (1, 2, 0)
    assert counts(come_in(campaign, tmp_path, other)) == (2, 1, 0)


def test_whoever_is_on_any_campaigns_list_is_known_when_asked_for(db: Engine, tmp_path: Path) -> None:
    spring, summer = Campaign(db, leads=0), Campaign(db, leads=0, name="summer")
    come_in(spring, tmp_path, FIRST)
    assert counts(come_in(summer, tmp_path, FIRST, policy=Policy(within="system"))) == (0, 2, 0)
    assert counts(come_in(summer, tmp_path, FIRST)) == (2, 0, 0)


def test_whom_the_archive_knows_is_a_duplicate(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    with db.begin() as connection:
        connection.execute(
            text("INSERT INTO archived_number VALUES ('+8613900139001', :id, NULL, 1, :at)"),
            {"id": campaign.id, "at": NOON},
        )
    assert counts(come_in(campaign, tmp_path, FIRST)) == (1, 1, 0)


def test_the_do_not_call_list_keeps_numbers_out(db: Engine, tmp_path: Path) -> None:
    campaign, dnc = Campaign(db, leads=0), DncStore(db)
    dnc.add("+8613800138000", COMPANY, NOON)
    dnc.add("+86139*", COMPANY, NOON)
    result = come_in(campaign, tmp_path, FIRST)
    assert counts(result) == (1, 0, 1)
    assert result.leads[0][2] == ("+862388886666",) and "do-not-call" in result.rejects[0][1].reason


def test_an_update_adds_what_the_row_says_and_undo_brings_back_what_was(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, FIRST)
    newer = "手机,备用电话,姓名,套餐,备注\n13800138000,18612345678,李娜娜,,VIP\n13800138009,,新人,,\n"
    result = come_in(campaign, tmp_path, newer, "second", Policy(on_duplicate=OnDuplicate.UPDATE))
    assert counts(result) == (1, 1, 0)
    changed = "SELECT name, attributes, list_id FROM lead WHERE customer_id = 'K1'"
    lead = campaign.one(changed)
    assert (lead.name, lead.list_id) == ("李娜娜", 2)  # Campaign has one of its own
    assert lead.attributes == {"客户编号": "K1", "套餐": "59", "备注": "VIP"}
    numbers = "SELECT array_agg(e164 ORDER BY ordinal) AS e164s FROM number WHERE lead_id = 1"
    assert campaign.one(numbers).e164s == ["+8613800138000", "+862388886666", "+8618612345678"]
    undone = undo(db, campaign.id, "second", later(hours=1))
    assert (undone.removed, undone.restored) == (1, 1)
    assert campaign.one(changed).name == "李娜" and len(campaign.one(numbers).e164s) == 2


def test_a_replaced_lead_is_called_again_in_the_new_list_and_its_attempts_count_on(
    db: Engine, tmp_path: Path
) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, "手机,姓名\n13800138000,李娜\n")
    [lead] = campaign.lease()
    campaign.dial([lead])
    campaign.record(AttemptEnded(at=NOON, call_id=lead.call_id, outcome="connected", final=True))
    assert campaign.lease(at=later(days=1)) == []
    policy = Policy(on_duplicate=OnDuplicate.REPLACE)
    assert counts(come_in(campaign, tmp_path, "手机,姓名\n13800138000,李\n", "again", policy)) == (0, 1, 0)
    [again] = campaign.lease(at=later(days=1))
    assert (again.name, again.attempts, again.lead_id) == (
        "李",
        1,
        lead.lead_id,
    ) and again.list_id != lead.list_id
    undone = undo(db, campaign.id, "again", later(days=1))
    assert (undone.removed, undone.closed, undone.restored) == (0, 0, 1)


@pytest.mark.parametrize("policy", [OnDuplicate.UPDATE, OnDuplicate.REPLACE])
def test_a_lead_keeps_the_zones_of_what_it_keeps(db: Engine, tmp_path: Path, policy: OnDuplicate) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, "手机,地址\n13800138000,新疆乌鲁木齐市天山区\n")
    come_in(campaign, tmp_path, "手机,备注\n13800138000,VIP\n", "second", Policy(on_duplicate=policy))
    zones = "SELECT zones FROM lead"
    assert campaign.one(zones).zones == ["Asia/Shanghai", "Asia/Urumqi"]
    assert campaign.lease(at=later(hours=-2, minutes=-55)) == []  # 09:05 in Shanghai, 07:05 in Urumqi
    assert len(campaign.lease()) == 1


@pytest.mark.parametrize("policy", [OnDuplicate.UPDATE, OnDuplicate.REPLACE])
def test_a_number_that_a_row_does_not_name_keeps_its_zone(
    db: Engine, tmp_path: Path, policy: OnDuplicate
) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, "mobile,home,name\n+12127365000,+18085311111,Ann\n")
    rows = "mobile,work,name\n+12127365000,+442079460000,Anne\n"
    come_in(campaign, tmp_path, rows, "second", Policy(on_duplicate=policy))
    assert campaign.one("SELECT zones FROM lead").zones == [
        "America/New_York", "Europe/London", "Pacific/Honolulu",
    ]  # fmt: skip
    known = campaign.one(
        "SELECT array_agg(zone) AS zones FROM campaign_zone WHERE campaign_id = :id", id=campaign.id
    )
    assert {"America/New_York", "Europe/London", "Pacific/Honolulu"} <= set(known.zones)


def test_a_lead_with_two_numbers_is_called_on_one_after_the_other(db: Engine, tmp_path: Path) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, "手机,家庭电话,姓名\n13800138000,023-88886666,李娜\n")
    called = []
    for day in range(2):
        [lead] = campaign.lease(at=later(days=day))
        assert campaign.dial([lead], later(days=day)) == [lead.call_id]
        [flight] = campaign.hopper.in_flight(later(days=day))
        assert flight.lead.number == lead.number
        called.append(lead.number)
        ended = AttemptEnded(
            at=later(days=day), call_id=lead.call_id, outcome="busy", retry_at=later(days=day, hours=1)
        )
        campaign.record(ended)
    assert called == ["+8613800138000", "+862388886666"]
    assert campaign.one("SELECT count(*) AS n FROM attempt").n == 2


def test_whom_several_campaigns_have_is_updated_in_this_one(db: Engine, tmp_path: Path) -> None:
    spring, summer = Campaign(db, leads=0), Campaign(db, leads=0, name="summer")
    for campaign in (spring, summer):
        come_in(campaign, tmp_path, FIRST)
    policy = Policy("customer", "system", OnDuplicate.UPDATE)
    assert counts(
        come_in(summer, tmp_path, "手机,客户编号,姓名\n18612345678,K1,李娜娜\n", "second", policy)
    ) == (0, 1, 0)
    names = "SELECT name FROM lead WHERE customer_id = 'K1' AND campaign_id = :id"
    assert [each.one(names, id=each.id).name for each in (spring, summer)] == ["李娜", "李娜娜"]


def test_what_an_earlier_import_changes_is_changed_before_what_a_later_one_does(
    db: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = Campaign(db, leads=0)
    come_in(campaign, tmp_path, FIRST)
    update = Policy(on_duplicate=OnDuplicate.UPDATE)

    def load(name: str) -> None:
        loading = Loading(db, campaign.id, name, "test", NOON, update)
        rows = [Row(1, ("+8613800138000",), name, {}, ("Asia/Shanghai",))]
        loading.load(rows, copy_lines(rows))
        loading.finish(0, NOON)

    with monkeypatch.context() as patched:
        patched.setattr(changing, "change_leads", lambda *_: None)  # it is still to come to that
        load("earlier")
    load("later")
    assert campaign.one("SELECT name FROM lead WHERE customer_id = 'K1'").name == "later"
    assert campaign.one("SELECT count(*) AS n FROM list WHERE finished_at IS NULL").n == 0


WAITS = """
SELECT count(*) AS n FROM pg_stat_activity
WHERE application_name = 'the second' AND xact_start < clock_timestamp() - interval '1 s'
"""


def test_an_import_waits_for_another_longer_than_a_statement_may_take(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    url = db.url.render_as_string(hide_password=False)
    hasty = database.connect(url, 2, "-c statement_timeout=500", "the second")
    rows = [Row(1, ("+8613800138000",), "", {}, ("Asia/Shanghai",))]
    first = Loading(db, campaign.id, "first", "test", NOON)
    with ThreadPoolExecutor(1) as thread:
        try:
            second = thread.submit(store_rows, hasty, campaign.id, "second", "test", NOON, rows)
            wait_for(lambda: second.done() or campaign.one(WAITS).n)
            assert not second.done()
            first.load(rows, copy_lines(rows))
            first.finish(0, NOON)
        finally:
            first.abandon()
        assert second.result().duplicates == 1
    hasty.dispose()
