"""When customers are best called: learned from finished calls, an order and no rule, measured beside chance."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, text

from campaigns.best_time.learning import Arm, Cell, Chances, Segment, pick, uplift
from campaigns.best_time.store import FRONT_RANK, BestTimeStore, local_hour
from campaigns.config import ConfigError, parse
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.records import AttemptEnded
from campaigns.store import NoSuchCampaign
from tests.campaigns.world import CONFIG, NOON, Campaign, later

MOBILE, HOME = Segment("mobile", 1, "CN-SH", "list"), Segment("home", 1, "CN-SH", "list")
ORDER = "[best_time]\norder = true\n"
Truth = Callable[[Segment, int], float]


# --- what is learned ------------------------------------------------------------------------------------------


def test_a_cell_with_few_calls_is_as_its_parents_are_and_with_many_as_itself() -> None:
    cells = [Cell(MOBILE, hour, 2_000, 200 + 40 * (hour % 10)) for hour in (10, 11, 12, 18)]
    few = Segment("mobile", 1, "CN-BJ", "list")
    chances = Chances([*cells, Cell(few, 18, 4, 4)])
    assert chances.mean(MOBILE, 10) == pytest.approx(0.10, abs=0.02)
    assert chances.mean(MOBILE, 18) == pytest.approx(0.26, abs=0.02)
    assert chances.mean(few, 18) < 0.35  # four answers of four calls are no proof
    assert chances.mean(Segment("work", 1, "CN-BJ", "new"), 18) == pytest.approx(0.26, abs=0.03)


def test_the_strength_of_a_parent_is_what_the_data_show() -> None:
    chance = np.random.default_rng(1)
    alike = [Cell(MOBILE, hour, 500, float(chance.binomial(500, 0.2))) for hour in range(9, 20)]
    apart = [
        Cell(MOBILE, hour, 500, float(chance.binomial(500, 0.05 * (1 + hour % 6)))) for hour in range(9, 20)
    ]
    assert Chances(alike)._strength[1] > 500 > 30 > Chances(apart)._strength[1]


def test_old_calls_fade() -> None:
    cell = Cell(MOBILE, 10, 80, 40, NOON).faded(NOON + timedelta(days=60))
    assert (cell.calls, cell.answers) == (pytest.approx(20), pytest.approx(10))


def test_the_interval_of_the_uplift() -> None:
    found = uplift(Arm(1_000, 300), Arm(1_000, 200))
    assert found is not None and found.uplift == pytest.approx(0.5)
    assert (found.low, found.high) == (pytest.approx(0.283, abs=0.01), pytest.approx(0.754, abs=0.01))
    assert uplift(Arm(10, 3), Arm(0, 0)) is None


def test_the_hour_is_that_of_the_called_party() -> None:
    assert local_hour("Asia/Shanghai", NOON) == (1, 12)
    assert local_hour("America/New_York", NOON) == (0, 23)
    assert local_hour("nowhere", NOON) == (1, 4)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("[best_time]\nrandom_share = 0.0", "best_time.random_share: must be between 0.01 and 0.9"),
        (ORDER + '[order]\nscore = "score"', "best_time.order: and order.score would both say"),
    ],
)
def test_what_makes_no_sense_is_refused(more: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse(CONFIG + more, "spring.toml")


# --- what the order gains -------------------------------------------------------------------------------------


def campaign_of(truth: Truth, seed: int, days: int = 5, each_hour: int = 300) -> tuple[Arm, Arm]:
    """A campaign of some days: a queue, its front chosen anew each hour as the store does. Ordered and random arms."""
    chance = np.random.default_rng(seed)
    segments = [Segment(kind, 0, region, "list") for kind in ("mobile", "home") for region in ("a", "b", "c")]
    queue = [(n, segments[int(chance.integers(6))], bool(chance.random() < 0.3)) for n in range(30_000)]
    cells: dict[tuple[Segment, int], list[float]] = {}
    arms = {False: [0.0, 0.0], True: [0.0, 0.0]}
    for _ in range(days):
        again = []
        for hour in range(9, 20):
            known = Chances(Cell(segment, at, n, a) for (segment, at), (n, a) in cells.items())
            head = {lead: (lead, segment, hour, at_random) for lead, segment, at_random in queue[:5_000]}
            front = set(pick(list(head.values()), known, each_hour, chance))
            called = [each for each in queue[:5_000] if each[0] in front]
            queue = [each for each in queue[:5_000] if each[0] not in front] + queue[5_000:]
            for each in called:
                _, segment, at_random = each
                answered = bool(chance.random() < truth(segment, hour))
                for counts in (cells.setdefault((segment, hour), [0.0, 0.0]), arms[at_random]):
                    counts[0] += 1
                    counts[1] += answered
                if not answered:
                    again.append(each)
        queue += again
    return Arm(*arms[False]), Arm(*arms[True])


def by_kind_and_hour(segment: Segment, hour: int) -> float:
    """Mobiles are answered in the evening, phones at home in the morning; one region more than another."""
    evening = (hour - 9) / 10
    share = 0.12 + 0.24 * (evening if segment.kind == "mobile" else 1 - evening)
    return share * {"a": 0.8, "b": 1.0, "c": 1.2}[segment.region]


def the_same_at_any_hour(segment: Segment, hour: int) -> float:
    return {"a": 0.15, "b": 0.25, "c": 0.35}[segment.region]


def together(truth: Truth) -> tuple[Arm, Arm]:
    runs = [campaign_of(truth, seed) for seed in range(3)]
    ordered, random = (Arm(*np.sum([run[arm] for run in runs], axis=0)) for arm in (0, 1))
    return ordered, random


def test_where_hours_differ_the_order_gets_more_answers_of_each_call() -> None:
    found = uplift(*together(by_kind_and_hour))
    assert found is not None and found.low > 0.10, found


def test_where_hours_do_not_differ_the_order_loses_nothing() -> None:
    ordered, random = together(the_same_at_any_hour)
    found = uplift(ordered, random)
    assert found is not None and found.low < 0.0 < found.high, found
    assert found.uplift > -0.04, found


def test_ordered_and_random_leads_are_called_at_one_pace() -> None:
    chance = np.random.default_rng(3)
    leads = [(n, MOBILE if n % 2 else HOME, 10, n % 5 == 0) for n in range(1_000)]
    front = pick(leads, Chances([]), 100, chance)
    assert len(front) == len(set(front)) == 100 and sum(n % 5 == 0 for n in front) == 20
    assert sorted(pick(leads[:7], Chances([]), 100, chance)) == list(range(7))


# --- in the database ------------------------------------------------------------------------------------------


def kinds(campaign: Campaign) -> None:
    """Every second lead has a mobile, the others a phone at home."""
    with campaign.db.begin() as connection:
        connection.execute(
            text("UPDATE number SET kind = CASE WHEN lead_id % 2 = 0 THEN 'mobile' ELSE 'home' END")
        )


def known(campaign: Campaign) -> None:
    """Weeks of calls: at noon phones at home are answered, in the evening mobiles."""
    with campaign.db.begin() as connection:
        for kind, hour, answers in (
            ("home", 12, 600),
            ("home", 18, 50),
            ("mobile", 12, 50),
            ("mobile", 18, 600),
        ):
            connection.execute(
                text("""
                    INSERT INTO best_time_cell
                    VALUES (:campaign, :kind, 1, 'Asia/Shanghai', 'list', :hour, 1000, :answers, :now)
                """),
                {"campaign": campaign.id, "kind": kind, "hour": hour, "answers": answers, "now": NOON},
            )


def test_whose_time_is_now_comes_first_and_all_others_after_them(db: Engine) -> None:
    campaign, store = Campaign(db, leads=1_200, more=ORDER), BestTimeStore(db, 5)
    kinds(campaign)
    known(campaign)
    noon = campaign.lease(1)  # in the hands of the engine while the front is chosen
    store.look(NOON)
    first = [lead.lead_id for lead in campaign.lease(400)]
    assert sum(lead % 2 for lead in first) / 400 > 0.9  # but for those that are called at random
    campaign.hopper.release([lead.call_id for lead in noon])
    rest = campaign.lease(1_200)
    assert len(rest) == 800 and campaign.lease(1) == []


def test_the_front_is_chosen_anew_for_the_hour_and_when_it_is_called(db: Engine) -> None:
    campaign, store = Campaign(db, leads=2_000, more=ORDER), BestTimeStore(db, 5)
    kinds(campaign)
    known(campaign)
    store.look(NOON)
    count = "SELECT count(*) AS all, count(*) FILTER (WHERE id % 2 = 0) AS mobiles FROM lead WHERE rank = -1"
    assert campaign.one(count).all == 500 and campaign.one(count).mobiles < 50
    campaign.lease(300)
    store.look(later(minutes=5))
    assert campaign.one(f"{count} AND lease IS NULL").all == 500
    store.look(later(hours=6))
    front = campaign.one(f"{count} AND lease IS NULL")
    assert front.all == 500 and front.mobiles > 450
    assert FRONT_RANK == -1


def test_the_front_is_of_leads_that_may_be_called_at_this_hour(db: Engine) -> None:
    campaign, store = Campaign(db, leads=0, more=ORDER), BestTimeStore(db, 5)
    zones = ["Europe/London"] * 1_500 + [
        "Asia/Shanghai"
    ] * 1_500  # at noon in Shanghai it is 4 o'clock in London
    rows = [Row(n + 2, (f"+86139{n:08d}",), "", {}, (zone,)) for n, zone in enumerate(zones)]
    store_rows(db, campaign.id, "list", "test", NOON, rows)
    store.look(NOON)
    front = "SELECT count(*), min(zones[1]), max(zones[1]) FROM lead WHERE rank = -1"
    assert campaign.one(front) == (500, "Asia/Shanghai", "Asia/Shanghai")


def test_without_order_nothing_is_touched_and_yet_it_learns(db: Engine) -> None:
    campaign, store = Campaign(db, leads=4), BestTimeStore(db, 5)
    leads = campaign.lease(4)
    campaign.dial(leads)
    outcomes = ["connected", "no_answer", "busy", "invalid"]
    ended = [
        AttemptEnded(at=NOON, call_id=v.call_id, outcome=o) for v, o in zip(leads, outcomes, strict=True)
    ]
    campaign.record(*ended)
    campaign.record(*ended)  # told twice, it counts once
    store.look(later(minutes=1))
    found = store.report("spring", later(minutes=1))
    [segment] = found.segments
    assert (segment.list_name, segment.region, segment.kind, segment.weekday) == (
        "list",
        "Asia/Shanghai",
        "phone",
        1,
    )
    assert segment.calls == pytest.approx(3) and [each.hour for each in segment.hours] == [12]
    assert campaign.one("SELECT count(*) FROM lead WHERE rank <> 0")[0] == 0
    assert found.uplift is None and found.ordered.calls == 0
    store.look(later(minutes=2))
    assert store.report("spring", later(minutes=2)).segments[0].calls == pytest.approx(3, rel=1e-3)
    with pytest.raises(NoSuchCampaign):
        store.report("winter", NOON)


def test_both_arms_are_counted_while_there_is_an_order(db: Engine) -> None:
    more = ORDER + "random_share = 0.5\n"
    campaign, store = Campaign(db, leads=200, more=more), BestTimeStore(db, 5)
    leads = campaign.lease(200)
    campaign.dial(leads)
    campaign.record(
        *(
            AttemptEnded(at=NOON, call_id=v.call_id, outcome="connected" if n % 4 == 0 else "busy")
            for n, v in enumerate(leads)
        )
    )
    store.look(later(minutes=1))
    found = store.report("spring", later(minutes=1))
    assert (
        found.ordered.calls + found.random.calls == 200 and found.ordered.answers + found.random.answers == 50
    )
    assert 70 <= found.random.calls <= 130
    assert found.uplift is not None and found.uplift.low < found.uplift.uplift < found.uplift.high
