"""Numbers of one customer are never rung at once: over leads, campaigns and engines that race each other."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Engine

from campaigns.hopper import Hopper
from campaigns.journal_store import JournalStore
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.records import AttemptEnded
from campaigns.values import Ask, Lead, Permit, Refusal, RefusalReason
from tests.campaigns.world import NOON, Campaign, later

PEOPLE, ENGINES, ROUNDS = 6, 4, 40
STEP = timedelta(seconds=40)  # longer than a lead waits whose customer is in a call
OFTEN = "[rules]\nattempts = 50\n"


def numbers(person: int, *places: int) -> tuple[str, ...]:
    return tuple(f"+86139000{person:03d}{place:02d}" for place in places)


def people(db: Engine, campaign: Campaign, places: tuple[int, ...], customer: bool) -> None:
    """Put everyone on a list of the campaign, with these of their numbers."""
    rows = [
        Row(
            n + 2, numbers(n, *places), f"客户{n}", {}, ("Asia/Shanghai",), ("phone",) * len(places),
            f"K{n}" if customer else None,
        )
        for n in range(PEOPLE)
    ]  # fmt: skip
    store_rows(db, campaign.id, f"list {places}", "test", NOON, rows)


class Exchange:
    """Who is in a call; a second call to one of them is a breach."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: dict[str, str] = {}
        self.calls, self.together, self.breaches = 0, 0, list[str]()

    @contextmanager
    def ringing(self, leads: list[tuple[Lead, set[str]]]) -> Iterator[None]:
        with self._lock:
            for lead, theirs in leads:
                self.breaches += [
                    f"{each}: {lead.number}, {self._busy[each]}" for each in theirs & self._busy.keys()
                ]
                self._busy |= dict.fromkeys(theirs, lead.number)
            self.calls += len(leads)
            self.together = max(self.together, len(self._busy))
        yield
        with self._lock:
            for _, theirs in leads:
                for each in theirs:
                    self._busy.pop(each, None)


def call(
    db: Engine, name: str, campaigns: list[Campaign], whose: dict[int, set[str]], line: Exchange
) -> None:
    hopper, journal, chance = Hopper(db, name), JournalStore(db, name), random.Random(name)
    serial = 0
    for n in range(ROUNDS):
        now = NOON + n * STEP
        leads = [lead for campaign in campaigns for lead in hopper.lease(campaign.id, 3, now)]
        chance.shuffle(leads)
        answers = hopper.authorize([Ask(lead.call_id, "main") for lead in leads], now)
        dialed = [(lead, whose[lead.lead_id]) for lead in leads if isinstance(answers[lead.call_id], Permit)]
        with line.ringing(dialed):
            time.sleep(chance.uniform(0.0, 0.02))  # the call's own time: nothing is waited for
        ended = [
            AttemptEnded(at=now, call_id=lead.call_id, outcome="busy", retry_at=now) for lead, _ in dialed
        ]
        journal.apply(list(enumerate(ended, serial + 1)))
        serial += len(ended)


def test_engines_that_race_never_ring_a_customer_twice_at_once(db: Engine) -> None:
    spring, summer = Campaign(db, 0, OFTEN), Campaign(db, 0, OFTEN, name="summer")
    people(db, spring, (1, 2), customer=False)
    people(db, summer, (2, 3), customer=False)  # shares a number with spring's lead
    people(db, spring, (5,), customer=True)
    people(db, summer, (6, 7), customer=True)  # shares the customer id
    with db.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT n.lead_id, n.e164, l.customer_id FROM number n JOIN lead l ON l.id = n.lead_id"
        )
        whose: dict[int, set[str]] = {}
        for lead, number, customer in found:
            whose.setdefault(lead, set()).update({number, customer} - {None})
    line = Exchange()
    engines = [
        threading.Thread(target=call, args=(db, f"engine-{n}", [spring, summer], whose, line))
        for n in range(ENGINES)
    ]
    for engine in engines:
        engine.start()
    for engine in engines:
        engine.join()
    assert line.breaches == []
    assert line.calls > 2 * PEOPLE * ENGINES and line.together > 4  # they did call, and side by side


def authorized(campaign: Campaign, lead: Lead, at: datetime = NOON) -> Permit | Refusal:
    return campaign.hopper.authorize([Ask(lead.call_id, "main")], at)[lead.call_id]


def test_who_is_in_a_call_waits_half_a_minute_and_is_called_when_it_is_over(db: Engine) -> None:
    spring, summer = Campaign(db, 1), Campaign(db, 1, name="summer")
    [first], [second] = spring.lease(), summer.lease()  # one number, on two lists
    assert isinstance(authorized(spring, first), Permit)
    refused = authorized(summer, second)
    assert isinstance(refused, Refusal) and refused.reason is RefusalReason.IN_CALL and refused.until is None
    assert summer.lease(at=later(seconds=29)) == []
    assert summer.lease(at=later(seconds=30)) == []  # asked again, and still in the call
    spring.record(
        AttemptEnded(at=later(seconds=50), call_id=first.call_id, outcome="no_answer", retry_at=later(days=1))
    )
    [second] = summer.lease(at=later(seconds=60))
    assert isinstance(authorized(summer, second, later(seconds=60)), Permit)


def test_a_batch_rings_a_customer_once(db: Engine) -> None:
    spring = Campaign(db, 0)
    people(db, spring, (1,), customer=True)
    people(db, spring, (2,), customer=True)
    leads = spring.lease(2 * PEOPLE)
    assert len(leads) == 2 * PEOPLE
    answers = spring.hopper.authorize([Ask(lead.call_id, "main") for lead in leads], NOON)
    assert sum(isinstance(answer, Permit) for answer in answers.values()) == PEOPLE
    assert {a.reason for a in answers.values() if isinstance(a, Refusal)} == {RefusalReason.IN_CALL}
