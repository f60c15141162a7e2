"""Scripts tried side by side: who gets which and keeps it, what is learned of them, and how they are compared."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import numpy as np
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from campaigns.config import CampaignConfig, ConfigError, parse
from campaigns.evaluation.arms import Counted, compare
from campaigns.evaluation.evaluating import evaluate
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.records import AttemptConnected, AttemptEnded, Dispositioned
from campaigns.trials.learning import LEAST, chances_of_best
from campaigns.trials.store import TURN, Bandits
from campaigns.values import Ask, Lead
from tests.campaigns.world import CONFIG, NOON, Campaign, later

ARMS = '[trial]\n[[trial.arms]]\ncode = "plain"\n[[trial.arms]]\ncode = "gift"\nshare = 3\n'
ASKS = 'text = {{ en = "?", zh = "?" }}\nask = "yes_no"\n'
SCRIPTS = (
    '[[script]]\ncode = "a"\n' + ASKS + "[trial]\n[[trial.arms]]\n" + 'code = "x"\n[[trial.arms]]\ncode = "y"\n'
    '[[trial.arms.script]]\ncode = "b"\n' + ASKS
).replace("{{", "{").replace("}}", "}")  # fmt: skip


def load(campaign: Campaign, count: int, since: int = 0, name: str = "list 2") -> None:
    rows = [
        Row(n + 2, (f"+86139{n:08d}",), "客户", {}, ("Asia/Shanghai",), customer_id=f"C{n}")
        for n in range(since, since + count)
    ]
    store_rows(campaign.db, campaign.id, name, "test", NOON, rows)


def dial(campaign: Campaign, leads: list[Lead]) -> None:
    campaign.hopper.authorize([Ask(lead.call_id, "main", lead.arm) for lead in leads], NOON)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('[trial]\n[[trial.arms]]\ncode = "x"\n', "trial.arms: must be 2 to 8"),
        ("[trial]\nbandit = true\n", "trial.bandit"),
        (ARMS.replace('"gift"', '"plain"'), "stands twice"),
        (ARMS.replace("share = 3", "share = 0"), "trial.arms[1].share"),
        (SCRIPTS.replace('ask = "yes_no"\n', 'ask = "odd"\n'), "ask: must be one of"),
        (SCRIPTS.replace('"b"\n', '"b"\nthen = "a"\n'), "trial.arms[1].script[0].then"),
        # A result that wants an answer must be had from every script, or its calls could not be ended.
        (SCRIPTS + '[[dispositions]]\ncode = "no"\nlabel = { en = "No", zh = "否" }\nrequired = ["a"]\n',
            "'a' is neither"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(written: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r".*") as fault:
        parse(CONFIG + written, "x")
    assert said in str(fault.value)


def test_a_customer_keeps_their_arm_and_each_call_says_it(db: Engine) -> None:
    campaign = Campaign(db, leads=0, more=ARMS)
    load(campaign, 400)
    leads = campaign.lease(400)
    arms = {lead.customer_id: lead.arm for lead in leads}
    share = Counter(arms.values())
    assert 60 <= share["plain"] <= 140 and share["plain"] + share["gift"] == 400
    dial(campaign, leads[:5])
    with db.connect() as connection:
        recorded = connection.execute(
            text("SELECT l.customer_id, a.arm FROM attempt a JOIN lead l ON l.id = a.lead_id")
        ).all()
    assert {row.customer_id: row.arm for row in recorded} == {
        lead.customer_id: lead.arm for lead in leads[:5]
    }
    flying = {each.lead.customer_id: each.lead.arm for each in campaign.hopper.in_flight(NOON)}
    assert flying == arms
    caller = campaign.hopper.who_called(campaign.id, leads[7].number, leads[7].call_id)
    assert caller is not None and caller.arm == leads[7].arm
    # Other shares are for whoever is new; whoever has an arm keeps it, unless it is tried no longer.
    campaign.hopper.release([lead.call_id for lead in leads[5:]])
    campaign.store.apply(CONFIG + ARMS.replace("share = 3", "share = 0.01"), "test", "tester", NOON)
    again = {lead.customer_id: lead.arm for lead in campaign.lease(50)}
    assert len(again) == 50 and all(arms[customer] == arm for customer, arm in again.items())
    campaign.store.apply(CONFIG + ARMS.replace('"gift"', '"bonus"'), "test", "tester", later(minutes=1))
    once_more = campaign.lease(50)
    assert {lead.arm for lead in once_more if arms[lead.customer_id] == "gift"} == {""}


def test_without_a_trial_nobody_is_of_an_arm(db: Engine) -> None:
    campaign = Campaign(db, leads=2)
    assert {lead.arm for lead in campaign.lease(2)} == {""}
    assert campaign.one("SELECT count(*) AS n FROM trial_member").n == 0


def test_a_bandit_learns_whom_to_give_what_and_the_evaluation_says_what_was_gained(db: Engine) -> None:
    campaign = Campaign(db, leads=0, more=ARMS.replace("[trial]", "[trial]\nbandit = true"))
    load(campaign, 200)
    leads = campaign.lease(200)
    dial(campaign, leads)
    for n, lead in enumerate(leads):
        code = "sold" if lead.arm == "gift" and n % 2 else "not_interested"
        campaign.record(
            AttemptConnected(at=NOON, call_id=lead.call_id, user_id=7),
            AttemptEnded(at=NOON, call_id=lead.call_id, outcome="connected", final=True, talk_s=60.0),
            Dispositioned(at=NOON, call_id=lead.call_id, user_id=7, code=code, final=True),
        )
    bandits = Bandits(db)
    assert bandits.look(later(hours=1)) == ["spring"]
    assert bandits.look(later(hours=1)) == []
    assert bandits.look(later(hours=1) + TURN) == ["spring"]
    load(campaign, 200, 200, "list 3")
    new = Counter(lead.arm for lead in campaign.lease(200))
    assert new["gift"] > 150 and new["plain"] > 0
    found = evaluate(db, "spring", later(days=-1), later(days=1), "arm")
    assert {row.key for row in found.rows} == {"plain", "gift"}
    plain, gift = found.arms
    assert (plain.arm, plain.converts, plain.gained) == ("plain", 0, None)
    assert plain.customers + gift.customers == 200 and gift.chance == pytest.approx(1 - LEAST, abs=0.01)
    assert gift.gained is not None and gift.gained.low > 0
    assert gift.rate is not None and gift.gained.low < 0.5 < gift.gained.high


def test_a_campaign_that_takes_too_long_keeps_no_other_from_learning(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("autumn", "spring"):
        Campaign(db, leads=0, name=name, more=ARMS.replace("[trial]", "[trial]\nbandit = true"))
    bandits, asked = Bandits(db), list[str]()

    def learn(campaign_id: int, config: CampaignConfig, now: datetime) -> None:
        asked.append(config.name)
        if config.name == "autumn":
            raise OperationalError("", {}, Exception("canceled"))

    monkeypatch.setattr(bandits, "_learn", learn)
    with pytest.raises(OperationalError):
        bandits.look(NOON)
    assert bandits.look(later(seconds=10)) == [] and sorted(asked) == ["autumn", "spring"]
    with pytest.raises(OperationalError):
        bandits.look(NOON + TURN)


def test_the_chances_are_those_of_being_the_best() -> None:
    alike = chances_of_best({"a": (100, 10), "b": (100, 10)})
    assert alike["a"] == pytest.approx(0.5, abs=0.03)
    sure = chances_of_best({"a": (1_000, 10), "b": (1_000, 100), "c": (1_000, 12)})
    assert sure == {"a": LEAST, "b": pytest.approx(1 - 2 * LEAST), "c": LEAST}
    assert sum(chances_of_best({"a": (0, 0), "b": (3, 1)}).values()) == pytest.approx(1.0)


def played(seed: int, truth: dict[str, float], bandit: bool, drift: float = 0.0) -> tuple[bool, bool]:
    """A campaign of 20 days, looked at every evening: whether the last arm's true gain was always within its interval,
    and whether a gain was ever called. With `drift` all customers convert the less the later they come."""
    random = np.random.default_rng(seed)
    counts: dict[tuple[str, float], Counted] = {}
    chances = dict.fromkeys(truth, 1 / len(truth))
    arms = list(truth)
    gain, within, called = truth[arms[-1]] - truth[arms[0]], True, False
    for day in range(20):
        gone = 1 - drift * day / 20
        came = random.multinomial(120, [chances[arm] for arm in arms])
        for arm, customers in zip(arms, came, strict=True):
            hits = int(random.binomial(customers, truth[arm] * gone))
            key = arm, chances[arm]
            was = counts.setdefault(key, Counted(arm, chances[arm], 0, 0))
            counts[key] = was._replace(customers=was.customers + int(customers), converts=was.converts + hits)
        gained = compare(arms, chances, list(counts.values()))[-1].gained
        if gained is not None:
            so_far = gain * (1 - drift * day / 40)  # of the customers up to this day
            within &= gained.low <= so_far <= gained.high
            called |= gained.low > 0
        if bandit:
            seen = dict.fromkeys(arms, (0, 0))
            for each in counts.values():
                customers, hits = seen[each.arm]
                seen[each.arm] = customers + each.customers, hits + each.converts
            chances = chances_of_best(seen)
    return within, called


@pytest.mark.parametrize(("bandit", "drift"), [(False, 0.0), (True, 0.8)])
def test_the_intervals_hold_at_every_look_whoever_sets_the_shares(bandit: bool, drift: float) -> None:
    effective = [played(seed, {"a": 0.10, "b": 0.10, "c": 0.16}, bandit, drift) for seed in range(200)]
    assert np.mean([within for within, _ in effective]) >= 0.95
    nothing = [played(seed, {"a": 0.10, "b": 0.10}, bandit, drift) for seed in range(200)]
    assert np.mean([called for _, called in nothing]) <= 0.05
    assert np.mean([within for within, _ in nothing]) >= 0.95


def test_a_great_gain_is_found() -> None:
    found = [
        played(seed, {"a": 0.05, "b": 0.20}, bandit)[1] for seed in range(20) for bandit in (False, True)
    ]
    assert all(found)


def test_one_arm_that_nobody_of_was_talked_to_has_no_gain() -> None:
    first, second = compare(["a", "b"], {"a": 0.5, "b": 0.5}, [Counted("a", 0.5, 10, 1)])
    assert (first.customers, second.gained, second.rate) == (10, None, None)


def test_a_few_talks_make_nobody_sure_however_they_went() -> None:
    counts = [Counted("a", 0.5, 18, 0), Counted("b", 0.5, 18, 18)]
    gained = compare(["a", "b"], {"a": 0.5, "b": 0.5}, counts)[1].gained
    assert gained is not None and gained.estimate == 1.0 and gained.low < 0.6
