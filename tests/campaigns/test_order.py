"""In which order leads are called: lists by priority and weight, leads by score, neighbours apart."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import ceil

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from campaigns.hopper import STANDING
from campaigns.lanes import LAST
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.order import GOLDEN, SHORT, ListOrder, Mixer, Order, spread, tiers
from campaigns.prepared import PLANNED
from tests.campaigns.world import NOON, Campaign, later

WEIGHTS = st.dictionaries(st.integers(1, 9), st.floats(0.1, 50.0), min_size=1, max_size=6)


def bring(campaign: Campaign, name: str, first: int, count: int, score: object = None) -> None:
    """Import more leads, as a list of that name."""
    rows = [
        Row(
            n + 2,
            (f"+86139{first + n:08d}",),
            f"{name} {n}",
            {} if score is None else {"score": score},
            ("Asia/Shanghai",),
        )
        for n in range(count)
    ]
    store_rows(campaign.db, campaign.id, name, "test", NOON, rows)


def lists_of(campaign: Campaign, limit: int) -> list[str]:
    return [lead.name.split()[0] for lead in campaign.lease(limit)]


@given(weights=WEIGHTS, limits=st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_over_any_leases_each_list_has_its_share_to_within_a_few_leads(
    weights: dict[int, float], limits: list[int]
) -> None:
    mixer, given_ = Mixer(), Counter[int]()
    for limit in limits:
        shares = mixer.shares(weights, limit)
        assert sum(shares.values()) == limit and min(shares.values()) >= 0
        given_.update(shares)
    total = sum(weights.values())
    for lane, weight in weights.items():
        assert abs(given_[lane] - sum(limits) * weight / total) <= len(weights) + 1


@given(count=st.integers(0, 3_000))
def test_rows_that_were_neighbours_are_put_apart_and_none_is_lost(count: int) -> None:
    order = spread(count)
    assert sorted(order) == list(range(count))
    if count >= SHORT:
        apart = min(abs(a - b) for a, b in pairwise(order))
        assert apart >= count * (1 - GOLDEN) / 2


@given(count=st.integers(SHORT, 3_000), start=st.floats(0, 0.9))
def test_a_range_of_numbers_is_called_evenly_over_the_list(count: int, start: float) -> None:
    block = range(int(count * start), int(count * start) + ceil(count / 10))
    tenth = ceil(count / 10)
    order = spread(count)
    for at in range(0, count, tenth):
        called = sum(row in block for row in order[at : at + tenth])
        assert called <= 0.25 * tenth + 2


def test_lists_come_by_priority_and_those_of_one_priority_by_weight() -> None:
    order = Order(lists=(ListOrder(name="vip", priority=9), ListOrder(name="old", weight=0.5)))
    assert tiers(order, {1: "new", 2: "old", 3: "vip"}) == [{3: 1.0}, {1: 1.0, 2: 0.5}]


def test_lists_are_mixed_by_weight_and_one_that_is_empty_leaves_its_share_to_others(db: Engine) -> None:
    campaign = Campaign(db, leads=0, more='[[order.lists]]\nname = "new"\nweight = 3.0\n')
    bring(campaign, "new", 0, 60)
    bring(campaign, "old", 1_000, 60)
    for _ in range(4):
        assert Counter(lists_of(campaign, 10)) in ({"new": 7, "old": 3}, {"new": 8, "old": 2})
    assert Counter(lists_of(campaign, 40)) == {"new": 30, "old": 10}
    assert set(lists_of(campaign, 10)) == {"old"}


def test_leads_of_two_lists_come_in_turn_and_not_one_list_after_the_other(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    bring(campaign, "a", 0, 20)
    bring(campaign, "b", 1_000, 20)
    came = lists_of(campaign, 20)
    assert all(set(came[at : at + 2]) == {"a", "b"} for at in range(0, 20, 2))


def test_a_list_of_higher_priority_comes_first_and_a_new_version_changes_that_at_once(db: Engine) -> None:
    vip = '[[order.lists]]\nname = "vip"\npriority = 1\n'
    campaign = Campaign(db, leads=0, more=vip)
    bring(campaign, "rest", 0, 10)
    bring(campaign, "vip", 1_000, 10)
    assert lists_of(campaign, 6) == ["vip"] * 6
    config = 'name = "spring"\nswitch = "main"\nrunning = true\n'
    campaign.store.apply(config + vip.replace("vip", "rest"), "test", "tester", NOON)
    assert lists_of(campaign, 12) == ["rest"] * 10 + ["vip"] * 2


def test_imports_of_one_name_are_one_list(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    for first in (0, 1_000):
        bring(campaign, "daily", first, 5)
    assert campaign.one("SELECT count(*), count(DISTINCT lane) FROM list WHERE name = 'daily'") == (2, 1)
    assert len(campaign.lease(10)) == 10


def test_a_campaign_that_has_had_all_lanes_takes_lists_on(db: Engine) -> None:
    """The lane of the list that came in longest ago, of those with nobody left to call, is the new one's."""
    vip = '[[order.lists]]\nname = "vip"\npriority = 1\n'
    campaign = Campaign(db, leads=1, more=vip)
    for at, name in enumerate(("one", "two"), 1):
        bring(campaign, name, 1_000 * at, 1)
    with db.begin() as connection:
        connection.execute(text("UPDATE list SET lane = :last WHERE name = 'two'"), {"last": LAST})
        connection.execute(
            text("UPDATE lead SET open = lane = 1, lane = CASE lane WHEN 3 THEN :last ELSE lane END"),
            {"last": LAST},
        )
    for at, name in enumerate(("vip", "one", "vip", "vip"), 3):
        bring(campaign, name, 1_000 * at, 1)
    with db.connect() as connection:
        rows = connection.execute(
            text("SELECT name, array_agg(lane ORDER BY id) AS lanes FROM list GROUP BY 1")
        )
        found = {row.name: row.lanes for row in rows}
    assert found == {"list": [1], "one": [2, LAST], "two": [LAST], "vip": [2, 2, 2]}
    assert lists_of(campaign, 3) == ["vip"] * 3
    assert sorted(lists_of(campaign, 9)) == ["one", "客户0"]


