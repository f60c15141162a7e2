"""From calls, dispositions and orders to what a campaign was worth, by hand and by machine the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from campaigns.evaluation.arms import Counted
from campaigns.evaluation.calls import asked_of
from campaigns.evaluation.evaluating import CALLS, CanNotEvaluate, evaluate
from campaigns.evaluation.purchases import NoResults, Purchase, bring_in, from_csv
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.partitions import make_partition
from campaigns.people import People
from campaigns.plans.store import SEEN
from campaigns.records import AttemptConnected, AttemptEnded, Dispositioned
from campaigns.segments.store import SegmentStore
from campaigns.segments.taking import Wish, take
from campaigns.store import NoSuchCampaign
from campaigns.trials.store import COUNTED, counted
from campaigns.units import Units
from tests.campaigns.history.past import MONTHS, Past
from tests.campaigns.world import NOON, Campaign, later

WORTH = "[worth]\nconversion = 10.0\nseat_hour = 60.0\ncall = 0.1\ndays = 10\n"
SINCE, UNTIL = later(days=-1), later(days=20)


def root(db: Engine) -> int:
    with db.connect() as connection:
        return connection.execute(text("SELECT id FROM unit WHERE parent_id IS NULL")).scalar_one()


def bought(db: Engine, *rows: tuple[str, Any, float], unit: int | None = None) -> Any:
    made = (
        Purchase(customer, at if isinstance(at, str) else at.isoformat(), amount)
        for customer, at, amount in rows
    )
    return bring_in(db, unit if unit is not None else root(db), made, "Asia/Shanghai", "test")


@pytest.fixture
def spring(db: Engine) -> Iterator[Campaign]:
    """Four customers on two lists; two were talked to, one said that they bought, and one was not reached."""
    campaign = Campaign(db, leads=0, more=WORTH)
    li = People(db).add("", "li", "李", "agent", "")
    for name, ids in (("vip", (1, 2)), ("others", (3, 4))):
        rows = [
            Row(n, (f"+861390000000{n}",), "客户", {}, ("Asia/Shanghai",), customer_id=f"C{n}") for n in ids
        ]
        store_rows(db, campaign.id, name, "test", NOON, rows)
    leads = {lead.customer_id: lead for lead in campaign.lease(4)}
    assert len(campaign.dial(list(leads.values()))) == 4
    for customer, code in (("C1", "sold"), ("C2", "not_interested"), ("C3", "interested")):
        call = leads[customer].call_id
        campaign.record(
            AttemptConnected(at=NOON, call_id=call, user_id=li),
            AttemptEnded(at=NOON, call_id=call, outcome="connected", final=True, talk_s=60.0),
            Dispositioned(at=NOON, call_id=call, user_id=li, code=code, final=True),
        )
    campaign.record(AttemptEnded(at=NOON, call_id=leads["C4"].call_id, outcome="no_answer", final=True))
    with db.begin() as connection:
        connection.execute(
            text("INSERT INTO rollup_seat VALUES (:at, :campaign, :user, 'talking', '', 3, 7200000)"),
            {"at": NOON, "campaign": campaign.id, "user": li},
        )
    yield campaign


def test_a_talk_converts_by_its_disposition_or_by_an_order_in_time(db: Engine, spring: Campaign) -> None:
    bought(
        db,
        ("C2", later(days=3), 100.0),
        ("C2", later(days=4), 20.0),
        ("C3", later(days=11), 500.0),  # too late
        ("C1", NOON - timedelta(hours=1), 70.0),  # before the call
        ("C4", later(days=1), 30.0),  # nobody talked to them
    )
    found = evaluate(db, "spring", SINCE, UNTIL, "list")
    whole = found.whole
    assert (whole.calls, whole.contacts, whole.conversions, whole.revenue) == (4, 3, 2, 130.0)
    assert (whole.seat_hours, whole.cost) == (2.0, pytest.approx(120.4))
    assert (whole.cost_per_contact, whole.revenue_per_seat_hour) == (pytest.approx(120.4 / 3), 65.0)
    assert whole.rate is not None and whole.rate.estimate == pytest.approx(2 / 3)
    assert whole.next_hundred is not None
    assert whole.next_hundred.estimate == pytest.approx(100 * (130.0 - 120.4) / 4)
    rows = {row.key: (row.calls, row.contacts, row.conversions, row.revenue) for row in found.rows}
    assert rows == {"vip": (2, 2, 2, 130.0), "others": (2, 1, 0, 0.0)}
    assert sum(row.cost for row in found.rows) == pytest.approx(whole.cost)


def test_a_return_lowers_the_revenue_and_is_no_order(db: Engine, spring: Campaign) -> None:
    bought(
        db,
        ("C1", later(days=1), -4.0),  # said that they bought
        ("C2", later(days=1), 100.0),
        ("C2", later(days=2), -100.0),  # all of it
        ("C3", later(days=1), -70.0),  # what they had bought before
    )
    whole = evaluate(db, "spring", SINCE, UNTIL, "list").whole
    assert (whole.conversions, whole.revenue) == (2, 10.0 - 4.0 - 70.0)
    with db.begin() as connection:
        connection.execute(text("UPDATE attempt SET arm = 'plain'"))
        connection.execute(
            text(
                "INSERT INTO trial_member (campaign_id, party, arm, chance, at) "
                "SELECT campaign_id, 'customer ' || customer_id, 'plain', 1, :at FROM lead"
            ),
            {"at": NOON},
        )
        asked = spring.id, spring.applied.config, SINCE, UNTIL
        assert counted(connection, *asked) == [Counted("plain", 1.0, 3, 2)]
        assert connection.execute(SEEN, asked_of(connection, *asked)).one().converted == 2
    for words, customers in (("orders >= 1", 1), ("orders = 0 and revenue < 0", 2)):
        assert SegmentStore(db).count(words, root(db), later(days=3)).customers == customers, words


def test_an_order_belongs_to_one_talk_of_a_customer_with_two_leads(db: Engine) -> None:
    campaign = Campaign(db, leads=0, more=WORTH)
    for name, n in (("mobile", 1), ("home", 2)):
        rows = [Row(1, (f"+861390000000{n}",), "客户", {}, ("Asia/Shanghai",), customer_id="C1")]
        store_rows(db, campaign.id, name, "test", NOON, rows)
    for day in (0, 1):
        [lead] = campaign.lease(1, later(days=day))
        assert campaign.dial([lead], later(days=day))
        campaign.record(
            AttemptConnected(at=later(days=day), call_id=lead.call_id, user_id=7),
            AttemptEnded(at=later(days=day), call_id=lead.call_id, outcome="connected", final=True),
        )
    bought(db, ("C1", later(days=2), 100.0))
    found = evaluate(db, "spring", SINCE, UNTIL, "list")
    assert (found.whole.contacts, found.whole.conversions, found.whole.revenue) == (2, 1, 100.0)
    assert sorted(row.revenue for row in found.rows) == [0.0, 100.0]
    bought(db, ("C1", later(hours=2), 5.0))
    found = evaluate(db, "spring", SINCE, UNTIL, "list")
    assert (found.whole.conversions, sorted(row.revenue for row in found.rows)) == (2, [5.0, 100.0])


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("campaign", set()),
        ("segment", {""}),
        ("script", {"1"}),
        ("caller_id", {""}),
        ("agent", {"李 (li)", ""}),
        ("hour", {"12"}),
    ],
)
def test_however_it_is_split_the_parts_make_the_whole(
    db: Engine, spring: Campaign, by: str, keys: set[str]
) -> None:
    bought(db, ("C2", later(days=3), 100.0))
    found = evaluate(db, "spring", SINCE, UNTIL, by)
    assert {row.key for row in found.rows} == keys
    if keys:
        for name in ("calls", "contacts", "conversions", "revenue"):
            assert sum(getattr(row, name) for row in found.rows) == getattr(found.whole, name)


def test_agents_of_the_same_name_are_two(db: Engine, spring: Campaign) -> None:
    other = People(db).add("", "li2", "李", "agent", "")
    with db.begin() as connection:
        connection.execute(
            text(
                "UPDATE attempt SET user_id = :user WHERE lead_id IN (SELECT id FROM lead WHERE customer_id = 'C3')"
            ),
            {"user": other},
        )
        connection.execute(
            text("INSERT INTO rollup_seat VALUES (:at, :campaign, :user, 'talking', '', 3, 3600000)"),
            {"at": NOON, "campaign": spring.id, "user": other},
        )
    found = evaluate(db, "spring", SINCE, UNTIL, "agent")
    rows = {row.key: (row.contacts, row.seat_hours) for row in found.rows}
    assert rows == {"李 (li)": (2, 2.0), "李 (li2)": (1, 1.0), "": (0, 0.0)}


def test_who_was_erased_was_called_in_an_hour_of_utc(db: Engine, spring: Campaign) -> None:
    with db.begin() as connection:
        connection.execute(text("UPDATE lead SET zones = '{}', customer_id = NULL WHERE customer_id = 'C2'"))
    found = evaluate(db, "spring", SINCE, UNTIL, "hour")
    assert [(row.key, row.calls, row.contacts) for row in found.rows] == [("04", 1, 1), ("12", 3, 2)]


def test_the_seats_time_is_that_of_the_months_whose_calls_are_there(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    with db.begin() as connection:
        for month in MONTHS:
            at = datetime(month.year, month.month, 9, tzinfo=UTC)
            connection.execute(
                text("INSERT INTO rollup_seat VALUES (:at, :campaign, 7, 'talking', '', 1, 3600000)"),
                {"at": at, "campaign": past.campaign},
            )
    asked = "spring", datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC), "list"
    before = evaluate(db, *asked).whole
    assert (before.calls, before.seat_hours) == (180, 3.0)
    past.run()
    after = evaluate(db, *asked).whole
    assert (after.calls, after.seat_hours) == (60, 1.0)


def test_orders_of_other_units_customers_are_not_ours(db: Engine) -> None:
    Units(db).add("east")
    Units(db).add("west")
    with db.connect() as connection:
        units = {r.name: r.id for r in connection.execute(text("SELECT name, id FROM unit"))}
    campaign = Campaign(db, leads=0, more='unit = "east"\n')
    rows = [Row(1, ("+8613900000001",), "客户", {}, ("Asia/Shanghai",), customer_id="C1")]
    store_rows(db, campaign.id, "all", "test", NOON, rows)
    [lead] = campaign.lease()
    campaign.dial([lead])
    campaign.record(AttemptConnected(at=NOON, call_id=lead.call_id, user_id=7))
    for n, (unit, revenue) in enumerate((("west", 0.0), ("east", 5.0), ("", 10.0))):
        bought(db, ("C1", later(days=1, minutes=n), 5.0), unit=units[unit])
        assert evaluate(db, "spring", SINCE, UNTIL, "list").whole.revenue == revenue


def test_what_was_gained_is_told_by_those_held_out(db: Engine) -> None:
    pool, spring = Campaign(db, leads=0, name="pool"), Campaign(db, leads=0, more=WORTH)
    rows = [
        Row(n, (f"+8613900{n:06d}",), "客户", {}, ("Asia/Shanghai",), customer_id=f"C{n}") for n in range(400)
    ]
    store_rows(db, pool.id, "all", "test", NOON, rows)
    SegmentStore(db).save("all", "", "", "li", NOON)
    taken = take(db, Wish("all", "spring", "w", hold_out=0.5, rest_days=0), "li", NOON)
    with db.connect() as connection:
        members = connection.execute(
            text("SELECT substr(party, 10) AS customer, held_out FROM segment_member")
        ).all()
    called = [m.customer for m in members if not m.held_out]
    held = [m.customer for m in members if m.held_out]
    orders = [(c, later(days=2), 50.0) for c in [*called[:60], *held[:20]]]
    more = (
        (called[70], later(days=11), 50.0),
        (called[0], later(days=3), 10.0),
        (called[71], later(days=3), -30.0),
    )
    bought(db, *orders, *more)
    [gain] = evaluate(db, "spring", SINCE, UNTIL, "list").gains
    assert (gain.segment, gain.called, gain.held_out) == ("all", taken.called, taken.held_out)
    assert (gain.called_buyers, gain.held_out_buyers) == (60, 20)
    assert gain.buyers_gained is not None and gain.looked is not None and gain.revenue_gained is not None
    assert gain.buyers_gained.estimate == pytest.approx(60 / len(called) - 20 / len(held))
    assert gain.buyers_gained.low > 0 and gain.looked.low < gain.buyers_gained.low
    assert gain.revenue_gained.estimate == pytest.approx(2980 / len(called) - 1000 / len(held))
    assert spring.lease(1)


def test_each_take_is_compared_with_its_own_held_out(db: Engine) -> None:
    """The same share buys of those called and of those held out, but not of each take; and most were held out of the
    first one."""
    pool, _ = Campaign(db, leads=0, name="pool"), Campaign(db, leads=0, more=WORTH)
    rows = [
        Row(n, (f"+8613900{n:06d}",), "客户", {"n": n}, ("Asia/Shanghai",), customer_id=f"C{n}")
        for n in range(600)
    ]
    store_rows(db, pool.id, "all", "test", NOON, rows)
    for take_no, (words, share) in enumerate((("n < 200", 0.5), ("n < 400", 0.1), ("", 0.0))):
        SegmentStore(db).save("all", words, "", "li", NOON)
        wish = Wish("all", "spring", f"w{take_no}", hold_out=share, rest_days=0)
        take(db, wish, "li", later(minutes=take_no))
    with db.connect() as connection:
        members = connection.execute(
            text(
                "SELECT t.list_name, m.held_out, array_agg(substr(m.party, 10)) AS customers FROM segment_member m "
                "JOIN segment_take t ON t.id = m.take_id GROUP BY 1, 2"
            )
        ).all()
    arms = {(m.list_name, m.held_out): m.customers for m in members}
    buys = {"w0": 0.4, "w1": 0.0, "w2": 1.0}
    for (name, _), customers in arms.items():
        buyers = customers[: round(buys[name] * len(customers))]
        bought(db, *((customer, later(days=2), 50.0) for customer in buyers))
    [gain] = evaluate(db, "spring", SINCE, UNTIL, "list").gains
    # Nobody was held out of the third one.
    assert gain.called == len(arms["w0", False]) + len(arms["w1", False])
    assert gain.held_out == len(arms["w0", True]) + len(arms["w1", True])
    for gained, unit in ((gain.buyers_gained, 1), (gain.looked, 1), (gain.revenue_gained, 50.0)):
        assert gained is not None and abs(gained.estimate) < 0.01 * unit and gained.low < 0 < gained.high


def test_each_order_comes_in_once_and_a_bad_row_says_why(db: Engine, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    head = "客户编号,成交日期,金额,订单号\n"
    rows = (
        'C1,2026-11-24,"1,234.50",A1\n',
        "C1,2026/11/25 10:00,5,\n",
        "C1,2026/11/25 10:00,5,\n",
        "C2,yesterday,1,A3\n",
        ",2026-11-24,1,A4\n",
        "C3,2026-11-24,x,A5\n",
    )
    file.write_bytes((head + "".join(rows)).encode("gb18030"))
    first = bring_in(db, root(db), from_csv(file), "Asia/Shanghai", "orders.csv")
    assert (first.accepted, first.known, first.rejected) == (3, 0, 3)
    assert [(each.row, each.reason.split()[0]) for each in first.rejects] == [
        (4, "'yesterday'"),
        (5, "there"),
        (6, "the"),
    ]
    again = bring_in(db, root(db), from_csv(file), "Asia/Shanghai", "orders.csv")
    assert (again.accepted, again.known) == (0, 3)
    with db.connect() as connection:
        found = connection.execute(text("SELECT at, amount FROM purchase WHERE reference = 'A1'")).one()
    assert found.at.isoformat() == "2026-11-24T15:59:59+00:00" and float(found.amount) == 1234.5
    for content in ("name,phone\nx,1\n", "", "\x00\x01"):
        file.write_text(content)
        with pytest.raises(NoResults):
            bring_in(db, root(db), from_csv(file), "Asia/Shanghai", "x")
    file.write_text("customer_id;date;amount\nC9;2026-11-24;7\n")
    assert bring_in(db, root(db), from_csv(file), "UTC", "x").accepted == 1
    with pytest.raises(NoResults, match="time zone"):
        bring_in(db, root(db), (), "Mars/Base", "x")


def test_amounts_and_times_are_read_as_spreadsheets_write_them_or_not_at_all(db: Engine) -> None:
    amounts = {"1,234.50": 1234.5, "￥ 1,234,567": 1234567.0, "-1,000": -1000.0, "12,50": None, "1.234,50": None,
               "1,23": None}  # fmt: skip
    rows = [Purchase("A", "2026-01-05", amount, f"A{n}") for n, amount in enumerate(amounts)]
    found = bring_in(db, root(db), rows, "UTC", "x")
    assert (found.accepted, found.rejected) == (3, 3)
    assert all(each.reason.endswith("is no number, such as 1234.50 or 1,234.50") for each in found.rejects)
    times = {"2026/1/5 9:30": "09:30:00", "2026-1-5 9:30:15": "09:30:15", "2026/01/05T09:30": "09:30:00",
             "2026年1月5日 9:30": "09:30:00", "2026-1-5": "23:59:59", "2026/1/5 0:00": "23:59:59"}  # fmt: skip
    rows = [Purchase("T", at, 1, f"T{n}") for n, at in enumerate(times)]
    assert bring_in(db, root(db), rows, "UTC", "x").rejects == ()
    with db.connect() as connection:
        order = "SELECT {} FROM purchase WHERE customer_id = '{}' ORDER BY reference"
        read = connection.execute(text(order.format("amount", "A"))).scalars().all()
        assert [float(each) for each in read] == [each for each in amounts.values() if each is not None]
        at = connection.execute(text(order.format("at AT TIME ZONE 'UTC'", "T"))).scalars().all()
        assert [each.isoformat() for each in at] == [f"2026-01-05T{each}" for each in times.values()]


@pytest.mark.parametrize("row", [
    Purchase("C" * 201, "2026-01-01", 1), Purchase("C\n1", "2026-01-01", 1), Purchase("C1", "0001-01-01", 1),
    Purchase("C1", "2026-01-01", "NaN"), Purchase("C1", "2026-01-01", 1e15), Purchase("C1", "2026-13-01", 1),
])  # fmt: skip
def test_a_hostile_row_is_rejected(db: Engine, row: Purchase) -> None:
    found = bring_in(db, root(db), [row], "UTC", "x")
    assert (found.accepted, found.rejected) == (0, 1)


def test_a_question_of_a_week_looks_at_no_earlier_month(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    since, until = datetime(2026, 8, 10, tzinfo=UTC), datetime(2026, 8, 17, tzinfo=UTC)
    calls = text(CALLS.format(key="''", joined=""))
    with db.begin() as connection:
        for month in MONTHS:
            for table in ("attempt", "disposition"):
                make_partition(connection, table, month)
        values = asked_of(connection, campaign.id, campaign.applied.config, since, until) | {
            "conversion": 1.0
        }
        for asked in (calls, SEEN, COUNTED):
            plan = "\n".join(connection.execute(text(f"EXPLAIN {asked.text}"), values).scalars())
            found = set(re.findall(r" on (attempt|disposition)_(\d{4}_\d\d)", plan))
            assert min(month for _, month in found) == "2026_08", plan
            assert {month for table, month in found if table == "disposition"} == {"2026_08"}, plan


def test_what_makes_no_sense_is_refused(db: Engine) -> None:
    Campaign(db, leads=1)
    for fault, values in (
        (CanNotEvaluate, ("spring", SINCE, UNTIL, "weather")),
        (CanNotEvaluate, ("spring", UNTIL, SINCE, "list")),
        (CanNotEvaluate, ("spring", later(days=-500), UNTIL, "list")),
        (NoSuchCampaign, ("autumn", SINCE, UNTIL, "list")),
    ):
        with pytest.raises(fault):
            evaluate(db, *values)
    assert evaluate(db, "spring", SINCE, UNTIL, "list").whole.calls == 0
