"""Numbers that agents dial by hand: under the same rules, and on the same books."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from sqlalchemy import Engine, text

from campaigns.dnc import DncStore, Layer
from campaigns.hopper import Hopper
from campaigns.values import Lead, OutsideCaller, Refusal, RefusalReason
from tests.campaigns.world import NOON, Campaign

KNOWN, NEW = "+8613800000003", "+8613912345678"
BY = OutsideCaller(7, 100, 100.0)


def refused(found: Lead | Refusal) -> RefusalReason:
    assert isinstance(found, Refusal), found
    return found.reason


def test_a_number_of_the_campaigns_is_its_customer(db: Engine) -> None:
    campaign = Campaign(db)
    found = campaign.hopper.lease_number(campaign.id, KNOWN, BY, NOON)
    assert isinstance(found, Lead)
    assert (found.number, found.name, found.attributes) == (KNOWN, "客户3", {"n": 3})
    assert KNOWN not in [lead.number for lead in campaign.lease(100)]
    assert campaign.dial([found]) == [found.call_id]


def test_a_new_number_goes_on_the_books_once(db: Engine) -> None:
    campaign = Campaign(db)

    def ask(engine: str) -> Lead | Refusal:
        return Hopper(db, engine).lease_number(campaign.id, NEW, BY, NOON)

    with ThreadPoolExecutor(4) as agents:
        found = list(agents.map(ask, [f"engine-{n}" for n in range(4)]))
    leads = [each for each in found if isinstance(each, Lead)]
    assert len(leads) == 1
    assert leads[0].zones == ("Asia/Shanghai",)
    assert {refused(each) for each in found if isinstance(each, Refusal)} == {RefusalReason.LEASE_LOST}
    with db.connect() as connection:
        assert connection.execute(
            text("SELECT count(*), max(l.name) FROM lead k JOIN list l ON l.id = k.list_id WHERE k.name = ''")
        ).one() == (1, "by hand")


def test_every_rule_holds_for_it(db: Engine) -> None:
    campaign = Campaign(db)

    def ask(number: str, at: datetime = NOON) -> RefusalReason:
        return refused(campaign.hopper.lease_number(campaign.id, number, BY, at))

    night = NOON + timedelta(hours=11)
    assert ask(KNOWN, night) is ask(NEW, night) is RefusalReason.WINDOW
    DncStore(db).add(NEW, Layer("company", "test"), NOON)
    assert ask(NEW) is RefusalReason.DNC
    lead = campaign.hopper.lease_number(campaign.id, KNOWN, BY, NOON)
    assert isinstance(lead, Lead)
    assert ask(KNOWN) is RefusalReason.LEASE_LOST  # somebody is about to call them
    assert ask("+8860000000") in (RefusalReason.NO_ZONE, RefusalReason.WINDOW)
    near = Campaign(db, more='[rules]\ndestinations = ["+86139*"]\n', name="near")
    assert refused(near.hopper.lease_number(near.id, KNOWN, BY, NOON)) is RefusalReason.DESTINATION
    assert near.lease(100) == [] and near.hopper.left(near.id) == 0  # closed, whatever list they are on
    stopped = Campaign(db, more="", name="autumn")
    stopped.store.apply('name = "autumn"\nswitch = "main"\nrunning = false\n', "test", "tester", NOON)
    assert refused(stopped.hopper.lease_number(stopped.id, KNOWN, BY, NOON)) is RefusalReason.CAMPAIGN_STOPPED
