"""Calls that are announced: the customer is told first, the call comes so long after it, and none waits for good."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from campaigns.config import ConfigError, parse
from campaigns.dnc import DncStore, Layer
from campaigns.lists.copying import copy_lines
from campaigns.lists.loading import Loading, OnDuplicate, Policy
from campaigns.lists.rows import Row
from campaigns.lists.undoing import undo
from campaigns.messages.announcing import CHUNK, GIVE_UP, Announcer
from campaigns.messages.choices import ChoiceStore
from campaigns.records import AttemptEnded
from campaigns.why import Explainer
from tests.campaigns.messages.world import Writing
from tests.campaigns.world import CONFIG, NOON, later

DAY_S = 86_400
ANNOUNCED = f"""
[[messages.steps]]
code = "announced"
channel = "sms"
before_call_s = {DAY_S}
ahead = 100
text = {{ zh = "{{name}}您好，明天我们将致电给您。拒收请回复R", en = "{{name}}, we will call you tomorrow" }}
"""
TOMORROW = later(days=1)


class Announcing(Writing):
    """A campaign that announces its calls, and who looks after them."""

    def __init__(self, db: Engine, steps: str = ANNOUNCED, customers: int = 3) -> None:
        super().__init__(db, steps, customers)
        self.announcer = Announcer(db)

    def announce(self, at: datetime = NOON) -> list[str]:
        """Tell whom it is their turn; to whom messages went."""
        self.announcer.look(at)
        letters = self.claim(at)
        assert all(self.outbox.sent(each, at) for each in letters)
        self.announcer.look(at)
        return sorted(each.address for each in letters)

    def leads(self, at: datetime) -> int:
        """How many would be called."""
        leads = self.campaign.lease(1_000, at)
        self.campaign.hopper.release([each.call_id for each in leads])
        return len(leads)


def test_a_call_comes_a_day_after_it_was_announced_and_not_earlier(db: Engine) -> None:
    world = Announcing(db)
    assert world.leads(NOON) == 0
    assert len(world.announce()) == 3 and world.announce() == []
    assert world.leads(TOMORROW - timedelta(seconds=1)) == 0
    calls = world.calls(at=TOMORROW)
    assert len(calls) == 3 and world.announce(TOMORROW) == []
    assert {row.call_id.hex for row in world.rows()} == {call.call_id for call in calls}
    again = later(days=1, hours=1)
    assert world.leads(again) == 3  # a second call is not announced


def test_only_so_many_are_told_as_may_be_ahead_of_their_calls(db: Engine) -> None:
    world = Announcing(db, ANNOUNCED.replace("ahead = 100", "ahead = 2"), customers=5)
    assert len(world.announce()) == 2 and world.announce(later(hours=1)) == []
    assert len(world.calls(at=TOMORROW)) == 2
    assert len(world.announce(TOMORROW)) == 2


def test_whoever_is_not_told_is_called_without(db: Engine) -> None:
    world = Announcing(db, '[messages]\nconsent = ["sms"]\n' + ANNOUNCED, customers=2)
    ChoiceStore(db).say("sms", "+8613800000001", True, "form 7", NOON)
    assert world.announce() == ["+8613800000001"]
    assert sorted(world.states()) == [("not_sent", "consent"), ("sent", "")]
    [lead] = world.campaign.lease(10, NOON)
    assert lead.number == "+8613800000000"


def test_what_no_gateway_takes_is_given_up_after_a_day(db: Engine) -> None:
    world = Announcing(db, customers=1)
    world.announcer.look(NOON)  # and nobody has the channel
    early = NOON + GIVE_UP - timedelta(seconds=1)
    world.announcer.look(early)
    assert world.leads(early) == 0
    world.announcer.look(NOON + GIVE_UP)
    assert world.states() == [("not_sent", "given_up")] and world.leads(NOON + GIVE_UP) == 1


def test_what_is_refused_for_good_is_given_up_at_once(db: Engine) -> None:
    world = Announcing(db, customers=1)
    world.announcer.look(NOON)
    [letter] = world.claim(NOON)
    assert world.outbox.failed(letter, NOON, "550 unknown", for_good=True)
    world.announcer.look(NOON)
    assert world.leads(NOON) == 1


def test_who_may_not_be_called_is_told_nothing(db: Engine) -> None:
    world = Announcing(db, customers=2)
    DncStore(db).add("+8613800000000", Layer("company", "letter"), NOON)
    assert world.announce() == ["+8613800000001"]
    world.announce(TOMORROW)
    assert world.leads(TOMORROW) == 1


def test_nothing_is_announced_at_night_or_while_the_campaign_is_paused(db: Engine) -> None:
    world = Announcing(db, customers=1)
    assert world.announce(later(hours=9)) == []  # nine in the evening in Shanghai
    world.campaign.store.apply(
        CONFIG.replace("running = true", "running = false") + ANNOUNCED, "test", "tester", NOON
    )
    assert world.announce() == [] and world.rows() == []


def test_the_held_out_are_called_as_late_as_those_who_are_told(db: Engine) -> None:
    world = Announcing(db, ANNOUNCED + "hold_out = 0.5\n", customers=20)
    told = world.announce()
    assert 0 < len(told) < 20
    assert world.leads(TOMORROW - timedelta(seconds=1)) == 0 and world.leads(TOMORROW) == 20


def test_a_campaign_that_announces_no_more_lets_all_go(db: Engine) -> None:
    world = Announcing(db, customers=4)
    world.campaign.store.apply(CONFIG, "test", "tester", NOON)
    assert world.leads(NOON) == 0
    world.announcer.look(NOON)
    assert world.leads(NOON) == 4 < CHUNK


def test_one_who_is_called_by_hand_first_is_told_of_no_call(db: Engine) -> None:
    world = Announcing(db, customers=1)
    world.announcer.look(NOON)
    with db.begin() as connection:
        connection.execute(text("UPDATE lead SET last_call = gen_random_uuid()"))
    assert not world.claim(NOON)
    assert world.states() == [("not_sent", "called")]


def test_a_list_that_is_taken_back_tells_nobody(db: Engine) -> None:
    world = Announcing(db, customers=2)
    world.announcer.look(NOON)
    undo(db, world.campaign.id, "customers", NOON)
    assert not world.claim(NOON)
    assert world.states() == [("not_sent", "closed")] * 2


def test_why_one_is_not_called_yet_is_told(db: Engine) -> None:
    world = Announcing(db, customers=1)
    explainer = Explainer(db)

    def why(at: datetime) -> list[str]:
        return [reason.reason for reason in explainer.number("+8613800000000", at)[0].reasons]

    assert why(NOON) == ["announcement"]
    world.announcer.look(NOON)
    assert why(NOON) == ["announcement"]
    world.announce()
    assert why(NOON) == ["retry_delay"] and why(TOMORROW) == []


def test_a_row_that_replaces_one_who_was_told_does_not_tell_them_again(db: Engine) -> None:
    world = Announcing(db, customers=1)
    world.announce()
    rows = [Row(2, ("+8613800000000",), "客户", {}, ("Asia/Shanghai",), customer_id="c0")]
    policy = Policy(on_duplicate=OnDuplicate.REPLACE)
    loading = Loading(db, world.campaign.id, "newer", "test", later(hours=1), policy)
    loading.load(rows, copy_lines(rows))
    assert loading.finish(0, later(hours=1)).duplicates == 1
    assert world.leads(later(hours=1)) == 0
    assert world.announce(later(hours=1)) == []
    assert world.leads(TOMORROW - timedelta(seconds=1)) == 0 and world.leads(TOMORROW) == 1


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (ANNOUNCED.replace("ahead = 100", ""), "ahead"),
        (ANNOUNCED.replace(str(DAY_S), "5"), "before_call_s: must be between"),
        (ANNOUNCED + 'outcomes = ["busy"]\n', "comes after no call"),
        (ANNOUNCED + ANNOUNCED.replace('"announced"', '"again"'), "only one"),
    ],
)
def test_what_makes_no_sense_is_refused(step: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse(CONFIG + step, "spring.toml")


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_nobody_is_called_before_their_announcements_time_and_none_is_lost(
    db: Engine, seed: int
) -> None:
    chance = random.Random(seed)
    steps = ANNOUNCED.replace("ahead = 100", "ahead = 7").replace(str(DAY_S), "7200")
    world = Announcing(db, steps, customers=40)
    now, sent, called = NOON, dict[int, datetime](), dict[int, datetime]()
    while len(called) < 40 and now < later(days=30):
        for _ in range(3):
            match chance.randrange(4):
                case 0:
                    world.announcer.look(now)
                case 1:
                    for letter in world.claim(now, limit=5):
                        if (fate := chance.random()) < 0.6:
                            assert world.outbox.sent(letter, now)
                            sent[letter.message_id] = now
                        elif fate < 0.8:
                            world.outbox.failed(letter, now, "451", for_good=chance.random() < 0.5)
                case 2:
                    leads = world.campaign.lease(chance.randrange(1, 6), now)
                    if chance.random() < 0.3:
                        world.campaign.hopper.release([lead.call_id for lead in leads])
                        continue
                    dialed = world.campaign.dial(leads, now)
                    called |= {lead.lead_id: now for lead in leads if lead.call_id in dialed}
                    world.campaign.record(
                        *(
                            AttemptEnded(at=now, call_id=each, outcome="no_answer", retry_at=None)
                            for each in dialed
                        )
                    )
                case 3:
                    off = chance.random() < 0.1
                    world.campaign.store.apply(
                        CONFIG.replace("running = true", f"running = {str(not off).lower()}") + steps,
                        "test", "tester", now,
                    )  # fmt: skip
        now += timedelta(seconds=chance.choice((10, 600, 3_000)))
    assert len(called) == 40
    for row in world.rows():
        if row.id in sent:
            assert called[row.lead_id] >= sent[row.id] + timedelta(hours=2)
        else:
            assert row.state in ("not_sent", "failed")
    assert {row.lead_id for row in world.rows()} == called.keys()
