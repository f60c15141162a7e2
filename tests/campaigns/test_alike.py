"""Many leads asked about at one instant: each is answered as if it were the only one."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from campaigns.rules.alike import Alike
from campaigns.rules.decision import may_call
from campaigns.rules.facts import LeadRow, facts_of
from campaigns.rules.keys import Rules
from campaigns.rules.terms import terms_of
from tests.campaigns.test_rules import INSTANTS, NUMBERS, RULES, UNHURRIED, ZONES

SELDOM = st.sampled_from([False] * 5 + [True])


@st.composite
def many(draw: st.DrawFn) -> tuple[datetime, list[LeadRow]]:
    now = draw(INSTANTS)
    near = st.builds(lambda s: now + timedelta(seconds=s), st.integers(-90_000, 90_000))

    def row(at: int) -> LeadRow:
        called = sorted(draw(st.lists(near, min_size=1, max_size=4))) if draw(SELDOM) else None
        customer = draw(st.sampled_from([None, "K7"]))
        barred = draw(near).isoformat() if draw(SELDOM) else None
        return LeadRow(
            lead_id=at,
            lease=None,
            lease_owner=None,
            lease_number=None,
            campaign_id=1,
            customer_id=customer,
            region=draw(st.sampled_from(["", "", "US-FL", "Florida"])),
            zones=draw(st.lists(st.sampled_from(ZONES), max_size=2)),
            open=not draw(SELDOM),
            next_at=draw(near) if draw(SELDOM) else now,
            number_id=at,
            e164=draw(NUMBERS),
            attempts=draw(st.integers(1, 4)) if draw(SELDOM) else 0,
            ordinal=1,
            done=draw(SELDOM),
            locked_until=draw(near) if draw(SELDOM) else None,
            lock="abandoned",
            dnc=[["national", "+1", "x", "", barred]] if barred else None,
            consents=[[1, draw(near).isoformat(), None]] if draw(SELDOM) else None,
            called_at=called,
            called_by=[1] * len(called) if called else None,
            life=len(called) if called else None,
            customer_at=called if customer else None,
            customer_by=[1] * len(called) if called and customer else None,
            customer_life=len(called) if called and customer else None,
            place=at,
            name="",
            attributes="{}",
            list_id=1,
            lane=1,
        )

    return now, [row(at) for at in range(draw(st.integers(1, 12)))]


@UNHURRIED
@given(asked=many(), rules=RULES, others=st.integers(0, 2))
def test_each_is_answered_as_if_it_were_the_only_one(
    asked: tuple[datetime, list[LeadRow]], rules: Rules, others: int
) -> None:
    now, rows = asked
    terms = terms_of(rules)
    alike = Alike(terms, now)
    for row in rows:
        attempts = row.attempts + others
        assert alike.ask(row, attempts) == may_call(facts_of(row, attempts, "", leased=True), terms, now)