def test_a_lease_asks_for_no_lane_without_a_lead_to_call(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    for first in range(40):
        bring(campaign, f"day {first}", 1_000 * first, 1)
    with db.begin() as connection:
        connection.execute(text("UPDATE lead SET open = false WHERE lane NOT IN (7, 23, 41)"))
        connection.exec_driver_sql(PLANNED)
        found = STANDING.run(connection, campaign.id, NOON)[0][2]
        plan = (
            connection.exec_driver_sql(f"EXPLAIN EXECUTE standing ({campaign.id}, '{NOON}')").scalars().all()
        )
    assert found == [["41", "day 39"], ["23", "day 21"], ["7", "day 5"]]
    assert not [line for line in plan if "Seq Scan" in line or "Sort" in line]
    assert len(campaign.lease(9)) == 3


def test_the_higher_score_is_called_first_whatever_else_stands_there(db: Engine) -> None:
    campaign = Campaign(db, leads=0, more='[order]\nscore = "score"\n')
    told = {"none": None, "low": -3, "text": "12.4", "far": 1e9, "word": "high", "high": 40}
    for at, (name, score) in enumerate(told.items()):
        bring(campaign, "list", 1_000 * at, 1, score)
        with db.begin() as connection:
            connection.execute(
                text("UPDATE lead SET name = :name WHERE list_id = (SELECT max(id) FROM list)"),
                {"name": name},
            )
    assert lists_of(campaign, 6) == ["far", "high", "text", "none", "word", "low"]


def test_a_lead_that_waits_is_not_in_the_way_of_lower_ranks(db: Engine) -> None:
    campaign = Campaign(db, leads=2)
    first, second = campaign.lease(2)
    campaign.hopper.release([first.call_id], later(hours=1))
    campaign.hopper.release([second.call_id])
    with db.begin() as connection:
        connection.execute(text("UPDATE lead SET rank = -7 WHERE id = :lead"), {"lead": first.lead_id})
    assert [lead.lead_id for lead in campaign.lease(2)] == [second.lead_id]
    assert [lead.lead_id for lead in campaign.lease(2, later(hours=1))] == [first.lead_id]
