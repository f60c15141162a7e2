"""What customers see of who calls: their own region's numbers, none too often, rested, and taken out when dead."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from campaigns.caller_ids.choosing import Used, choose, pools_of
from campaigns.caller_ids.watch import CallerIdWatch, UnknownCallerId
from campaigns.caller_ids.watching import FLAGGED_AT, REMEMBERED, Answers, added, look
from campaigns.config import CampaignConfig, ConfigError, parse
from campaigns.hopper import Hopper
from campaigns.records import AttemptEnded
from campaigns.values import Ask, Permit, Refusal, RefusalReason
from tests.campaigns.world import CONFIG, NOON, Campaign, later

SHANGHAI, BEIJING, OTHERS = (
    ("+862100000001", "+862100000002"),
    ("+861000000001",),
    ("+8640000001", "+8640000002"),
)
POOLS = f"""
caller_ids = {list(OTHERS)}
[[caller_id_pools]]
regions = ["CN-SH"]
prefixes = ["+8621"]
numbers = {list(SHANGHAI)}
[[caller_id_pools]]
regions = ["CN-BJ"]
numbers = {list(BEIJING)}
"""


def shown(config: CampaignConfig, calls: Sequence[tuple[str, str, datetime]]) -> list[str | datetime]:
    """What each call shows: calls are (region, customer's number, instant)."""
    pools, used = pools_of(config), {}
    for numbers in pools.named().values():
        used |= {number: Used(number) for number in numbers}
    return [
        choose(pools, pools.for_party(region, number), number, used, (), at) for region, number, at in calls
    ]


# --- choosing -------------------------------------------------------------------------------------------------


def test_the_address_chooses_the_pool_then_the_number_then_the_fallback() -> None:
    config = parse(CONFIG + POOLS, "test")
    calls = [("CN-BJ", "+862155555555", NOON), ("", "+862155555555", NOON), ("", "+8675555555555", NOON)]
    assert shown(config, calls) == [BEIJING[0], SHANGHAI[0], OTHERS[0]]


def test_the_longest_beginning_chooses() -> None:
    pools = '[[caller_id_pools]]\nprefixes = ["+1"]\nnumbers = ["+18005550100"]\n'
    pools += '[[caller_id_pools]]\nprefixes = ["+1312"]\nnumbers = ["+13125550100"]\n'
    config = parse(CONFIG + pools, "test")
    calls = [("US-IL", "+13125550199", NOON), ("", "+12125550199", NOON), ("", "+442071234567", NOON)]
    assert shown(config, calls) == ["+13125550100", "+18005550100", ""]


def test_without_any_number_the_switch_chooses() -> None:
    assert shown(parse(CONFIG, "test"), [("CN-SH", "+862155555555", NOON)]) == [""]


def test_use_is_even_within_a_batch_and_over_batches() -> None:
    config = parse(
        CONFIG + 'caller_ids = ["+861", "+862", "+863", "+864"]'.replace('"+86', '"+8610000'), "test"
    )
    calls = [("", "+8613800000000", NOON + timedelta(seconds=n // 10)) for n in range(70)]
    assert max(Counter(shown(config, calls)).values()) - min(Counter(shown(config, calls)).values()) <= 1


def test_a_customer_sees_the_same_number_and_few_see_another_when_the_pool_grows() -> None:
    numbers = [f"+86400000{n:04d}" for n in range(10)]
    sticky = "\n[caller_id]\nsticky = true\n"
    customers = [("", f"+86138{n:08d}", NOON) for n in range(2_000)]
    ten, nine = (parse(CONFIG + f"caller_ids = {some}" + sticky, "test") for some in (numbers, numbers[:9]))
    first = shown(ten, customers)
    assert first == shown(ten, customers[::-1])[::-1]
    assert all(120 < customers_of < 280 for customers_of in Counter(first).values())
    moved = sum(a != b for a, b in zip(first, shown(nine, customers), strict=True))
    assert moved == first.count(numbers[9])


def test_a_sticky_customer_waits_for_their_number_another_is_helped_out() -> None:
    limits = "\n[caller_id]\nper_hour = 1\nsticky = {}\n"
    call = ("CN-BJ", "+8613800000000", NOON)
    loose = shown(parse(CONFIG + POOLS + limits.format("false"), "test"), [call] * 4)
    assert loose == [BEIJING[0], *OTHERS, later(hours=1, minutes=5)]
    sticky = shown(parse(CONFIG + POOLS + limits.format("true"), "test"), [call] * 2)
    assert sticky == [BEIJING[0], later(hours=1, minutes=5)]


@settings(max_examples=150, deadline=None)
@given(
    per_hour=st.none() | st.integers(1, 6),
    per_day=st.none() | st.integers(1, 20),
    burst=st.none() | st.integers(1, 5),
    rest_s=st.integers(30, 4000),
    sticky=st.booleans(),
    steps=st.lists(
        st.tuples(st.integers(0, 2_000), st.sampled_from(["CN-SH", "CN-BJ", ""]), st.integers(0, 30)),
        min_size=1,
        max_size=150,
    ),
)
def test_no_number_passes_its_caps_or_misses_its_rest_or_calls_another_region(
    per_hour: int | None,
    per_day: int | None,
    burst: int | None,
    rest_s: int,
    sticky: bool,
    steps: list[tuple[int, str, int]],
) -> None:
    use = f"\n[caller_id]\nsticky = {str(sticky).lower()}\n"
    use += f"per_hour = {per_hour}\n" if per_hour is not None else ""
    use += f"per_day = {per_day}\n" if per_day is not None else ""
    use += f"burst = {burst}\nrest_s = {rest_s}.0\n" if burst is not None else ""
    config, at, calls = parse(CONFIG + POOLS + use, "test"), NOON, []
    for gap_s, region, customer in steps:
        at += timedelta(seconds=gap_s)
        calls.append((region, f"+86138{customer:08d}", at))
    made: dict[str, list[datetime]] = {}
    allowed = {"CN-SH": {*SHANGHAI, *OTHERS}, "CN-BJ": {*BEIJING, *OTHERS}, "": set(OTHERS)}
    own: dict[tuple[str, str], str] = {}
    for (region, customer, now), number in zip(calls, shown(config, calls), strict=True):
        if isinstance(number, datetime):
            assert number > now
            continue
        assert number in allowed[region]
        made.setdefault(number, []).append(now)
        if sticky:
            assert own.setdefault((region, customer), number) == number
    for times in made.values():
        for most, span_s in ((per_hour, 3600), (per_day, 86_400)):
            for begun, past in zip(times, times[most:] if most is not None else (), strict=False):
                assert (past - begun).total_seconds() >= span_s
        gaps = [(b - a).total_seconds() for a, b in pairwise(times)]
        for first in range(len(gaps) - burst + 1 if burst is not None else 0):
            assert max(gaps[first : first + (burst or 0)]) >= rest_s


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('caller_ids = ["x"]', "caller_ids[0]: 'x' is no telephone number"),
        (
            '[[caller_id_pools]]\nregions = ["CN-SH"]\nnumbers = []',
            "caller_id_pools[0].numbers: must name at least",
        ),
        ('[[caller_id_pools]]\nnumbers = ["10086"]', "caller_id_pools[0]: needs regions or prefixes"),
        (
            '[[caller_id_pools]]\nregions = ["SH"]\nnumbers = ["10086"]',
            "regions[0]: 'SH' must look like CN-SH",
        ),
        (
            '[[caller_id_pools]]\nprefixes = ["021"]\nnumbers = ["10086"]',
            "prefixes[0]: '021' must look like +8621",
        ),
        (
            'caller_ids = ["10086"]\n[[caller_id_pools]]\nprefixes = ["+86"]\nnumbers = ["10086"]',
            "caller_id_pools[0].numbers[0]: '10086' stands in caller_ids[0], too",
        ),
        (
            POOLS + '[[caller_id_pools]]\nregions = ["CN-BJ"]\nnumbers = ["10086"]',
            "caller_id_pools[2].regions[0]",
        ),
        ("[caller_id]\nper_hour = 0", "caller_id.per_hour: must be between 1 and"),
        ("[caller_id]\nburst = 5", "caller_id.burst: and rest_s need each other"),
        ("[caller_id]\nburst = 5\nrest_s = 0.0", "caller_id.rest_s: must be between 1 and"),
    ],
)
def test_what_makes_no_sense_is_refused(more: str, says: str) -> None:
    with pytest.raises(ConfigError) as fault:
        parse(CONFIG + more, "spring.toml")
    assert says in str(fault.value)


# --- in the database ------------------------------------------------------------------------------------------


def authorized(campaign: Campaign, hopper: Hopper, count: int, at: datetime = NOON) -> list[Permit | Refusal]:
    leads = hopper.lease(campaign.id, count, at)
    answers = hopper.authorize([Ask(lead.call_id, "main") for lead in leads], at)
    return [answers[lead.call_id] for lead in leads]


def test_a_cap_holds_over_engines_and_restarts_and_who_waits_comes_again(db: Engine) -> None:
    more = f"caller_ids = {list(OTHERS)}\n[caller_id]\nper_hour = 3\n"
    campaign = Campaign(db, leads=20, more=more)
    first = authorized(campaign, campaign.hopper, 4)
    assert [a.caller_id for a in first if isinstance(a, Permit)] == [*OTHERS, *OTHERS]
    second = authorized(campaign, Hopper(db, "engine-2"), 4)
    refused = [a for a in second if isinstance(a, Refusal)]
    assert sum(isinstance(a, Permit) for a in second) == 2
    assert {(a.reason, a.until) for a in refused} == {(RefusalReason.CALLER_ID, later(hours=1, minutes=5))}
    kept = "SELECT array_agg(DISTINCT caller_id ORDER BY caller_id) AS ids, count(*) AS calls FROM attempt"
    assert campaign.one(kept) == ([*OTHERS], 6)
    assert campaign.lease(20) == []  # there is no number for anyone
    assert all(
        isinstance(a, Permit)
        for a in authorized(campaign, Hopper(db, "engine-3"), 2, later(hours=1, minutes=5))
    )


def test_without_limits_nothing_is_counted_in_the_database(db: Engine) -> None:
    campaign = Campaign(db, leads=4, more=f"caller_ids = {list(OTHERS)}\n")
    assert len(authorized(campaign, campaign.hopper, 4)) == 4
    assert campaign.one("SELECT count(*) FROM caller_id_use")[0] == 0
    assert campaign.one("SELECT count(DISTINCT caller_id) FROM attempt")[0] == 2


def finish(campaign: Campaign, calls: Sequence[tuple[str, bool]]) -> None:
    """Calls that showed these numbers and are over, answered or not."""
    leads = campaign.lease(len(calls))
    campaign.dial(leads)
    ids = [lead.call_id for lead in leads]
    with campaign.db.begin() as connection:
        connection.execute(
            text("""
                UPDATE attempt a SET caller_id = v.number
                FROM unnest(CAST(:ids AS uuid[]), CAST(:numbers AS text[])) AS v (id, number) WHERE a.call_id = v.id
            """),
            {"ids": ids, "numbers": [number for number, _ in calls]},
        )
    outcomes = ["connected" if answered else "no_answer" for _, answered in calls]
    ended = [
        AttemptEnded(at=NOON, call_id=i, outcome=o, final=True) for i, o in zip(ids, outcomes, strict=True)
    ]
    campaign.record(*ended)
    campaign.record(*ended)  # told twice, it counts once


NUMBERS = [f"+86400000{n:04d}" for n in range(4)]
DEAD = NUMBERS[2]


def calls_of(random_: random.Random, count: int, dead: float) -> list[tuple[str, bool]]:
    each = [NUMBERS[n % len(NUMBERS)] for n in range(count)]
    return [(number, random_.random() < (dead if number == DEAD else 0.3)) for number in each]


@pytest.mark.parametrize("take_out", [False, True])
def test_a_number_that_dies_is_flagged_and_on_request_taken_out(db: Engine, take_out: bool) -> None:
    more = f"caller_ids = {NUMBERS}\n[caller_id]\ntake_out = {str(take_out).lower()}\n"
    campaign, watch, chance = Campaign(db, leads=2_000, more=more), CallerIdWatch(db), random.Random(7)
    finish(campaign, calls_of(chance, 600, 0.3))
    assert watch.look(NOON) == []
    finish(campaign, calls_of(chance, 600, 0.03))
    [flagged] = watch.look(later(minutes=1))
    assert (flagged.number, flagged.campaign, flagged.flagged_at) == (DEAD, "spring", later(minutes=1))
    assert flagged.pool_rate is not None and 0.25 < flagged.pool_rate < 0.35
    assert (flagged.out_at is not None) is take_out
    answers = authorized(campaign, Hopper(db, "engine-2"), 40)
    assert (DEAD in {a.caller_id for a in answers if isinstance(a, Permit)}) is not take_out
    assert watch.look(later(minutes=2)) == []  # it is told once
    watch.put_back(DEAD)
    [back] = [each for each in watch.report("spring") if each.number == DEAD]
    assert (back.flagged_at, back.out_at, back.evidence) == (None, None, 0.0)
    with pytest.raises(UnknownCallerId):
        watch.put_back(DEAD)


def test_what_no_person_could_answer_says_nothing_of_a_number(db: Engine) -> None:
    campaign = Campaign(db, leads=6, more=f"caller_ids = {NUMBERS[:1]}\n")
    leads = campaign.lease(6)
    campaign.dial(leads)
    outcomes = ["invalid", "congestion", "cancelled", "lost", "busy", "abandoned"]
    campaign.record(
        *(AttemptEnded(at=NOON, call_id=v.call_id, outcome=o) for v, o in zip(leads, outcomes, strict=True))
    )
    assert campaign.one("SELECT fresh_calls, fresh_answers FROM caller_id_answers") == (2, 1)


# --- watching -------------------------------------------------------------------------------------------------


def evidence_of(rates: Sequence[float], looks: int, calls: int, seed: int, swing: float = 0.0) -> list[float]:
    """The highest evidence against each of some numbers; with a swing the rate of all goes up and down by it."""
    chance, pool = random.Random(seed), [Answers(str(n)) for n in range(len(rates))]
    evidence, highest = [0.0] * len(rates), [0.0] * len(rates)
    for turn in range(looks):
        now = 1.0 + (swing if turn // 50 % 2 else -swing)
        fresh = [sum(chance.random() < rate * now for _ in range(calls)) for rate in rates]
        pool = [
            Answers(each.number, calls, answers, each.calls, each.answers)
            for each, answers in zip(pool, fresh, strict=True)
        ]
        pool, more = look(pool)
        evidence = [added(a, b) for a, b in zip(evidence, more, strict=True)]
        highest = [max(a, b) for a, b in zip(highest, evidence, strict=True)]
    return highest


def test_no_flag_while_all_are_answered_alike_whatever_the_hour_does_to_all() -> None:
    for seed in range(5):
        assert max(evidence_of([0.3] * 8, 500, 4, seed)) < FLAGGED_AT
        assert max(evidence_of([0.25] * 8, 500, 4, seed, swing=0.3)) < FLAGGED_AT


def test_a_collapse_is_found_in_some_hundred_calls() -> None:
    for seed in range(10):
        found = evidence_of([0.3] * 7 + [0.09], 60, 4, seed)
        assert found[-1] >= FLAGGED_AT and max(found[:-1]) < FLAGGED_AT


def test_one_number_alone_is_not_judged_and_a_pool_forgets() -> None:
    pool, evidence = look([Answers("1", 5_000, 0)])
    assert evidence == [0.0] and pool[0].calls == REMEMBERED
